/** What is kept of a step holds no value of a variable that is named like a secret: a short digest stands for it, so that a change still shows. */
import type { Json } from '#ground/base/canonical-json.ts';
import { clean } from '#ground/base/errors.ts';
import { digestOf, hexOf } from '#ground/base/digest.ts';
import type { Op } from '#formats/graph/op.ts';
import { isSecretName } from '#languages/frontend/secret-names.ts';

export type Hider = {
  /** A text with the values in it replaced. */
  readonly text: (text: string) => string;
  /** The value of one variable. */
  readonly value: (name: string, value: string) => string;
  readonly json: (value: Json) => Json;
};

/** Shorter values stand in words that are no secret. */
const shortest = 4;
const mark = 'hidden-';

/** For the variables that an op hands to its process, and those that its instruction names. */
export function hiderFor(op: Op, variables: Readonly<Record<string, string>>): Hider {
  const given = op.kind === 'exec' ? op.environment.map(splitVariable) : [];
  const values = [...given, ...Object.entries(variables)]
    .filter(([name, value]) => isSecretName(name) && value.length >= shortest)
    .map(([, value]) => value)
    .toSorted((a, b) => b.length - a.length);
  const text = (input: string): string => {
    let output = clean(input);
    for (const value of values) output = output.replaceAll(value, stand(value));
    return output;
  };
  const value = (name: string, plain: string): string => (isSecretName(name) ? stand(plain) : text(plain));
  const json = (input: Json): Json => {
    if (typeof input === 'string') return text(input);
    if (input === null || typeof input !== 'object') return input;
    if (Array.isArray(input)) return input.map((item: Json) => json(item));
    return Object.fromEntries(Object.entries(input).map(([name, member]) => [name, member === undefined ? null : json(member)]));
  };
  return { text, value, json };
}

/** `NAME=value` in two. */
export function splitVariable(entry: string): readonly [string, string] {
  const equals = entry.indexOf('=');
  return equals < 0 ? [entry, ''] : [entry.slice(0, equals), entry.slice(equals + 1)];
}

/** Does a digest stand for this value? */
export function isHidden(value: string): boolean {
  return value.startsWith(mark);
}

function stand(value: string): string {
  return value === '' ? '' : `${mark}${hexOf(digestOf(value)).slice(0, 12)}`;
}
