/** Options of a command: what each is called, whether it takes a value, and how its texts become a typed value. */
import { parseBoolean } from '#ground/base/boolean-word.ts';
import { JettisonError } from '#ground/base/errors.ts';

export type Option<T> = {
  readonly long: string;
  readonly short: string | undefined;
  /** What the value is called in the help; undefined for a switch. */
  readonly valueName: string | undefined;
  readonly help: string;
  /** The value when the option is not given. */
  readonly initial: T;
  /** The value after one more use of the option. */
  add(before: T, word: string): T;
};

export type ValuesOf<O> = { readonly [K in keyof O]: O[K] extends Option<infer T> ? T : never };

type Names = { readonly short?: string; readonly value?: string; readonly help: string };

/** `--long`, `--long=false`. */
export function flag(long: string, names: Names, initial = false): Option<boolean> {
  return { long, short: names.short, valueName: undefined, help: names.help, initial, add: (_, word) => parseFlag(long, word) };
}

/** `--long VALUE`; the last one counts. */
export function text(long: string, names: Names): Option<string | undefined> {
  return { long, short: names.short, valueName: names.value ?? 'string', help: names.help, initial: undefined, add: (_, value) => value };
}

/** `--long VALUE`, as often as wanted. */
export function list(long: string, names: Names): Option<readonly string[]> {
  return {
    long,
    short: names.short,
    valueName: names.value ?? 'list',
    help: names.help,
    initial: [],
    add: (before, value) => [...before, value],
  };
}

/** `--filter NAME=VALUE`, as often as wanted. */
export function filterList(long: string, names: Names): Option<readonly string[]> {
  const option = list(long, { value: 'filter', ...names });
  return {
    ...option,
    add: (before, value) => {
      if (!value.includes('=')) throw badValue(long, value, 'bad format of filter (expected name=value)');
      return [...before, value];
    },
  };
}

/** `--long VALUE`, made into something by `parse`; the last one counts. */
export function parsed<T>(long: string, names: Names & { readonly initial: T }, parse: (value: string) => T): Option<T> {
  return {
    long,
    short: names.short,
    valueName: names.value ?? 'string',
    help: names.help,
    initial: names.initial,
    add: (_, value) => parse(value),
  };
}

/** `--long VALUE`, where only some words will do. */
export function choice<const T extends string, const I extends string | undefined>(
  long: string,
  names: Names & { readonly words: readonly T[]; readonly initial: I },
): Option<T | I> {
  const value = names.value ?? names.words.join('|');
  return parsed<T | I>(long, { ...names, value }, (word) => {
    const known = names.words.find((one) => one === word);
    if (known !== undefined) return known;
    throw badValue(long, word, `use ${names.words.map((one) => `"${one}"`).join(', ')}`);
  });
}

/** The error for an option whose value cannot be used; `why` says what would do. */
export function badValue(long: string, value: string, why: string): JettisonError {
  return new JettisonError('cli/bad-value', `invalid argument "${value}" for "--${long}" flag: ${why}`);
}

function parseFlag(long: string, word: string): boolean {
  const value = parseBoolean(word);
  if (value !== undefined) return value;
  throw badValue(long, word, 'use "true" or "false"');
}
