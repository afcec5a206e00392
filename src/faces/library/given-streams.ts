/** Streams that a program gave: it may never go on with one, which must not hold up a call that was cancelled. */
import { orAborted } from '#ground/base/abort.ts';

/** What comes, until the signal aborts; then, too, whoever makes it is told that nobody wants more. */
export async function* takeUntil(chunks: AsyncIterable<Uint8Array>, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const source = chunks[Symbol.asyncIterator]();
  let isOver = false;
  try {
    for (;;) {
      const next = await orAborted(source.next(), signal);
      if (next.done === true) {
        isOver = true;
        return;
      }
      yield next.value;
    }
  } finally {
    // Not waited for: it may be stuck in what was asked before.
    if (!isOver) void Promise.resolve(source.return?.()).catch(() => undefined);
  }
}

export function writeUntil(write: (chunk: Uint8Array) => Promise<void>, signal: AbortSignal): (chunk: Uint8Array) => Promise<void> {
  return async (chunk) => await orAborted(write(chunk), signal);
}
