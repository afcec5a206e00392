/**
 * A lock on a file that ends with its process, however that ends, and that all on the same kernel see. It is a lock of SQLite on an empty database, so that holding or asking
 * for one loads nothing. Children of the process do not inherit it.
 */
import { closeSync, constants, openSync, statSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';

/** How long one who takes the lock waits for those who only look whether it is held, in milliseconds. */
const lookersGone = 100;

/** Takes the lock `path` (made 0600 when missing; its folder must be there); undefined while another process, or this one, has it. Dispose it. */
export function takeFileLock(path: string): Disposable | undefined {
  // Not by SQLite, which would let everybody read it.
  closeSync(openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600));
  const database = lockDatabase(path, 'EXCLUSIVE', lookersGone);
  if (database === undefined) return undefined;
  return {
    [Symbol.dispose]() {
      if (database.isOpen) database.close();
    },
  };
}

/** Does a process hold the lock `path` now? Looking keeps nobody from taking it. */
export function isFileLockHeld(path: string): boolean {
  if (statSync(path, { throwIfNoEntry: false }) === undefined) return false;
  const database = lockDatabase(path, 'SHARED', 0);
  database?.close();
  return database === undefined;
}

/** The open database with its lock, or undefined while another one has it. */
export function lockDatabase(path: string, kind: 'EXCLUSIVE' | 'SHARED', timeout: number): DatabaseSync | undefined {
  const database = new DatabaseSync(path, { timeout });
  try {
    // A database without tables is read by this, and so locked.
    database.exec(kind === 'EXCLUSIVE' ? 'PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE' : 'BEGIN; SELECT count(*) FROM sqlite_master');
    return database;
  } catch (error) {
    database.close();
    if (isBusy(error)) return undefined;
    throw error;
  }
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && typeof error.errcode === 'number' && (error.errcode & 0xff) === 5;
}
