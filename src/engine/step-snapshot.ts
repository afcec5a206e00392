/** What a step of a build has made, for those who speak of steps afterwards. */
import type { Digest } from '#ground/base/digest.ts';
import { cacheKey } from '#execution/cache/key.ts';
import type { SnapshotId } from '#execution/worker/contract.ts';
import type { Exporting } from './gather-cache.ts';
import { isSnapshot, snapshotOf } from './results.ts';

/** undefined where it is no snapshot, or not known; what nothing had to be read of may be known all the same. */
export function stepSnapshot({ solved, engine }: Pick<Exporting, 'solved' | 'engine'>, vertex: Digest): SnapshotId | undefined {
  const state = solved?.vertices.get(vertex);
  const id = state?.result?.id ?? state?.lookedUpBy.flatMap((parts) => engine.records.find(cacheKey(parts))?.resultId ?? [])[0];
  return id !== undefined && isSnapshot({ id }) ? snapshotOf({ id }) : undefined;
}
