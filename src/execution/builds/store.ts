/** The builds that were, the keys of their steps, and the files that those keys stand for: the reading side, and what only a build that ran something writes. */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { zstdCompressSync, zstdDecompressSync, constants } from 'node:zlib';
import * as v from 'valibot';
import type { CacheKey } from '#execution/cache/key.ts';
import { hexOf, parseDigest } from '#ground/base/digest.ts';
import { JettisonError, systemCode } from '#ground/base/errors.ts';
import { printFileList, readFileList, type FileList } from '#stores/context/file-list.ts';
import type { Database, Row } from '#stores/db/open.ts';
import { buildStatus, readFacts, readSteps, readWhy, type BuildStep, type PastBuild, type PastBuildDetails } from './past-build.ts';
import { isRunning } from './process.ts';
import { printStepKey, readStepKey, type StepKey } from './step-key.ts';

export type BuildStore = {
  count(): number;
  /** Newest first. */
  list(): readonly PastBuild[];
  /** By id or the beginning of one. Throws `builds/not-found`, `builds/ambiguous`. */
  get(id: string): PastBuildDetails;
  /** The builds of a project (or, where it has none, those with one of these names) with their steps; newest first. */
  stepsOf(
    project: string,
    names: readonly string[],
    limit: number,
  ): readonly { readonly id: string; readonly startedAt: number; readonly steps: readonly BuildStep[] }[];
  /** The builds go, with their logs. Gives how many there were. */
  remove(ids: readonly string[]): number;
  keyOf(key: CacheKey): StepKey | undefined;
  saveKeys(keys: readonly StepKey[]): void;
  filesOf(content: CacheKey): FileList | undefined;
  saveFiles(content: CacheKey, list: FileList): void;
  /** Removes builds beyond the newest `keep`, keys that no recent build has, the files behind them, and logs that nobody names. */
  sweep(keep: number, now: number): void;
};

/** How many builds of a project keep what is needed to compare with them. */
const comparable = 30;
/** Younger files may belong to a build that goes on. */
const settled = 60 * 60 * 1000;

/** `database` has `buildTables`; `folder` is this room's part of the store, made when something is put there. */
export function openBuildStore(database: Database, folder: string): BuildStore {
  const light = 'id, project, status, process, started_at, finished_at, total, cached, facts';
  const all = database.prepare(`SELECT ${light} FROM build ORDER BY number DESC`);
  const byId = database.prepare(`SELECT ${light}, steps, why FROM build WHERE id >= ? AND id < ? ORDER BY id LIMIT 2`);
  const ofProject = database.prepare('SELECT id, started_at, steps FROM build WHERE project = ? ORDER BY number DESC LIMIT ?');
  const ofName = database.prepare(
    `SELECT id, started_at, steps FROM build WHERE EXISTS (SELECT 1 FROM json_each(facts, '$.names') WHERE value = ?) ORDER BY number DESC LIMIT ?`,
  );
  const removeBuild = database.prepare('DELETE FROM build WHERE id = ?');
  const readKey = database.prepare('SELECT content FROM step_key WHERE key = ?');
  const saveKey = database.prepare('INSERT OR REPLACE INTO step_key (key, content) VALUES (?, ?)');

  const lists = join(folder, 'files');
  const logs = join(folder, 'logs');
  const fileOf = (content: string): string => join(lists, hexOf(parseDigest(content)));

  const stepsOf: BuildStore['stepsOf'] = (project, names, limit) => {
    let rows = ofProject.all(project, limit);
    for (const name of names) if (rows.length === 0) rows = ofName.all(name, limit);
    return rows.map((row) => ({ id: textIn(row, 'id'), startedAt: numberIn(row, 'started_at'), steps: readSteps(textIn(row, 'steps')) }));
  };
  const removeRows = (ids: readonly string[]): number =>
    database.transaction(() => ids.reduce((sum, id) => sum + removeBuild.run(id).changes, 0));
  const remove: BuildStore['remove'] = (ids) => {
    const count = removeRows(ids);
    for (const id of ids) rmSync(join(logs, id), { recursive: true, force: true });
    return count;
  };
  return {
    count: () => {
      const row = database.prepare('SELECT count(*) AS count FROM build').get();
      return row === undefined ? 0 : numberIn(row, 'count');
    },
    list: () => all.all().map(toBuild),
    get(id) {
      const rows = /^[0-9a-z]+$/u.test(id) ? byId.all(id, `${id}~`) : [];
      const row = rows.find((one) => textIn(one, 'id') === id) ?? rows[0];
      if (row === undefined) throw new JettisonError('builds/not-found', `There is no build "${id}"`, { hint: 'See "jettison builds"' });
      if (rows.length > 1 && textIn(row, 'id') !== id) {
        throw new JettisonError('builds/ambiguous', `Several builds have an id that begins with "${id}"`, { hint: 'Give more of it' });
      }
      const why = row['why'];
      return { ...toBuild(row), steps: readSteps(textIn(row, 'steps')), why: typeof why === 'string' ? readWhy(why) : undefined };
    },
    stepsOf,
    remove,
    keyOf(key) {
      const row = readKey.get(key);
      return row && readStepKey(textIn(row, 'content'));
    },
    saveKeys: (keys) =>
      database.transaction(() => {
        for (const key of keys) saveKey.run(key.key, printStepKey(key));
      }),
    filesOf: (content) => readFiles(fileOf(content)),
    saveFiles(content, list) {
      const file = fileOf(content);
      if (existsSync(file)) return;
      mkdirSync(lists, { recursive: true, mode: 0o700 });
      const draft = `${file}.${process.pid}`;
      writeFileSync(draft, zstdCompressSync(printFileList(list), { params: { [constants.ZSTD_c_compressionLevel]: 1 } }), { mode: 0o600 });
      renameSync(draft, file);
    },
    sweep(keep, now) {
      const old = database.prepare('SELECT id FROM build ORDER BY number DESC LIMIT -1 OFFSET ?').all(keep);
      // Their logs go below, but for those that a key of a recent build still names.
      removeRows(old.map((row) => textIn(row, 'id')));
      const wanted = new Set<string>();
      for (const row of database.prepare('SELECT DISTINCT project FROM build').all()) {
        const steps = stepsOf(textIn(row, 'project'), [], comparable).flatMap((build) => build.steps);
        for (const { key } of steps) if (key !== undefined) wanted.add(key);
      }
      const [files, logged] = removeKeys(database, wanted);
      for (const row of database.prepare('SELECT id FROM build').all()) logged.add(textIn(row, 'id'));
      removeOthers(lists, files, now);
      removeOthers(logs, logged, now);
    },
  };
}

