/** The DiffID of a layer that is told while its folder is still being filled, and the digests of files that are copied into it: nothing has to be listed or read again afterwards. */
import { asByteString, fromText, type ByteString } from '#ground/base/byte-string.ts';
import { createDigester, type Digest } from '#ground/base/digest.ts';
import { createNeedleSearch, type Needle } from '#ground/base/needles.ts';
import { createLog } from '#ground/base/log.ts';
export type { LayerIdentity } from './jobs.ts';
import { createFileDigests, type FileDigests } from './file-digests.ts';
import { flush, put, putContent, putEnd, sameBuffer, startOutput, type Output } from './making/layer-tar.ts';

/** What comes next of a layer, and of files. */
export type LayerBatch = {
  /** Bytes of the layer's tar, one after the other; where it cannot be told, those of files alone. They may change when the batch is taken. */
  readonly bytes: Uint8Array;
  /** Once false, the layer's bytes do not come any more. */
  readonly isLayer: boolean;
  /** Pieces of files among the bytes, as `FileDigests` takes them. */
  readonly pieces: readonly number[];
  /** Files whose bytes are to be read: after so many of `bytes` they come, at a path in the folder. The file is complete. `number`: its own among the files. */
  readonly linked: readonly { readonly at: number; readonly path: ByteString; readonly size: number; readonly number: number }[];
};

export type Followed = {
  /** Undefined when a file could not be read as it was told: then the folder has to be read as a whole. */
  readonly diffId: Digest | undefined;
  /** Of the files, by number, where they were wanted. Undefined when one could not be read. */
  readonly digests: Uint8Array | undefined;
  /** One of the needles stood in what was told of the layer. */
  readonly isTainted: boolean;
};

export type LayerFollower = {
  /** `onTaken` is called when its files have been read. */
  add(batch: LayerBatch, onTaken: () => void): void;
  /** No more will come. */
  finish(): Promise<Followed>;
  /** Gives up; `onTaken` is called for all that waits. */
  stop(): void;
};

/** Blocks are this long: what is read of large files between two looks at the clock. */
const blockLength = 1 << 18;
/** Milliseconds of this thread's time at a stretch. */
const longestTurn = 4;

/** `needles`: what may not stand in the layer. */
type Wanted = { readonly layer: boolean; readonly digests: boolean; readonly needles?: readonly Needle[] };
type Waiting = { readonly batch: LayerBatch; readonly onTaken: () => void };

/**
 * Follows whoever fills `folder` (absolute path). The work is done on this thread in short turns between its other work: opening and reading files that are
 * in the page cache, and hashing them.
 */
export function followLayer(folder: string, wanted: Wanted): LayerFollower {
  const waiting: Waiting[] = [];
  const digester = createDigester();
  const search = createNeedleSearch(wanted.needles ?? []);
  let isTainted = false;
  const output = startOutput(sameBuffer(blockLength));
  const files = wanted.digests ? createFileDigests() : undefined;
  const over = Promise.withResolvers<boolean>();
  let isLayer = wanted.layer;
  let isTold = false;
  let isPlanned = false;
  let isOver = false;

  const blocks = (function* (): Generator<Uint8Array | undefined, void> {
    for (;;) {
      const next = waiting.shift();
      if (next === undefined && isTold) return yield* putEnd(output);
      if (next === undefined) yield undefined;
      else {
        try {
          isLayer &&= next.batch.isLayer;
          files?.take(next.batch.bytes, next.batch.pieces);
          yield* putBatch(output, { folder, files, isLayer }, next.batch);
        } finally {
          // Whoever told it waits for this, whatever comes of the batch.
          next.onTaken();
        }
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
      isTainted ||= search.take(block.value) !== undefined;
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
      const isWhole = await over.promise;
      return { diffId: isWhole && isLayer ? digester.finish() : undefined, digests: isWhole ? files?.all() : undefined, isTainted };
    },
    stop: () => end(false),
  };
}

const log = createLog('layer');

type To = { readonly folder: string; readonly files: FileDigests | undefined; readonly isLayer: boolean };

function* putBatch(output: Output, { folder, files, isLayer }: To, { bytes, linked }: LayerBatch): Generator<Uint8Array, void> {
  let from = 0;
  for (const { at, path, size, number } of linked) {
    const hostPath = asByteString(`${fromText(folder)}/${path}`);
    files?.read(hostPath, number);
    if (!isLayer) continue;
    yield* put(output, bytes.subarray(from, at));
    yield* putContent(output, hostPath, size);
    from = at;
  }
  if (!isLayer) return;
  if (linked.length > 0) yield* put(output, bytes.subarray(from));
  else {
    yield* flush(output);
    yield bytes;
  }
}
