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
    while (running >= width) {
      const turn = Promise.withResolvers<void>();
      waiting.push(turn.resolve);
      await turn.promise;
    }
    running++;
    try {
      signal.throwIfAborted();
      return await task();
    } finally {
      leave();
    }
  };
}
