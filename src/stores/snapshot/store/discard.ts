/** Taking snapshots and trees away: by rename into the trash, or, on a full disk, at once. */
import { existsSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fullDisk, isCode, messageOf } from '#ground/base/errors.ts';
import { createLog } from '#ground/base/log.ts';
import { ownRights } from '#ground/linux/own-rights.ts';
import { removeTree } from '#ground/linux/remove-tree.ts';
import type { SnapshotId } from '../contract.ts';
import { tendMark } from '../start-tending.ts';
import { leaveTendMark, type Store } from './opened.ts';
import { mayWait, moveToTrash } from './trash.ts';

const log = createLog('snapshot');

/** Removed rows: their folders to the trash, then the rows themselves. `isPatient`: they may lie there until there is more. */
export function discard(store: Store, ids: readonly SnapshotId[], isPatient = false): void {
  if (ids.length === 0) return;
  moveToTrash(
    store.folder,
    ids.flatMap((id) => [`s/${id}`, `w/${id}`, ...(ownRights().hasOneId ? [`o/${id}`] : [])]),
  );
  store.records.forget(ids);
  if (!isPatient) leaveTendMark(store);
}

/**
 * Removes an active snapshot. On a full disk its own files go at once, as they may be what fills it; what then is still left to do is done by whoever
 * opens the store after this process.
 */
export function giveUp(store: Store, id: SnapshotId): void {
  try {
    // Before it goes: what is written on nobody can see but its owner.
    const isPatient = store.leavesSmall && mayWait(store.folder, `s/${id}`);
    discard(store, store.records.discard(id, store.owner), isPatient);
  } catch (error) {
    if (!isFull(error)) throw error;
    for (const folder of [`s/${id}`, `w/${id}`]) removeTree(join(store.folder, folder));
    try {
      discard(store, store.records.discard(id, store.owner));
    } catch (again) {
      if (!isFull(again)) throw again;
      log('the row of snapshot %s stays until there is space: %s', id, messageOf(again));
    }
  }
}

export function isFull(error: unknown): boolean {
  return fullDisk(error) !== undefined || isCode(error, 'db/full');
}

/** Away by rename, if it was ever made; on a full disk, where that may take a byte too many, it is deleted here and now. */
export function trashTree(folder: string, path: string): void {
  if (!existsSync(path)) return;
  try {
    moveToTrash(folder, [relative(folder, path)]);
    writeFileSync(join(folder, tendMark), '');
  } catch (error) {
    if (!isFull(error)) throw error;
    removeTree(path);
  }
}
