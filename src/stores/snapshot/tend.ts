/** What a store needs now and then, but never while somebody waits: its files made safe on disk, its trash deleted. */
import { closeSync, existsSync, openSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createLog } from '#ground/base/log.ts';
import { tryLockFile } from '#ground/linux/lock-file.ts';
import { startDetached } from '#ground/linux/spawn.ts';
import { syncFileSystem } from '#ground/linux/syscall.ts';
import { openDatabase } from '#stores/db/open.ts';
import { openSnapshotStore, tendMark } from './store.ts';
import { migrations, openRecords } from './store/records.ts';
import { emptyTrash } from './store/trash.ts';

const log = createLog('snapshot');

/**
 * Starts tending `folder` in a process of its own, with the lowest priority, when there is anything to do; returns at once (one stat, or one spawn).
 * Call it when a build has ended, from outside the worker's namespaces: it outlives the caller.
 */
export function startTending(folder: string): void {
  if (!existsSync(join(folder, tendMark))) return;
  startDetached({
    command: process.execPath,
    arguments: [fileURLToPath(new URL(import.meta.url.endsWith('.ts') ? './tend-main.ts' : './snapshot-tend.js', import.meta.url)), folder],
  });
}

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
