/** Enters builds into the database: all that a build in which nothing ran loads of this room, beside `recorder.ts`. */
import type { Database } from '#stores/db/open.ts';
import type { PastBuildDetails } from './past-build.ts';

/** Migration of the database. `facts`, `steps` and `why` are JSON (`past-build.ts`), `content` is (`step-key.ts`). */
export const buildTables = `
  CREATE TABLE build (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, project TEXT NOT NULL, status TEXT NOT NULL, process TEXT,
    started_at INTEGER NOT NULL, finished_at INTEGER NOT NULL, total INTEGER NOT NULL, cached INTEGER NOT NULL,
    facts TEXT NOT NULL, steps TEXT NOT NULL, why TEXT) STRICT;
  CREATE INDEX build_project ON build (project, number);
  CREATE TABLE step_key (key TEXT NOT NULL PRIMARY KEY, content TEXT NOT NULL) STRICT, WITHOUT ROWID;`;

/** Migration: the last failed step of each project (`failed-steps.ts`); `step` is JSON (`failed-step.ts`). */
export const failedStepTables = `CREATE TABLE failed_step (
  project TEXT NOT NULL PRIMARY KEY, build TEXT, failed_at INTEGER NOT NULL, snapshot TEXT, text TEXT NOT NULL, step TEXT NOT NULL) STRICT, WITHOUT ROWID`;

/** Enters a build, or what has become of it since; gives its number. `process`: who makes it, while it runs. */
export type KeepBuild = (build: PastBuildDetails, process?: string) => number;

/** `database` has `buildTables`. */
export function buildKeeper(database: Database): KeepBuild {
  const insert = database.prepare(
    `INSERT INTO build (id, project, status, process, started_at, finished_at, total, cached, facts, steps, why)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (id) DO UPDATE SET status = excluded.status, process = excluded.process, finished_at = excluded.finished_at,
       total = excluded.total, cached = excluded.cached, facts = excluded.facts, steps = excluded.steps, why = excluded.why
     RETURNING number`,
  );
  return (build, process) => {
    const { id, project, status, startedAt, finishedAt, total, cached, steps, why, ...facts } = build;
    const times = [Math.round(startedAt), Math.round(finishedAt)] as const;
    const texts = [JSON.stringify(facts), JSON.stringify(steps), why === undefined ? null : JSON.stringify(why)] as const;
    return Number(insert.get(id, project, status, process ?? null, ...times, total, cached, ...texts)?.['number']);
  };
}
