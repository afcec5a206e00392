/** Where the files of an uncompressed tar lie: headers are read, contents are skipped, so that an archive of gigabytes is looked through in milliseconds. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { toText } from '#ground/base/byte-string.ts';
import { JettisonError, messageOf, systemCode } from '#ground/base/errors.ts';
import { blockSize, type TarEntry } from '#formats/tar/entry.ts';
import { createTarReader } from '#formats/tar/read.ts';
import { paddingOf } from '#formats/tar/write.ts';
import { rangeChunks } from './archive.ts';

export type TarFile = { readonly name: string; readonly offset: number; readonly size: number };

export type TarIndex = Disposable & {
  /** A regular file by its name; links inside the archive are followed by name, never on disk. */
  find(name: string): TarFile | undefined;
  /** The file's bytes, in chunks that hold until the next one is asked for. Throws `image/bad-archive` when the archive is cut short. */
  chunks(file: TarFile): Iterable<Uint8Array>;
  /** A small file as a whole. Throws `image/bad-archive` beyond `limit` bytes. */
  read(file: TarFile, limit: number): Uint8Array;
};

type Place = { readonly kind: 'file'; readonly offset: number; readonly size: number } | { readonly kind: 'link'; readonly target: string };

const mostEntries = 100_000;
const mostHops = 8;
const windowSize = 1 << 16;
const zeros = new Uint8Array(1 << 20);

/** Opens and looks through an archive. Throws `image/cannot-read`, `image/bad-archive` and the errors of tar/read.ts. */
export function openTarIndex(path: string): TarIndex {
  const file = openFile(path);
  try {
    const places = indexEntries(file);
    const chunks = (found: TarFile): Iterable<Uint8Array> => checkedChunks(file, found);
    return {
      find: (name) => follow(places, cleanName(name)),
      chunks,
      read(found, limit) {
        if (found.size > limit) throw badArchive(`"${found.name}" has ${found.size} bytes; ${limit} are accepted`);
        const bytes = new Uint8Array(found.size);
        let at = 0;
        for (const chunk of chunks(found)) {
          bytes.set(chunk, at);
          at += chunk.length;
        }
        return bytes;
      },
      [Symbol.dispose]: () => closeSync(file),
    };
  } catch (error) {
    closeSync(file);
    throw error;
  }
}

export function badArchive(why: string, { cause, hint }: { readonly cause?: unknown; readonly hint?: string } = {}): JettisonError {
  return new JettisonError('image/bad-archive', `Cannot read the image archive: ${why}`, {
    fault: 'environment',
    hint: hint ?? 'The archive is damaged or hostile: do not use it, or have it made again',
    ...(cause === undefined ? {} : { cause }),
  });
}

function openFile(path: string): number {
  try {
    const file = openSync(path, 'r');
    if (fstatSync(file).isFile()) return file;
    closeSync(file);
  } catch (error) {
    if (systemCode(error) === undefined) throw error;
    throw new JettisonError('image/cannot-read', `Cannot read "${path}": ${messageOf(error)}`, { cause: error });
  }
  throw new JettisonError('image/cannot-read', `"${path}" is not a regular file`, {
    hint: 'Name an archive, or give it on standard input',
  });
}

/** Headers go to the tar reader block by block; in place of a file's content it is given as many zeros. */
function indexEntries(file: number): ReadonlyMap<string, Place> {
  const places = new Map<string, Place>();
  let current: TarEntry | undefined;
  let seen = 0;
  let complete = false;
  const reader = createTarReader({
    entry(entry) {
      current = entry;
      seen = 0;
      complete = false;
    },
    // Of a sparse file less is stored than its size says.
    data(bytes) {
      seen += bytes.length;
    },
    entryEnd() {
      complete = true;
    },
  });
  const readBlock = createBlockReader(file);
  const length = fstatSync(file).size;
  let offset = 0;
  for (let block = readBlock(offset); block.length > 0; block = readBlock(offset)) {
    reader.push(block);
    offset += block.length;
    if (!current) continue;
    const { size } = current;
    if (places.size >= mostEntries) throw badArchive(`it has more than ${mostEntries} entries`);
    if (offset + size > length) throw badArchive(`it ends in the middle of "${toText(current.name)}"`);
    const place = placeOf(current, offset);
    if (place) places.set(cleanName(toText(current.name)), place);
    const padding = paddingOf(size);
    feedZeros(size + padding, (bytes) => reader.push(bytes));
    if (seen !== size || !complete) throw badArchive(`"${toText(current.name)}" is stored as a sparse file`);
    offset += size + padding;
    current = undefined;
  }
  reader.finish();
  return places;
}

function feedZeros(size: number, push: (bytes: Uint8Array) => void): void {
  for (let left = size; left > 0; left -= zeros.length) push(left < zeros.length ? zeros.subarray(0, left) : zeros);
}

function createBlockReader(file: number): (offset: number) => Uint8Array {
  const window = new Uint8Array(windowSize);
  let start = 0;
  let length = 0;
  return (offset) => {
    if (offset < start || offset + blockSize > start + length) {
      start = offset;
      length = readSync(file, window, 0, windowSize, offset);
    }
    return window.slice(offset - start, Math.min(offset - start + blockSize, length));
  };
}

function placeOf(entry: TarEntry, offset: number): Place | undefined {
  if (entry.kind === 'file') return { kind: 'file', offset, size: entry.size };
  if (entry.kind === 'hard-link') return { kind: 'link', target: cleanName(toText(entry.linkName)) };
  if (entry.kind !== 'symlink') return undefined;
  const folder = toText(entry.name).split('/').slice(0, -1).join('/');
  return { kind: 'link', target: cleanName(`${folder}/${toText(entry.linkName)}`) };
}

/** `./a//b/../c` as `a/c`; `..` at the top leads nowhere, so nothing of this name is found. */
function cleanName(name: string): string {
  const parts: string[] = [];
  for (const part of name.split('/')) {
    if (part === '' || part === '.') continue;
    if (part === '..' && parts.length > 0 && parts.at(-1) !== '..') parts.pop();
    else parts.push(part);
  }
  return parts.join('/');
}

function follow(places: ReadonlyMap<string, Place>, name: string): TarFile | undefined {
  let place = places.get(name);
  for (let hop = 0; place?.kind === 'link'; hop++) {
    if (hop >= mostHops) throw badArchive(`"${name}" leads through too many links`);
    place = places.get(place.target);
  }
  return place && { name, offset: place.offset, size: place.size };
}

function* checkedChunks(file: number, found: TarFile): Generator<Uint8Array, void, undefined> {
  let size = 0;
  for (const chunk of rangeChunks(file, found.offset, found.size)) {
    size += chunk.length;
    yield chunk;
  }
  if (size !== found.size) throw badArchive(`it ends in the middle of "${found.name}"`);
}
