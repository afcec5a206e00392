/**
 * The last failed step of each project, until a later build of it has come to its end: then its row counts for nothing, and goes when the next is written. So a build in
 * which nothing fails does nothing for this.
 */
import type { Database, Row } from '#stores/db/open.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { readFailedStep, type FailedStep } from './failed-step.ts';

export type KeptFailedStep = {
  /** As of `PastBuild`; one that came from elsewhere has a name of its own. */
  readonly project: string;
  /** Id of the build; undefined for what came from elsewhere. */
  readonly build: string | undefined;
  /** Milliseconds since the epoch. */
  readonly failedAt: number;
  readonly step: FailedStep;
};

export type FailedSteps = {
  /** Takes the place of the project's. */
  keep(step: KeptFailedStep): void;
  /** Newest first. */
  list(): readonly KeptFailedStep[];
  /** What they left is about to go. */
  forget(snapshots: readonly string[]): void;
  /** Snapshots that failed steps stand on, with what to call those that they left; for accounts. */
  snapshots(): ReadonlyMap<string, string | undefined>;
};

const counts = `(f.build IS NULL OR EXISTS (
  SELECT 1 FROM build b WHERE b.id = f.build AND NOT EXISTS (
    SELECT 1 FROM build later WHERE later.project = b.project AND later.number > b.number AND later.status IN ('done', 'failed'))))`;

/** `database` has `buildTables` and `failedStepTables`. */
export function openFailedSteps(database: Database): FailedSteps {
  const insert = database.prepare(
    'INSERT OR REPLACE INTO failed_step (project, build, failed_at, snapshot, text, step) VALUES (?, ?, ?, ?, ?, ?)',
  );
  const sweep = database.prepare(`DELETE FROM failed_step AS f WHERE project <> ? AND NOT ${counts}`);
  const all = database.prepare(`SELECT project, build, failed_at, step FROM failed_step f WHERE ${counts} ORDER BY failed_at DESC`);
  const forget = database.prepare('DELETE FROM failed_step WHERE snapshot = ?');
  return {
    forget: (snapshots) => {
      for (const snapshot of snapshots) forget.run(snapshot);
    },
    keep: ({ project, build, failedAt, step }) =>
      database.transaction(() => {
        sweep.run(project);
        insert.run(project, build ?? null, Math.round(failedAt), step.wrote ? step.state : null, step.text, JSON.stringify(step));
      }),
    list: () => all.all().map(toKept),
    snapshots: () => new Map(all.all().flatMap((row) => snapshotsOf(toKept(row).step))),
  };
}

function snapshotsOf({ state, wrote, inputs, text }: FailedStep): readonly (readonly [string, string | undefined])[] {
  const others = inputs.flatMap((input) => (input.kind === 'snapshot' ? [[input.snapshot, undefined] as const] : []));
  return [...others, ...(state === null ? [] : [[state, wrote ? text : undefined] as const])];
}

function toKept(row: Row): KeptFailedStep {
  const build = row['build'];
  return {
    project: textIn(row, 'project'),
    build: typeof build === 'string' ? build : undefined,
    failedAt: Number(row['failed_at']),
    step: readFailedStep(textIn(row, 'step')),
  };
}

function textIn(row: Row, column: string): string {
  const value = row[column];
  if (typeof value === 'string') return value;
  throw new JettisonError('builds/bad-row', `What is kept of a failed step has no usable "${column}"`, { fault: 'bug' });
}
