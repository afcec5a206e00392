/** Cancelling: every function that waits takes an AbortSignal, last and required; whoever aborts gives a reason. */
import { JettisonError } from './errors.ts';

export type ChildSignal = Disposable & { readonly signal: AbortSignal; abort(reason: Error): void };

/** A signal that ends with its parent or by its own `abort`. Disposing forgets the parent; it does not abort. */
export function childSignal(parent: AbortSignal): ChildSignal {
  const controller = new AbortController();
  const follow = (): void => controller.abort(parent.reason);
  if (parent.aborted) follow();
  else parent.addEventListener('abort', follow, { once: true });
  return {
    signal: controller.signal,
    abort: (reason) => controller.abort(reason),
    [Symbol.dispose]: () => parent.removeEventListener('abort', follow),
  };
}

/** Does the task; after `longest` milliseconds its signal aborts with `late`. */
export async function withinTime<T>(
  longest: number,
  late: JettisonError,
  task: (signal: AbortSignal) => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  using own = childSignal(signal);
  const timer = setTimeout(() => own.abort(late), longest);
  try {
    return await task(own.signal);
  } finally {
    clearTimeout(timer);
  }
}

/** The error to abort with when a person or a peer asked for it. `by`: the signal (`SIGINT`) that asked, if it was one; the reason that another program gave. */
export function cancelled(why: string, by?: unknown): JettisonError {
  return new JettisonError('base/cancelled', why, { fault: 'user', cause: by });
}

/** Settles with `promise`, or rejects with the signal's reason as soon as it aborts. */
export async function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const stop = (): void => aborted.reject(signal.reason);
  signal.addEventListener('abort', stop, { once: true });
  try {
    return await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
