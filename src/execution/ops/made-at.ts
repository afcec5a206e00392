/** When a snapshot's files were made, where that is not when the snapshot was: the machine that made a layer says so, and a layer that was folded is as old as the step that made its files. */
import type { Snapshot, SnapshotId, SnapshotStore } from '#stores/snapshot/contract.ts';

const fact = 'made-at';

/** Milliseconds since the epoch. */
export function madeAtOf(snapshots: SnapshotStore, { id, createdAt }: Pick<Snapshot, 'id' | 'createdAt'>): number {
  return Number(snapshots.getFact(id, fact) ?? createdAt);
}

/** Milliseconds since the epoch. */
export function noteMadeAt(snapshots: SnapshotStore, id: SnapshotId, time: number): void {
  snapshots.setFact(id, fact, String(time));
}
