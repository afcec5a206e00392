/**
 * Containers by name and id. What runs is known by the lock that its monitor holds (`monitor.lock` in the container's folder), however that ends; what has ended keeps how, and
 * the files it wrote.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import { JettisonError, systemCode, unreachable } from '#ground/base/errors.ts';
import { isFileLockHeld, takeFileLock } from '#stores/db/file-lock.ts';
import type { Database, Row } from '#stores/db/open.ts';
import { parseSnapshotId, type SnapshotId } from '#execution/worker/contract.ts';
import { assertName, makeName } from './names.ts';
import { decodeSpec, encodeSpec, type ContainerSpec } from './spec.ts';

export type Container = {
  /** 64 hexadecimal digits. */
  readonly id: string;
  readonly name: string;
  readonly spec: ContainerSpec;
  /** Milliseconds since the epoch. */
  readonly created: number;
  /** Where it writes: there from its first start on. */
  readonly snapshot: SnapshotId | undefined;
  readonly state: ContainerState;
  /** How often its policy has started it again since somebody started it. */
  readonly restarts: number;
  /** Somebody asked it to stop: `unless-stopped` leaves it alone. */
  readonly isToStop: boolean;
};

/**
 * `created`: never started. `running`, `paused`: there is a process. `restarting`: its policy will start it again. `dead`: its removal did not come to its end. A container whose
 * monitor was killed has `exited` with 137.
 */
export type ContainerState = {
  readonly kind: 'created' | 'running' | 'paused' | 'restarting' | 'exited' | 'dead';
  /** Of the last start, milliseconds since the epoch. */
  readonly started: number | undefined;
  /** Of the last end. */
  readonly ended: number | undefined;
  /** Of the last end; 0 before. */
  readonly code: number;
  /** Why it could not be started. */
  readonly error: string | undefined;
  readonly isOutOfMemory: boolean;
};

export type NewContainer = Pick<Container, 'id' | 'spec' | 'created'> & {
  /** undefined: one is made up. */
  readonly name: string | undefined;
};

export type ContainerEnd = {
  readonly code: number;
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly error?: string;
  readonly isOutOfMemory?: boolean;
  /** Its policy starts it again. */
  readonly restarts?: boolean;
};

export type ContainerStore = {
  /** Enters a container that was never started. Throws `container/name-taken`, `container/bad-name`. Gives its name. */
  create(container: NewContainer): string;
  /** By name (also `/name`), id, or the beginning of an id; undefined when nothing fits. Throws `container/ambiguous`. */
  find(text: string): Container | undefined;
  /** Newest first. */
  list(): readonly Container[];
  /** What it is at its next start. */
  changeSpec(id: string, spec: ContainerSpec): void;
  /** Throws `container/name-taken`, `container/bad-name`. */
  rename(id: string, name: string): void;
  /** It has a process now. `isAgain`: its policy has started it. */
  noteStart(id: string, at: number, isAgain?: boolean): void;
  /** It has a snapshot of its own. */
  noteSnapshot(id: string, snapshot: SnapshotId): void;
  notePause(id: string, isPaused: boolean): void;
  /** Somebody wants it to stop, or to run again. */
  noteStop(id: string, isToStop: boolean): void;
  noteEnd(id: string, end: ContainerEnd): void;
  /** It could not be started. */
  noteFailure(id: string, failure: { readonly code: number; readonly at: number; readonly error: string }): void;
  /** From now on it is `dead`, until `remove`. */
  noteRemoval(id: string): void;
  /** With its folder. */
  remove(id: string): void;
  /** The container's own folder, made (0700) when missing. */
  folder(id: string): string;
  /** The right to start, hold or remove it; undefined while another process has it. Dispose it. */
  lock(id: string): Disposable | undefined;
  /** Does a process have that right now: does the container run, or is it about to start or to go? */
  readonly isHeld: (id: string) => boolean;
};

export const containerTables = `CREATE TABLE containers (
  id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, image TEXT NOT NULL, image_id TEXT NOT NULL, command TEXT NOT NULL, created INTEGER NOT NULL,
  process TEXT NOT NULL, code INTEGER, ended INTEGER, snapshot TEXT)`;

