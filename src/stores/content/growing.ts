/** Files that somebody else is still writing, in another thread or process: read as far as they are, then further, as they grow. */
import { closeSync, openSync, readSync } from 'node:fs';
import { JettisonError, systemCode } from '#ground/base/errors.ts';
import { sleep } from '#ground/base/retry.ts';

/** Between two looks at a file that has nothing new, in milliseconds. */
export const growthPause = 8;
/** Longer than what an HTTP request holds back, so that two buffers are enough. What was just written is in the page cache: reading it does not wait. */
const blockSize = 256 << 10;

/** A file that grows to a size which is known when it is complete. Disposing closes it; the file itself stays. */
export type GrowingFile = Disposable & {
  /** Waits until the file has more than `size` bytes (true) or is complete with fewer (false). Throws what the writer threw. */
  exceeds(size: number, signal: AbortSignal): Promise<boolean>;
  /** The bytes from `offset` to the end of the complete file, as they come; may be asked for several times. A chunk holds until the next but one is asked for. Throws what the writer threw. */
  read(offset: number, signal: AbortSignal): AsyncGenerator<Uint8Array, void, void>;
};

/**
 * Follows `path`, which need not be there yet and may be renamed or removed later on. `written` settles when the writer has ended; its
 * `size` is that of the complete file. Throws what the writer threw.
 */
export async function followFile(path: string, written: Promise<{ readonly size: number }>, signal: AbortSignal): Promise<GrowingFile> {
  const end: { size?: number; failure?: Error } = {};
  written.then(
    ({ size }) => (end.size = size),
    (error: unknown) => (end.failure = error instanceof Error ? error : new Error(String(error))),
  );
  const sizeNow = (): number | undefined => {
    if (end.failure !== undefined) throw end.failure;
    return end.size;
  };
  const file = await openWhenThere(path, sizeNow, signal);
  return {
    async exceeds(size, own) {
      const byte = new Uint8Array(1);
      for (;;) {
        const complete = sizeNow();
        if (complete !== undefined) return complete > size;
        if (readSync(file, byte, 0, 1, size) > 0) return true;
        await sleep(growthPause, own);
      }
    },
    async *read(offset, own) {
      const buffers = [new Uint8Array(blockSize), new Uint8Array(blockSize)] as const;
      let turn: 0 | 1 = 0;
      for (let position = offset; ;) {
        own.throwIfAborted();
        const complete = sizeNow();
        const block = buffers[turn];
        const count = readSync(file, block, 0, blockSize, position);
        if (count > 0) {
          yield block.subarray(0, count);
          turn = turn === 0 ? 1 : 0;
        } else if (complete === undefined) await sleep(growthPause, own);
        else if (position >= complete) return;
        else throw cutShort(path, position, complete);
        position += count;
      }
    },
    [Symbol.dispose]: () => closeSync(file),
  };
}

async function openWhenThere(path: string, sizeNow: () => number | undefined, signal: AbortSignal): Promise<number> {
  for (;;) {
    const complete = sizeNow();
    try {
      return openSync(path, 'r');
    } catch (error) {
      if (systemCode(error) !== 'ENOENT' || complete !== undefined) throw error;
    }
    await sleep(growthPause, signal);
  }
}

function cutShort(path: string, size: number, complete: number): JettisonError {
  return new JettisonError('content/cut-short', `"${path}" ends after ${size} of ${complete} bytes`, {
    fault: 'environment',
    hint: 'Something else writes to the store; stop it and run the command again',
  });
}
