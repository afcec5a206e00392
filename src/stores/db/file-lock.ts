/**
 * A lock on a file that ends with its process, however that ends, and that all on the same kernel see. It is a lock of SQLite on an empty database, so that holding or asking
 * for one loads nothing. Children of the process do not inherit it.
 */
import { closeSync, constants, fstatSync, openSync, statSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';

/** How long one who takes the lock waits for those who only look whether it is held, in milliseconds. */
const lookersGone = 100;

/** Takes the lock `path` (made 0600 when missing; its folder must be there); undefined while another process, or this one, has it. Dispose it. */
export function takeFileLock(path: string): Disposable | undefined {
  for (;;) {
    const made = makeLockFile(path);
    const database = lockMade(path, 'EXCLUSIVE', lookersGone);
    if (database === undefined) return undefined;
    // Whoever removes a lock file does it holding the lock: one on a removed file is worth nothing.
    if (database !== 'gone' && statSync(path, { throwIfNoEntry: false })?.ino === made) {
      return {
        [Symbol.dispose]() {
          if (database.isOpen) database.close();
        },
      };
    }
    if (database !== 'gone') database.close();
  }
}

/** Not by SQLite, which would let everybody read it. */
function makeLockFile(path: string): number {
  const file = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
  try {
    return fstatSync(file).ino;
  } finally {
    closeSync(file);
  }
}

/** `gone`: somebody has removed it since it was there. */
function lockMade(path: string, kind: 'EXCLUSIVE' | 'SHARED', timeout: number): DatabaseSync | 'gone' | undefined {
  try {
    return lockDatabase(path, kind, timeout);
  } catch (error) {
    if (statSync(path, { throwIfNoEntry: false }) === undefined) return 'gone';
    throw error;
  }
}

/** Does a process hold the lock `path` now? Looking keeps nobody from taking it. */
export function isFileLockHeld(path: string): boolean {
  if (statSync(path, { throwIfNoEntry: false }) === undefined) return false;
  const database = lockMade(path, 'SHARED', 0);
  if (database === 'gone') return false;
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
