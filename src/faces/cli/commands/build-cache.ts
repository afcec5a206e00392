/** `--cache-from` and `--cache-to`, in buildx's forms (docs.docker.com/build/cache/backends). */
import { resolve } from 'node:path';
import type { CacheForm, CacheSource, CacheTarget } from '#engine/requests.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { parseReference } from '#formats/oci/reference.ts';
import { badValue, parseBoolean } from '../option.ts';
import { splitFields } from '../option-values.ts';

type Fields = { readonly long: string; readonly given: string; readonly values: ReadonlyMap<string, string> };

/** `type=registry,ref=R`, `type=local,src=DIR[,tag=T][,digest=D]`, or an image. Throws `cli/bad-value`, `cli/not-built`, `oci/invalid-reference`. */
export function readCacheSource(given: string, currentFolder: string): CacheSource {
  const fields = readFields('cache-from', given);
  switch (typeOf(fields)) {
    case 'registry':
      allow(fields, ['ref']);
      return { kind: 'registry', reference: readReference(fields) };
    case 'local':
      allow(fields, ['src', 'tag', 'digest']);
      return {
        kind: 'folder',
        path: resolve(currentFolder, demand(fields, 'src')),
        tag: fields.values.get('tag') ?? 'latest',
        digest: fields.values.get('digest'),
      };
    case 'inline':
      throw badValue('cache-from', given, 'an image with a cache in it is read by "type=registry,ref=IMAGE"');
    default:
      throw unknownType(fields);
  }
}

/** `type=registry,ref=R`, `type=local,dest=DIR[,tag=T]`, each with `mode` and the like; `type=inline`. Throws like `readCacheSource`. */
export function readCacheTarget(given: string, currentFolder: string): CacheTarget {
  const fields = readFields('cache-to', given);
  switch (typeOf(fields)) {
    case 'inline':
      allow(fields, ['mode', 'ignore-error']);
      if (fields.values.get('mode') === 'max')
        throw badValue('cache-to', given, 'a cache in an image is of its own layers only ("mode=min")');
      return { kind: 'inline' };
    case 'registry':
      allow(fields, ['ref', ...formFields]);
      return { kind: 'registry', reference: readReference(fields), ...readForm(fields) };
    case 'local':
      allow(fields, ['dest', 'tag', ...formFields]);
      return {
        kind: 'folder',
        path: resolve(currentFolder, demand(fields, 'dest')),
        tag: fields.values.get('tag') ?? 'latest',
        ...readForm(fields),
      };
    default:
      throw unknownType(fields);
  }
}

const formFields = ['mode', 'image-manifest', 'oci-mediatypes', 'compression', 'force-compression', 'ignore-error'];

const compressions: ReadonlyMap<string, CacheForm['compression']> = new Map([
  ['uncompressed', 'tar'],
  ['gzip', 'gzip'],
  ['zstd', 'zstd'],
]);

function readForm(fields: Fields): CacheForm {
  const { values, given } = fields;
  const mode = values.get('mode') ?? 'min';
  if (mode !== 'min' && mode !== 'max') throw badValue('cache-to', given, 'mode is "min" or "max"');
  const compression = compressions.get(values.get('compression') ?? 'gzip');
  if (values.get('compression') === 'estargz') throw notBuilt('The compression "estargz" of a cache', 'Use gzip, zstd or uncompressed');
  if (compression === undefined) throw badValue('cache-to', given, 'compression is "gzip", "zstd" or "uncompressed"');
  if (readFlag(fields, 'force-compression', false)) {
    throw notBuilt('"force-compression" of a cache', 'Layers that came from elsewhere keep their compression');
  }
  const ociTypes = readFlag(fields, 'oci-mediatypes', true);
  const imageManifest = readFlag(fields, 'image-manifest', ociTypes);
  if (imageManifest && !ociTypes) throw badValue('cache-to', given, '"image-manifest=true" needs "oci-mediatypes=true"');
  return { mode, compression, ociTypes, imageManifest, ignoreError: readFlag(fields, 'ignore-error', false) };
}

function readFlag({ long, given, values }: Fields, name: string, initial: boolean): boolean {
  const word = values.get(name);
  if (word === undefined) return initial;
  const value = parseBoolean(word);
  if (value === undefined) throw badValue(long, given, `${name} is "true" or "false"`);
  return value;
}

/** Without any `=` it is the name of an image. */
function readFields(long: string, given: string): Fields {
  const fields = splitFields(given);
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
    if (equals < 1) throw badValue(long, given, `"${field}" is no "name=value"`);
    return [field.slice(0, equals).trim().toLowerCase(), field.slice(equals + 1)] as const;
  });
  return { long, given, values: new Map(pairs) };
}

function typeOf(fields: Fields): string {
  return demand(fields, 'type');
}

function demand({ long, given, values }: Fields, name: string): string {
  const value = values.get(name) ?? '';
  if (value === '') throw badValue(long, given, `"${name}=..." is missing`);
  return value;
}

function readReference(fields: Fields): string {
  const reference = demand(fields, 'ref');
  parseReference(reference);
  return reference;
}

function allow({ long, given, values }: Fields, names: readonly string[]): void {
  for (const name of values.keys()) {
    if (name === 'type' || names.includes(name)) continue;
    if (/^(?:compression-level|registry\.insecure|stargz-.*)$/u.test(name)) throw notBuilt(`"${name}" of "--${long}"`, 'Leave it out');
    throw badValue(long, given, `"${name}" means nothing here; there is ${names.map((one) => `"${one}"`).join(', ')}`);
  }
}

function unknownType({ long, given, values }: Fields): JettisonError {
  const type = values.get('type') ?? '';
  if (['gha', 's3', 'azblob'].includes(type)) return notBuilt(`A cache of "type=${type}"`, 'Use type=registry or type=local');
  return badValue(long, given, `there is no type "${type}"; use "registry", "local" or "inline"`);
}

function notBuilt(what: string, hint: string): JettisonError {
  return new JettisonError('cli/not-built', `${what} is not built yet`, { hint });
}
