/** Having the store tended when everything has been given back: by a process of its own, which reads environment and configuration as this one did. */
import { fileURLToPath } from 'node:url';

export type Tending = {
  /** A worker is at work, and will have left something to do: when this resolves, the end of this process is enough, however it comes about. Never rejects. */
  prepare(): Promise<void>;
  /** There is something to remove, worker or not. */
  leaveMark(): void;
  /** Everything has been given back. */
  begin(): Promise<void>;
};

export function createTending(store: string, options: { readonly cacheMax?: string; readonly untilExit?: boolean }): Tending {
  let waiting: Promise<{ begin(): void }> | undefined;
  let isMarked = false;
  const words = options.cacheMax === undefined ? [] : [options.cacheMax];
  return {
    async prepare() {
      waiting ??= import('#execution/worker/tending.ts').then(({ startTendingWorkerStoreAfterwards: start }) =>
        start(store, script(), words),
      );
      await waiting.catch(() => undefined);
    },
    leaveMark() {
      isMarked = true;
    },
    async begin() {
      if (waiting === undefined && !isMarked) return;
      const { markWorkerStore, startTendingWorkerStore } = await import('#execution/worker/tending.ts');
      if (isMarked) markWorkerStore(store);
      if (waiting === undefined) startTendingWorkerStore(store, script(), words);
      else if (options.untilExit !== true) (await waiting).begin();
    },
  };
}

function script(): string {
  return fileURLToPath(new URL(import.meta.url.endsWith('.ts') ? './tend-main.ts' : './tend.cjs', import.meta.url));
}