/** Containers of older versions have ended, or were lost. */
export const containerSpecs = `
  ALTER TABLE containers ADD COLUMN spec TEXT NOT NULL DEFAULT '{}';
  ALTER TABLE containers ADD COLUMN phase TEXT NOT NULL DEFAULT 'created';
  ALTER TABLE containers ADD COLUMN started INTEGER;
  ALTER TABLE containers ADD COLUMN error TEXT;
  ALTER TABLE containers ADD COLUMN out_of_memory INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE containers ADD COLUMN restarts INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE containers ADD COLUMN to_stop INTEGER NOT NULL DEFAULT 0;
  UPDATE containers SET phase = 'exited', started = created, code = coalesce(code, 137), ended = coalesce(ended, created),
    spec = json_object('image', image, 'imageId', image_id, 'arguments', json(command));
  ALTER TABLE containers DROP COLUMN image;
  ALTER TABLE containers DROP COLUMN image_id;
  ALTER TABLE containers DROP COLUMN command;
  ALTER TABLE containers DROP COLUMN process`;

const lostCode = 137;

/** `folder`: where each container has a folder of its own. */
export function openContainerStore(database: Database, folder: string): ContainerStore {
  const insert = database.prepare('INSERT INTO containers (id, name, spec, created) VALUES (?, ?, ?, ?)');
  const byName = database.prepare('SELECT * FROM containers WHERE name = ?');
  const byPrefix = database.prepare('SELECT * FROM containers WHERE substr(id, 1, ?) = ? LIMIT 2');
  const all = database.prepare('SELECT * FROM containers ORDER BY created DESC, rowid DESC');
  const rename = database.prepare('UPDATE containers SET name = ? WHERE id = ?');
  const start = database.prepare(
    `UPDATE containers SET phase = 'running', started = ?, error = NULL, out_of_memory = 0, restarts = CASE ? WHEN 1 THEN restarts + 1 ELSE 0 END WHERE id = ?`,
  );
  const own = database.prepare('UPDATE containers SET snapshot = ? WHERE id = ?');
  const changeSpec = database.prepare('UPDATE containers SET spec = ? WHERE id = ?');
  const phase = database.prepare('UPDATE containers SET phase = ? WHERE id = ?');
  const stop = database.prepare('UPDATE containers SET to_stop = ? WHERE id = ?');
  const end = database.prepare('UPDATE containers SET phase = ?, code = ?, ended = ?, error = ?, out_of_memory = ? WHERE id = ?');
  const failure = database.prepare(
    `UPDATE containers SET code = ?, error = ?, phase = CASE WHEN started IS NULL THEN 'created' ELSE 'exited' END,
      ended = CASE WHEN started IS NULL THEN NULL ELSE ? END WHERE id = ?`,
  );
  const remove = database.prepare('DELETE FROM containers WHERE id = ?');

  const folderOf = (id: string): string => join(folder, id);
  const lockOf = (id: string): string => join(folder, id, 'monitor.lock');
  const decode = (row: Row): Container => decodeRow(row, (id) => isFileLockHeld(lockOf(id)));
  const made = (id: string): string => {
    mkdirSync(folderOf(id), { recursive: true, mode: 0o700 });
    return folderOf(id);
  };
  const assertFree = (name: string): void => {
    assertName(name);
    const taken = byName.get(name);
    if (taken === undefined) return;
    // In docker's words: scripts look for them.
    const text = `Conflict. The container name "/${name}" is already in use by container "${String(taken['id'])}". You have to remove (or rename) that container to be able to reuse that name.`;
    throw new JettisonError('container/name-taken', text, { hint: `Remove it (jettison rm ${name}) or choose another name` });
  };

  return {
    create: (container) =>
      database.transaction(() => {
        const name = container.name ?? makeName(container.id, (text) => byName.get(text) !== undefined);
        assertFree(name);
        insert.run(container.id, name, encodeSpec(container.spec), container.created);
        return name;
      }),
    find: (given) => {
      const text = given.startsWith('/') ? given.slice(1) : given;
      const named = byName.get(text);
      if (named !== undefined) return decode(named);
      if (!/^[0-9a-f]{1,64}$/u.test(text)) return undefined;
      const rows = byPrefix.all(text.length, text);
      if (rows.length > 1)
        throw new JettisonError('container/ambiguous', `Several containers have ids that begin with "${text}"`, {
          hint: 'Give more of the id',
        });
      return rows[0] === undefined ? undefined : decode(rows[0]);
    },
    list: () => all.all().map(decode),
    rename: (id, name) =>
      database.transaction(() => {
        assertFree(name);
        rename.run(name, id);
      }),
    noteStart: (id, at, isAgain = false) => void start.run(at, isAgain ? 1 : 0, id),
    noteSnapshot: (id, snapshot) => void own.run(snapshot, id),
    notePause: (id, isPaused) => void phase.run(isPaused ? 'paused' : 'running', id),
    noteStop: (id, isToStop) => void stop.run(isToStop ? 1 : 0, id),
    noteEnd: (id, { code, at, error, isOutOfMemory = false, restarts = false }) =>
      void end.run(restarts ? 'restarting' : 'exited', code, at, error ?? null, isOutOfMemory ? 1 : 0, id),
    noteFailure: (id, { code, at, error }) => void failure.run(code, error, at, id),
    noteRemoval: (id) => void phase.run('removing', id),
    remove: (id) => {
      // The lock's file goes while it is held: nobody can take it any more for a container that is gone.
      // Who was about to take it makes it again now and then, and finds the container gone.
      rmSync(folderOf(id), { recursive: true, force: true, maxRetries: 10, retryDelay: 5 });
      remove.run(id);
    },
    folder: made,
    lock: (id) => {
      for (;;) {
        made(id);
        try {
          return takeFileLock(lockOf(id));
        } catch (error) {
          // The folder was removed since: whoever did it has finished, so this does not go on for long.
          if (systemCode(error) !== 'ENOENT') throw error;
        }
      }
    },
    changeSpec: (id, spec) => void changeSpec.run(encodeSpec(spec), id),
    isHeld: (id) => isFileLockHeld(lockOf(id)),
  };
}

