/** A build context that comes as a tar archive: unpacked into a folder of its own before the build. */
import {
  chmodSync,
  closeSync,
  ftruncateSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  openSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeSync,
} from 'node:fs';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { Readable } from 'node:stream';
import { asByteString, fromText, nodePath, toText, type ByteString } from '#ground/base/byte-string.ts';
import { fullDisk, fullDiskHint, JettisonError, messageOf, refusedFile, systemCode, unreachable } from '#ground/base/errors.ts';
import { blockSize, type TarEntry, type TarKind } from '#formats/tar/entry.ts';
import { createTarReader } from '#formats/tar/read.ts';
import { readByProgram } from './tarball/by-program.ts';

export type Packing = 'tar' | 'gzip' | 'zstd' | 'bzip2' | 'xz';

const mostEntries = 2_000_000;

/** What a stream is by its first bytes (512, or all there are); undefined for what is no archive. */
export function packingOf(start: Uint8Array): Packing | undefined {
  const begins = (...bytes: readonly number[]): boolean => bytes.every((byte, index) => start[index] === byte);
  if (begins(0x1f, 0x8b)) return 'gzip';
  if (begins(0x28, 0xb5, 0x2f, 0xfd)) return 'zstd';
  if (begins(0x42, 0x5a, 0x68)) return 'bzip2';
  if (begins(0xfd, 0x37, 0x7a, 0x58, 0x5a, 0)) return 'xz';
  const magic = String.fromCodePoint(...start.subarray(257, 262));
  const isEmptyArchive = start.length === blockSize && start.every((byte) => byte === 0);
  return magic === 'ustar' || isEmptyArchive ? 'tar' : undefined;
}

/**
 * Unpacks into `folder`, which is empty and ours alone. Entries lie below it whatever their names say; nothing is written through a link.
 * Owners and extended attributes do not count in a context, so they are left out. Throws `context/bad-archive`, `context/no-space`, `tar/...`.
 */
export async function unpackContext(
  archive: { readonly chunks: AsyncIterable<Uint8Array>; readonly packing: Packing },
  folder: string,
  signal: AbortSignal,
): Promise<void> {
  const unpacker = createUnpacker(fromText(folder));
  const reader = createTarReader(unpacker);
  try {
    await readAs({ ...archive, spool: `${folder}.packed` }, (bytes) => reader.push(bytes), signal);
    reader.finish();
    unpacker.finish();
  } catch (error) {
    throw explain(error);
  } finally {
    unpacker.close();
  }
}

/**
 * Hands on the bytes of a tar in whatever packing it comes (see `packingOf`). `spool`: a file that is not there yet, for what programs unpack. Throws `context/no-archive`, `context/bad-archive` for what is
 * damaged, `context/no-decompressor`.
 */
export async function readPacked(
  { chunks, spool }: { readonly chunks: AsyncIterable<Uint8Array>; readonly spool: string },
  take: (bytes: Uint8Array) => void,
  signal: AbortSignal,
): Promise<void> {
  const source = chunks[Symbol.asyncIterator]();
  const start: Uint8Array[] = [];
  let length = 0;
  while (length < blockSize) {
    const next = await source.next();
    if (next.done === true) break;
    start.push(next.value);
    length += next.value.length;
  }
  const packing = packingOf(joinBytes(start, length).subarray(0, blockSize));
  if (packing === undefined)
    throw new JettisonError('context/no-archive', 'It is no tar archive, packed or not', {
      hint: 'Pack the files with tar; gzip, zstd, xz and bzip2 are unpacked here',
    });
  async function* all(): AsyncGenerator<Uint8Array, void, void> {
    yield* start;
    for (let next = await source.next(); next.done !== true; next = await source.next()) yield next.value;
  }
  try {
    await readAs({ chunks: all(), packing, spool }, take, signal);
  } catch (error) {
    throw explain(error);
  }
}

