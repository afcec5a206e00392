/** Which keys lead to which results: the memory of builds, shared by all processes that use one store. */
import * as v from 'valibot';
import { JettisonError } from '#ground/base/errors.ts';
import type { Database, Row } from '#stores/db/open.ts';
import { parseCacheKey, type CacheKey } from './key.ts';

export type CacheRecord = {
  readonly resultId: string;
  /** The key that stands for this result in the keys of what is built on it: the first key it was kept under. */
  readonly key: CacheKey;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  /** How long the op ran, in milliseconds. */
  readonly cost: number;
  /** What the op read, and how long that took to make from nothing, in milliseconds: what the result is worth when these are gone. Absent for none. */
  readonly inputs?: readonly RecordInput[];
  /** What people call the step. */
  readonly description?: string;
};

export type RecordInput = { readonly resultId: string; readonly rebuild: number };

/** How long the result takes to make from nothing, in milliseconds. What several inputs were made of counts for each. */
export function rebuildCost(record: CacheRecord): number {
  return (record.inputs ?? []).reduce((sum, input) => sum + input.rebuild, record.cost);
}

export type ListedRecord = CacheRecord & {
  /** Milliseconds since the epoch. */
  readonly lastUsedAt: number;
  /** Builds that it was of use to, the one that made it included. */
  readonly uses: number;
  /** Was it of use to the last build that ended well? By the order in which they ended, not by the clock. */
  readonly isLast: boolean;
};

/** Why a result was removed: when (milliseconds since the epoch), and by which rule, in words for people (`--cache-max 10GB`, `lost`). */
export type Eviction = { readonly at: number; readonly rule: string };

export type CacheRecords = {
  find(key: CacheKey): CacheRecord | undefined;
  /** All keys that lead to the record, sorted. */
  keysOf(record: CacheRecord): readonly CacheKey[];
  /** Lets the key lead to the record, unless it leads to one already: of two builds that ran the same op the first wins. Gives the record that it leads to. */
  save(key: CacheKey, record: CacheRecord): CacheRecord;
  /** Lets the key lead to the record from now on; the one before stays listed until its result is forgotten. */
  replace(key: CacheKey, record: CacheRecord): void;
  /** Was a record ever kept under a key of this shape (`shapeOf`), as far as anybody remembers? */
  knowsShape(shape: CacheKey): boolean;
  keepShape(shape: CacheKey): void;
  /** The result is gone: no key leads to it any more. With `eviction`, what became of its keys can be asked for later. */
  forget(resultId: string, eviction?: Eviction): void;
  /** When and why the result that the key led to was removed; undefined when nobody said so. Of the newest `keptEvictions` keys. */
  evicted(key: CacheKey): Eviction | undefined;
  /** Is the result still listed? */
  has(resultId: string): boolean;
  /** These results are of use at this time: in one transaction, so call it once a build. */
  touch(resultIds: Iterable<string>, now: number): void;
  /** Brings times of use down to `now` that a clock which was set back has left in the future: only while nobody is at work. */
  endFuture(now: number): void;
  /** One more build had use of these. */
  countUse(resultIds: Iterable<string>): void;
  /** A build ends that these were of use to: the last build until the next one ends. */
  endTurn(resultIds: Iterable<string>): void;
  /** How long each step took when it last ran, in milliseconds, by what people call it. */
  latestCosts(): ReadonlyMap<string, number>;
  /** All records, the longest unused first. */
  list(): readonly ListedRecord[];
};

/** Migration of the database. A record is one result under one first key. */
export const cacheTables = `
  CREATE TABLE cache_record (
    id INTEGER PRIMARY KEY, result_id TEXT NOT NULL, key TEXT NOT NULL, created_at INTEGER NOT NULL, cost INTEGER NOT NULL,
    last_used_at INTEGER NOT NULL, UNIQUE (result_id, key)) STRICT;
  CREATE TABLE cache_key (key TEXT NOT NULL PRIMARY KEY, record INTEGER NOT NULL REFERENCES cache_record (id) ON DELETE CASCADE) STRICT, WITHOUT ROWID;
  CREATE INDEX cache_key_record ON cache_key (record);`;

