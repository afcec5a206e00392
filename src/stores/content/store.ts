/**
 * Blobs under their digest: `blobs/sha256/HEX`. A file that stands there is complete; being written happens in `ingest/`. There is no
 * index: several processes may use one folder at a time. Damage is found when a blob is read, and the blob is thrown away.
 */
import { closeSync, lstatSync, mkdirSync, openSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { algorithmOf, hexOf, isDigest, type Digest } from '#ground/base/digest.ts';
import { JettisonError, isCode, systemCode } from '#ground/base/errors.ts';
import { claimIngest, publish, startIngest, syncFile, type Durability, type Expected, type Ingest, type IngestPlace } from './ingest.ts';
import { freshKey, isAbandoned, isResumable, listParts, newPart } from './parts/part.ts';
import { notFound, readVerified, readWhole } from './verified-read.ts';

export type Blob = { readonly digest: Digest; readonly size: number };

export type ContentStore = {
  readonly folder: string;
  /** Is the blob there (with this size, if given: a wrong one is as good as none)? Its bytes are not looked at. */
  has(digest: Digest, size?: number): boolean;
  /** Bytes; undefined when it is not there. */
  size(digest: Digest): number | undefined;
  /** Absolute path for readers that check the bytes themselves (an unpacker with its DiffID). Throws `content/not-found`. */
  path(digest: Digest): string;
  /** The same for a blob that need not be there yet. */
  pathOnceThere(digest: Digest): string;
  /** A small blob, checked. Throws `content/not-found`, `content/too-large` beyond `limit` bytes, `content/corrupt`. */
  read(digest: Digest, limit: number): Uint8Array;
  /** A blob from `offset` on, checked while it is read: the last block comes only when the digest is right. Throws `content/not-found`, `content/corrupt`. */
  openStream(digest: Digest, offset: number, signal: AbortSignal): AsyncIterable<Uint8Array>;
  /** Reads a blob to see whether it is whole; throws like `openStream`. */
  verify(digest: Digest, signal: AbortSignal): Promise<void>;
  /** Keeps a small document. */
  put(bytes: Uint8Array, signal: AbortSignal): Promise<Blob>;
  /** Keeps what `source` gives. Throws `content/wrong-digest`, `content/wrong-size`, `content/no-space`; nothing stays then. */
  ingest(source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>, expected: Expected & Options, signal: AbortSignal): Promise<Blob>;
  /** The right to write one blob: see `claimIngest`. */
  claim(expected: Blob & Options, signal: AbortSignal): Promise<Ingest | undefined>;
  /** A path in `ingest/` for another process to write a blob to: give it back by `adopt`. */
  temporaryPath(): string;
  /** Keeps a finished file by renaming it. Its size is checked, its digest is the caller's word. Throws `content/wrong-size`. */
  adopt(file: string, blob: Blob & Options, signal: AbortSignal): Promise<void>;
  /** Gives whether it was there. */
  delete(digest: Digest): boolean;
  list(): IterableIterator<Blob>;
  /** Removes what dead processes were writing and nobody touched for `olderThan` milliseconds; gives how many. */
  removeAbandoned(olderThan: number): number;
};

type Options = { readonly durability?: Durability };

const algorithms = ['sha256', 'sha512'] as const;
const day = 24 * 60 * 60 * 1000;

/** Opens (or makes, private to this user) the store in `folder`, and clears away what dead writers left there. */
export function openContentStore(options: { readonly folder: string }): ContentStore {
  const { folder } = options;
  const ingestFolder = join(folder, 'ingest');
  for (const one of [folder, ingestFolder, ...algorithms.map((algorithm) => join(folder, 'blobs', algorithm))]) {
    mkdirSync(one, { recursive: true, mode: 0o700 });
  }
  const pathOf = (digest: Digest): string => join(folder, 'blobs', algorithmOf(digest), hexOf(digest));
  // What is no file, a link too, was not put there by this store.
  const sizeOf = (digest: Digest): number | undefined => {
    const found = lstatSync(pathOf(digest), { throwIfNoEntry: false });
    return found?.isFile() === true ? found.size : undefined;
  };
  const has = (digest: Digest, size: number | undefined): boolean => {
    const found = sizeOf(digest);
    return found !== undefined && (size === undefined || size === found);
  };
  const place: IngestPlace = { folder: ingestFolder, target: pathOf, has };
  const throwAway = (error: unknown, digest: Digest): unknown => {
    if (isCode(error, 'content/corrupt')) rmSync(pathOf(digest), { force: true, recursive: true });
    return error;
  };
  removeParts(ingestFolder, 0, day);

  const store: ContentStore = {
    folder,
    has,
    size: sizeOf,
    pathOnceThere: pathOf,
    path(digest) {
      if (!has(digest, undefined)) throw notFound(digest);
      return pathOf(digest);
    },
    read(digest, limit) {
      try {
        return readWhole(pathOf(digest), digest, limit);
      } catch (error) {
        throw throwAway(error, digest);
      }
    },
    async *openStream(digest, offset, signal) {
      try {
        yield* readVerified(pathOf(digest), digest, offset, signal);
      } catch (error) {
        throw throwAway(error, digest);
      }
    },
    async verify(digest, signal) {
      for await (const _ of store.openStream(digest, Number.MAX_SAFE_INTEGER, signal));
    },
    put: async (bytes, signal) => await store.ingest([bytes], {}, signal),
    async ingest(source, expected, signal) {
      using ingest = startIngest(place, freshKey(), expected, expected.durability ?? 'durable');
      for await (const chunk of source) {
        signal.throwIfAborted();
        ingest.write(chunk);
      }
      return await ingest.commit(signal);
    },
    claim: async (expected, signal) => await claimIngest(place, expected, expected.durability ?? 'durable', signal),
    temporaryPath: () => newPart(ingestFolder, freshKey()).path,
    async adopt(file, blob, signal) {
      signal.throwIfAborted();
      await adoptFile(file, blob, pathOf(blob.digest));
    },
    delete: (digest) => removeFile(pathOf(digest)),
    *list() {
      for (const algorithm of algorithms) {
        for (const name of readdirSync(join(folder, 'blobs', algorithm))) {
          const digest = `${algorithm}:${name}`;
          const size = isDigest(digest) ? sizeOf(digest) : undefined;
          if (isDigest(digest) && size !== undefined) yield { digest, size };
        }
      }
    },
    removeAbandoned: (olderThan) => removeParts(ingestFolder, olderThan, olderThan),
  };
  return store;
}

async function adoptFile(file: string, blob: Blob & Options, target: string): Promise<void> {
  const size = statSync(file).size;
  if (size !== blob.size) {
    throw new JettisonError('content/wrong-size', `Expected ${blob.size} bytes for ${blob.digest}, got ${size}`, { fault: 'bug' });
  }
  const durability = blob.durability ?? 'durable';
  if (durability === 'durable') {
    const opened = openSync(file, 'r');
    try {
      await syncFile(opened, file);
    } finally {
      closeSync(opened);
    }
  }
  await publish(file, target, durability);
}

/** Parts that can be resumed may stay longer than those that nobody can use again. */
function removeParts(folder: string, olderThan: number, resumableOlderThan: number): number {
  let removed = 0;
  for (const part of listParts(folder)) {
    if (!isAbandoned(part)) continue;
    const touched = statSync(part.path, { throwIfNoEntry: false })?.mtimeMs;
    const age = isResumable(part) ? resumableOlderThan : olderThan;
    if (touched !== undefined && Math.max(0, Date.now() - touched) >= age && removeFile(part.path)) removed++;
  }
  return removed;
}

function removeFile(path: string): boolean {
  try {
    rmSync(path);
    return true;
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return false;
    throw error;
  }
}
