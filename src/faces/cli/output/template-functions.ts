/** The functions that templates may call, and how Go prints and judges values. */
import { JettisonError } from '#ground/base/errors.ts';
import type { Json } from '#ground/base/canonical-json.ts';
import { goJson } from './go-json.ts';

type Arguments = readonly Json[];

const functions = {
  json: ([value]: Arguments): Json => goJson(value ?? null),
  index: ([value, ...keys]: Arguments): Json => keys.reduce<Json>(at, value ?? null),
  len: ([value]: Arguments): Json => lengthOf(value ?? null),
  join: ([list, separator]: Arguments): Json => (Array.isArray(list) ? list.map(printValue).join(printValue(separator ?? '')) : ''),
  split: ([text, separator]: Arguments): Json => printValue(text ?? '').split(printValue(separator ?? '')),
  lower: ([text]: Arguments): Json => printValue(text ?? '').toLowerCase(),
  upper: ([text]: Arguments): Json => printValue(text ?? '').toUpperCase(),
  title: ([text]: Arguments): Json => printValue(text ?? '').replaceAll(/\b\p{L}/gu, (letter) => letter.toUpperCase()),
  truncate: ([text, length]: Arguments): Json =>
    Array.from(printValue(text ?? ''))
      .slice(0, Number(length ?? 0))
      .join(''),
  print: (values: Arguments): Json => values.map(printValue).join(''),
  println: (values: Arguments): Json => `${values.map(printValue).join(' ')}\n`,
  eq: ([first, ...others]: Arguments): Json => others.some((other) => goJson(other) === goJson(first ?? null)),
  ne: ([first, second]: Arguments): Json => goJson(first ?? null) !== goJson(second ?? null),
  not: ([value]: Arguments): Json => !isTrue(value ?? null),
  and: (values: Arguments): Json => values.find((value) => !isTrue(value)) ?? values.at(-1) ?? null,
  or: (values: Arguments): Json => values.find(isTrue) ?? values.at(-1) ?? null,
} as const;

export type TemplateFunctionName = keyof typeof functions;

export function isFunction(name: string): name is TemplateFunctionName {
  return Object.hasOwn(functions, name);
}

export function callFunction(name: TemplateFunctionName, values: Arguments): Json {
  return functions[name](values);
}

/** What Go's `{{.}}` prints: lists as `[a b]`, maps as `map[k:v]`. */
export function printValue(value: Json): string {
  if (value === null) return '<no value>';
  if (Array.isArray(value)) return `[${value.map(printValue).join(' ')}]`;
  if (typeof value !== 'object') return String(value);
  const members = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return `map[${members.map(([name, member]) => `${name}:${printValue(member ?? null)}`).join(' ')}]`;
}

/** Not empty, zero, false or absent. */
export function isTrue(value: Json): boolean {
  if (value === null || typeof value !== 'object') return Boolean(value);
  return lengthOf(value) > 0;
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
    throw new JettisonError('cli/bad-template', `Template: index ${printValue(key)} is out of range: there are ${value.length}`);
  }
  if (value === null || typeof value !== 'object') throw new JettisonError('cli/bad-template', 'Template: "index" needs a list or a map');
  return (value as { readonly [name: string]: Json | undefined })[printValue(key)] ?? '';
}