/** Migration of the database, after `cacheTables`: one small row for each key of a result that was removed. */
export const evictionTables = `
  CREATE TABLE cache_eviction (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, at INTEGER NOT NULL, rule TEXT NOT NULL) STRICT;`;

/** Migration of the database, after `evictionTables`: what a result is worth, and to whom. */
export const worthTables = `
  ALTER TABLE cache_record ADD COLUMN inputs TEXT NOT NULL DEFAULT '[]';
  ALTER TABLE cache_record ADD COLUMN description TEXT NOT NULL DEFAULT '';
  ALTER TABLE cache_record ADD COLUMN uses INTEGER NOT NULL DEFAULT 1;`;

/** Migration of the database, after `worthTables`: builds count up as they end. */
export const turnTables = `
  ALTER TABLE cache_record ADD COLUMN turn INTEGER NOT NULL DEFAULT 0;
  CREATE TABLE cache_turn (number INTEGER NOT NULL) STRICT;
  INSERT INTO cache_turn VALUES (0);`;

/** Migration of the database: shapes of keys that records were kept under. They outlive the records: others may be known by those of a record that is gone. */
export const shapeTables = 'CREATE TABLE cache_shape (id INTEGER PRIMARY KEY, shape TEXT NOT NULL UNIQUE) STRICT;';

const keptEvictions = 20_000;
/** A forgotten shape costs a step that runs although its result is known. */
const keptShapes = 50_000;

