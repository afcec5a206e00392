type Pieces = readonly Uint8Array[];
export type Order = { add(task: () => Promise<Pieces>): Promise<void>; finish(): Promise<void> };

/** At most `width` tasks at once, results to `sink` in the order of the tasks. */
export function createOrder(width: number, sink: (pieces: Pieces) => void): Order {
  const running: Promise<PromiseSettledResult<Pieces>>[] = [];
  const takeFirst = async (): Promise<void> => {
    const first = await running.shift();
    if (first?.status === 'rejected') throw first.reason;
    if (first) sink(first.value);
  };
  return {
    async add(task) {
      while (running.length >= width) await takeFirst();
      running.push(settled(task));
    },
    async finish() {
      while (running.length > 0) await takeFirst();
    },
  };
}

/** A promise that never rejects: it may be looked at late. */
async function settled<T>(task: () => Promise<T>): Promise<PromiseSettledResult<T>> {
  const [result] = await Promise.allSettled([task()]);
  return result;
}
