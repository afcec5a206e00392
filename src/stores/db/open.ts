/**
 * SQLite files that several processes may open, migrate and use at once. Rows come back undecoded: what is in them is decoded by
 * the room that owns the tables. Everything is synchronous and takes microseconds; a writer waits for another one up to `busyTimeout`.
 * Result codes: https://www.sqlite.org/rescode.html
 */
import { closeSync, existsSync, lstatSync, mkdirSync, openSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync, type SQLInputValue, type SQLOutputValue, type StatementSync } from 'node:sqlite';
import { fullDiskHint, JettisonError, messageOf } from '#ground/base/errors.ts';
import { isFullDisk } from '#ground/base/full-disk.ts';

export type Row = Readonly<Record<string, SQLOutputValue>>;
export type Value = SQLInputValue;

export type Statement = {
  get(...values: readonly Value[]): Row | undefined;
  all(...values: readonly Value[]): readonly Row[];
  /** `changes`: rows inserted, updated or deleted. `lastId`: the last INTEGER PRIMARY KEY given out. */
  run(...values: readonly Value[]): { readonly changes: number; readonly lastId: number };
};

export type Database = Disposable & {
  /** What a person should know about opening this file: that a damaged one was put aside. */
  readonly notes: readonly string[];
  /** One statement with `?` for its values; keep it and use it again. It is compiled when it is first used: a command uses few of those that the stores it opens have. */
  prepare(sql: string): Statement;
  /**
   * Instead of closing, in a process that is about to end: what was written stays in the log, where whoever opens the file next finds it, and nobody waits for
   * the disk. Only a log that has become long is worked off, as closing does.
   */
  leave(): void;
  /** Runs `work` between BEGIN IMMEDIATE and COMMIT; an error rolls back. A nested call joins the outer transaction, and rolls back only its own part. */
  transaction<T>(work: () => T): T;
};

export type Migration = string | { readonly name: string; readonly sql: string };

export type OpenOptions = {
  /** Absolute path. Its folder is made (0700) when it is not there. */
  readonly file: string;
  /** What was ever done to the schema, oldest first; only append. `user_version` counts how many of them a file has seen. */
  readonly migrations: readonly Migration[];
};

const busyTimeout = 10_000;
/** Milliseconds between two tries where SQLite itself does not wait. */
const pause = 2;
/** Bytes of a log that is worked off after all: reading it takes the next opener about a millisecond. */
const longLog = 1 << 20;
const codes = { busy: 5, readOnly: 8, inputOutput: 10, corrupt: 11, full: 13, cannotOpen: 14, notADatabase: 26 } as const;

/**
 * Opens or makes the database and brings its schema up to date. A file that is damaged is put aside as `NAME.broken-<time>` and a
 * fresh one made; `notes` says so. Throws `db/newer` for a schema of a later version, `db/busy`, `db/full`, `db/cannot-open`, `db/failed`.
 */
export function openDatabase(options: OpenOptions): Database {
  mkdirSync(dirname(options.file), { recursive: true, mode: 0o700 });
  if (!existsSync(brokenMark(options.file)) && !isForeign(options.file)) {
    try {
      return wrap(openMigrated(options), options.file, []);
    } catch (error) {
      if (!isDamage(error)) throw explain(error, options.file);
    }
  }
  return replaceDamaged(options);
}

/** Only one process at a time puts a file aside, and only after seeing for itself that it is damaged: a side database is the lock. */
function replaceDamaged(options: OpenOptions): Database {
  try {
    using lock = new DatabaseSync(`${options.file}.lock`, { timeout: busyTimeout });
    lock.exec('BEGIN EXCLUSIVE');
    const notes: string[] = [];
    if (existsSync(brokenMark(options.file)) || isForeign(options.file) || !opens(options)) notes.push(putAside(options.file));
    return wrap(openMigrated(options), options.file, notes);
  } catch (error) {
    throw explain(error, options.file);
  }
}

/** Something stands there that this room does not make: a folder, a FIFO that would keep whoever opens it waiting, a link to a file elsewhere. */
function isForeign(file: string): boolean {
  return lstatSync(file, { throwIfNoEntry: false })?.isFile() === false;
}

function opens(options: OpenOptions): boolean {
  try {
    openMigrated(options).close();
    return true;
  } catch (error) {
    if (isDamage(error)) return false;
    throw error;
  }
}

function putAside(file: string): string {
  const suffix = `.broken-${new Date().toISOString().replaceAll(/[:.]/gu, '-')}`;
  // The write-ahead log first: were it left behind, SQLite would play it into the fresh file.
  for (const part of ['-wal', '-shm', '']) {
    if (lstatSync(file + part, { throwIfNoEntry: false }) !== undefined) renameSync(file + part, file + suffix + part);
  }
  rmSync(brokenMark(file), { force: true });
  return `The database "${file}" was damaged. It was put aside as "${file}${suffix}" and a new one was made`;
}

