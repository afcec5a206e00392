import { resolve } from 'node:path';
import type { SecretRequest } from '#engine/build-requests.ts';
import { suggest } from '#ground/base/human.ts';
import type { Surroundings } from '../command.ts';
import { badValue } from '../option.ts';
import { splitFields } from '../option-values.ts';

const keys = ['id', 'src', 'source', 'env', 'type'];

/**
 * One `--secret`, as buildx reads it: `id=NAME` with `src=FILE` (or `source=`), `env=VARIABLE`, or neither: then the variable NAME if there is one,
 * else the file NAME. A variable that is not set is an empty secret. Throws `cli/bad-value`.
 */
export function readSecret(
  given: string,
  around: Pick<Surroundings, 'environment' | 'currentFolder'>,
): readonly [id: string, secret: SecretRequest] {
  const fields = readFields(given);
  const id = fields.get('id') ?? '';
  const type = fields.get('type');
  if (id === '') throw badValue('secret', given, 'the secret has no ID: use "id=NAME"');
  if (type !== undefined && type !== 'file' && type !== 'env')
    throw badValue('secret', given, `unsupported secret type "${type}": it is "file" or "env"`);
  const source = fields.get('src') || undefined;
  const named = fields.get('env') || undefined;
  if (named !== undefined && source !== undefined) throw badValue('secret', given, 'it is a file or a variable, not both');
  const variable = named ?? (type === 'env' ? source : undefined);
  const inferred = variable ?? (source === undefined && type !== 'file' && around.environment[id] !== undefined ? id : undefined);
  if (inferred === undefined) return [id, { kind: 'file', path: resolve(around.currentFolder, source ?? id) }];
  return [id, { kind: 'value', value: new TextEncoder().encode(around.environment[inferred] ?? '') }];
}

function readFields(given: string): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  for (const field of splitFields(given)) {
    const equals = field.indexOf('=');
    if (equals < 0) throw badValue('secret', given, `invalid field "${field}" must be a key=value pair`);
    const key = field.slice(0, equals).toLowerCase();
    if (!keys.includes(key)) {
      const near = key.length > 40 ? undefined : suggest(key, keys);
      throw badValue('secret', given, `unexpected key "${key}" in "${field}"${near === undefined ? '' : `, did you mean "${near}"?`}`);
    }
    fields.set(key === 'source' ? 'src' : key, field.slice(equals + 1));
  }
  return fields;
}
