/** Values of `--cache-from` and `--cache-to`: `name=value` fields between commas. */
import { isCode, JettisonError } from '#ground/base/errors.ts';
import { parseBoolean } from '#ground/base/boolean-word.ts';
import { badValue } from '../option.ts';
import { splitFields } from '../option-values.ts';

/** `given`: for messages, without secrets. Names in lower case. */
export type Fields = { readonly long: string; readonly given: string; readonly values: ReadonlyMap<string, string> };

const secretFields: ReadonlySet<string> = new Set(['token', 'ghtoken', 'secret_access_key', 'session_token']);

/** Throws `cli/bad-value` for what is neither true nor false. */
export function readFlag({ long, given, values }: Fields, name: string, initial: boolean): boolean {
  const word = values.get(name);
  if (word === undefined) return initial;
  const value = parseBoolean(word);
  if (value === undefined) throw badValue(long, given, `${name} is "true" or "false"`);
  return value;
}

/** Without any `=` it is the name of an image. Throws `cli/bad-value`. */
export function readFields(long: string, given: string): Fields {
  const fields = splitQuietly(long, given);
  const [only = '', ...more] = fields;
  if (more.length === 0 && !only.includes('=')) {
    if (only === '') throw badValue(long, given, 'use "type=registry,ref=IMAGE" or the name of an image');
    return {
      long,
      given,
      values: new Map([
        ['type', 'registry'],
        ['ref', only],
      ]),
    };
  }
  const pairs = fields.map((field) => {
    const equals = field.indexOf('=');
    if (equals < 1) throw badValue(long, '...', `"${field}" is no "name=value"`);
    return [field.slice(0, equals).trim().toLowerCase(), field.slice(equals + 1)] as const;
  });
  const shown = pairs.map(([name, value]) => `${name}=${secretFields.has(name) ? '***' : value}`);
  return { long, given: shown.join(','), values: new Map(pairs) };
}

/** What cannot be parted may hold a token: it is not shown. */
function splitQuietly(long: string, given: string): readonly string[] {
  try {
    return splitFields(given);
  } catch (error) {
    throw isCode(error, 'cli/bad-value') ? badValue(long, '...', 'cannot be read as fields between commas') : error;
  }
}

/** Throws `cli/bad-value`. */
export function typeOf(fields: Fields): string {
  return demand(fields, 'type');
}

/** A field that must be there. Throws `cli/bad-value`. */
export function demand({ long, given, values }: Fields, name: string): string {
  const value = values.get(name) ?? '';
  if (value === '') throw badValue(long, given, `"${name}=..." is missing`);
  return value;
}

/** Throws `cli/bad-value` for a field that means nothing, `cli/not-built` for one that would mean something elsewhere. */
export function allow({ long, given, values }: Fields, names: readonly string[]): void {
  for (const name of values.keys()) {
    if (name === 'type' || names.includes(name)) continue;
    if (/^(?:compression-level|registry\.insecure|stargz-.*|disable_accept_encoding|retry_.*)$/u.test(name))
      throw notBuilt(`"${name}" of "--${long}"`, 'Leave it out');
    throw badValue(long, given, `"${name}" means nothing here; there is ${names.map((one) => `"${one}"`).join(', ')}`);
  }
}

export function notBuilt(what: string, hint: string): JettisonError {
  return new JettisonError('cli/not-built', `${what} is not built yet`, { hint });
}
