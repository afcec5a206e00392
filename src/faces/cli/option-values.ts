/** What options of several commands have inside their values. */
import { JettisonError } from '#ground/base/errors.ts';
import { badValue } from './option.ts';

/** `NAME=VALUE` as it is; `NAME` with the value it has in `environment`, left out when it has none. */
export function withEnvironment(given: readonly string[], environment: NodeJS.ProcessEnv): readonly string[] {
  return withKnown(given, environment).filter((entry) => entry.includes('='));
}

/** The same, but a name without any value stays: for whom that takes away what was there. */
export function withKnown(given: readonly string[], environment: NodeJS.ProcessEnv): readonly string[] {
  return given.map((entry) => {
    if (entry === '' || entry.startsWith('='))
      throw new JettisonError('cli/bad-value', `Invalid environment variable "${entry}": it has no name`);
    const value = entry.includes('=') ? undefined : environment[entry];
    return value === undefined ? entry : `${entry}=${value}`;
  });
}

/** `NAME=VALUE` entries as a map; the last one counts. An entry without `=` has an empty value. */
export function toMap(entries: readonly string[]): ReadonlyMap<string, string> {
  return new Map(
    entries.map((entry) => {
      const equals = entry.indexOf('=');
      return equals < 0 ? ([entry, ''] as const) : ([entry.slice(0, equals), entry.slice(equals + 1)] as const);
    }),
  );
}

/** Fields of one line of comma separated values; a field may stand in double quotes, with `""` for a quote (RFC 4180). */
export function splitFields(text: string): readonly string[] {
  const fields: string[] = [];
  const field = /(?:^|,)(?:"((?:[^"]|"")*)"|([^",]*))/gy;
  while (field.lastIndex < text.length || fields.length === 0) {
    const match = field.exec(text);
    if (!match) throw new JettisonError('cli/bad-value', `Cannot read "${text}" as fields between commas`);
    fields.push(match[1]?.replaceAll('""', '"') ?? match[2] ?? '');
  }
  return fields;
}

/** Bytes: `64m`, `1.5g`, `1000`, in units of 1024. */
export function readSize(long: string, given: string): number {
  const match = /^(\d{1,15}(?:\.\d{1,10})?) ?([kmgtp]?)(?:i?b)?$/iu.exec(given);
  const size = match ? Math.floor(Number(match[1]) * 1024 ** ' kmgtp'.indexOf((match[2] || ' ').toLowerCase())) : 0;
  if (size > 0 && size <= Number.MAX_SAFE_INTEGER) return size;
  throw badValue(long, given, 'use a number of bytes with k, m or g: "64m"');
}

/** A place in a list, counted from 1. */
export function readPlace(word: string): number {
  const place = Number(word);
  if (Number.isSafeInteger(place) && place >= 1) return place;
  throw new JettisonError('cli/bad-value', `Invalid place "${word}"`, { hint: 'Places are counted from 1' });
}
