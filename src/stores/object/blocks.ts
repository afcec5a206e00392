/** A stream in blocks that can each be sent again, a few at a time. */
import { childSignal } from '#ground/base/abort.ts';

/** Bytes of a block: so much of each is held in memory, for those at once and one more. */
export const blockSize = 8 << 20;
const atOnce = 2;

/** One block of a stream, which begins at byte `offset` of it. */
export type Block = { readonly index: number; readonly offset: number; readonly bytes: Uint8Array };

/** Does `send` for each block of the stream; the first failure ends it. Gives how many blocks there were. */
export async function inBlocks(
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  send: (block: Block, signal: AbortSignal) => Promise<void>,
  signal: AbortSignal,
): Promise<number> {
  using own = childSignal(signal);
  const running = new Set<Promise<void>>();
  let count = 0;
  try {
    for await (const bytes of blocksOf(chunks)) {
      own.signal.throwIfAborted();
      const block = { index: count, offset: count * blockSize, bytes };
      count++;
      const sending: Promise<void> = send(block, own.signal).then(() => void running.delete(sending));
      sending.catch((error: unknown) => own.abort(error instanceof Error ? error : new Error(String(error))));
      running.add(sending);
      if (running.size >= atOnce) await Promise.race(running);
    }
    await Promise.all(running);
    return count;
  } finally {
    if (running.size > 0) own.abort(new Error('the stream was given up'));
    await Promise.allSettled(running);
  }
}

/** All of `blockSize` but the last. */
async function* blocksOf(chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): AsyncGenerator<Uint8Array, void, void> {
  let block = new Uint8Array(blockSize);
  let filled = 0;
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.length;) {
      const part = chunk.subarray(at, at + blockSize - filled);
      block.set(part, filled);
      at += part.length;
      filled += part.length;
      if (filled < blockSize) continue;
      yield block;
      block = new Uint8Array(blockSize);
      filled = 0;
    }
  }
  if (filled > 0) yield block.subarray(0, filled);
}
