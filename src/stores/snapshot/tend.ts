/** What a store needs now and then, but never while somebody waits: its files made safe on disk, its trash deleted. */
import { closeSync, openSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createLog } from '#ground/base/log.ts';
import { tryLockFile } from '#ground/linux/lock-file.ts';
import { syncFileSystem } from '#ground/linux/syscall.ts';
import { openDatabase } from '#stores/db/open.ts';
import { openSnapshotStore } from './store.ts';
import { tendMark } from './start-tending.ts';
import { migrations, openRecords } from './store/records.ts';
import { emptyTrash } from './store/trash.ts';

const log = createLog('snapshot');

/**
 * Syncs the file system of the store, after which its snapshots outlive a crash of the machine, and deletes the trash that nobody can be using. Takes
 * seconds. Does nothing while another process tends the same store.
 */
export async function tendStore(folder: string): Promise<void> {
  using lock = tryLockFile(join(folder, 'tending'), { exclusive: true, wait: false });
  if (!lock) return;
  rmSync(join(folder, tendMark), { force: true });
  {
    // Opening clears up after the dead and puts their snapshots in the trash.
    await using store = await openSnapshotStore({ folder, now: Date.now });
    for (const note of store.notes) log(note);
    makeDurable(folder);
  }
  emptyTrash(folder);
}

function makeDurable(folder: string): void {
  using database = openDatabase({ file: join(folder, 'snapshots.db'), migrations });
  const records = openRecords(database);
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
