/** What dead processes left of their snapshots, and a boot that ended before they were on disk. */
import { existsSync, readdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf, systemCode } from '#ground/base/errors.ts';
import { createLog } from '#ground/base/log.ts';
import { parseSnapshotId } from '../contract.ts';
import { discard, isFull, trashTree } from './discard.ts';
import { inStore, lowersOf } from './mounts.ts';
import { leaveTendMark, type Store } from './opened.ts';
import { listOwners, reapOwners } from './owners.ts';
import { moveToTrash } from './trash.ts';

const log = createLog('snapshot');

/** Snapshots left by dead processes, and by a boot that ended before they were on disk. */
export async function clearUp(store: Store): Promise<void> {
  await reapOwners(store.folder, async (departed) => {
    if (!(await commitLeft(store, departed))) return false;
    discard(store, store.records.takeOver(departed, store.owner));
    removeMountPoints(join(store.folder, 'm', departed));
    trashTree(store.folder, join(store.folder, 't', departed));
    return true;
  });
  // An owner that left in good order but in a hurry took its file along, not its rows.
  const owners = store.records.owners();
  const present = new Set(listOwners(store.folder));
  for (const owner of owners) {
    if (present.has(owner) || !(await commitLeft(store, owner))) continue;
    discard(store, store.records.takeOver(owner, store.owner));
    trashTree(store.folder, join(store.folder, 't', owner));
  }
  const lost = store.records.dropNotDurable(store.boot, store.owner);
  if (lost.length > 0) log('%d snapshots of an earlier boot were perhaps not on disk and are dropped', lost.length);
  discard(store, lost);
  if (store.records.isEmpty()) trashAll(store);
  if (store.records.isFirstOfBoot()) beginBoot(store);
}

/**
 * The first in a boot: a crash may have taken the last rows, which reach the disk when the kernel gets round to it, and have left their folders. Nobody has made
 * a folder without its row or its owner's file, so those that were there before these were read are of nobody.
 */
function beginBoot(store: Store): void {
  const found = ['s', 'w'].flatMap((place) => readdirSync(join(store.folder, place)).map((id) => ({ id, path: `${place}/${id}` })));
  const [trees, mountPoints] = ['t', 'm'].map((place) => readdirSync(join(store.folder, place)));
  const known = store.records.everyId();
  const owners = new Set(listOwners(store.folder));
  const orphans = [
    ...found.filter(({ id }) => !known.has(id)).map(({ path }) => path),
    ...(trees ?? []).flatMap((owner) => (owners.has(owner) ? [] : [`t/${owner}`])),
  ];
  moveToTrash(store.folder, orphans);
  if (orphans.length > 0) leaveTendMark(store);
  for (const owner of mountPoints ?? []) if (!owners.has(owner)) removeMountPoints(join(store.folder, 'm', owner));
  store.records.beginBoot();
}

/** Without a single row every folder is an orphan: the database was lost. */
function trashAll(store: Store): void {
  const orphans = readdirSync(join(store.folder, 's'));
  if (orphans.length > 0) store.records.skipPast(orphans.map(parseSnapshotId));
  moveToTrash(store.folder, [...orphans.map((id) => `s/${id}`), ...readdirSync(join(store.folder, 'w')).map((id) => `w/${id}`)]);
}

/** What a departed owner was keeping is committed as it is. False when the disk is too full for that. */
async function commitLeft(store: Store, departed: string): Promise<boolean> {
  const kept = store.records.listKept(departed);
  if (kept.length === 0) return true;
  const trees = join(store.folder, 't', departed);
  try {
    for (const { id, parent } of kept) {
      if (!existsSync(trees)) break;
      const lowers = (): readonly string[] => (parent === undefined ? [] : inStore(store, lowersOf(store, parent)));
      const { recoverTree } = await import('../copies/kept.ts');
      await recoverTree({ id, folder: join(store.folder, 's', id), lowers, trees });
    }
    const ids = kept.map(({ id }) => id);
    moveToTrash(
      store.folder,
      ids.map((id) => `w/${id}`),
    );
    store.records.commitKept(ids, store.boot);
    leaveTendMark(store);
    return true;
  } catch (error) {
    if (!isFull(error)) throw error;
    log('what %s kept is committed when there is space: %s', departed, messageOf(error));
    return false;
  }
}

/** Only empty folders go: a mount point in use would be busy, and what is mounted on one is never to be deleted. */
function removeMountPoints(folder: string): void {
  try {
    for (const name of readdirSync(folder)) rmdirSync(join(folder, name));
    rmdirSync(folder);
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') log('mount points stay: %s', error);
  }
}
