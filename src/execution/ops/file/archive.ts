/** Reads a tar archive of any compression that ADD knows, from an open file: gzip and zstd here, bzip2 and xz by the host's own programs. */
import { readSync } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { createTarReader, type TarHandlers } from '#formats/tar/read.ts';
import { isCode, JettisonError, systemCode } from '#ground/base/errors.ts';
import { runProcess } from '#ground/linux/spawn.ts';
import { compressionOf } from '#stores/layer/compression.ts';

const chunkSize = 256 * 1024;

/** Does the file (at its start) hold a tar archive, compressed or not? As BuildKit: when a first entry can be read. */
export async function holdsArchive(file: number): Promise<boolean> {
  const found = new JettisonError('ops/found', 'It is an archive');
  try {
    await readArchive(file, { entry: () => throwError(found), data: () => undefined, entryEnd: () => undefined });
    return false;
  } catch (error) {
    if (error === found) return true;
    if (isDamage(error)) return false;
    throw error;
  }
}

/**
 * Calls the handlers for each entry of a file that was just opened. Throws `tar/...` and what the decompressor says
 * for damaged archives (see `isDamage`), `ops/no-decompressor` where the host lacks a program.
 */
export async function readArchive(file: number, handlers: TarHandlers): Promise<void> {
  // GNU tar and Go take an archive that ends without its end marker.
  const reader = createTarReader(handlers, { endMarker: 'optional' });
  const start = new Uint8Array(16);
  const compression = compressionOf(start.subarray(0, readSync(file, start, 0, start.length, 0)));
  const take = (bytes: Uint8Array): void => reader.push(bytes);
  if (compression === 'gzip' || compression === 'zstd') await inflate(file, compression, take);
  else if (compression === 'xz' || compression === 'bzip2') await inflateByProgram(file, compression, take);
  else for (const chunk of chunksOf(file)) take(chunk);
  reader.finish();
}

/** Is the archive at fault, and not the disk or a person who stopped the build? */
export function isDamage(error: unknown): boolean {
  if (error instanceof JettisonError) return error.code.startsWith('tar/') || error.code === 'ops/bad-compression';
  return /^(?:Z_|ZSTD_|ERR_)/u.test(systemCode(error) ?? '');
}

async function inflate(file: number, compression: 'gzip' | 'zstd', take: (bytes: Uint8Array) => void): Promise<void> {
  const transform = compression === 'gzip' ? createGunzip({ chunkSize }) : createZstdDecompress({ chunkSize });
  await pipeline(Readable.from(chunksOf(file)), transform, async (unpacked: AsyncIterable<Uint8Array>) => {
    for await (const bytes of unpacked) take(bytes);
  });
}

/** The program reads from where the file stands: its start, because everything else here reads at given places. */
async function inflateByProgram(file: number, command: 'xz' | 'bzip2', take: (bytes: Uint8Array) => void): Promise<void> {
  const stop = new AbortController();
  const onStdout = (chunk: Uint8Array): void => {
    if (stop.signal.aborted) return;
    try {
      take(chunk);
    } catch (error) {
      stop.abort(error);
    }
  };
  try {
    const { code, stderr } = await runProcess({ command, arguments: ['-dc'], input: file, onStdout }, stop.signal);
    if (code !== 0) throw new JettisonError('ops/bad-compression', `${command}: ${new TextDecoder().decode(stderr).trim()}`);
  } catch (error) {
    if (!isCode(error, 'linux/no-such-command')) throw error;
    throw new JettisonError('ops/no-decompressor', `Cannot unpack: the program "${command}" is not installed`, {
      fault: 'environment',
      hint: `Install ${command}, or pack the archive with gzip or zstd`,
      cause: error,
    });
  }
}

function* chunksOf(file: number): Generator<Uint8Array, void, void> {
  for (let at = 0; ;) {
    const chunk = new Uint8Array(chunkSize);
    const length = readSync(file, chunk, 0, chunk.length, at);
    if (length === 0) return;
    at += length;
    yield chunk.subarray(0, length);
  }
}

function throwError(error: Error): never {
  throw error;
}
