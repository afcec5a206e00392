/** Leave to run: at most `width` tasks at once, and of those that wait the one furthest from the goal goes first. */
export type Slots = {
  /** Rejects with the signal's reason when it aborts before the task's turn. */
  run<T>(distance: number, task: () => Promise<T>): Promise<T>;
};

type Waiting = { readonly distance: number; readonly turn: PromiseWithResolvers<void> };

export function createSlots(width: number, signal: AbortSignal): Slots {
  let running = 0;
  let planned = false;
  const waiting: Waiting[] = [];
  /** Turns are given a moment later: what a finished task sets free has then asked for its turn, too. */
  const plan = (): void => {
    if (planned || waiting.length === 0) return;
    planned = true;
    setImmediate(() => {
      planned = false;
      while (running < width && waiting.length > 0) {
        running++;
        takeFurthest(waiting)?.turn.resolve();
      }
    });
  };
  const stop = (): void => {
    for (const { turn } of waiting.splice(0)) turn.reject(signal.reason);
  };
  signal.addEventListener('abort', stop, { once: true });
  return {
    async run(distance, task) {
      signal.throwIfAborted();
      const turn = Promise.withResolvers<void>();
      waiting.push({ distance, turn });
      plan();
      await turn.promise;
      try {
        signal.throwIfAborted();
        return await task();
      } finally {
        running--;
        plan();
      }
    },
  };
}

function takeFurthest(waiting: Waiting[]): Waiting | undefined {
  let best = 0;
  for (const [index, { distance }] of waiting.entries()) {
    if (distance > (waiting[best]?.distance ?? 0)) best = index;
  }
  return waiting.splice(best, 1)[0];
}
