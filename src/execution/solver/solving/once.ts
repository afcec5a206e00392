/** Running a vertex when its turn has come and nobody else is running the same: neither another build nor another vertex of this one. */
import type { Claims } from '#execution/cache/claims.ts';
import type { CacheKey } from '#execution/cache/key.ts';
import type { Slots } from './slots.ts';

export type RunOnce = {
  readonly slots: Slots;
  /** Undefined where nobody shares the cache. */
  readonly claims: Claims | undefined;
};

/**
 * Calls `work` in a slot, with `key` claimed. While another one has the key, it waits (holding neither slot nor claim, and having called `onWait` once, with the id of the other one's process, undefined where it is this one) and then
 * calls `work` all the same, which looks whether the result is there now: whoever ran it may have failed, or been killed.
 */
export async function runOnce<T>(
  { slots, claims }: RunOnce,
  claim: { readonly key: CacheKey; readonly weight: number; readonly onWait: (other: number | undefined) => void },
  work: () => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  const { key, weight, onWait } = claim;
  for (let waited = false; ; waited = true) {
    const outcome = await slots.run(weight, async () => {
      using claimed = claims === undefined ? nobody : claims.take(key);
      return claimed === undefined ? undefined : { value: await work() };
    });
    if (outcome !== undefined) return outcome.value;
    if (!waited) onWait(claims?.otherProcess(key));
    await claims?.free(key, signal);
  }
}

const nobody: Disposable = { [Symbol.dispose]: () => undefined };
