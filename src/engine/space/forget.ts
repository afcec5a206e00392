/** What is remembered of snapshots that are gone, or are about to go. */
import type { Eviction } from '#execution/cache/records.ts';
import type { SnapshotId } from '#execution/worker/contract.ts';
import type { Engine } from '../open.ts';
import { snapshotResult } from '../results.ts';

/** Forgets results, chains and layers of the snapshot. What became of its keys is remembered. */
export function forgetSnapshot(engine: Pick<Engine, 'records' | 'images' | 'layerChains'>, snapshot: SnapshotId, eviction: Eviction): void {
  engine.records.forget(snapshotResult(snapshot).id, eviction);
  engine.images.forgetSnapshot(snapshot);
  engine.layerChains.forget(snapshot);
}
