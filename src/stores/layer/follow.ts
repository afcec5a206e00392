/** The DiffID of a layer whose entries are told while its folder is still being filled: nothing has to be listed or looked at again afterwards. */
import { asByteString, fromText, type ByteString } from '#ground/base/byte-string.ts';
import { createDigester } from '#ground/base/digest.ts';
import { createLog } from '#ground/base/log.ts';
import type { LayerIdentity } from './jobs.ts';
export type { LayerIdentity } from './jobs.ts';
import { put, putContent, putEnd, sameBuffer, startOutput, type Output } from './making/layer-tar.ts';

/** Entries of a layer, in its order. */
export type LayerBatch = {
  /** Their tar headers, one after the other. */
  readonly headers: Uint8Array;
  /** Those with bytes: where in `headers` the file's own header ends, its path in the folder, its size. The file is complete. */
  readonly files: readonly { readonly headerEnd: number; readonly path: ByteString; readonly size: number }[];
};

export type LayerFollower = {
  /** `onTaken` is called when its files have been read. */
  add(batch: LayerBatch, onTaken: () => void): void;
  /** No more will come. Undefined when a file could not be read as it was told: then the folder has to be read as a whole. */
  finish(): Promise<LayerIdentity | undefined>;
  /** Gives up; `onTaken` is called for all that waits. */
  stop(): void;
};

/** Blocks are this long: what is read of large files between two looks at the clock. */
const blockLength = 1 << 18;
/** Milliseconds of this thread's time at a stretch. */
const longestTurn = 4;

type Waiting = { readonly batch: LayerBatch; readonly onTaken: () => void };

/**
 * Follows whoever fills `folder` (absolute path). The work is done on this thread in short turns between its other work: opening and reading files that are
 * in the page cache, and hashing them.
 */
export function followLayer(folder: string): LayerFollower {
  const waiting: Waiting[] = [];
  const digester = createDigester();
  const output = startOutput(sameBuffer(blockLength));
  const over = Promise.withResolvers<boolean>();
  let fileBytes = 0;
  let isTold = false;
  let isPlanned = false;
  let isOver = false;

  const blocks = (function* (): Generator<Uint8Array | undefined, void> {
    for (;;) {
      const next = waiting.shift();
      if (next === undefined && isTold) return yield* putEnd(output);
      if (next === undefined) yield undefined;
      else {
        fileBytes += yield* putBatch(output, folder, next.batch);
        next.onTaken();
      }
    }
  })();

  const end = (isWhole: boolean): void => {
    isOver = true;
    for (const { onTaken } of waiting.splice(0)) onTaken();
    over.resolve(isWhole);
  };
  /** True when there is nothing left to do for now. */
  const takeTurn = (): boolean => {
    for (const started = performance.now(); performance.now() - started < longestTurn;) {
      const block = blocks.next();
      if (block.done === true) end(true);
      if (block.done === true || block.value === undefined) return true;
      digester.update(block.value);
    }
    return false;
  };
  const plan = (): void => {
    if (isPlanned || isOver) return;
    isPlanned = true;
    setImmediate(() => {
      isPlanned = false;
      if (isOver) return;
      try {
        if (!takeTurn()) plan();
      } catch (error) {
        log('a layer is not what was told of it: %s', error);
        end(false);
      }
    });
  };

  return {
    add(batch, onTaken) {
      if (isOver) {
        onTaken();
        return;
      }
      waiting.push({ batch, onTaken });
      plan();
    },
    async finish() {
      isTold = true;
      plan();
      return (await over.promise) ? { diffId: digester.finish(), size: fileBytes } : undefined;
    },
    stop: () => end(false),
  };
}

const log = createLog('layer');

/** Gives the bytes of its files. */
function* putBatch(output: Output, folder: string, { headers, files }: LayerBatch): Generator<Uint8Array, number> {
  let at = 0;
  let fileBytes = 0;
  for (const { headerEnd, path, size } of files) {
    yield* put(output, headers.subarray(at, headerEnd));
    yield* putContent(output, asByteString(`${fromText(folder)}/${path}`), size);
    at = headerEnd;
    fileBytes += size;
  }
  yield* put(output, headers.subarray(at));
  return fileBytes;
}
