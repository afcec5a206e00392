/** A cache in a bucket of S3, with the names that BuildKit gives: a blob under its digest, and under the cache's name its list of records, which says what its layers are. */
import { decodeCacheConfig } from '#execution/cache/cache-config.ts';
import { configLimit } from '#formats/oci/image-config.ts';
import { digestOf, hexOf } from '#ground/base/digest.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { mostTouched, openS3Bucket, type S3Bucket } from '#stores/object/s3-bucket.ts';
import type { Engine } from '../open.ts';
import type { OutwardTarget, S3CachePlace } from '../cache-requests.ts';
import { version } from '../version.ts';
import type { CacheDestination, CacheOrigin, CacheWriting } from './contract.ts';
import { memoryReader } from './documents.ts';
import { fetcherFrom, writeBlobs, type BlobContent } from './objects.ts';

type S3Target = Extract<OutwardTarget, { readonly kind: 's3' }>;

const lacks = 'it needs an access key (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY); profiles and roles are not read';

/** Reading it throws `object/...`, `cache/bad-config`. */
export function s3Origin(engine: Engine, source: S3CachePlace): CacheOrigin {
  const name = nameOf(source);
  if (source.credentials === undefined) return { name, lacks, read: async () => await Promise.resolve(undefined) };
  return {
    name,
    read: async (signal) => {
      const bucket = open(engine, source);
      const bytes = await bucket.read(manifestKey(source, source.names[0]), configLimit, signal);
      const found = bytes && decodeCacheConfig(bytes, 'as said', name);
      const place = `s3 ${bucket.host} ${source.bucket}/${source.prefix}`;
      const fetch = fetcherFrom(engine, place, async (blob, { sink }, own) => {
        return await bucket.download(blobKey(source, blob.digest), { descriptor: blob, sink }, own);
      });
      return found && { ...found, repository: undefined, fetch, readMemory: memoryReader(engine, { name, memory: found.memory, fetch }) };
    },
  };
}

/** Writing throws `object/...`, `content/...`. */
export function s3Destination(engine: Engine, target: S3Target): CacheDestination {
  return {
    name: nameOf(target),
    title: 'exporting cache to Amazon S3',
    write: async (writing, signal) => {
      using bucket = open(engine, target);
      await writeBlobs(
        writing,
        target.parallel,
        async (content, own) => await keep(bucket, { engine, target, writing }, content, own),
        signal,
      );
      const { bytes } = writing.manifest.config;
      for (const name of target.names) {
        const key = manifestKey(target, name);
        await bucket.write(key, { size: bytes.length, sha256: hexOf(digestOf(bytes)), open: () => [bytes] }, signal);
        writing.say(`writing cache manifest ${key} done`);
      }
    },
  };
}

type Keeping = { readonly engine: Engine; readonly target: S3Target; readonly writing: CacheWriting };

/** What is there already is only made new when it has grown old. */
async function keep(bucket: S3Bucket, { engine, target, writing }: Keeping, content: BlobContent, signal: AbortSignal): Promise<void> {
  const key = blobKey(target, content.blob.digest);
  const there = await bucket.stat(key, signal);
  if (there?.size !== content.size) return await bucket.write(key, content, signal);
  if (engine.now() - there.modified <= target.touchRefresh) return;
  if (there.size <= mostTouched) await bucket.touch(key, signal);
  else writing.say(`${key} keeps its time: it is larger than what S3 copies in one request`);
}

/** Throws `engine/bad-cache-address`, `engine/no-cache-credentials`. */
function open(engine: Engine, place: S3CachePlace): S3Bucket {
  const { bucket, region, usePathStyle, credentials } = place;
  if (credentials === undefined) {
    throw new JettisonError('engine/no-cache-credentials', `The cache ${nameOf(place)} cannot be written: ${lacks}`);
  }
  const endpoint = place.endpoint === undefined ? undefined : URL.parse(place.endpoint);
  if (endpoint === null || (endpoint !== undefined && !['http:', 'https:'].includes(endpoint.protocol))) {
    throw new JettisonError('engine/bad-cache-endpoint', 'The "endpoint_url" of the cache is no web address');
  }
  return openS3Bucket({
    bucket,
    region,
    endpoint,
    usePathStyle,
    credentials: { keyId: credentials.keyId, secretKey: credentials.secretKey(), sessionToken: credentials.sessionToken() },
    userAgent: `jettison/${version}`,
    environment: engine.environment,
    timing: engine.network,
    onWait: engine.waits.tell,
    now: engine.now,
  });
}

function nameOf({ bucket, prefix, names }: S3CachePlace): string {
  return `s3:${bucket}/${prefix}${names[0]}`;
}

function blobKey({ prefix, blobsPrefix }: S3CachePlace, digest: string): string {
  return `${prefix}${blobsPrefix}${digest}`;
}

function manifestKey({ prefix, manifestsPrefix }: S3CachePlace, name: string): string {
  return `${prefix}${manifestsPrefix}${name}`;
}
