/** What is remembered of snapshots that are gone, or are about to go. */
import type { Eviction } from '#execution/cache/records.ts';
import type { SnapshotId } from '#execution/worker/contract.ts';
import { chainIds } from '#formats/oci/layer-ids.ts';
import type { Engine } from '../open.ts';
import { snapshotResult } from '../results.ts';

/** Forgets results, chains and layers of the snapshot. What became of its keys is remembered. */
export function forgetSnapshot(
  engine: Pick<Engine, 'records' | 'images' | 'layerChains' | 'foldedChains'>,
  snapshot: SnapshotId,
  eviction: Eviction,
): void {
  engine.records.forget(snapshotResult(snapshot).id, eviction);
  engine.images.forgetSnapshot(snapshot);
  engine.layerChains.forget(snapshot);
  engine.foldedChains.forget(snapshot);
}

/** Images of steps whose files are among these snapshots go with them. Call it before the snapshots are forgotten. */
export function forgetStepsOn({ images, lineage }: Pick<Engine, 'images' | 'lineage'>, going: ReadonlySet<string>): void {
  if (going.size === 0) return;
  for (const id of lineage.steps()) {
    const chains = chainIds((images.get(id)?.layers ?? []).map(({ diffId }) => diffId));
    if (chains.some((chain) => going.has(images.snapshotOf(chain) ?? ''))) images.remove(id);
  }
}