function openMigrated(options: OpenOptions): DatabaseSync {
  makePrivate(options.file);
  const database = new DatabaseSync(options.file, { timeout: busyTimeout });
  try {
    switchToWriteAheadLog(database);
    database.exec('PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON');
    migrate(database, options);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/** SQLite would let everybody read a file that it makes; those that it puts beside it get the same mode. */
function makePrivate(file: string): void {
  // Never one that is there: closing it would drop the locks of this process.
  if (existsSync(file)) return;
  try {
    closeSync(openSync(file, 'wx', 0o600));
  } catch {
    // Somebody else made it, or SQLite will say what is wrong.
  }
}

/** The switch itself does not wait for locks as other statements do, so two first openers would meet in SQLITE_BUSY. */
function switchToWriteAheadLog(database: DatabaseSync): void {
  for (let waited = 0; ; waited += pause) {
    try {
      database.exec('PRAGMA journal_mode = WAL');
      return;
    } catch (error) {
      if (resultCode(error) !== codes.busy || waited > busyTimeout) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, pause);
    }
  }
}

function migrate(database: DatabaseSync, { file, migrations }: OpenOptions): void {
  if (userVersion(database, file) === migrations.length) return;
  database.exec('BEGIN IMMEDIATE');
  try {
    const seen = userVersion(database, file);
    if (seen > migrations.length) {
      throw new JettisonError('db/newer', `The database "${file}" was made by a later version of jettison`, {
        hint: 'Use the later version, or remove the file: what it knows is made again',
      });
    }
    for (const migration of migrations.slice(seen)) database.exec(typeof migration === 'string' ? migration : migration.sql);
    database.exec(`PRAGMA user_version = ${migrations.length}; COMMIT`);
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK');
    throw error;
  }
}

function userVersion(database: DatabaseSync, file: string): number {
  const version = database.prepare('PRAGMA user_version').get()?.['user_version'];
  if (typeof version !== 'number') throw new JettisonError('db/failed', `Cannot read the version of "${file}"`, { fault: 'bug' });
  return version;
}

function wrap(database: DatabaseSync, file: string, notes: readonly string[]): Database {
  const guard = <T>(work: () => T): T => {
    try {
      return work();
    } catch (error) {
      throw explain(error, file);
    }
  };
  const close = (): void => {
    if (database.isOpen) database.close();
  };
  return {
    notes,
    prepare(sql) {
      let compiled: StatementSync | undefined;
      const statement = (): StatementSync => (compiled ??= database.prepare(sql));
      return {
        get: (...values) => guard(() => statement().get(...values)),
        all: (...values) => guard(() => statement().all(...values)),
        run: (...values) =>
          guard(() => {
            const { changes, lastInsertRowid } = statement().run(...values);
            return { changes: Number(changes), lastId: Number(lastInsertRowid) };
          }),
      };
    },
    transaction: (work) => guard(() => runTransaction(database, work)),
    leave() {
      if ((statSync(`${file}-wal`, { throwIfNoEntry: false })?.size ?? 0) > longLog) close();
    },
    [Symbol.dispose]: close,
  };
}

function runTransaction<T>(database: DatabaseSync, work: () => T): T {
  const nested = database.isTransaction;
  database.exec(nested ? 'SAVEPOINT joined' : 'BEGIN IMMEDIATE');
  try {
    const value = work();
    if (value instanceof Promise) throw new JettisonError('db/asynchronous', 'A transaction may not wait', { fault: 'bug' });
    database.exec(nested ? 'RELEASE joined' : 'COMMIT');
    return value;
  } catch (error) {
    // After some errors (a full disk) SQLite has rolled everything back itself.
    if (database.isTransaction) database.exec(nested ? 'ROLLBACK TO joined; RELEASE joined' : 'ROLLBACK');
    throw error;
  }
}

function brokenMark(file: string): string {
  return `${file}.damaged`;
}

function resultCode(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('errcode' in error) || typeof error.errcode !== 'number') return undefined;
  return error.errcode & 0xff;
}

function isDamage(error: unknown): boolean {
  const code = resultCode(error);
  return code === codes.corrupt || code === codes.notADatabase;
}

/** SQLite's error as ours. Damage found in the middle of work is marked, so that the next opening puts the file aside. */
function explain(error: unknown, file: string): unknown {
  const code = resultCode(error);
  if (code === undefined) return error;
  const cause = { cause: error, fault: 'environment' } as const;
  const message = messageOf(error);
  // What SQLite calls an input or output error, or a file that it cannot open, is a full disk often enough.
  const isFull = code === codes.full || ((code === codes.cannotOpen || code === codes.inputOutput) && isFullDisk(dirname(file)));
  switch (isFull ? codes.full : code) {
    case codes.busy:
      return new JettisonError('db/busy', `The database "${file}" is kept busy by another process`, { ...cause, retryable: true });
    case codes.full:
      return new JettisonError('db/full', `Cannot write the database "${file}": no space left on device`, { ...cause, hint: fullDiskHint });
    case codes.readOnly:
    case codes.cannotOpen:
      return new JettisonError('db/cannot-open', `Cannot open the database "${file}" for writing: ${message}`, cause);
    case codes.inputOutput:
      return new JettisonError('db/failed', `Cannot read or write the database "${file}": ${message}`, cause);
    case codes.corrupt:
    case codes.notADatabase:
      writeFileSync(brokenMark(file), '');
      return new JettisonError('db/damaged', `The database "${file}" is damaged: ${message}`, {
        ...cause,
        hint: 'Run the command again: the damaged file is then put aside and a new one made',
      });
    default:
      return new JettisonError('db/failed', `The database "${file}" refused a statement: ${message}`, { cause: error, fault: 'bug' });
  }
}
