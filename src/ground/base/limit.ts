/** How many at once: `limit(task)` runs at most `width` tasks at a time, first come first served. */
export type Limit = <T>(task: () => Promise<T>, signal: AbortSignal) => Promise<T>;

export function createLimit(width: number): Limit {
  let running = 0;
  const waiting: (() => void)[] = [];
  const leave = (): void => {
    running--;
    waiting.shift()?.();
  };
  return async (task, signal) => {
    while (running >= width) await turnIn(waiting, signal);
    running++;
    try {
      signal.throwIfAborted();
      return await task();
    } finally {
      leave();
    }
  };
}

/** Waits in the line; who is aborted leaves it at once. */
async function turnIn(waiting: (() => void)[], signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const turn = Promise.withResolvers<void>();
  waiting.push(turn.resolve);
  const stop = (): void => {
    const place = waiting.indexOf(turn.resolve);
    if (place === -1) return;
    waiting.splice(place, 1);
    turn.reject(signal.reason);
  };
  signal.addEventListener('abort', stop, { once: true });
  try {
    await turn.promise;
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
