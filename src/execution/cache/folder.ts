/** A cache in a folder (`type=local`): an OCI image layout whose index names each cache by its tag. What is in it comes from outside. */
import {
  closeSync,
  constants,
  createReadStream,
  fstatSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { algorithmOf, digestOf, hexOf, type Digest } from '#ground/base/digest.ts';
import { JettisonError, messageOf } from '#ground/base/errors.ts';
import { makeFolders } from '#ground/base/make-folders.ts';
import type { Descriptor } from '#formats/oci/descriptor.ts';
import { decodeImageDocument, manifestLimit, type ImageDocument } from '#formats/oci/manifest.ts';
import { mediaTypes } from '#formats/oci/media-types.ts';

import type { CacheDocument } from './cache-manifest.ts';

const refName = 'org.opencontainers.image.ref.name';

export type CacheFolder = {
  /** The document that the tag or the digest names. Throws `cache/cannot-read`, `cache/bad-folder`, `oci/...`. */
  readDocument(wanted: { readonly tag: string; readonly digest: Digest | undefined }): ImageDocument;
  /** A small blob, checked. Throws `cache/cannot-read`, `cache/bad-folder`. */
  readBlob(blob: Descriptor, limit: number): Uint8Array;
  /** The bytes of a blob as they lie there: whoever takes them checks the digest. Throws `cache/cannot-read`. */
  openBlob(digest: Digest): AsyncIterable<Uint8Array>;
};

/** For reading; nothing is looked at yet. */
export function openCacheFolder(path: string): CacheFolder {
  const fail = (why: string): JettisonError => new JettisonError('cache/bad-folder', `Cannot use the cache in "${path}": ${why}`);
  const readBlob: CacheFolder['readBlob'] = (blob, limit) => {
    const bytes = readFile(join(path, blobPath(blob.digest)), limit);
    if (digestOf(bytes) !== blob.digest) throw fail(`${blob.digest} has other content than its digest says`);
    return bytes;
  };
  return {
    readBlob,
    readDocument: ({ tag, digest }) => {
      const document = decodeImageDocument(readFile(join(path, 'index.json'), manifestLimit), [], join(path, 'index.json'));
      if (document.kind !== 'index') throw fail('its index.json is no index');
      const entry = document.index.manifests.find((one) =>
        digest === undefined ? one.annotations?.[refName] === tag : one.digest === digest,
      );
      if (entry === undefined) throw fail(`it has nothing with the ${digest === undefined ? `tag "${tag}"` : `digest ${digest}`}`);
      return decodeImageDocument(readBlob(entry, manifestLimit), [entry.mediaType], `${path}:${tag}`);
    },
    openBlob: (digest) => {
      const file = open(join(path, blobPath(digest)));
      return createReadStream('', { fd: file });
    },
  };
}

export type FolderCache = {
  readonly tag: string;
  readonly manifest: { readonly bytes: Uint8Array; readonly mediaType: string; readonly digest: Digest };
  readonly config: CacheDocument;
  readonly memory: CacheDocument | undefined;
  readonly layers: readonly Descriptor[];
};

/**
 * Writes a cache under its tag; what other tags name stays. `openBlob` gives bytes that were checked. Blobs come first and the index last, each
 * complete under its name or not there. Throws `cache/cannot-write`.
 */
export async function writeCacheFolder(
  path: string,
  cache: FolderCache,
  openBlob: (layer: Descriptor) => AsyncIterable<Uint8Array>,
  onLayer: (layer: Descriptor) => void,
): Promise<void> {
  try {
    makeFolders(join(path, 'blobs/sha256'));
    for (const layer of cache.layers) {
      if (!hasFile(join(path, blobPath(layer.digest)), layer.size)) await writeFile(path, blobPath(layer.digest), openBlob(layer));
      onLayer(layer);
    }
    const { config, memory, manifest, tag } = cache;
    if (memory !== undefined) await writeFile(path, blobPath(memory.descriptor.digest), [memory.bytes]);
    await writeFile(path, blobPath(config.descriptor.digest), [config.bytes]);
    await writeFile(path, blobPath(manifest.digest), [manifest.bytes]);
    await writeFile(path, 'oci-layout', [new TextEncoder().encode('{"imageLayoutVersion":"1.0.0"}')]);
    const entry = {
      mediaType: manifest.mediaType,
      digest: manifest.digest,
      size: manifest.bytes.length,
      annotations: { [refName]: tag },
    };
    const others = readEntries(path).filter((one) => one.annotations?.[refName] !== tag);
    const index = { schemaVersion: 2, mediaType: mediaTypes.index, manifests: [...others, entry] };
    await writeFile(path, 'index.json', [new TextEncoder().encode(JSON.stringify(index))]);
  } catch (error) {
    if (error instanceof JettisonError) throw error;
    throw new JettisonError('cache/cannot-write', `Cannot write the cache to "${path}": ${messageOf(error)}`, {
      fault: 'environment',
      cause: error,
    });
  }
}

/** What the index of the folder names; nothing when it is none. */
function readEntries(path: string): readonly Descriptor[] {
  // An empty one is what a power cut has left.
  if ((statSync(join(path, 'index.json'), { throwIfNoEntry: false })?.size ?? 0) === 0) return [];
  const document = decodeImageDocument(readFile(join(path, 'index.json'), manifestLimit), [], join(path, 'index.json'));
  return document.kind === 'index' ? document.index.manifests : [];
}

async function writeFile(folder: string, name: string, chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<void> {
  const draft = join(folder, `.${randomBytes(8).toString('hex')}.tmp`);
  const file = openSync(draft, 'wx');
  try {
    for await (const chunk of chunks) for (let done = 0; done < chunk.length;) done += writeSync(file, chunk, done);
    renameSync(draft, join(folder, name));
  } finally {
    closeSync(file);
    rmSync(draft, { force: true });
  }
}

function hasFile(path: string, size: number): boolean {
  try {
    const file = open(path);
    try {
      return fstatSync(file).size === size;
    } finally {
      closeSync(file);
    }
  } catch {
    return false;
  }
}

function readFile(path: string, limit: number): Uint8Array {
  const file = open(path);
  try {
    const { size } = fstatSync(file);
    if (size > limit) throw new JettisonError('cache/bad-folder', `"${path}" has ${size} bytes; at most ${limit} are read`);
    return readFileSync(file);
  } finally {
    closeSync(file);
  }
}

/** An ordinary file: what else may lie there (a pipe) is not waited for. */
function open(path: string): number {
  let file: number | undefined;
  try {
    file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    if (fstatSync(file).isFile()) return file;
  } catch (error) {
    throw new JettisonError('cache/cannot-read', `Cannot read "${path}": ${messageOf(error)}`, { cause: error });
  }
  closeSync(file);
  throw new JettisonError('cache/cannot-read', `Cannot read "${path}": it is no ordinary file`);
}

function blobPath(digest: Digest): string {
  return `blobs/${algorithmOf(digest)}/${hexOf(digest)}`;
}
