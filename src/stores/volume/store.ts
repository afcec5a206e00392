/**
 * Volumes: folders of the store that outlive containers, known by name. What containers see is `_data` in the folder of that name; it may belong to ids that only a worker has. The
 * row is the volume: a folder without one is nobody's.
 */
import { mkdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import { randomHex } from '#ground/base/random.ts';
import { stringMap } from '#ground/base/decode.ts';
import { JettisonError, systemCode } from '#ground/base/errors.ts';
import type { Database, Row } from '#stores/db/open.ts';

export type Volume = {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Of the local driver: `type`, `device`, `o`. */
  readonly options: Readonly<Record<string, string>>;
  /** Nobody gave it a name. */
  readonly isAnonymous: boolean;
  /** Milliseconds since the epoch. */
  readonly created: number;
};

export type NewVolume = Pick<Volume, 'labels' | 'options' | 'created'> & {
  /** undefined: it gets a name of 64 hexadecimal digits, and is anonymous. */
  readonly name: string | undefined;
};

export type VolumeStore = {
  /** Enters it, or gives the one of that name as it is; its folder is made by `folderOf`. Throws `volume/bad-name`, `volume/bad-options`. */
  create(volume: NewVolume): Volume;
  find(name: string): Volume | undefined;
  /** By name. */
  list(): readonly Volume[];
  /** Its folder in the store, made when it is missing. */
  folderOf(name: string): string;
  /** Its files are deleted later, by `clearVolumeTrash`. */
  remove(name: string): void;
};

export const volumeTables = `CREATE TABLE volumes (
  name TEXT PRIMARY KEY, labels TEXT NOT NULL, options TEXT NOT NULL, anonymous INTEGER NOT NULL, created INTEGER NOT NULL)`;

/** No volume has this name. */
export const trashName = '.trash';

export function openVolumeStore(database: Database, folder: string): VolumeStore {
  const insert = database.prepare('INSERT INTO volumes (name, labels, options, anonymous, created) VALUES (?, ?, ?, ?, ?)');
  const byName = database.prepare('SELECT * FROM volumes WHERE name = ?');
  const all = database.prepare('SELECT * FROM volumes ORDER BY name');
  const remove = database.prepare('DELETE FROM volumes WHERE name = ?');
  const find = (name: string): Volume | undefined => {
    const row = byName.get(name);
    return row === undefined ? undefined : decode(row);
  };
  const folderOf = (name: string): string => {
    const own = join(folder, name);
    mkdirSync(own, { recursive: true, mode: 0o700 });
    makeFolder(join(own, '_data'), 0o755);
    return own;
  };
  return {
    create(volume) {
      const name = volume.name ?? randomHex(32);
      checkVolumeName(name);
      return database.transaction(() => {
        const found = find(name);
        if (found !== undefined) return found;
        const isAnonymous = volume.name === undefined;
        insert.run(name, JSON.stringify(volume.labels), JSON.stringify(volume.options), isAnonymous ? 1 : 0, volume.created);
        return { ...volume, name, isAnonymous };
      });
    },
    find,
    list: () => all.all().map(decode),
    folderOf,
    remove(name) {
      const trash = join(folder, trashName);
      mkdirSync(trash, { recursive: true, mode: 0o700 });
      // Whoever makes one of this name meanwhile waits, and gets a new folder; should the move fail, it is still there.
      database.transaction(() => {
        remove.run(name);
        moveAway(join(folder, name), join(trash, randomHex(8)));
      });
    },
  };
}

const stored = v.object({
  name: v.string(),
  labels: v.pipe(v.string(), v.parseJson(), stringMap()),
  options: v.pipe(v.string(), v.parseJson(), stringMap()),
  anonymous: v.number(),
  created: v.number(),
});

function decode(row: Row): Volume {
  const { anonymous, ...rest } = v.parse(stored, row);
  return { ...rest, isAnonymous: anonymous === 1 };
}

const longestName = 255;

/** Docker's rule, and its words. Throws `volume/bad-name`. */
export function checkVolumeName(name: string): void {
  const refuse = (why: string): never => {
    throw new JettisonError('volume/bad-name', `create ${name}: ${why}`);
  };
  if (name.length === 1) refuse('volume name is too short, names should be at least two alphanumeric characters');
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/u.test(name)) {
    refuse(
      `"${name}" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path`,
    );
  }
  if (name.length > longestName) refuse(`the name has ${name.length} characters, and folders take ${longestName}`);
}

function moveAway(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error;
  }
}

function makeFolder(path: string, mode: number): void {
  try {
    mkdirSync(path, { mode });
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error;
  }
}