/** Keeps the wanted keys; gives the files and the logs that they stand for. */
function removeKeys(database: Database, wanted: ReadonlySet<string>): readonly [Set<string>, Set<string>] {
  const [files, logged] = [new Set<string>(), new Set<string>()];
  const removeKey = database.prepare('DELETE FROM step_key WHERE key = ?');
  database.transaction(() => {
    for (const row of database.prepare('SELECT key, content FROM step_key').all()) {
      const key = wanted.has(textIn(row, 'key')) ? readStepKey(textIn(row, 'content')) : undefined;
      if (key === undefined) removeKey.run(textIn(row, 'key'));
      for (const content of key?.contents ?? []) if (content !== null) files.add(hexOf(parseDigest(content)));
      if (key !== undefined && key.log !== null) logged.add(key.log.slice(0, key.log.indexOf('/')));
    }
  });
  return [files, logged];
}

function removeOthers(folder: string, kept: ReadonlySet<string>, now: number): void {
  for (const name of namesIn(folder)) {
    const path = join(folder, name);
    const stats = kept.has(name) ? undefined : statSync(path, { throwIfNoEntry: false });
    if (stats !== undefined && stats.mtimeMs < now - settled) rmSync(path, { recursive: true, force: true });
  }
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return [];
    throw error;
  }
}

const longestList = 512 * 1024 * 1024;

/** A list that is gone or damaged is as good as none: it is only a memory. */
function readFiles(file: string): FileList | undefined {
  try {
    return readFileList(zstdDecompressSync(readFileSync(file), { maxOutputLength: longestList }));
  } catch (error) {
    if (systemCode(error) === undefined) throw error;
    return undefined;
  }
}

function toBuild(row: Row): PastBuild {
  const process = row['process'];
  const status = v.parse(buildStatus, row['status']);
  return {
    ...readFacts(textIn(row, 'facts')),
    id: textIn(row, 'id'),
    project: textIn(row, 'project'),
    status: status === 'running' && !isRunning(typeof process === 'string' ? process : '') ? 'interrupted' : status,
    startedAt: numberIn(row, 'started_at'),
    finishedAt: numberIn(row, 'finished_at'),
    total: numberIn(row, 'total'),
    cached: numberIn(row, 'cached'),
  };
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
  throw new JettisonError('builds/bad-row', `What is kept of a build has no usable "${column}"`, { fault: 'bug' });
}
