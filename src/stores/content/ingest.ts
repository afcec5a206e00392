/** Writing blobs: into a file of our own in `ingest/`, checked, then renamed to their digest. */
import { closeSync, fsync, ftruncateSync, openSync, read, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { algorithmOf, createDigester, type Digest, type Digester } from '#ground/base/digest.ts';
import { fullDisk, fullDiskHint, JettisonError, systemCode } from '#ground/base/errors.ts';
import { sleep } from '#ground/base/retry.ts';
import { isAbandoned, keyOf, listParts, newPart, type Part } from './parts/part.ts';

/** What is to be written, as far as it is known before. */
export type Expected = { readonly digest?: Digest; readonly size?: number };

/** A blob being written by this process alone. Disposing without `commit` removes what was written. */
export type Ingest = Disposable & {
  /** The file that is written to, until `commit`. */
  readonly path: string;
  /** Bytes written so far, those of a dead writer before us included. */
  readonly offset: number;
  /** Synchronous. Throws `content/wrong-size` as soon as there are more bytes than expected; `content/no-space`. */
  write(chunk: Uint8Array): void;
  /** Forgets what was written. */
  restart(): void;
  /** Checks digest and size and puts the blob in its place. Throws `content/wrong-digest`, `content/wrong-size`: nothing stays. */
  commit(signal: AbortSignal): Promise<{ readonly digest: Digest; readonly size: number }>;
};

export type IngestPlace = {
  /** Folder of the parts. */
  readonly folder: string;
  readonly target: (digest: Digest) => string;
  readonly has: (digest: Digest, size: number | undefined) => boolean;
};

/** fsync of file and folder before the blob counts as there; without it a power cut may leave a short or empty blob, which is found when it is read. */
export type Durability = 'durable' | 'rebuildable';

const pauseForOthers = 50;

/**
 * The right to write the blob `expected.digest`: undefined when it is there, perhaps because another process has just written it. Waits
 * while another live writer is at it, and takes over what a dead one left.
 */
export async function claimIngest(
  place: IngestPlace,
  expected: { readonly digest: Digest; readonly size: number },
  durability: Durability,
  signal: AbortSignal,
): Promise<Ingest | undefined> {
  const key = keyOf(expected.digest);
  for (;;) {
    signal.throwIfAborted();
    if (place.has(expected.digest, expected.size)) return undefined;
    const found = listParts(place.folder, key);
    const abandoned = found.filter(isAbandoned);
    if (abandoned.length === found.length) {
      const part = newPart(place.folder, key);
      const before = abandoned.at(0);
      for (const older of abandoned.slice(1)) rmSync(older.path, { force: true });
      if (before ? takeOver(before, part) : create(part)) {
        if (listParts(place.folder, key).some((other) => other.time < part.time && !isAbandoned(other))) rmSync(part.path, { force: true });
        else return await resume(place, part, expected, durability, before !== undefined);
      }
      continue;
    }
    await sleep(pauseForOthers, signal);
  }
}

/** Starts a blob of which perhaps nothing is known yet. Two writers of one blob do not disturb each other. */
export function startIngest(place: IngestPlace, key: string, expected: Expected, durability: Durability): Ingest {
  const part = newPart(place.folder, key);
  return createIngest(place, { part, expected, durability, file: open(part.path, 'wx'), offset: 0 }, newDigester(expected));
}

async function resume(place: IngestPlace, part: Part, expected: Expected, durability: Durability, isOld: boolean): Promise<Ingest> {
  const file = open(part.path, 'r+');
  const digester = newDigester(expected);
  const offset = isOld ? await hashFile(file, digester) : 0;
  const ingest = createIngest(place, { part, expected, durability, file, offset }, digester);
  if (offset > (expected.size ?? Infinity)) ingest.restart();
  return ingest;
}

type Writing = {
  readonly part: Part;
  readonly expected: Expected;
  readonly durability: Durability;
  readonly file: number;
  readonly offset: number;
};

function createIngest(place: IngestPlace, writing: Writing, firstDigester: Digester): Ingest {
  const { part, expected, file } = writing;
  let { offset } = writing;
  let digester = firstDigester;
  let state: 'open' | 'closed' | 'done' = 'open';
  const close = (): void => {
    if (state === 'open') closeSync(file);
    state = 'closed';
  };
  const remove = (): void => {
    if (state === 'done') return;
    close();
    rmSync(part.path, { force: true });
  };
  return {
    path: part.path,
    get offset() {
      return offset;
    },
    write(chunk) {
      if (offset + chunk.length > (expected.size ?? Infinity)) throw wrongSize(expected, `more than ${expected.size} bytes`);
      writeAll(file, chunk, offset, part.path);
      digester.update(chunk);
      offset += chunk.length;
    },
    restart() {
      ftruncateSync(file, 0);
      digester = newDigester(expected);
      offset = 0;
    },
    async commit(signal) {
      try {
        signal.throwIfAborted();
        if (expected.size !== undefined && offset !== expected.size) throw wrongSize(expected, `${offset} bytes`);
        const digest = digester.finish();
        if (expected.digest !== undefined && digest !== expected.digest) {
          throw new JettisonError('content/wrong-digest', `Expected ${expected.digest}, got bytes of ${digest}`, { fault: 'environment' });
        }
        if (writing.durability === 'durable') await syncFile(file, part.path);
        close();
        await publish(part.path, place.target(digest), writing.durability);
        state = 'done';
        return { digest, size: offset };
      } finally {
        remove();
      }
    },
    [Symbol.dispose]: remove,
  };
}

/** Renames a finished file to its place. */
export async function publish(file: string, target: string, durability: Durability): Promise<void> {
  try {
    renameSync(file, target);
  } catch (error) {
    // A folder in the place of a blob is damage like any other.
    if (systemCode(error) !== 'EISDIR') throw error;
    rmSync(target, { recursive: true, force: true });
    renameSync(file, target);
  }
  if (durability === 'rebuildable') return;
  const folder = openSync(dirname(target), 'r');
  try {
    await syncFile(folder, dirname(target));
  } finally {
    closeSync(folder);
  }
}

/** Flushes an open file to the disk. A failure is an error, never tried again: the kernel forgets the pages that it could not write. */
export async function syncFile(file: number, path: string): Promise<void> {
  const done = Promise.withResolvers<void>();
  fsync(file, (error) => (error ? done.reject(writeFailed(path, error)) : done.resolve()));
  await done.promise;
}

function newDigester(expected: Expected): Digester {
  return createDigester(expected.digest === undefined ? 'sha256' : algorithmOf(expected.digest));
}

function create(part: Part): boolean {
  closeSync(open(part.path, 'wx'));
  return true;
}

/** Of several who try, one gets it. */
function takeOver(before: Part, part: Part): boolean {
  try {
    renameSync(before.path, part.path);
    return true;
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return false;
    throw error;
  }
}

async function hashFile(file: number, digester: Digester): Promise<number> {
  const block = new Uint8Array(1 << 20);
  for (let offset = 0; ;) {
    const done = Promise.withResolvers<number>();
    read(file, block, 0, block.length, offset, (error, count) => (error ? done.reject(error) : done.resolve(count)));
    const count = await done.promise;
    if (count === 0) return offset;
    digester.update(block.subarray(0, count));
    offset += count;
  }
}

function open(path: string, flags: string): number {
  try {
    return openSync(path, flags, 0o600);
  } catch (error) {
    throw writeFailed(path, error);
  }
}

function writeAll(file: number, chunk: Uint8Array, position: number, path: string): void {
  try {
    for (let done = 0; done < chunk.length;) done += writeSync(file, chunk, done, chunk.length - done, position + done);
  } catch (error) {
    throw writeFailed(path, error);
  }
}

function writeFailed(path: string, cause: unknown): unknown {
  const why = fullDisk(cause);
  if (why === undefined) return cause;
  return new JettisonError('content/no-space', `Cannot write "${path}": ${why}`, {
    fault: 'environment',
    cause,
    hint: fullDiskHint,
  });
}

function wrongSize(expected: Expected, got: string): JettisonError {
  return new JettisonError('content/wrong-size', `Expected ${expected.size} bytes for ${expected.digest ?? 'a blob'}, got ${got}`, {
    fault: 'environment',
  });
}
