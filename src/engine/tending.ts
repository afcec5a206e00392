/** Having the store tended when everything has been given back: by a process of its own, which reads environment and configuration as this engine did. */
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { EngineOptions } from './open.ts';
import type { Paths } from './paths.ts';

export type Tending = {
  /** A worker is at work, and will have left something to do: when this resolves, the end of this process is enough, however it comes about. Never rejects. */
  prepare(): Promise<void>;
  /** What works in this process may leave something to do: that is looked at when everything has been given back. */
  look(): void;
  /** There is something to remove, worker or not. */
  leaveMark(): void;
  /** Everything has been given back. */
  begin(): Promise<void>;
};

export function createTending(paths: Paths, options: Pick<EngineOptions, 'environment' | 'cacheMax' | 'untilExit'>): Tending {
  let waiting: Promise<{ begin(): void }> | undefined;
  let isMarked = false;
  let isLookedAt = false;
  const { store } = paths;
  const { cacheMax } = options;
  const program = () => ({
    words: [script(), resolve(store), ...(cacheMax === undefined ? [] : [cacheMax])],
    // The engine's, which may be another than its process has; absolute, since it works in another folder.
    environment: { ...options.environment, JETTISON_CONFIG: resolve(paths.config) },
  });
  return {
    async prepare() {
      waiting ??= import('#execution/worker/tending.ts').then(({ startTendingWorkerStoreAfterwards: start }) => start(store, program()));
      await waiting.catch(() => undefined);
    },
    look() {
      isLookedAt = true;
    },
    leaveMark() {
      isMarked = true;
    },
    async begin() {
      if (waiting === undefined && !isMarked && !isLookedAt) return;
      const { markWorkerStore, startTendingWorkerStore } = await import('#execution/worker/tending.ts');
      if (isMarked) markWorkerStore(store);
      if (waiting === undefined) startTendingWorkerStore(store, program());
      else if (options.untilExit !== true) (await waiting).begin();
    },
  };
}

function script(): string {
  return fileURLToPath(new URL(import.meta.url.endsWith('.ts') ? './tend-main.ts' : './tend.cjs', import.meta.url));
}
