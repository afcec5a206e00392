/** What a store needs now and then, but never while somebody waits: its files made safe on disk, its sizes known, its trash deleted. */
import { closeSync, openSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createLog } from '#ground/base/log.ts';
import { tryLockFile, type FileLock } from '#ground/linux/lock-file.ts';
import { syncFileSystem } from '#ground/linux/file-bytes.ts';
import { openDatabase } from '#stores/db/open.ts';
import type { SnapshotStore } from './contract.ts';
import { openSnapshotStore } from './store.ts';
import { tendMark, tendingLock } from './start-tending.ts';
import { measureSnapshots } from './store/measure.ts';
import { migrations, openRecords, type Records } from './store/records.ts';
import { emptyTrash } from './store/trash.ts';

const log = createLog('snapshot');

/**
 * Syncs the file system of the store, after which its snapshots outlive a crash of the machine, measures what is new, lets `keep` remove what should not
 * stay, and deletes the trash that nobody can be using. Takes seconds. While another process tends the same store, one more waits for its turn, and the others have nothing to do.
 */
export async function tendStore(folder: string, keep: (store: SnapshotStore) => Promise<void> = async () => {}): Promise<void> {
  using lock = takeTurn(folder);
  if (!lock) return;
  rmSync(join(folder, tendMark), { force: true });
  {
    // Opening clears up after the dead and puts their snapshots in the trash.
    await using store = await openSnapshotStore({ folder, now: Date.now });
    for (const note of store.notes) log(note);
    withRecords(folder, (records) => makeDurable(folder, records));
    store.measure();
    await keep(store);
  }
  emptyTrashAndCount(folder);
}

/**
 * What came after another process had begun must be tended, too: one waits for that, holding the mark, whoever comes later leaves it to the one that waits. No file is made: somebody may
 * be removing the store, holding the lock.
 */
function takeTurn(folder: string): FileLock | undefined {
  const tending = join(folder, tendingLock);
  const free = tryLockFile(tending, { exclusive: true, wait: false, ifThere: true });
  if (free) return free;
  using next = tryLockFile(join(folder, tendMark), { exclusive: true, wait: false, ifThere: true });
  return next && tryLockFile(tending, { exclusive: true, wait: true, ifThere: true });
}

/** Deletes the trash now, in the foreground, as far as nobody can be using it; waits for a process that tends the store. */
export function clearTrash(folder: string): void {
  using lock = tryLockFile(join(folder, tendingLock), { exclusive: true, wait: true });
  if (lock) emptyTrashAndCount(folder);
}

/** Deletes the trash that nobody can be using, and measures anew the snapshots that had files in common with it. */
function emptyTrashAndCount(folder: string): void {
  if (emptyTrash(folder) === 0) return;
  withRecords(folder, (records) => {
    records.unmeasureLinked();
    measureSnapshots(folder, records);
  });
}

function withRecords(folder: string, work: (records: Records) => void): void {
  using database = openDatabase({ file: join(folder, 'snapshots.db'), migrations });
  work(openRecords(database));
}

function makeDurable(folder: string, records: Records): void {
  const ids = records.listNotDurable();
  if (ids.length === 0) return;
  const file = openSync(folder, 'r');
  try {
    syncFileSystem(file);
  } finally {
    closeSync(file);
  }
  records.markDurable(ids);
}
