/** Snapshots that are known but not there any more: a crash of the machine, or somebody, removed their folders. */
import { existsSync } from 'node:fs';
import { isCode } from '#ground/base/errors.ts';
import type { SnapshotId, SnapshotStore } from '#stores/snapshot/contract.ts';

/** A snapshot is of use when its whole chain is there, folders too. */
export function isMissing(snapshots: Pick<SnapshotStore, 'chain'>, id: SnapshotId): boolean {
  try {
    return snapshots.chain(id).some((snapshot) => !existsSync(snapshot.folder));
  } catch (error) {
    if (isCode(error, 'snapshot/not-found')) return true;
    throw error;
  }
}
