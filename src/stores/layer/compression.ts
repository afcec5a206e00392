/**
 * Compression of layers: blocks of a fixed length on the threads of libuv's pool, so the same bytes come out on any number of cores.
 * gzip is one ordinary member (RFC 1952): raw deflate blocks that end on byte borders, each with the 32 KiB before it as dictionary.
 * zstd is a row of frames (RFC 8878). Reading goes by the magic number.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { Readable, type Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { constants, crc32, createGunzip, createZstdDecompress, deflateRaw, deflateRawSync, zstdCompress } from 'node:zlib';
import { giveBack } from '#ground/base/give-back.ts';
import { JettisonError, systemCode } from '#ground/base/errors.ts';
import { createOrder, type Order } from './compressing/order.ts';
import { createFrameCutter } from './compressing/zstd-frames.ts';

export type Compression = 'gzip' | 'zstd';

export type Compressor = {
  /** A buffer for the bytes that `push` takes next. */
  buffer(): Uint8Array;
  /** Takes the last `buffer()`, filled; only the last one may be the beginning of it. Waits while all threads are busy. */
  push(block: Uint8Array): Promise<void>;
  finish(): Promise<void>;
};

export type CompressorOptions = {
  readonly compression: Compression;
  /** How many blocks at once. */
  readonly width: number;
  /** Takes the compressed bytes, in order; they hold until it returns. */
  readonly sink: (pieces: readonly Uint8Array[]) => void;
  /** gzip 1 to 9 (5 when not said: a sixth faster than 6, and still no longer than what Go makes of it), zstd 1 to 19 (3). */
  readonly level?: number;
};

/** Of gzip: a sixth faster than 6, and still no longer than what Go makes of it. */
export const usualGzipLevel = 5;
const gzipBlock = 1 << 20;
/** No longer than the window of level 3: a frame is one segment then, which is quicker to search. */
const zstdFrame = 2 << 20;
const dictionaryLength = 32 << 10;
const storedLength = 65_535;
/** Larger buffers are no part of Node's pool of small ones. */
const ownLength = 65_536;
/** Bytes of a piece, of which eight are taken. */
const smallSample = 1024;
const largeSample = 4096;
const gzipHeader = new Uint8Array([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff]);
/** An empty last block with fixed codes (RFC 1951, 3.2.6). */
const lastBlock = new Uint8Array([3, 0]);
/** Short blocks stay in the processor's cache between the threads that make and use them, and keep little memory: of each layer being unpacked, so much of its file and of its tar. */
const readLength = 64 << 10;
const blocksRead = 2;
const blocksUnpacked = 4;

export function createCompressor(options: CompressorOptions): Compressor {
  return options.compression === 'gzip' ? createGzip(options) : createZstd(options);
}

function createGzip({ width, sink, level = usualGzipLevel }: CompressorOptions): Compressor {
  const order = createReleasing(width, sink);
  let crc = 0;
  let size = 0;
  let dictionary: Uint8Array = new Uint8Array(0);
  sink([gzipHeader]);
  return {
    buffer: createRing(gzipBlock, width + 2),
    async push(block) {
      crc = crc32(block, crc);
      size += block.length;
      const before = dictionary;
      dictionary = block.subarray(Math.max(0, block.length - dictionaryLength));
      await order.add(async () => await deflateBlock(block, before, level));
    },
    async finish() {
      await order.finish();
      const end = new DataView(new ArrayBuffer(8));
      end.setUint32(0, crc, true);
      end.setUint32(4, size % 2 ** 32, true);
      sink([lastBlock, new Uint8Array(end.buffer)]);
    },
  };
}

function createZstd({ width, sink, level = 3 }: CompressorOptions): Compressor {
  const order = createReleasing(width, sink);
  let isEmpty = true;
  const push = async (block: Uint8Array): Promise<void> => {
    isEmpty = false;
    await order.add(async () => [await zstdBlock(block, level)]);
  };
  return {
    buffer: createRing(zstdFrame, width + 1),
    push,
    async finish() {
      if (isEmpty) await push(new Uint8Array(0));
      await order.finish();
    },
  };
}

/**
 * Buffers that are made when first wanted and come again in turns: one is filled while `width` tasks that were started in order read theirs,
 * and, where a block is the dictionary of the next one, one more.
 */
function createRing(length: number, count: number): () => Uint8Array {
  const ring: Uint8Array[] = [];
  let turn = 0;
  return () => (ring[turn++ % count] ??= new Uint8Array(length));
}

type Pieces = readonly Uint8Array[];
/** In order, each piece's memory given back when `sink` has it. */
function createReleasing(width: number, sink: (pieces: Pieces) => void): Order {
  return createOrder(width, (pieces) => {
    sink(pieces);
    for (const piece of pieces) release(piece);
  });
}

