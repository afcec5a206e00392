import { resolve } from 'node:path';
import type { SecretRequest } from '#engine/requests.ts';
import type { Surroundings } from '../command.ts';
import { badValue } from '../option.ts';
import { splitFields } from '../option-values.ts';

/**
 * One `--secret`, as buildx reads it: `id=NAME` with `src=FILE` (or `source=`), `env=VARIABLE`, or neither: then the variable NAME if there is one,
 * else the file NAME. Nothing for a variable that is not set. Throws `cli/bad-value`.
 */
export function readSecret(
  given: string,
  around: Pick<Surroundings, 'environment' | 'currentFolder'>,
): readonly (readonly [string, SecretRequest])[] {
  const fields = new Map<string, string>();
  for (const field of splitFields(given)) {
    const equals = field.indexOf('=');
    const key = field.slice(0, Math.max(0, equals)).toLowerCase();
    const name = { id: 'id', src: 'src', source: 'src', env: 'env', type: 'type' }[key];
    if (name === undefined) throw badValue('secret', given, 'use "id=NAME,src=FILE" or "id=NAME,env=VARIABLE"');
    fields.set(name, field.slice(equals + 1));
  }
  const id = fields.get('id') ?? '';
  const type = fields.get('type');
  if (id === '') throw badValue('secret', given, 'it has no id');
  if (type !== undefined && type !== 'file' && type !== 'env') throw badValue('secret', given, 'its type is "file" or "env"');
  const source = fields.get('src');
  const variable = fields.get('env') ?? (type === 'env' ? (source ?? id) : undefined);
  if (variable !== undefined && source !== undefined && type !== 'env')
    throw badValue('secret', given, 'it is a file or a variable, not both');
  const inferred = variable ?? (source === undefined && type !== 'file' && around.environment[id] !== undefined ? id : undefined);
  if (inferred === undefined) return [[id, { kind: 'file', path: resolve(around.currentFolder, source ?? id) }]];
  const value = around.environment[inferred];
  return value === undefined ? [] : [[id, { kind: 'value', value: new TextEncoder().encode(value) }]];
}
