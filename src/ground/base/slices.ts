/** Long work on files, in one thread with everything else: done in slices, between which calls, output and cancellations come through. */
import { setImmediate } from 'node:timers/promises';

/** Milliseconds. */
const slice = 10;
/** Steps between looks at the clock. */
const stepsBetween = 16;

/** Runs the work to its end; when `signal` aborts it is left where it gave way, closing what it has open. */
export async function inSlices<T>(work: Generator<void, T, void>, signal: AbortSignal): Promise<T> {
  try {
    for (let began = performance.now(), count = 0; ; count++) {
      const { done, value } = work.next();
      if (done === true) return value;
      if (count % stepsBetween !== 0 || performance.now() - began < slice) continue;
      await setImmediate();
      signal.throwIfAborted();
      began = performance.now();
    }
  } finally {
    // What is open in there is closed by its `finally`; nothing when it has ended.
    const end: Pick<Iterator<void, unknown>, 'return'> = work;
    end.return?.();
  }
}
