/** The rows of a snapshot store. A row is `active` (being written by its owner), `committed` (final), or `removed` (its folder is on the way to the trash). */
import { beginBoot, isFirstOfBoot, lastBootTable } from '#stores/db/last-boot.ts';
import type { Database, Row } from '#stores/db/open.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { parseSnapshotId, snapshotNotFound, type ListedSnapshot, type SnapshotId, type SnapshotSize } from '../contract.ts';

const idOfNow = "max(0, CAST(10 * (unixepoch('subsec') - unixepoch('2026-01-01')) AS INTEGER))";

/**
 * Ids count up from the time when the store was made (tenths of seconds since 2026): a cache that outlives a lost store can then never take a new snapshot for an
 * old one. `boot` is the boot in which a snapshot was committed, until its files are known to be on disk.
 */
export const migrations = [
  `CREATE TABLE snapshot (
     id INTEGER PRIMARY KEY AUTOINCREMENT, parent INTEGER, state TEXT NOT NULL CHECK (state IN ('active', 'committed', 'removed')),
     owner TEXT, doomed INTEGER NOT NULL DEFAULT 0, created INTEGER NOT NULL, boot TEXT, bytes INTEGER) STRICT;
   CREATE INDEX snapshot_parent ON snapshot (parent);
   CREATE INDEX snapshot_owner ON snapshot (owner) WHERE owner IS NOT NULL;
   CREATE INDEX snapshot_doomed ON snapshot (doomed) WHERE doomed = 1;
   CREATE INDEX snapshot_boot ON snapshot (boot) WHERE boot IS NOT NULL;
   CREATE TABLE fact (
     snapshot INTEGER NOT NULL REFERENCES snapshot (id) ON DELETE CASCADE, name TEXT NOT NULL, text TEXT NOT NULL,
     PRIMARY KEY (snapshot, name)) STRICT, WITHOUT ROWID;
   CREATE INDEX fact_text ON fact (name, text);
   INSERT INTO sqlite_sequence (name, seq) VALUES ('snapshot', ${idOfNow});`,
  // A stacked snapshot has no folder of its own: \`content\` is the one whose folder it shares.
  `ALTER TABLE snapshot ADD COLUMN content INTEGER;
   CREATE INDEX snapshot_content ON snapshot (content) WHERE content IS NOT NULL;`,
  // Bytes in files that have more names outside of the snapshot, where they count; when the snapshot was last found to be wanted.
  `ALTER TABLE snapshot ADD COLUMN linked INTEGER NOT NULL DEFAULT 0;
   ALTER TABLE snapshot ADD COLUMN used INTEGER NOT NULL DEFAULT 0;`,
  lastBootTable,
  // An active snapshot that outlives its process: who clears up after that commits it.
  `ALTER TABLE snapshot ADD COLUMN kept INTEGER NOT NULL DEFAULT 0;`,
];

/**
 * What a crash of the machine may have taken from the end of the log: rows of snapshots that others remember. Their ids must not be given out again. More than
 * can be made in the half minute until the kernel writes; as ids they are an hour, see above.
 */
const idsPerCrash = 36_000;

export type SnapshotRow = {
  readonly id: SnapshotId;
  readonly parent: SnapshotId | undefined;
  /** Whose folder holds its files: its own id unless it was stacked. */
  readonly content: SnapshotId;
  readonly createdAt: number;
};

