/** Containers by name and id. What runs is known by its process; what has ended keeps its exit code and the files it wrote. */
import * as v from 'valibot';
import { JettisonError } from '#ground/base/errors.ts';
import { parseDigest, type Digest } from '#ground/base/digest.ts';
import { startOf } from '#ground/base/process-identity.ts';
import type { Database, Row } from '#stores/db/open.ts';
import { parseSnapshotId, type SnapshotId } from '#execution/worker/contract.ts';

export type Container = {
  /** 64 hexadecimal digits. */
  readonly id: string;
  readonly name: string;
  /** As it was asked for. */
  readonly image: string;
  readonly imageId: Digest;
  readonly command: readonly string[];
  /** Milliseconds since the epoch. */
  readonly created: number;
  readonly state:
    | { readonly kind: 'running' }
    | { readonly kind: 'exited'; readonly code: number; readonly at: number; readonly snapshot: SnapshotId | undefined };
};

export type NewContainer = Omit<Container, 'state' | 'name'> & {
  /** undefined: one is made up. */
  readonly name: string | undefined;
  /** The process that the container lives and dies with. */
  readonly process: number;
};

export type ContainerStore = {
  /** Enters a running container. Throws `container/name-taken`. Gives its name. */
  start(container: NewContainer): string;
  end(id: string, outcome: { readonly code: number; readonly at: number; readonly snapshot: SnapshotId | undefined }): void;
  /** By name, id, or the beginning of an id; undefined when nothing fits. Throws `container/ambiguous`. */
  find(text: string): Container | undefined;
  /** Newest first. */
  list(): readonly Container[];
  remove(id: string): void;
};

export const containerTables = `CREATE TABLE containers (
  id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, image TEXT NOT NULL, image_id TEXT NOT NULL, command TEXT NOT NULL, created INTEGER NOT NULL,
  process TEXT NOT NULL, code INTEGER, ended INTEGER, snapshot TEXT)`;

const lost = 137;

export function openContainerStore(database: Database): ContainerStore {
  const insert = database.prepare(
    'INSERT INTO containers (id, name, image, image_id, command, created, process) VALUES (?, ?, ?, ?, ?, ?, ?)',
  );
  const end = database.prepare('UPDATE containers SET code = ?, ended = ?, snapshot = ? WHERE id = ?');
  const byName = database.prepare('SELECT * FROM containers WHERE name = ?');
  const byPrefix = database.prepare('SELECT * FROM containers WHERE substr(id, 1, ?) = ? LIMIT 2');
  const all = database.prepare('SELECT * FROM containers ORDER BY created DESC');
  const remove = database.prepare('DELETE FROM containers WHERE id = ?');

  const find = (text: string): Container | undefined => {
    const named = byName.get(text);
    if (named !== undefined) return decode(named);
    if (!/^[0-9a-f]{1,64}$/u.test(text)) return undefined;
    const rows = byPrefix.all(text.length, text);
    if (rows.length > 1)
      throw new JettisonError('container/ambiguous', `Several containers have ids that begin with "${text}"`, {
        hint: 'Give more of the id',
      });
    return rows[0] === undefined ? undefined : decode(rows[0]);
  };

  return {
    start: (container) =>
      database.transaction(() => {
        const name = container.name ?? makeName(container.id, (text) => byName.get(text) !== undefined);
        assertName(name);
        const taken = byName.get(name);
        if (taken !== undefined) {
          throw new JettisonError(
            'container/name-taken',
            `The container name "/${name}" is already in use by container "${String(taken['id'])}"`,
            {
              hint: `Remove it (jettison rm ${name}) or choose another name`,
            },
          );
        }
        insert.run(
          container.id,
          name,
          container.image,
          container.imageId,
          JSON.stringify(container.command),
          container.created,
          identify(container.process),
        );
        return name;
      }),
    end: (id, { code, at, snapshot }) => {
      end.run(code, at, snapshot ?? null, id);
    },
    find,
    list: () => all.all().map(decode),
    remove: (id) => {
      remove.run(id);
    },
  };
}

const stored = v.object({
  id: v.string(),
  name: v.string(),
  image: v.string(),
  image_id: v.string(),
  command: v.string(),
  created: v.number(),
  process: v.string(),
  code: v.nullable(v.number()),
  ended: v.nullable(v.number()),
  snapshot: v.nullable(v.string()),
});

function decode(row: Row): Container {
  const { id, name, image, created, ...rest } = v.parse(stored, row);
  const command = v.parse(v.array(v.string()), JSON.parse(rest.command));
  return { id, name, image, imageId: parseDigest(rest.image_id), command, created, state: stateOf(rest, created) };
}

function stateOf(
  row: { readonly process: string; readonly code: number | null; readonly ended: number | null; readonly snapshot: string | null },
  created: number,
): Container['state'] {
  const snapshot = row.snapshot === null ? undefined : parseSnapshotId(row.snapshot);
  if (row.code !== null) return { kind: 'exited', code: row.code, at: row.ended ?? created, snapshot };
  return isAlive(row.process) ? { kind: 'running' } : { kind: 'exited', code: lost, at: created, snapshot };
}

function assertName(name: string): void {
  if (/^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,254}$/u.test(name)) return;
  throw new JettisonError('container/bad-name', `Invalid container name "${name}"`, {
    hint: 'Letters, digits, "_", "." and "-", beginning with a letter or digit',
  });
}

/** A process id may be used again: its start time tells one process from the next. */
function identify(process: number): string {
  return `${process}:${startOf(process) ?? 'gone'}`;
}

function isAlive(identity: string): boolean {
  return identify(Number(identity.split(':')[0])) === identity && !identity.endsWith(':gone');
}

const firstWords = [
  'amber',
  'brisk',
  'calm',
  'daring',
  'eager',
  'fleet',
  'gentle',
  'humble',
  'keen',
  'lucid',
  'merry',
  'nimble',
  'proud',
  'quiet',
  'swift',
  'vivid',
];
const secondWords = [
  'apollo',
  'ariane',
  'atlas',
  'castor',
  'delta',
  'electron',
  'energia',
  'europa',
  'falcon',
  'juno',
  'proton',
  'saturn',
  'soyuz',
  'thor',
  'titan',
  'vega',
];

/** A name people can say, made of the id; a number follows when it is taken. */
function makeName(id: string, isTaken: (name: string) => boolean): string {
  const name = `${firstWords[parseInt(id.slice(0, 1), 16)] ?? 'plain'}_${secondWords[parseInt(id.slice(1, 2), 16)] ?? 'rocket'}`;
  if (!isTaken(name)) return name;
  let number = 2;
  while (isTaken(`${name}${number}`)) number++;
  return `${name}${number}`;
}
