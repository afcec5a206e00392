/** Leave to run: at most `width` tasks at once, and of those that wait the one with the greatest weight (see weights.ts) goes first. */
export type Slots = {
  /** Rejects with the signal's reason when it aborts before the task's turn. */
  run<T>(weight: number, task: () => Promise<T>): Promise<T>;
};

type Waiting = { readonly weight: number; readonly turn: PromiseWithResolvers<void> };

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
        takeHeaviest(waiting)?.turn.resolve();
      }
    });
  };
  const stop = (): void => {
    for (const { turn } of waiting.splice(0)) turn.reject(signal.reason);
  };
  signal.addEventListener('abort', stop, { once: true });
  return {
    async run(weight, task) {
      signal.throwIfAborted();
      const turn = Promise.withResolvers<void>();
      waiting.push({ weight, turn });
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

function takeHeaviest(waiting: Waiting[]): Waiting | undefined {
  let best = 0;
  for (const [index, { weight }] of waiting.entries()) {
    if (weight > (waiting[best]?.weight ?? 0)) best = index;
  }
  return waiting.splice(best, 1)[0];
}
