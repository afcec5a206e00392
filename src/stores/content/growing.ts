/** Files that somebody else is still writing, in another thread or process: read as far as they are, then further, as they grow. */
import { closeSync, openSync, readSync, rmSync } from 'node:fs';
import { JettisonError } from '#ground/base/errors.ts';
import { sleep } from '#ground/base/retry.ts';
import { openIfThere } from '#ground/base/open-if-there.ts';
import { segmentPath, segmentsBehind } from './segment.ts';

/** Between two looks at a file that has nothing new, in milliseconds. */
export const growthPause = 8;
/** Longer than what an HTTP request holds back (64 KiB) before it asks to wait until all of it has gone, so that two buffers are enough. What was just written is in the page cache: reading it does not wait. */
const blockSize = 256 << 10;

/** A file that grows to a size which is known when it is complete. Disposing closes it; the file itself stays. */
export type GrowingFile = Disposable & {
  /** Waits until the file has more than `size` bytes (true) or is complete with fewer (false); for sizes within the first segment. Throws what the writer threw. */
  exceeds(size: number, signal: AbortSignal): Promise<boolean>;
  /**
   * The bytes from `offset` to the end of the complete file, as they come; may be asked for several times, one after the other. A chunk of `blockSize` holds until the
   * next but one is asked for; a shorter one is the taker's, who may have some of them waiting before anybody is told to wait. Segments are removed some time after they have been read. Throws what the writer threw, `content/passed` where the bytes are gone.
   */
  read(offset: number, signal: AbortSignal): AsyncGenerator<Uint8Array, void, void>;
};

/**
 * Follows `path` (and its segments), which need not be there yet and may be renamed or removed later on. `written` settles when the writer has
 * ended; its `size` is that of the complete file. Throws what the writer threw.
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
  const segments = openSegments(path, await openWhenThere(path, sizeNow, signal));
  return {
    async exceeds(size, own) {
      const byte = new Uint8Array(1);
      for (;;) {
        const complete = sizeNow();
        if (complete !== undefined) return complete > size;
        if (segments.read(byte, size) > 0) return true;
        await sleep(growthPause, own);
      }
    },
    async *read(offset, own) {
      segments.seek(offset);
      const buffers = [new Uint8Array(blockSize), new Uint8Array(blockSize)] as const;
      let turn: 0 | 1 = 0;
      for (let position = offset; ;) {
        own.throwIfAborted();
        const complete = sizeNow();
        const block = buffers[turn];
        const count = segments.read(block, position);
        if (count > 0) {
          yield count === block.length ? block : block.slice(0, count);
          turn = turn === 0 ? 1 : 0;
        } else if (segments.advance(position)) continue;
        else if (complete === undefined) await sleep(growthPause, own);
        else if (position >= complete) return;
        else throw cutShort(path, position, complete);
        position += count;
      }
    },
    [Symbol.dispose]: () => segments.close(),
  };
}

type Segments = {
  /** Goes back to the segment that has `offset`. Throws `content/passed`. */
  seek(offset: number): void;
  /** Bytes at `position` of the whole that the current segment has; 0 beyond its end. */
  read(block: Uint8Array, position: number): number;
  /** Goes on to the next segment, if there is one: true once the current one, whose end so far is `position`, is to be read again or is behind us. */
  advance(position: number): boolean;
  close(): void;
};

function openSegments(path: string, first: number): Segments {
  /** Where the segments begin, as far as they have been met. */
  const starts = [0];
  let current = 0;
  let file: number | undefined = first;
  let next: number | undefined;
  let gone = 0;
  const close = (): void => {
    for (const opened of [file, next]) if (opened !== undefined) closeSync(opened);
    [file, next] = [undefined, undefined];
  };
  return {
    seek(offset) {
      const wanted = starts.findLastIndex((start) => start <= offset);
      if (wanted < gone) throw passed(path, offset);
      if (wanted === current) return;
      close();
      current = wanted;
      file = openSync(segmentPath(path, wanted), 'r');
    },
    read: (block, position) => (file === undefined ? 0 : readSync(file, block, 0, block.length, position - (starts[current] ?? 0))),
    advance(position) {
      if (next === undefined) {
        next = openIfThere(segmentPath(path, current + 1));
        // More may have been written to the current one between the last look at it and this.
        return next !== undefined;
      }
      if (file !== undefined) closeSync(file);
      [file, next] = [next, undefined];
      starts[++current] = position;
      for (; gone < current - segmentsBehind; gone++) rmSync(segmentPath(path, gone), { force: true });
      return true;
    },
    close,
  };
}

async function openWhenThere(path: string, sizeNow: () => number | undefined, signal: AbortSignal): Promise<number> {
  for (;;) {
    const complete = sizeNow();
    const file = complete === undefined ? openIfThere(path) : openSync(path, 'r');
    if (file !== undefined) return file;
    await sleep(growthPause, signal);
  }
}

function passed(path: string, offset: number): JettisonError {
  return new JettisonError('content/passed', `The bytes of "${path}" at ${offset} were sent and are gone`, { fault: 'bug' });
}

function cutShort(path: string, size: number, complete: number): JettisonError {
  return new JettisonError('content/cut-short', `"${path}" ends after ${size} of ${complete} bytes`, {
    fault: 'environment',
    hint: 'Something else writes to the store; stop it and run the command again',
  });
}