/** `database` has `cacheTables`, `evictionTables`, `worthTables`, `turnTables` and `shapeTables`. Times and costs are kept as whole milliseconds. */
export function openCacheRecords(database: Database): CacheRecords {
  const columns = 'result_id, cache_record.key AS key, created_at, cost, last_used_at, inputs, description, uses';
  const find = database.prepare(
    `SELECT ${columns} FROM cache_key JOIN cache_record ON cache_record.id = cache_key.record WHERE cache_key.key = ?`,
  );
  const addRecord = database.prepare(
    `INSERT INTO cache_record (result_id, key, created_at, cost, last_used_at, inputs, description) VALUES (?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (result_id, key) DO NOTHING`,
  );
  const putKey = database.prepare(
    `INSERT INTO cache_key (key, record) SELECT ?, id FROM cache_record WHERE result_id = ? AND key = ?
     ON CONFLICT (key) DO UPDATE SET record = excluded.record`,
  );
  const keysOf = database.prepare(
    `SELECT cache_key.key AS key FROM cache_key JOIN cache_record ON cache_record.id = cache_key.record
     WHERE result_id = ? AND cache_record.key = ? ORDER BY 1`,
  );
  const forget = database.prepare('DELETE FROM cache_record WHERE result_id = ?');
  const evict = database.prepare(
    `INSERT OR REPLACE INTO cache_eviction (key, at, rule)
     SELECT cache_key.key, ?, ? FROM cache_key JOIN cache_record ON cache_record.id = cache_key.record WHERE result_id = ?`,
  );
  const forgetEvictions = database.prepare('DELETE FROM cache_eviction WHERE id <= (SELECT max(id) FROM cache_eviction) - ?');
  const evicted = database.prepare('SELECT at, rule FROM cache_eviction WHERE key = ?');
  const knowsShape = database.prepare('SELECT 1 FROM cache_shape WHERE shape = ?');
  const keepShape = database.prepare('INSERT OR IGNORE INTO cache_shape (shape) VALUES (?)');
  const forgetShapes = database.prepare('DELETE FROM cache_shape WHERE id <= (SELECT max(id) FROM cache_shape) - ?');
  const has = database.prepare('SELECT 1 FROM cache_record WHERE result_id = ? LIMIT 1');
  // SQLite takes the other columns from the row that has the maximum.
  const latestCosts = database.prepare("SELECT description, cost, max(id) FROM cache_record WHERE description != '' GROUP BY description");
  const touch = database.prepare('UPDATE cache_record SET last_used_at = max(last_used_at, ?) WHERE result_id = ?');
  const countUse = database.prepare('UPDATE cache_record SET uses = uses + 1 WHERE result_id = ?');
  const endFuture = database.prepare('UPDATE cache_record SET last_used_at = ?1 WHERE last_used_at > ?1');
  const nextTurn = database.prepare('UPDATE cache_turn SET number = number + 1 RETURNING number');
  const setTurn = database.prepare('UPDATE cache_record SET turn = ? WHERE result_id = ?');
  const list = database.prepare(
    `SELECT ${columns}, turn > 0 AND turn = number AS is_last FROM cache_record, cache_turn ORDER BY last_used_at, id`,
  );

  const put = (key: CacheKey, record: CacheRecord): void => {
    const createdAt = Math.round(record.createdAt);
    const { inputs = [], description = '' } = record;
    const values = [JSON.stringify(inputs.map(({ resultId, rebuild }) => [resultId, Math.round(rebuild)])), description];
    addRecord.run(record.resultId, record.key, createdAt, Math.round(record.cost), createdAt, ...values);
    putKey.run(key, record.resultId, record.key);
  };
  return {
    find(key) {
      const row = find.get(key);
      return row && toRecord(row);
    },
    keysOf: ({ resultId, key }) => keysOf.all(resultId, key).map((row) => parseCacheKey(textIn(row, 'key'))),
    save: (key, record) =>
      database.transaction(() => {
        const first = find.get(key);
        if (first !== undefined) return toRecord(first);
        put(key, record);
        return record;
      }),
    replace: (key, record) => database.transaction(() => put(key, record)),
    knowsShape: (shape) => knowsShape.get(shape) !== undefined,
    keepShape: (shape) =>
      database.transaction(() => {
        keepShape.run(shape);
        forgetShapes.run(keptShapes);
      }),
    forget: (resultId, eviction) =>
      database.transaction(() => {
        if (eviction !== undefined) {
          evict.run(Math.round(eviction.at), eviction.rule, resultId);
          forgetEvictions.run(keptEvictions);
        }
        forget.run(resultId);
      }),
    evicted(key) {
      const row = evicted.get(key);
      return row && { at: numberIn(row, 'at'), rule: textIn(row, 'rule') };
    },
    touch: (resultIds, now) =>
      database.transaction(() => {
        for (const resultId of resultIds) touch.run(Math.round(now), resultId);
      }),
    countUse: (resultIds) =>
      database.transaction(() => {
        for (const resultId of resultIds) countUse.run(resultId);
      }),
    endFuture: (now) => void endFuture.run(Math.round(now)),
    endTurn: (resultIds) =>
      database.transaction(() => {
        const turn = Number(nextTurn.get()?.['number']);
        for (const resultId of resultIds) setTurn.run(turn, resultId);
      }),
    latestCosts: () => new Map(latestCosts.all().map((row) => [textIn(row, 'description'), numberIn(row, 'cost')])),
    has: (resultId) => has.get(resultId) !== undefined,
    list: () =>
      list.all().map((row) => ({
        ...toRecord(row),
        lastUsedAt: numberIn(row, 'last_used_at'),
        uses: numberIn(row, 'uses'),
        isLast: numberIn(row, 'is_last') === 1,
      })),
  };
}

const storedInputs = v.array(v.tuple([v.string(), v.number()]));

function toRecord(row: Row): CacheRecord {
  return {
    resultId: textIn(row, 'result_id'),
    key: parseCacheKey(textIn(row, 'key')),
    createdAt: numberIn(row, 'created_at'),
    cost: numberIn(row, 'cost'),
    ...inputsIn(row),
    ...(row['description'] === '' ? {} : { description: textIn(row, 'description') }),
  };
}

function inputsIn(row: Row): Pick<CacheRecord, 'inputs'> {
  const text = textIn(row, 'inputs');
  if (text === '[]') return {};
  return { inputs: v.parse(storedInputs, JSON.parse(text)).map(([resultId, rebuild]) => ({ resultId, rebuild })) };
}

function textIn(row: Row, column: string): string {
  const value = row[column];
  return typeof value === 'string' ? value : badRow(column);
}

function numberIn(row: Row, column: string): number {
  const value = row[column];
  return typeof value === 'number' ? value : badRow(column);
}

function badRow(column: string): never {
  throw new JettisonError('cache/bad-row', `A cache record has no usable "${column}"`, { fault: 'bug' });
}
