/** Which cached things and images a filter means. Names and rules are BuildKit's and docker's. */
import { JettisonError } from '#ground/base/errors.ts';
import type { SpaceItem } from './space/account.ts';

export type Comparison = 'is' | 'is not' | 'matches';
export type CacheFilter = { readonly field: string; readonly comparison: Comparison; readonly value: string };
export type CacheFilters = {
  readonly fields: readonly CacheFilter[];
  /** Only what was not used for so long, in milliseconds. */
  readonly unusedFor: number | undefined;
  /** As they were given. */
  readonly texts: readonly string[];
};

export type LabelFilter = { readonly name: string; readonly value: string | undefined; readonly wanted: boolean };

type Test = (item: SpaceItem, compare: (text: string) => boolean) => boolean;

/** Fields without a value are true or false. */
const tests: Readonly<Record<string, Test>> = {
  id: (item, fits) => fits(item.id),
  type: (item, fits) => fits(item.type),
  description: (item, fits) => fits(item.description),
  parent: (item, fits) => fits(item.parent ?? ''),
  parents: (item, fits) => fits(item.parent ?? ''),
  inuse: (item) => item.holder !== undefined,
  mutable: (item) => item.kind === 'cache-mount',
  immutable: (item) => item.kind !== 'cache-mount',
  shared: isShared,
  private: (item) => !isShared(item),
};

/** Is it an image's or a container's, too? */
export function isShared({ holder }: SpaceItem): boolean {
  return holder === 'image' || holder === 'container';
}

/**
 * `NAME`, `NAME=VALUE`, `NAME!=VALUE`, `NAME~=PATTERN`; `until=24h` (or `unused-for`) for what was not used for so long. Throws `engine/bad-filter`.
 */
export function parseCacheFilters(texts: readonly string[]): CacheFilters {
  const fields: CacheFilter[] = [];
  let unusedFor: number | undefined;
  for (const text of texts) {
    const { field, comparison, value } = splitFilter(text);
    if (field === 'until' || field === 'unused-for') {
      if (unusedFor !== undefined) throw badFilter(text, 'it can be given once');
      unusedFor = parseDuration(value) ?? fail(text, 'a duration such as "24h" is expected');
    } else if (!Object.hasOwn(tests, field)) throw badFilter(text, `there is ${['until', ...Object.keys(tests)].join(', ')}`);
    // An id may be cut short; a pattern is tried once before anything is removed.
    else fields.push({ field, comparison: field === 'id' && comparison === 'is' ? 'matches' : tryPattern(text, comparison, value), value });
  }
  return { fields, unusedFor, texts };
}

function splitFilter(text: string): CacheFilter {
  const match = /^([a-z-]+)(?:([!~]?)=(.*))?$/su.exec(text);
  if (!match) throw badFilter(text, 'use NAME=VALUE');
  const [, field = '', sign, value] = match;
  return { field, comparison: sign === '!' ? 'is not' : sign === '~' ? 'matches' : 'is', value: value ?? '' };
}

function tryPattern(text: string, comparison: Comparison, value: string): Comparison {
  if (comparison === 'matches') pattern(text, value);
  return comparison;
}

function pattern(text: string, value: string): RegExp {
  try {
    return new RegExp(value, 'u');
  } catch (error) {
    throw badFilter(text, error instanceof Error ? error.message : 'it is no pattern');
  }
}

/** A test for things at the time `now`. */
export function matchesCacheFilters(filters: CacheFilters, now: number): (item: SpaceItem) => boolean {
  return (item) =>
    (filters.unusedFor === undefined || now - item.lastUsedAt >= filters.unusedFor) &&
    filters.fields.every(({ field, comparison, value }) => tests[field]?.(item, (text) => compare(text, comparison, value)) ?? false);
}

function compare(text: string, comparison: Comparison, value: string): boolean {
  if (comparison === 'matches') return pattern(value, value).test(text);
  return comparison === 'is' ? text === value : text !== value;
}

/** `label=NAME`, `label=NAME=VALUE`, `label!=...`, `until=...`. Gives undefined for another filter. */
export function parseLabelFilter(text: string): LabelFilter | undefined {
  const match = /^label(!?)=([^=]+)(?:=(.*))?$/su.exec(text);
  return match ? { name: match[2] ?? '', value: match[3], wanted: match[1] === '' } : undefined;
}

export function matchesLabels(labels: Readonly<Record<string, string>>, filters: readonly LabelFilter[]): boolean {
  return filters.every(({ name, value, wanted }) => {
    const has = Object.hasOwn(labels, name) && (value === undefined || labels[name] === value);
    return has === wanted;
  });
}

/** `24h`, `1h30m`, `90s`, `500ms` as Go has them, in milliseconds; undefined for anything else. */
export function parseDuration(text: string): number | undefined {
  const units = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 } as const;
  if (!/^(?:\d+(?:\.\d+)?(?:ms|s|m|h))+$/u.test(text)) return undefined;
  let sum = 0;
  for (const [, number, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/gu)) {
    sum += Number(number) * (unit === 'ms' || unit === 's' || unit === 'm' || unit === 'h' ? units[unit] : 0);
  }
  return sum;
}

/** A moment before `now` (a duration), or a date; milliseconds since the epoch. Throws `engine/bad-filter`. */
export function parseMoment(text: string, value: string, now: number): number {
  const duration = parseDuration(value);
  if (duration !== undefined) return now - duration;
  if (/^\d{9,11}(?:\.\d+)?$/u.test(value)) return Number(value) * 1000;
  const date = /^\d{4}-\d\d-\d\d/u.test(value) ? Date.parse(value) : Number.NaN;
  if (!Number.isNaN(date)) return date;
  throw new JettisonError('engine/bad-filter', `failed to parse value as time or duration: "${value}"`, {
    hint: `Cannot use "${text}": write a duration ("24h") or a date ("2026-01-31T12:00:00")`,
  });
}

/** `engine/bad-filter`, as docker has it, with what is wrong as the hint. */
export function badFilter(text: string, why: string): JettisonError {
  return new JettisonError('engine/bad-filter', `invalid filter '${/^[^=!~]*/u.exec(text)?.[0] ?? ''}'`, {
    hint: `Cannot use "${text}": ${why}`,
  });
}

function fail(text: string, why: string): never {
  throw badFilter(text, why);
}
