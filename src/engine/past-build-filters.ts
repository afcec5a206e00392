/** Which past builds are meant: by filters, with the names and comparisons of `docker buildx history ls`, and by where people stand. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { BuildStatus, PastBuild } from '#execution/builds/past-build.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { parseDuration } from '#languages/frontend/go-format.ts';
import { isRemoteAddress } from './remote-address.ts';

type Test = (build: PastBuild) => boolean;
type Comparison = '=' | '!=' | '<' | '<=' | '>' | '>=';

const statusWords: Readonly<Record<string, BuildStatus>> = {
  running: 'running',
  completed: 'done',
  error: 'failed',
  canceled: 'cancelled',
  interrupted: 'interrupted',
};

/**
 * What all of `texts` let through: `status=error`, `ref!=ID`, `repository=ADDRESS`, `duration>30s`, `startedAt>24h` (later than a day before `now`),
 * `completedAt<=2026-01-31T10:00:00Z`. `=` of ref and repository finds a part. What has not ended has neither an end nor a duration to compare.
 * Throws `engine/bad-filter`.
 */
export function parseBuildFilters(texts: readonly string[], now: number): Test {
  const tests = texts.map((text) => parseFilter(text, now));
  return (build) => tests.every((fits) => fits(build));
}

function parseFilter(text: string, now: number): Test {
  const [, name = '', sign = '', value = ''] = /^([a-zA-Z]+)(!=|<=|>=|=|<|>)(.*)$/su.exec(text) ?? [];
  const comparison = (['=', '!=', '<', '<=', '>', '>='] as const).find((one) => one === sign);
  if (comparison === undefined) throw badFilter(text, 'use "NAME=VALUE", or "NAME>VALUE" for times');
  switch (name) {
    case 'ref':
      return textTest(text, comparison, value, ({ id }) => id);
    case 'repository':
      return textTest(text, comparison, value, ({ context }) => (isRemoteAddress(context) ? context : ''));
    case 'status':
      return statusTest(text, comparison, value);
    case 'startedAt':
      return timeTest(text, comparison, momentOf(text, value, now), ({ startedAt }) => startedAt);
    case 'completedAt':
      return timeTest(text, comparison, momentOf(text, value, now), ({ finishedAt }) => finishedAt || undefined);
    case 'duration':
      return timeTest(text, comparison, milliseconds(value), (build) =>
        build.finishedAt === 0 ? undefined : build.finishedAt - build.startedAt,
      );
    default:
      throw badFilter(text, 'there is ref, repository, status, startedAt, completedAt and duration');
  }
}

function textTest(text: string, comparison: Comparison, value: string, of: (build: PastBuild) => string): Test {
  if (comparison === '=') return (build) => of(build).includes(value);
  if (comparison === '!=') return (build) => of(build) !== value;
  throw badFilter(text, 'it is compared with = or !=');
}

function statusTest(text: string, comparison: Comparison, value: string): Test {
  const status = Object.hasOwn(statusWords, value) ? statusWords[value] : undefined;
  if (status === undefined) throw badFilter(text, `a status is ${Object.keys(statusWords).join(', ')}`);
  if (comparison === '=') return (build) => build.status === status;
  if (comparison === '!=') return (build) => build.status !== status;
  throw badFilter(text, 'it is compared with = or !=');
}

/** `of`: undefined where there is no such time. */
function timeTest(text: string, comparison: Comparison, bound: number | undefined, of: (build: PastBuild) => number | undefined): Test {
  if (bound === undefined) throw badFilter(text, 'a duration such as "30s" is expected');
  if (comparison === '=' || comparison === '!=') throw badFilter(text, 'it is compared with <, <=, > or >=');
  const compare: Readonly<Record<typeof comparison, (time: number) => boolean>> = {
    '<': (time) => time < bound,
    '<=': (time) => time <= bound,
    '>': (time) => time > bound,
    '>=': (time) => time >= bound,
  };
  return (build) => {
    const time = of(build);
    return time !== undefined && compare[comparison](time);
  };
}

/** So long before `now`, or a moment as RFC 3339 has it. */
function momentOf(text: string, value: string, now: number): number {
  const ago = milliseconds(value);
  if (ago !== undefined) return now - ago;
  const moment = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/iu.test(value) ? Date.parse(value) : Number.NaN;
  if (Number.isNaN(moment)) throw badFilter(text, 'use a duration ("24h") or a moment ("2026-01-31T10:00:00Z")');
  return moment;
}

function milliseconds(duration: string): number | undefined {
  const nanoseconds = parseDuration(duration);
  return nanoseconds === undefined ? undefined : nanoseconds / 1e6;
}

/** `engine/bad-filter`, as the lists of containers have it. */
function badFilter(text: string, why: string): JettisonError {
  return new JettisonError('engine/bad-filter', `Invalid filter "${text}": ${why}`);
}

/** Is its context a folder of the Git working tree that `folder` (absolute) stands in, or, where it stands in none, of `folder` itself? */
export function isOfProject(folder: string): Test {
  const top = workingTreeOf(folder) ?? folder;
  const below = top === '/' ? top : `${top}/`;
  return ({ context }) => context === top || context.startsWith(below);
}

function workingTreeOf(folder: string): string | undefined {
  for (let one = folder; ; one = dirname(one)) {
    if (existsSync(join(one, '.git'))) return one;
    if (dirname(one) === one) return undefined;
  }
}
