/** `--cache-from` and `--cache-to`, in buildx's forms (docs.docker.com/build/cache/backends). */
import { resolve } from 'node:path';
import type { CacheForm, CacheSource, CacheTarget } from '#engine/cache-requests.ts';
import type { JettisonError } from '#ground/base/errors.ts';
import { parseReference } from '#formats/oci/reference.ts';
import type { Surroundings } from '../command.ts';
import { badValue } from '../option.ts';
import { actionsFields, readActionsListing, readActionsPlace } from './actions-cache.ts';
import { readS3Place, readS3Writing, s3Fields } from './s3-cache.ts';
import { allow, demand, notBuilt, readFields, readFlag, typeOf, type Fields } from './cache-fields.ts';

type Around = Pick<Surroundings, 'currentFolder' | 'environment'>;

/** `type=registry,ref=R`, `type=local,src=DIR[,tag=T][,digest=D]`, `type=gha[,scope=S]`, or an image. Throws `cli/bad-value`, `cli/not-built`, `oci/invalid-reference`. */
export function readCacheSource(given: string, around: Around): CacheSource {
  const fields = readFields('cache-from', given);
  switch (typeOf(fields)) {
    case 'registry':
      allow(fields, ['ref']);
      return { kind: 'registry', reference: readReference(fields) };
    case 'local':
      allow(fields, ['src', 'tag', 'digest']);
      return {
        kind: 'folder',
        path: resolve(around.currentFolder, demand(fields, 'src')),
        tag: fields.values.get('tag') ?? 'latest',
        digest: fields.values.get('digest'),
      };
    case 'gha':
      allow(fields, actionsFields);
      return readActionsPlace(fields, around.environment);
    case 's3':
      allow(fields, s3Fields);
      return readS3Place(fields, around.environment);
    case 'inline':
      throw badValue('cache-from', given, 'an image with a cache in it is read by "type=registry,ref=IMAGE"');
    default:
      throw unknownType(fields);
  }
}

/** `type=registry,ref=R`, `type=local,dest=DIR[,tag=T]`, `type=gha[,scope=S]`, each with `mode` and the like; `type=inline`. Throws like `readCacheSource`. */
export function readCacheTarget(given: string, around: Around): CacheTarget {
  const fields = readFields('cache-to', given);
  switch (typeOf(fields)) {
    case 'inline':
      allow(fields, ['mode', 'why', 'ignore-error']);
      if (fields.values.get('mode') === 'max')
        throw badValue('cache-to', given, 'a cache in an image is of its own layers only ("mode=min")');
      return { kind: 'inline', isTelling: readFlag(fields, 'why', true) };
    case 'registry':
      allow(fields, ['ref', ...formFields]);
      return { kind: 'registry', reference: readReference(fields), ...readForm(fields) };
    case 'local':
      allow(fields, ['dest', 'tag', ...formFields]);
      return {
        kind: 'folder',
        path: resolve(around.currentFolder, demand(fields, 'dest')),
        tag: fields.values.get('tag') ?? 'latest',
        ...readForm(fields),
      };
    case 'gha':
      allow(fields, [...actionsFields, 'repository', 'ghtoken', 'mode', 'why', 'ignore-error']);
      return {
        ...readForm(fields),
        ...readActionsPlace(fields, around.environment),
        listing: readActionsListing(fields, around.environment),
        imageManifest: false,
      };
    case 's3':
      allow(fields, [...s3Fields, 'touch_refresh', 'upload_parallelism', 'mode', 'why', 'ignore-error']);
      return { ...readForm(fields), ...readS3Place(fields, around.environment), ...readS3Writing(fields), imageManifest: false };
    default:
      throw unknownType(fields);
  }
}

const formFields = ['mode', 'why', 'image-manifest', 'oci-mediatypes', 'compression', 'force-compression', 'ignore-error'];

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
  if (values.get('compression') === 'estargz')
    throw notBuilt(
      'The compression "estargz" of a cache',
      'Its layers would have other ids than the steps that made them; use gzip, zstd or uncompressed',
    );
  if (compression === undefined) throw badValue('cache-to', given, 'compression is "gzip", "zstd" or "uncompressed"');
  if (readFlag(fields, 'force-compression', false)) {
    throw notBuilt('"force-compression" of a cache', 'Layers that came from elsewhere keep their compression');
  }
  const ociTypes = readFlag(fields, 'oci-mediatypes', true);
  const imageManifest = readFlag(fields, 'image-manifest', ociTypes);
  if (imageManifest && !ociTypes) throw badValue('cache-to', given, '"image-manifest=true" needs "oci-mediatypes=true"');
  const isTelling = readFlag(fields, 'why', true);
  return { mode, compression, ociTypes, imageManifest, isTelling, ignoreError: readFlag(fields, 'ignore-error', false) };
}

function readReference(fields: Fields): string {
  const reference = demand(fields, 'ref');
  parseReference(reference);
  return reference;
}

function unknownType({ long, given, values }: Fields): JettisonError {
  const type = values.get('type') ?? '';
  if (type === 'azblob') return notBuilt(`A cache of "type=${type}"`, 'Use type=registry, type=local, type=s3 or type=gha');
  return badValue(long, given, `there is no type "${type}"; use "registry", "local", "gha", "s3" or "inline"`);
}