export type Records = {
  /** A new active row. Throws `snapshot/not-found` unless the parent is committed. */
  insert(row: { readonly parent: SnapshotId | undefined; readonly owner: string; readonly createdAt: number }): SnapshotId;
  /** A new committed row over `parent` that shares the folder of `content`. Throws `snapshot/not-found` unless both are committed. */
  stack(row: { readonly content: SnapshotId; readonly parent: SnapshotId; readonly boot: string; readonly createdAt: number }): SnapshotRow;
  /** An active row comes to stand on `parent`. Throws `snapshot/not-found` unless that is committed. */
  moveOver(id: SnapshotId, parent: SnapshotId): void;
  commit(id: SnapshotId, boot: string): void;
  /** An active row is kept from now on: who clears up commits it. */
  keep(id: SnapshotId): void;
  /** Active rows that `owner` keeps. */
  listKept(owner: string): readonly SnapshotRow[];
  /** Commits those of these that are active and kept; the others are committed, or removed, already. */
  commitKept(ids: readonly SnapshotId[], boot: string): void;
  /**
   * A committed row is active and kept again, owned by `owner`; its size and facts are forgotten. Throws `snapshot/not-found`, also for one whose parent is gone,
   * and `snapshot/in-use` when something stands on it, shares its folder, or has lent it one.
   */
  reopen(id: SnapshotId, owner: string): SnapshotRow;
  get(id: SnapshotId): SnapshotRow | undefined;
  /** A row that is being written, whoever does. */
  active(id: SnapshotId): SnapshotRow | undefined;
  /** Top first; empty when it is not there. */
  chain(id: SnapshotId): readonly SnapshotRow[];
  /** All committed rows, oldest first. */
  list(): readonly ListedSnapshot[];
  /** Notes that somebody wants a committed row now; false when it is not there or on its way out. */
  touch(id: SnapshotId, now: number): boolean;
  /** Touches at `now` or later count as of just before. */
  endFuture(now: number): void;
  /** Marks committed rows as unwanted, but for those touched at `usedBefore` or later, and gives those that now go (state `removed`, owned by `owner`): nothing stands on them, nothing shares their folders. */
  doom(ids: readonly SnapshotId[], owner: string, usedBefore?: number): readonly SnapshotId[];
  /** The active row is gone; gives it and those that stayed only for it. */
  discard(id: SnapshotId, owner: string): readonly SnapshotId[];
  /** Rows that `departed` left active or half removed, now removed and owned by `owner`; commit what it keeps first. */
  takeOver(departed: string, owner: string): readonly SnapshotId[];
  /** Owners of rows that are active or half removed. */
  owners(): readonly string[];
  /** Rows committed in an earlier boot whose files may never have reached the disk, now removed. */
  dropNotDurable(boot: string, owner: string): readonly SnapshotId[];
  /** Deletes removed rows, once their folders are in the trash. */
  forget(ids: readonly SnapshotId[]): void;
  /** Committed in this boot and perhaps not on disk: list, sync, then mark these. */
  listNotDurable(): readonly SnapshotId[];
  markDurable(ids: readonly SnapshotId[]): void;
  isEmpty(): boolean;
  /** Nobody has called `beginBoot` in this boot. */
  isFirstOfBoot(): boolean;
  /** New ids will be higher than any that an earlier boot may have given out. */
  beginBoot(): void;
  /** Ids of all rows, whatever their state. */
  everyId(): ReadonlySet<string>;
  /** New ids will be higher than these, and than any that were lost with them. */
  skipPast(ids: readonly SnapshotId[]): void;
  getBytes(id: SnapshotId): number | undefined;
  /** Committed rows whose bytes are not known (any more), oldest first. */
  listUnmeasured(): readonly SnapshotId[];
  /** What shares files with others is to be measured anew: one of these others may be gone for good. */
  unmeasureLinked(): void;
  setBytes(id: SnapshotId, size: SnapshotSize): void;
  setFact(id: SnapshotId, name: string, text: string): void;
  getFact(id: SnapshotId, name: string): string | undefined;
  findByFact(name: string, text: string): readonly SnapshotId[];
};