const stored = v.object({
  id: v.string(),
  name: v.string(),
  spec: v.string(),
  created: v.number(),
  phase: v.picklist(['created', 'running', 'paused', 'restarting', 'exited', 'removing']),
  started: v.nullable(v.number()),
  code: v.nullable(v.number()),
  ended: v.nullable(v.number()),
  error: v.nullable(v.string()),
  out_of_memory: v.number(),
  restarts: v.number(),
  to_stop: v.number(),
  snapshot: v.nullable(v.string()),
});
type Stored = v.InferOutput<typeof stored>;

function decodeRow(given: Row, isHeld: (id: string) => boolean): Container {
  const row = v.parse(stored, given);
  return {
    id: row.id,
    name: row.name,
    spec: decodeSpec(row.spec),
    created: row.created,
    snapshot: row.snapshot === null ? undefined : parseSnapshotId(row.snapshot),
    state: stateOf(row, isHeld),
    restarts: row.restarts,
    isToStop: row.to_stop === 1,
  };
}

function stateOf(row: Stored, isHeld: (id: string) => boolean): ContainerState {
  const known = {
    started: row.started ?? undefined,
    ended: row.ended ?? undefined,
    code: row.code ?? 0,
    error: row.error ?? undefined,
    isOutOfMemory: row.out_of_memory === 1,
  };
  switch (row.phase) {
    case 'created':
    case 'exited':
      return { ...known, kind: row.phase };
    case 'removing':
      return { ...known, kind: 'dead' };
    case 'running':
    case 'paused':
      // Of an end before this start nothing is shown.
      if (isHeld(row.id)) return { ...known, kind: row.phase, code: 0 };
      return { ...known, kind: 'exited', code: lostCode, ended: lastSeen(row) };
    case 'restarting':
      return isHeld(row.id) ? { ...known, kind: 'restarting' } : { ...known, kind: 'exited' };
    default:
      return unreachable(row.phase, 'phase');
  }
}

/** When a monitor was killed is not known: not before its last start. */
function lastSeen({ created, started, ended }: Stored): number {
  return Math.max(created, started ?? 0, ended ?? 0);
}
