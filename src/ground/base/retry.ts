/** Tries again with growing pauses and jitter; only for errors that say they are retryable. */
import { JettisonError } from './errors.ts';

export type RetryOptions = {
  readonly tries: number;
  /** Pause before the second try, in milliseconds; doubles each time. */
  readonly firstPause: number;
  /** What the far side asked for (Retry-After), in milliseconds; undefined for none. */
  readonly askedPause?: (error: JettisonError) => number | undefined;
  /** Told before each pause (milliseconds): `attempt` is the number of the try that comes after it. */
  readonly onPause?: (error: JettisonError, next: { readonly pause: number; readonly attempt: number }) => void;
  readonly random?: () => number;
};

export async function retry<T>(task: (attempt: number) => Promise<T>, options: RetryOptions, signal: AbortSignal): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await task(attempt);
    } catch (error) {
      if (!(error instanceof JettisonError) || !error.retryable || attempt >= options.tries || signal.aborted) throw error;
      const usual = options.firstPause * 2 ** (attempt - 1) * (0.75 + (options.random ?? Math.random)() / 2);
      const pause = options.askedPause?.(error) ?? usual;
      options.onPause?.(error, { pause, attempt: attempt + 1 });
      await sleep(pause, signal);
    }
  }
}

/** Waits `duration` milliseconds, or rejects with the signal's reason. */
export async function sleep(duration: number, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const done = Promise.withResolvers<void>();
  const stop = (): void => done.reject(signal.reason);
  const timer = setTimeout(done.resolve, duration);
  signal.addEventListener('abort', stop, { once: true });
  try {
    await done.promise;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', stop);
  }
}