/** Buffers that a block was compressed into. */
const outputs = new WeakSet<object>();

/** Gives the memory back at once, not when somebody collects. */
function release({ buffer }: Uint8Array): void {
  if (buffer instanceof ArrayBuffer && outputs.has(buffer)) buffer.transfer(0);
}

/** Remembers that nobody else has this buffer: zlib makes one of at least a block for each call. */
function own(bytes: Uint8Array): Uint8Array {
  if (bytes.buffer.byteLength > ownLength) outputs.add(bytes.buffer);
  return bytes;
}

async function deflateBlock(block: Uint8Array, dictionary: Uint8Array, level: number): Promise<Pieces> {
  if (!looksCompressible(block)) return storeBlock(block);
  const done = Promise.withResolvers<Uint8Array>();
  const options = {
    level,
    memLevel: 9,
    finishFlush: constants.Z_SYNC_FLUSH,
    chunkSize: block.length + 65_536,
    ...(dictionary.length > 0 ? { dictionary } : {}),
  };
  deflateRaw(block, options, (error, bytes) => (error ? done.reject(error) : done.resolve(own(bytes))));
  const bytes = await done.promise;
  return bytes.length < block.length ? [bytes] : storeBlock(block);
}

/** Samples become smaller: spares the work of finding out on the whole of a block that does not. Small samples are enough where they say it clearly. */
function looksCompressible(block: Uint8Array): boolean {
  if (block.length < 16 * largeSample) return true;
  const first = shrinkage(block, smallSample);
  if (first < 0.9 || first >= 1) return first < 1;
  return shrinkage(block, largeSample) < 0.985;
}

/** Size of eight pieces of a block, quickly compressed, as a part of what it was. */
function shrinkage(block: Uint8Array, piece: number): number {
  const sample = new Uint8Array(8 * piece);
  for (let index = 0; index < 8; index++) {
    const at = Math.floor((block.length / 8) * index);
    sample.set(block.subarray(at, at + piece), index * piece);
  }
  return deflateRawSync(sample, { level: 1 }).length / sample.length;
}

/** RFC 1951, 3.2.4: blocks as they are, each with its length and the length's complement. Nothing is copied. */
function storeBlock(block: Uint8Array): Pieces {
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < block.length; at += storedLength) {
    const part = block.subarray(at, at + storedLength);
    const header = new DataView(new ArrayBuffer(5));
    header.setUint16(1, part.length, true);
    header.setUint16(3, part.length ^ 0xffff, true);
    pieces.push(new Uint8Array(header.buffer), part);
  }
  return pieces;
}

async function zstdBlock(block: Uint8Array, level: number): Promise<Uint8Array> {
  const done = Promise.withResolvers<Uint8Array>();
  const options = {
    // As much as a block can become: in one piece, nothing is copied on the way.
    chunkSize: block.length + (block.length >> 8) + 1024,
    pledgedSrcSize: block.length,
    params: { [constants.ZSTD_c_compressionLevel]: level, [constants.ZSTD_c_checksumFlag]: 1 },
  };
  zstdCompress(block, options, (error, bytes) => (error ? done.reject(error) : done.resolve(own(bytes))));
  return await done.promise;
}

export type Unpacking = {
  /** Path of the compressed file. */
  readonly file: string;
  /** Where it is found when it has been renamed meanwhile. */
  readonly completeFile?: string | undefined;
  /** Where the file is still being written: bytes that it will have, and what to do until there are more; it may throw to end this. */
  readonly growing?: { readonly size: number; readonly pause: () => Promise<void> } | undefined;
  /** Takes uncompressed bytes, in order. */
  readonly take: (bytes: Uint8Array) => void;
  /** Bytes of `file` read so far. */
  readonly onRead: (bytes: number) => void;
};

/**
 * Reads a layer blob uncompressed: gzip of any number of members, zstd of any number of frames, or a plain tar. Throws
 * `layer/unsupported-compression` for others that are known, `layer/bad-compression` for damaged or truncated data.
 */
export async function decompress(unpacking: Unpacking): Promise<void> {
  const file = openBlob(unpacking);
  try {
    const compression = compressionOf(await readStart(file, unpacking.growing));
    const transform = transformFor(compression);
    const plain = chunksOf(file, unpacking);
    const chunks = compression === 'zstd' ? framesOf(plain) : plain;
    if (!transform) {
      for await (const chunk of chunks) {
        unpacking.take(chunk);
        await nextTurn();
      }
    } else
      await pipeline(Readable.from(chunks, { highWaterMark: blocksRead }), transform, async (unpacked: AsyncIterable<Uint8Array>) => {
        for await (const bytes of unpacked) {
          unpacking.take(bytes);
          giveBack(bytes);
        }
      });
  } catch (error) {
    throw isDamage(error) ? damaged(error) : error;
  } finally {
    closeSync(file);
  }
}

