/** Reads image archives: docker archives old and new, OCI image layouts in a tar, both also packed with gzip or zstd or coming as a stream. */
import { createWriteStream, openSync, readSync, closeSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { randomUUID } from 'node:crypto';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { fullDisk, fullDiskHint, JettisonError, messageOf, systemCode } from '#ground/base/errors.ts';
import type { Platform } from '#formats/oci/platform.ts';
import { fileChunks } from './archive.ts';
import { readDockerArchive } from './archive/docker.ts';
import { withDocuments } from './archive/indexed.ts';
import { entryOf, readOciArchive } from './archive/oci.ts';
import type { ArchivedImage, ImageArchive } from './archived-image.ts';
import { badArchive, openTarIndex } from './tar-index.ts';

export type ArchiveSource =
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'stream'; readonly chunks: AsyncIterable<Uint8Array> };

export type ArchiveOptions = {
  readonly source: ArchiveSource;
  readonly temporaryFolder: string;
  readonly platform: Platform;
  /** It is read as an OCI layout, of which one image is wanted: see `entryOf`. */
  readonly layout?: { readonly tag: string | undefined } | undefined;
};

/**
 * Opens an archive and decodes its documents; layers are read when asked for. `temporaryFolder` gets a copy of what is packed or a stream,
 * which goes when the archive is disposed. `platform` chooses where an OCI index offers several.
 * Throws `image/cannot-read`, `image/bad-archive`, `image/no-space`, and the errors of the documents (`oci/...`, `tar/...`).
 */
export async function openImageArchive(options: ArchiveOptions, signal: AbortSignal): Promise<ImageArchive> {
  const { source } = options;
  if (source.kind === 'file' && !packing(startOf(source.path))) return openPlain(source.path, options, undefined);
  const copy = join(options.temporaryFolder, `archive-${randomUUID()}.tar`);
  try {
    await unpackTo(copy, source.kind === 'file' ? fileStart(source.path) : source.chunks, signal);
    return openPlain(copy, options, copy);
  } catch (error) {
    rmSync(copy, { force: true });
    throw error;
  }
}

function openPlain(path: string, { platform, layout }: ArchiveOptions, copy: string | undefined): ImageArchive {
  const index = openTarIndex(path);
  const close = (): void => {
    index[Symbol.dispose]();
    if (copy !== undefined) rmSync(copy, { force: true });
  };
  try {
    if (layout !== undefined)
      return { images: [oneOf(readOciArchive(index, platform, entryOf(layout.tag)), layout.tag)], [Symbol.dispose]: close };
    const manifest = index.find('manifest.json');
    const images = manifest ? withDocuments(index, readDockerArchive(index, manifest)) : readOciArchive(index, platform);
    return { images, [Symbol.dispose]: close };
  } catch (error) {
    close();
    throw error;
  }
}

function oneOf([image, ...more]: readonly ArchivedImage[], tag: string | undefined): ArchivedImage {
  if (image !== undefined && more.length === 0) return image;
  throw badArchive(`it has ${image === undefined ? 'no' : 'more than one'} image for "${tag ?? 'latest'}"`);
}

async function* fileStart(path: string): AsyncGenerator<Uint8Array> {
  yield* fileChunks(path);
}

/** First bytes of a file; none when it is no regular file, which `openTarIndex` then says. */
function startOf(path: string): Uint8Array {
  try {
    const file = openSync(path, 'r');
    try {
      const start = new Uint8Array(6);
      return start.subarray(0, readSync(file, start, 0, start.length, 0));
    } finally {
      closeSync(file);
    }
  } catch (error) {
    throw new JettisonError('image/cannot-read', `Cannot read "${path}": ${messageOf(error)}`, { cause: error });
  }
}

type Packing = 'gzip' | 'zstd';

/** How an archive is packed, by its first bytes. Throws for packings that are not read. */
function packing(start: Uint8Array): Packing | undefined {
  const begins = (...bytes: readonly number[]): boolean => bytes.every((byte, index) => start[index] === byte);
  if (begins(0x1f, 0x8b)) return 'gzip';
  if (begins(0x28, 0xb5, 0x2f, 0xfd)) return 'zstd';
  const other = begins(0xfd, 0x37, 0x7a, 0x58, 0x5a, 0) ? 'xz' : begins(0x42, 0x5a, 0x68) ? 'bzip2' : undefined;
  if (other === undefined) return undefined;
  throw new JettisonError('image/packed-archive', `Archives packed with ${other} are not read yet`, {
    hint: `Unpack it first: ${other} -d`,
  });
}

async function unpackTo(file: string, chunks: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void> {
  const { start, all } = await peek(chunks);
  const how = packing(start);
  const sink = createWriteStream(file, { flags: 'wx', mode: 0o600 });
  const steps = how === undefined ? [] : [how === 'gzip' ? createGunzip() : createZstdDecompress()];
  try {
    await pipeline([Readable.from(all, { objectMode: false }), ...steps, sink], { signal });
  } catch (error) {
    signal.throwIfAborted();
    const code = systemCode(error) ?? '';
    const full = fullDisk(error);
    if (full !== undefined) {
      throw new JettisonError('image/no-space', `Cannot write a copy of the image archive, "${file}": ${full}`, {
        fault: 'environment',
        cause: error,
        hint: fullDiskHint,
      });
    }
    if (code.startsWith('Z_') || code.startsWith('ZSTD_') || code === 'ERR_ZSTD')
      throw badArchive(`it is not whole ${how ?? ''} data: ${messageOf(error)}`);
    throw error;
  }
}

/** The first bytes of a stream (6 where it has so many), and all of it. */
async function peek(chunks: AsyncIterable<Uint8Array>): Promise<{ readonly start: Uint8Array; readonly all: AsyncGenerator<Uint8Array> }> {
  const reader = chunks[Symbol.asyncIterator]();
  const first: Uint8Array[] = [];
  let start = new Uint8Array(0);
  while (start.length < 6) {
    const next = await reader.next();
    if (next.done === true) break;
    first.push(next.value.slice());
    const joined = new Uint8Array(start.length + next.value.length);
    joined.set(start);
    joined.set(next.value, start.length);
    start = joined;
  }
  const all = async function* (): AsyncGenerator<Uint8Array> {
    yield* first;
    // A chunk holds only until the next one is asked for, and streams keep several.
    for (let next = await reader.next(); next.done !== true; next = await reader.next()) yield next.value.slice();
  };
  return { start: start.subarray(0, 6), all: all() };
}