export function openRecords(database: Database): Records {
  const sql = prepareAll(database);
  const sweep = (owner: string): SnapshotId[] => {
    const gone: SnapshotId[] = [];
    for (;;) {
      const rows = sql.removeDoomed.all(owner);
      if (rows.length === 0) break;
      gone.push(...idsOf(rows));
    }
    // Files that those had in common with others count for one of these from now on.
    if (gone.length > 0) sql.unmeasureLinked.run();
    return gone;
  };

  return {
    insert: ({ parent, owner, createdAt }) =>
      database.transaction(() => {
        if (parent !== undefined && !sql.get.get(toNumber(parent))) throw snapshotNotFound(parent);
        return toId(sql.insert.run(parent === undefined ? null : toNumber(parent), owner, createdAt).lastId);
      }),
    stack: ({ content, parent, boot, createdAt }) =>
      database.transaction(() => {
        const shared = sql.get.get(toNumber(content));
        if (!shared) throw snapshotNotFound(content);
        if (!sql.get.get(toNumber(parent))) throw snapshotNotFound(parent);
        const row = { parent, content: toRow(shared).content, createdAt };
        return { ...row, id: toId(sql.stack.run(toNumber(parent), toNumber(row.content), createdAt, boot).lastId) };
      }),
    moveOver: (id, parent) =>
      database.transaction(() => {
        if (!sql.get.get(toNumber(parent))) throw snapshotNotFound(parent);
        if (sql.moveOver.run(toNumber(parent), toNumber(id)).changes !== 1) throw snapshotNotFound(id);
      }),
    commit(id, boot) {
      if (sql.commit.run(boot, toNumber(id)).changes !== 1) throw snapshotNotFound(id);
    },
    keep(id) {
      if (sql.keep.run(toNumber(id)).changes !== 1) throw snapshotNotFound(id);
    },
    listKept: (owner) => sql.listKept.all(owner).map(toRow),
    commitKept: (ids, boot) =>
      database.transaction(() => {
        for (const id of ids) sql.commitKept.run(boot, toNumber(id));
      }),
    reopen: (id, owner) =>
      database.transaction(() => {
        const found = sql.get.get(toNumber(id));
        const row = found && toRow(found);
        if (row === undefined || (row.parent !== undefined && !sql.get.get(toNumber(row.parent)))) throw snapshotNotFound(id);
        if (sql.reopen.run(owner, toNumber(id)).changes !== 1) throw inUse(id);
        sql.dropFacts.run(toNumber(id));
        return row;
      }),
    get(id) {
      const row = sql.get.get(toNumber(id));
      return row && toRow(row);
    },
    active(id) {
      const row = sql.getActive.get(toNumber(id));
      return row && toRow(row);
    },
    chain: (id) => sql.chain.all(toNumber(id)).map(toRow),
    list: () => sql.list.all().map(toListed),
    touch: (id, now) => sql.touch.run(now, toNumber(id)).changes === 1,
    endFuture: (now) => void sql.endFuture.run(Math.floor(now)),
    doom: (ids, owner, usedBefore) =>
      database.transaction(() => {
        for (const id of ids) sql.doom.run(toNumber(id), usedBefore ?? Number.MAX_SAFE_INTEGER);
        return sweep(owner);
      }),
    discard: (id, owner) =>
      database.transaction(() => {
        sql.discard.run(owner, toNumber(id));
        return [id, ...sweep(owner)];
      }),
    takeOver: (departed, owner) => database.transaction(() => [...idsOf(sql.takeOver.all(owner, departed)), ...sweep(owner)]),
    owners: () => sql.owners.all().map((row) => String(row['owner'])),
    dropNotDurable: (boot, owner) => idsOf(sql.dropNotDurable.all(owner, boot)),
    forget: (ids) =>
      database.transaction(() => {
        for (const id of ids) sql.forget.run(toNumber(id));
      }),
    listNotDurable: () => idsOf(sql.listNotDurable.all()),
    markDurable: (ids) =>
      database.transaction(() => {
        for (const id of ids) sql.markDurable.run(toNumber(id));
      }),
    isEmpty: () => sql.any.get() === undefined,
    isFirstOfBoot: () => isFirstOfBoot(database),
    beginBoot: () =>
      database.transaction(() => {
        if (beginBoot(database)) sql.skipLost.run(idsPerCrash);
      }),
    everyId: () => new Set(idsOf(sql.every.all())),
    skipPast: (ids) => void sql.skipPast.run(idsPerCrash + Math.max(0, ...ids.map(toNumber))),
    getBytes(id) {
      const bytes = sql.getBytes.get(toNumber(id))?.['bytes'];
      return typeof bytes === 'number' ? bytes : undefined;
    },
    unmeasureLinked: () => void sql.unmeasureLinked.run(),
    listUnmeasured: () => idsOf(sql.listUnmeasured.all()),
    setBytes: (id, { bytes, linked }) => void sql.setBytes.run(bytes, linked, toNumber(id)),
    setFact: (id, name, text) =>
      database.transaction(() => {
        if (!sql.exists.get(toNumber(id))) throw snapshotNotFound(id);
        sql.setFact.run(toNumber(id), name, text);
      }),
    getFact(id, name) {
      const text = sql.getFact.get(toNumber(id), name)?.['text'];
      return typeof text === 'string' ? text : undefined;
    },
    findByFact: (name, text) => idsOf(sql.findByFact.all(name, text)),
  };
}

