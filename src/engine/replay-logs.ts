/** `build --replay`: a step that is found in the cache says once more what it said when it ran. */
import { cacheKey, type CacheKey } from '#execution/cache/key.ts';
import { readLogNow } from '#execution/builds/read-log.ts';
import type { BuildStore } from '#execution/builds/store.ts';
import type { SolvedVertex, SolveObserver } from '#execution/solver/contract.ts';
import type { ProgressEvent, Report } from '#formats/progress/event.ts';
import type { Digest } from '#ground/base/digest.ts';

type CachedEvent = Extract<ProgressEvent, { readonly kind: 'vertex-cached' }>;

export type LogReplay = { readonly report: Report; readonly observer: SolveObserver };

/** What is reported of a cached step waits until it is known what it was found by; its output stands before it, at the times since its beginning. */
export function replayLogs(builds: Pick<BuildStore, 'keyOf'>, folder: string, report: Report): LogReplay {
  const logs = new Map<Digest, string | undefined>();
  const waiting = new Map<Digest, CachedEvent>();
  const tell = (event: CachedEvent): void => {
    const name = logs.get(event.vertex);
    for (const { after, stream, text } of name === undefined ? [] : readLogNow(folder, name))
      report({ kind: 'output', vertex: event.vertex, stream, text, time: after });
    report(event);
  };
  return {
    report: (event) => {
      if (event.kind !== 'vertex-cached') return report(event);
      if (logs.has(event.vertex)) tell(event);
      else waiting.set(event.vertex, event);
    },
    observer: {
      missed: () => undefined,
      solved: ({ digest, op, label }, solved) => {
        const log = logOf(solved, builds);
        logs.set(digest, log);
        if (log === undefined && op.kind === 'exec' && solved.state !== 'ran' && !isKnown(solved, builds))
          report({ kind: 'note', text: `It did not run here, so what it said is not kept: ${label.text}` });
        const event = waiting.get(digest);
        waiting.delete(digest);
        if (event !== undefined) tell(event);
      },
    },
  };
}

/** It ran in this store, whether it said something or not. */
function isKnown(solved: SolvedVertex, builds: Pick<BuildStore, 'keyOf'>): boolean {
  return keysOf(solved).some((key) => builds.keyOf(key) !== undefined);
}

function keysOf({ lookedUpBy, key }: SolvedVertex): readonly CacheKey[] {
  return [...lookedUpBy.map(cacheKey), ...(key === undefined ? [] : [key])];
}

function logOf(solved: SolvedVertex, builds: Pick<BuildStore, 'keyOf'>): string | undefined {
  return keysOf(solved)
    .map((one) => builds.keyOf(one)?.log)
    .find((log) => log != null);
}
