/** Reads files whose digest is known, so that nobody gets the whole of a wrong one. */
import { closeSync, openSync, read, readFileSync, statSync } from 'node:fs';
import { algorithmOf, createDigester, type Digest } from '#ground/base/digest.ts';
import { JettisonError, systemCode } from '#ground/base/errors.ts';

const blockSize = 1 << 20;

/**
 * The bytes of a file from `offset` on, in blocks. All of them are hashed, and the last block is held back until the digest is known
 * to be right: throws `content/corrupt` instead of giving it. Throws `content/not-found`.
 */
export async function* readVerified(
  file: string,
  digest: Digest,
  offset: number,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, void> {
  const descriptor = openFile(file, digest);
  try {
    const digester = createDigester(algorithmOf(digest));
    let position = 0;
    let held: Uint8Array | undefined;
    for (;;) {
      signal.throwIfAborted();
      const block = await readBlock(descriptor, position);
      if (block.length === 0) break;
      if (held) yield held;
      digester.update(block);
      held = block.subarray(Math.min(block.length, Math.max(0, offset - position)));
      position += block.length;
    }
    if (digester.finish() !== digest) throw corrupt(digest);
    if (held && held.length > 0) yield held;
  } finally {
    closeSync(descriptor);
  }
}

/** A whole small file. Throws `content/not-found`, `content/too-large` beyond `limit` bytes, `content/corrupt`. */
export function readWhole(file: string, digest: Digest, limit: number): Uint8Array {
  const size = statSync(file, { throwIfNoEntry: false })?.size;
  if (size === undefined) throw notFound(digest);
  if (size > limit) {
    throw new JettisonError('content/too-large', `${digest} has ${size} bytes where at most ${limit} are read`, { fault: 'environment' });
  }
  const bytes = readFileSync(file);
  const digester = createDigester(algorithmOf(digest));
  digester.update(bytes);
  if (digester.finish() !== digest) throw corrupt(digest);
  return bytes;
}

export function notFound(digest: Digest): JettisonError {
  return new JettisonError('content/not-found', `${digest} is not in the content store`, { fault: 'environment' });
}

export function corrupt(digest: Digest): JettisonError {
  return new JettisonError('content/corrupt', `The bytes kept for ${digest} were damaged and are thrown away`, {
    fault: 'environment',
    hint: 'Run the command again: they will be fetched or made anew',
  });
}

function openFile(file: string, digest: Digest): number {
  try {
    return openSync(file, 'r');
  } catch (error) {
    throw systemCode(error) === 'ENOENT' ? notFound(digest) : error;
  }
}

async function readBlock(descriptor: number, position: number): Promise<Uint8Array> {
  const block = new Uint8Array(blockSize);
  const done = Promise.withResolvers<number>();
  read(descriptor, block, 0, blockSize, position, (error, count) => (error ? done.reject(error) : done.resolve(count)));
  return block.subarray(0, await done.promise);
}