function prepareAll(database: Database) {
  return {
    insert: database.prepare(`INSERT INTO snapshot (parent, owner, created, state) VALUES (?, ?, ?, 'active')`),
    moveOver: database.prepare(`UPDATE snapshot SET parent = ? WHERE id = ? AND state = 'active'`),
    commit: database.prepare(`UPDATE snapshot SET state = 'committed', owner = NULL, kept = 0, boot = ? WHERE id = ? AND state = 'active'`),
    keep: database.prepare(`UPDATE snapshot SET kept = 1 WHERE id = ? AND state = 'active'`),
    listKept: database.prepare(
      `SELECT id, parent, content, created FROM snapshot WHERE owner = ? AND state = 'active' AND kept = 1 ORDER BY id`,
    ),
    commitKept: database.prepare(
      `UPDATE snapshot SET state = 'committed', owner = NULL, kept = 0, boot = ? WHERE id = ? AND state = 'active' AND kept = 1`,
    ),
    reopen: database.prepare(
      `UPDATE snapshot SET state = 'active', owner = ?, kept = 1, boot = NULL, bytes = NULL, linked = 0, doomed = 0
         WHERE id = ? AND state = 'committed' AND content IS NULL
         AND NOT EXISTS (SELECT 1 FROM snapshot child WHERE child.parent = snapshot.id AND child.state != 'removed')
         AND NOT EXISTS (SELECT 1 FROM snapshot other WHERE other.content = snapshot.id AND other.state != 'removed')`,
    ),
    dropFacts: database.prepare('DELETE FROM fact WHERE snapshot = ?'),
    stack: database.prepare(`INSERT INTO snapshot (parent, content, created, boot, state) VALUES (?, ?, ?, ?, 'committed')`),
    get: database.prepare(`SELECT id, parent, content, created FROM snapshot WHERE id = ? AND state = 'committed'`),
    getActive: database.prepare(`SELECT id, parent, content, created FROM snapshot WHERE id = ? AND state = 'active'`),
    exists: database.prepare(`SELECT id FROM snapshot WHERE id = ? AND state != 'removed'`),
    chain: database.prepare(
      // A parent may have the higher id (see moveOver).
      `WITH RECURSIVE up (id, parent, content, created, depth) AS (
         SELECT id, parent, content, created, 0 FROM snapshot WHERE id = ? AND state = 'committed'
         UNION ALL SELECT s.id, s.parent, s.content, s.created, up.depth + 1 FROM snapshot s JOIN up ON s.id = up.parent)
       SELECT id, parent, content, created FROM up ORDER BY depth`,
    ),
    list: database.prepare(`SELECT id, parent, content, created, bytes, linked FROM snapshot WHERE state = 'committed' ORDER BY id`),
    touch: database.prepare(`UPDATE snapshot SET used = max(used, ?) WHERE id = ? AND state = 'committed' AND doomed = 0`),
    endFuture: database.prepare('UPDATE snapshot SET used = ?1 - 1 WHERE used >= ?1'),
    doom: database.prepare(`UPDATE snapshot SET doomed = 1 WHERE id = ? AND state = 'committed' AND used < ?`),
    unmeasureLinked: database.prepare('UPDATE snapshot SET bytes = NULL WHERE linked > 0'),
    listUnmeasured: database.prepare(`SELECT id FROM snapshot WHERE bytes IS NULL AND content IS NULL AND state = 'committed' ORDER BY id`),
    removeDoomed: database.prepare(
      `UPDATE snapshot SET state = 'removed', owner = ?, doomed = 0 WHERE doomed = 1 AND state = 'committed'
         AND NOT EXISTS (SELECT 1 FROM snapshot child WHERE child.parent = snapshot.id AND child.state != 'removed')
         AND NOT EXISTS (SELECT 1 FROM snapshot other WHERE other.content = snapshot.id AND other.state != 'removed') RETURNING id`,
    ),
    discard: database.prepare(`UPDATE snapshot SET state = 'removed', owner = ? WHERE id = ? AND state = 'active'`),
    takeOver: database.prepare(`UPDATE snapshot SET state = 'removed', owner = ? WHERE owner = ? RETURNING id`),
    owners: database.prepare('SELECT DISTINCT owner FROM snapshot WHERE owner IS NOT NULL'),
    dropNotDurable: database.prepare(
      `UPDATE snapshot SET state = 'removed', owner = ? WHERE boot IS NOT NULL AND boot != ? AND state = 'committed' RETURNING id`,
    ),
    forget: database.prepare(`DELETE FROM snapshot WHERE id = ? AND state = 'removed'`),
    listNotDurable: database.prepare(`SELECT id FROM snapshot WHERE boot IS NOT NULL AND state = 'committed'`),
    markDurable: database.prepare('UPDATE snapshot SET boot = NULL WHERE id = ?'),
    skipLost: database.prepare(`UPDATE sqlite_sequence SET seq = max(seq + ?, ${idOfNow}) WHERE name = 'snapshot'`),
    every: database.prepare('SELECT id FROM snapshot'),
    any: database.prepare('SELECT id FROM snapshot LIMIT 1'),
    skipPast: database.prepare(`UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = 'snapshot'`),
    getBytes: database.prepare('SELECT bytes FROM snapshot WHERE id = ?'),
    setBytes: database.prepare(`UPDATE snapshot SET bytes = ?, linked = ? WHERE id = ? AND state = 'committed'`),
    setFact: database.prepare('INSERT INTO fact VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET text = excluded.text'),
    getFact: database.prepare('SELECT text FROM fact WHERE snapshot = ? AND name = ?'),
    findByFact: database.prepare(
      `SELECT s.id FROM fact JOIN snapshot s ON s.id = fact.snapshot WHERE fact.name = ? AND fact.text = ? AND length(fact.text) <= 256 AND s.state = 'committed' ORDER BY s.id`,
    ),
  };
}

function inUse(id: SnapshotId): JettisonError {
  return new JettisonError('snapshot/in-use', `The snapshot "${id}" is in use: something was made over it`, {
    fault: 'environment',
    hint: 'Another command is reading these files, or their container was committed: try again when it has ended',
  });
}

function idsOf(rows: readonly Row[]): readonly SnapshotId[] {
  return rows.map((row) => toId(row['id']));
}

function toRow(row: Row): SnapshotRow {
  const id = toId(row['id']);
  return {
    id,
    parent: row['parent'] === null ? undefined : toId(row['parent']),
    content: row['content'] === null ? id : toId(row['content']),
    createdAt: Number(row['created']),
  };
}

function toListed(row: Row): ListedSnapshot {
  const isMeasured = row['bytes'] !== null || row['content'] !== null;
  return { ...toRow(row), size: isMeasured ? { bytes: Number(row['bytes']), linked: Number(row['linked']) } : undefined };
}

function toId(value: unknown): SnapshotId {
  return parseSnapshotId(Number(value).toString(36));
}

function toNumber(id: SnapshotId): number {
  return Number.parseInt(id, 36);
}