function joinBytes(parts: readonly Uint8Array[], length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

type PackedArchive = { readonly chunks: AsyncIterable<Uint8Array>; readonly packing: Packing; readonly spool: string };

async function readAs({ chunks, packing, spool }: PackedArchive, take: (bytes: Uint8Array) => void, signal: AbortSignal): Promise<void> {
  if (packing === 'xz' || packing === 'bzip2') return await readByProgram({ chunks, program: packing, spool }, take, signal);
  for await (const chunk of unpacked({ chunks, packing })) {
    signal.throwIfAborted();
    take(chunk);
  }
}

function unpacked({
  chunks,
  packing,
}: {
  readonly chunks: AsyncIterable<Uint8Array>;
  readonly packing: 'tar' | 'gzip' | 'zstd';
}): AsyncIterable<Uint8Array> {
  if (packing === 'tar') return chunks;
  const source = Readable.from(chunks, { objectMode: false });
  const decoder = packing === 'gzip' ? createGunzip() : createZstdDecompress();
  source.on('error', (error) => decoder.destroy(error));
  return source.pipe(decoder);
}

function createUnpacker(root: ByteString) {
  const kinds = new Map<string, TarKind>([['', 'folder']]);
  const folders = new Map<string, TarEntry>();
  let file: number | undefined;
  let current: { readonly entry: TarEntry; readonly path: string } | undefined;
  const place = (path: string) => nodePath(asByteString(`${root}/${path}`));
  const makeParents = (path: string, name: ByteString): void => {
    for (let slash = path.indexOf('/'); slash >= 0; slash = path.indexOf('/', slash + 1)) {
      const parent = path.slice(0, slash);
      const kind = kinds.get(parent);
      if (kind === undefined) mkdirSync(place(parent), { mode: 0o755 });
      else if (kind !== 'folder') throw bad(`"${toText(name)}" lies below what is no folder`);
      kinds.set(parent, 'folder');
    }
  };
  const make = (entry: TarEntry, path: string): void => {
    switch (entry.kind) {
      case 'folder':
        mkdirSync(place(path), { mode: 0o755 });
        break;
      case 'file':
        file = openSync(place(path), 'wx', 0o600);
        break;
      case 'symlink':
        symlinkSync(nodePath(entry.linkName), place(path));
        break;
      case 'hard-link': {
        const target = cleanName(entry.linkName);
        if (kinds.get(target) !== 'file')
          throw bad(`"${toText(entry.name)}" is a link to "${toText(entry.linkName)}", which is no file before it`);
        linkSync(place(target), place(path));
        break;
      }
      case 'fifo':
      case 'character-device':
      case 'block-device':
        throw bad(`"${toText(entry.name)}" is a ${entry.kind}, which a context cannot have`);
      default:
        return unreachable(entry.kind, 'kind of entry');
    }
  };
  return {
    entry(entry: TarEntry): void {
      if (kinds.size > mostEntries) throw bad(`it has more than ${mostEntries} entries`);
      const path = cleanName(entry.name);
      current = { entry, path };
      if (entry.kind === 'folder') folders.set(path, entry);
      const before = kinds.get(path);
      if (entry.kind === 'folder' && before === 'folder') return;
      if (path === '') throw bad('its root is no folder');
      if (before !== undefined) {
        if (before === 'folder') throw bad(`"${toText(entry.name)}" comes after a folder of that name`);
        if (entry.kind === 'hard-link' && cleanName(entry.linkName) === path) throw bad(`"${toText(entry.name)}" is a link to itself`);
        rmSync(place(path));
      }
      makeParents(path, entry.name);
      make(entry, path);
      kinds.set(path, entry.kind === 'hard-link' ? 'file' : entry.kind);
    },
    data(bytes: Uint8Array, offset: number): void {
      if (file === undefined) return;
      for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at, bytes.length - at, offset + at);
    },
    entryEnd(): void {
      if (current === undefined) return;
      const { entry, path } = current;
      if (file !== undefined) {
        ftruncateSync(file, entry.size);
        closeSync(file);
        file = undefined;
        chmodSync(place(path), entry.mode & 0o7777);
        utimesSync(place(path), secondsOf(entry), secondsOf(entry));
      } else if (entry.kind === 'symlink') lutimesSync(place(path), secondsOf(entry), secondsOf(entry));
    },
    /** Folders get their modes and times when nothing more is put into them. */
    finish(): void {
      for (const [path, entry] of [...folders].toReversed()) {
        chmodSync(place(path), entry.mode & 0o7777);
        utimesSync(place(path), secondsOf(entry), secondsOf(entry));
      }
    },
    close(): void {
      if (file !== undefined) closeSync(file);
      file = undefined;
    },
  };
}

function secondsOf({ mtime }: TarEntry): number {
  return Number(mtime / 1_000_000n) / 1000;
}

/** Relative and without `.`; `..` stops at the root. */
function cleanName(name: ByteString): string {
  const parts: string[] = [];
  for (const part of name.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return parts.join('/');
}

function bad(why: string): JettisonError {
  return new JettisonError('context/bad-archive', `Cannot read the build context: ${why}`, {
    hint: 'The archive is damaged or hostile, or holds what no context can: pack the files again with tar',
  });
}

function explain(error: unknown): unknown {
  if (error instanceof JettisonError) return error;
  const code = systemCode(error) ?? '';
  const full = fullDisk(error);
  if (full !== undefined) {
    return new JettisonError('context/no-space', `Cannot unpack the build context: ${full}`, {
      fault: 'environment',
      hint: fullDiskHint,
      cause: error,
    });
  }
  const why = refusedFile(error) ?? (code === 'ENOENT' ? 'a name or link is empty' : undefined);
  if (why !== undefined) return bad(`an entry cannot be made: ${why} (${messageOf(error).slice(0, 300)})`);
  return code.startsWith('Z_') || code.startsWith('ZSTD') ? bad(`it is not whole: ${messageOf(error)}`) : error;
}