/** The same of a complete file, for whoever takes his time: a chunk holds until the next one is asked for. Throws as `decompress`. */
export async function* decompressed(path: string): AsyncGenerator<Uint8Array, void, void> {
  const file = openSync(path, 'r');
  try {
    const compression = compressionOf(await readStart(file, undefined));
    const transform = transformFor(compression);
    const plain = chunksOf(file, { onRead: () => undefined });
    const chunks = compression === 'zstd' ? framesOf(plain) : plain;
    if (transform === undefined) yield* chunks;
    else for await (const bytes of compose(Readable.from(chunks, { highWaterMark: blocksRead }), transform)) yield bytes;
  } catch (error) {
    throw isDamage(error) ? damaged(error) : error;
  } finally {
    closeSync(file);
  }
}

/** What comes out of a transform; errors of what goes in come out, too. */
function compose(source: Readable, transform: Transform): AsyncIterable<Uint8Array> {
  source.on('error', (error) => transform.destroy(error));
  return source.pipe(transform);
}

function openBlob({ file, completeFile }: Unpacking): number {
  try {
    return openSync(file, 'r');
  } catch (error) {
    if (completeFile === undefined || systemCode(error) !== 'ENOENT') throw error;
    return openSync(completeFile, 'r');
  }
}

function transformFor(compression: Found): Transform | undefined {
  const options = { chunkSize: readLength, readableHighWaterMark: blocksUnpacked * readLength };
  if (compression === 'none') return undefined;
  if (compression === 'gzip') return createGunzip(options);
  if (compression === 'zstd') return createZstdDecompress(options);
  throw new JettisonError('layer/unsupported-compression', `The layer is compressed with ${compression}, which images do not use`, {
    hint: 'Have the image made again with gzip or zstd layers',
  });
}

type Found = Compression | 'none' | 'xz' | 'bzip2' | 'lz4' | 'lzip' | 'zip' | 'compress';

/** What the first bytes of a file say; anything unknown is `none`. */
export function compressionOf(start: Uint8Array): Found {
  const begins = (...magic: readonly number[]): boolean => magic.every((byte, index) => start[index] === byte);
  if (begins(0x1f, 0x8b, 8)) return 'gzip';
  if (begins(0x28, 0xb5, 0x2f, 0xfd)) return 'zstd';
  if (((start[0] ?? 0) & 0xf0) === 0x50 && start[1] === 0x2a && start[2] === 0x4d && start[3] === 0x18) return 'zstd';
  if (begins(0xfd, 0x37, 0x7a, 0x58, 0x5a, 0)) return 'xz';
  if (begins(0x42, 0x5a, 0x68) && start[4] === 0x31 && start[5] === 0x41 && start[6] === 0x59) return 'bzip2';
  if (begins(0x04, 0x22, 0x4d, 0x18)) return 'lz4';
  if (begins(0x4c, 0x5a, 0x49, 0x50, 1)) return 'lzip';
  if (begins(0x50, 0x4b, 3, 4)) return 'zip';
  if (begins(0x1f, 0x9d)) return 'compress';
  return 'none';
}

async function readStart(file: number, growing: Unpacking['growing']): Promise<Uint8Array> {
  const start = new Uint8Array(16);
  for (;;) {
    const count = readSync(file, start, 0, start.length, 0);
    if (growing === undefined || count >= Math.min(start.length, growing.size)) return start.subarray(0, count);
    await growing.pause();
  }
}

async function* chunksOf(file: number, { onRead, growing }: Pick<Unpacking, 'onRead' | 'growing'>): AsyncGenerator<Uint8Array, void, void> {
  for (let at = 0; ;) {
    const chunk = new Uint8Array(readLength);
    const count = readSync(file, chunk, 0, readLength, at);
    if (count > 0) {
      at += count;
      onRead(at);
      yield chunk.subarray(0, count);
    } else if (growing === undefined || at >= growing.size) return;
    else await growing.pause();
  }
}

async function* framesOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, void> {
  const cutter = createFrameCutter();
  for await (const chunk of chunks) yield* cutter.push(chunk);
}

async function nextTurn(): Promise<void> {
  const turn = Promise.withResolvers<void>();
  setImmediate(turn.resolve);
  await turn.promise;
}

function isDamage(error: unknown): boolean {
  const code = systemCode(error) ?? '';
  return /^(?:Z_|ZSTD_error_)/u.test(code);
}

function damaged(cause: unknown): JettisonError {
  return new JettisonError('layer/bad-compression', 'The compressed bytes of the layer are damaged or cut short', {
    cause,
    hint: 'Get the image again from where it was made',
  });
}
