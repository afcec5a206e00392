/** The functions that templates may call (those of Go's text/template and of the docker CLI), and how Go prints and judges values. */
import { JettisonError } from '#ground/base/errors.ts';
import type { Json } from '#ground/base/canonical-json.ts';
import { goJson } from '#ground/base/go-json.ts';
import { printFormat } from './template-printf.ts';

type Arguments = readonly Json[];

const functions = {
  json: ([value]: Arguments): Json => goJson(value ?? null),
  index: ([value, ...keys]: Arguments): Json => keys.reduce<Json>(at, value ?? null),
  slice: ([value, from, to]: Arguments): Json => sliceOf(value ?? null, from, to),
  len: ([value]: Arguments): Json => lengthOf(value ?? null),
  join: ([list, separator]: Arguments): Json => (Array.isArray(list) ? list.map(printValue).join(printValue(separator ?? '')) : ''),
  split: ([text, separator]: Arguments): Json => printValue(text ?? '').split(printValue(separator ?? '')),
  lower: ([text]: Arguments): Json => printValue(text ?? '').toLowerCase(),
  upper: ([text]: Arguments): Json => printValue(text ?? '').toUpperCase(),
  title: ([text]: Arguments): Json => printValue(text ?? '').replaceAll(/(?<![\p{L}\p{N}_'])\p{L}/gu, (letter) => letter.toUpperCase()),
  truncate: ([text, length]: Arguments): Json =>
    Array.from(printValue(text ?? ''))
      .slice(0, Math.max(0, Number(length ?? 0)))
      .join(''),
  pad: ([text, before, after]: Arguments): Json => padded(printValue(text ?? ''), Number(before ?? 0), Number(after ?? 0)),
  print: (values: Arguments): Json => values.map(printBetween).join(''),
  println: (values: Arguments): Json => `${values.map(printValue).join(' ')}\n`,
  printf: ([format, ...values]: Arguments): Json => printFormat(printValue(format ?? ''), values, printValue),
  html: (values: Arguments): Json =>
    values
      .map(printValue)
      .join('')
      .replaceAll(/[&<>"'\0]/gu, (character) => htmlEscapes[character] ?? ''),
  urlquery: (values: Arguments): Json => encodeQuery(values.map(printValue).join('')),
  eq: ([first, ...others]: Arguments): Json => others.some((other) => compare(first, other, 'eq') === 0),
  ne: ([first, second]: Arguments): Json => compare(first, second, 'ne') !== 0,
  lt: ([first, second]: Arguments): Json => order(first, second, 'lt') < 0,
  le: ([first, second]: Arguments): Json => order(first, second, 'le') <= 0,
  gt: ([first, second]: Arguments): Json => order(first, second, 'gt') > 0,
  ge: ([first, second]: Arguments): Json => order(first, second, 'ge') >= 0,
  not: ([value]: Arguments): Json => !isTrue(value ?? null),
  // These two look at as few of their arguments as they can: template.ts runs them.
  and: (values: Arguments): Json => values.at(-1) ?? null,
  or: (values: Arguments): Json => values.at(-1) ?? null,
} as const;

export type TemplateFunctionName = keyof typeof functions;

/** Fewest and most arguments, where a call with others makes no sense. */
const argumentCounts: Partial<Record<TemplateFunctionName, readonly [number, number]>> = {
  json: [1, 1],
  len: [1, 1],
  join: [2, 2],
  split: [2, 2],
  lower: [1, 1],
  upper: [1, 1],
  title: [1, 1],
  truncate: [2, 2],
  pad: [3, 3],
  slice: [1, 3],
  index: [1, Infinity],
  printf: [1, Infinity],
  eq: [2, Infinity],
  ne: [2, 2],
  lt: [2, 2],
  le: [2, 2],
  gt: [2, 2],
  ge: [2, 2],
  not: [1, 1],
};

/** What leaves a column's title as it is. */
const changers: ReadonlySet<string> = new Set(['json', 'title', 'lower', 'upper', 'truncate']);

export function isFunction(name: string): name is TemplateFunctionName {
  return Object.hasOwn(functions, name);
}

/** Throws `cli/bad-template` for values that the function cannot take. */
export function callFunction(
  name: TemplateFunctionName,
  values: Arguments,
  options: { readonly forTitles?: boolean; readonly indent?: number } = {},
): Json {
  const [fewest, most] = argumentCounts[name] ?? [0, Infinity];
  if (values.length < fewest || values.length > most)
    throw badCall(`wrong number of args for ${name}: want ${fewest} got ${values.length}`);
  if (options.forTitles === true && changers.has(name)) return values[0] ?? null;
  if (name === 'json' && options.indent !== undefined) return goJson(values[0] ?? null, options.indent);
  return functions[name](values);
}

/** The error of a template that asks for what cannot be done with the value it was given. */
export function badCall(why: string): JettisonError {
  return new JettisonError('cli/bad-template', `template: ${why}`);
}

/** What Go's `{{.}}` prints: lists as `[a b]`, maps as `map[k:v]`. */
export function printValue(value: Json): string {
  if (value === null) return '<no value>';
  if (Array.isArray(value)) return `[${value.map(printValue).join(' ')}]`;
  if (typeof value === 'number') return printNumber(value);
  if (typeof value !== 'object') return String(value);
  const members = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return `map[${members.map(([name, member]) => `${name}:${printValue(member ?? null)}`).join(' ')}]`;
}

/** Go's shortest form of a float has an exponent from 1e+21 on; whole numbers are whole. */
function printNumber(value: number): string {
  return String(value).replace(/e([+-])(\d)$/u, 'e$10$2');
}

/** In docker's documents some members are lists and maps also where nothing is in them. */
const emptyTexts: Readonly<Record<string, string>> = {
  Cmd: '[]',
  Entrypoint: '[]',
  Env: '[]',
  OnBuild: '[]',
  Shell: '[]',
  RepoTags: '[]',
  RepoDigests: '[]',
  ExposedPorts: 'map[]',
  Volumes: 'map[]',
  Labels: 'map[]',
  Options: 'map[]',
  Healthcheck: '<nil>',
};

/** What is printed for a member of that name that is null. */
export function nullText(name: string | undefined): string {
  return name !== undefined && Object.hasOwn(emptyTexts, name) ? (emptyTexts[name] ?? '') : '<no value>';
}

/** Not empty, zero, false or absent. */
export function isTrue(value: Json): boolean {
  if (value === null || typeof value !== 'object') return Boolean(value);
  return lengthOf(value) > 0;
}

/** As Go's Sprint: a blank only between two values that are no texts. */
function printBetween(value: Json, index: number, all: Arguments): string {
  const before = all[index - 1];
  return index > 0 && typeof value !== 'string' && typeof before !== 'string' ? ` ${printValue(value)}` : printValue(value);
}

const htmlEscapes: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&#34;',
  "'": '&#39;',
  '\0': '\u{fffd}',
};

function encodeQuery(text: string): string {
  return encodeURIComponent(text)
    .replaceAll('%20', '+')
    .replaceAll(/[!'()*]/gu, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);
}

function padded(text: string, before: number, after: number): string {
  if (text === '') return '';
  return ' '.repeat(Math.min(1000, Math.max(0, before))) + text + ' '.repeat(Math.min(1000, Math.max(0, after)));
}

/** 0 when both are the same. Go refuses to compare what is of different kinds. */
function compare(first: Json | undefined, second: Json | undefined, name: string): number {
  const [a, b] = [first ?? null, second ?? null];
  if (a !== null && b !== null && typeof a !== typeof b) throw badCall(`error calling ${name}: incompatible types for comparison`);
  return goJson(a) === goJson(b) ? 0 : 1;
}

function order(first: Json | undefined, second: Json | undefined, name: string): number {
  if (typeof first === 'number' && typeof second === 'number') return first - second;
  if (typeof first === 'string' && typeof second === 'string') return first === second ? 0 : first < second ? -1 : 1;
  throw badCall(`error calling ${name}: incompatible types for comparison`);
}

function lengthOf(value: Json): number {
  if (typeof value === 'string') return new TextEncoder().encode(value).length;
  if (value === null || typeof value !== 'object') return 0;
  return Array.isArray(value) ? value.length : Object.keys(value).length;
}

function at(value: Json, key: Json): Json {
  if (Array.isArray(value)) {
    const member: unknown = typeof key === 'number' ? value[key] : undefined;
    if (member !== undefined) return member as Json;
    throw badCall(`error calling index: index out of range: ${printValue(key)} of ${value.length}`);
  }
  if (typeof value === 'string' && typeof key === 'number') {
    const byte = new TextEncoder().encode(value)[key];
    if (byte !== undefined) return byte;
    throw badCall(`error calling index: index out of range: ${printValue(key)}`);
  }
  if (value === null && typeof key === 'string') return '';
  if (value === null || typeof value !== 'object') throw badCall('error calling index: it needs a list or a map');
  const name = printValue(key);
  return Object.hasOwn(value, name) ? ((value as { readonly [name: string]: Json | undefined })[name] ?? '') : '';
}

function sliceOf(value: Json, from: Json | undefined, to: Json | undefined): Json {
  const items = typeof value === 'string' ? new TextEncoder().encode(value) : Array.isArray(value) ? value : undefined;
  if (items === undefined || !isPlace(from) || !isPlace(to)) throw badCall('error calling slice: it needs a text or a list, and numbers');
  const [start, end] = [from ?? 0, to ?? items.length];
  if (start > end || end > items.length) throw badCall(`error calling slice: index out of range: ${start}:${end} of ${items.length}`);
  return items instanceof Uint8Array ? new TextDecoder().decode(items.subarray(start, end)) : (items.slice(start, end) as Json);
}

function isPlace(place: Json | undefined): place is number | undefined {
  return place === undefined || (typeof place === 'number' && place >= 0);
}
