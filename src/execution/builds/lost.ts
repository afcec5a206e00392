/** Causes that are no difference between two keys: a step that nobody saw before, and a result that should be there and is not. */
import type { CacheKey } from '#execution/cache/key.ts';
import type { Eviction } from '#execution/cache/records.ts';
import type { ToldCache } from './memory.ts';
import type { EarlierBuild } from './nearest.ts';
import type { Change } from './past-build.ts';
import type { StepKey } from './step-key.ts';

type Elsewhere = { readonly caches: readonly ToldCache[] };

export const unknownCause: Change = { class: 'unknown', object: '', change: 'unknown' };

export function forcedBy(option: string): Change {
  return { class: 'forced', object: option, change: 'forced' };
}

/** `stages`: those of earlier builds. */
export function neverSeen(step: StepKey, stages: ReadonlySet<string | null>, { caches }: Elsewhere): Change {
  if (stages.has(step.stage) && step.written !== null && step.step !== null) {
    return { class: 'instruction', object: step.text.split('\n', 1)[0] ?? '', change: 'added', after: step.written };
  }
  const trouble = firstTrouble(caches);
  if (trouble !== undefined) return trouble;
  const silent = caches.find(({ memory }) => memory === undefined);
  const unseen: Change = { class: 'never-seen', object: step.stage ?? '', change: 'never seen' };
  return silent === undefined ? unseen : { ...unseen, from: silent.name };
}

/** Why a step ran whose key is that of `build`. */
export function lostResult(
  key: CacheKey,
  build: EarlierBuild,
  {
    caches,
    evicted,
    recordKey,
    state,
  }: Elsewhere & {
    readonly evicted: (key: CacheKey) => Eviction | undefined;
    readonly recordKey: CacheKey | undefined;
    readonly state: string | undefined;
  },
): Change {
  if (state === 'failed') return { class: 'failed', object: '', change: 'failed' };
  const eviction = evicted(key) ?? (recordKey === undefined ? undefined : evicted(recordKey));
  if (eviction !== undefined) {
    return { class: 'evicted', object: eviction.rule, change: 'removed', after: new Date(eviction.at).toISOString() };
  }
  if (build.cache !== undefined) {
    const { name, mode } = build.cache;
    return (
      firstTrouble(caches.filter((cache) => cache.name === name)) ?? {
        class: 'cache',
        object: name,
        change: 'absent',
        after: `mode=${mode}`,
      }
    );
  }
  return firstTrouble(caches) ?? { class: 'evicted', object: 'no longer in the store', change: 'lost' };
}

function firstTrouble(caches: readonly ToldCache[]): Change | undefined {
  for (const { name, trouble } of caches) {
    if (trouble !== undefined) return { class: 'cache', object: name, change: trouble.kind, after: trouble.message };
  }
  return undefined;
}
