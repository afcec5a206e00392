/** Hands on the bytes that a job reads and the headers that it tells, in blocks: each byte is read once, and hashed by whoever takes the blocks. */
import type { Passage } from '#ground/linux/copy-file.ts';
import { paddingOf } from '#formats/tar/write.ts';
import type { ByteString } from '#ground/base/byte-string.ts';

/** One block as it can be sent to another thread; its bytes are in the memory that both share. */
export type ContentBlock = {
  /** Which of the shared blocks, and how many of its bytes. */
  readonly index: number;
  readonly used: number;
  /** Are the bytes those of the layer? Else of files alone: it cannot be told, or not any more. */
  readonly isLayer: boolean;
  /** Pieces of files in it, in order: start, end, number of the file, and 1 where it ends there, else 0. None where no digests are wanted. */
  readonly pieces: readonly number[];
  /** Files that were linked, in order: after so many bytes of the block come the file's own, which can be read at `path` of the folder. */
  readonly linked: readonly { readonly at: number; readonly path: ByteString; readonly size: number; readonly number: number }[];
};

export type Content = Passage & {
  /** The layer's bytes are wanted, headers and padding too; else just those of files, if these are. */
  readonly isLayer: boolean;
  /** The layer's bytes are not wanted any more: it cannot be told. */
  forgetLayer(): void;
  /** Is anything wanted? */
  isWanted(): boolean;
  /** Bytes of the layer that are no file's. */
  put(bytes: Uint8Array): void;
  /** A file's bytes follow, up to `end`. Gives its number: files count from 0 in the order in which their bytes come. */
  begin(): number;
  end(): void;
  /** The file at `path` of the folder was linked. Gives its number. */
  linked(path: ByteString, size: number): number;
  /** Sends what is left. */
  finish(): void;
};

/** Whoever follows has something to do before a block is full. */
const mostLinked = 256;

/**
 * `blocks` are filled in turns; `send` returns when the block after the one it was given may be written to.
 */
export function createContent(
  blocks: readonly Uint8Array[],
  wanted: { readonly layer: boolean; readonly digests: boolean },
  send: (block: ContentBlock) => void,
): Content {
  let isLayer = wanted.layer;
  let index = 0;
  let used = 0;
  let pieces: number[] = [];
  let linked: ContentBlock['linked'][number][] = [];
  let files = 0;
  /** Where the piece of the current file starts, and bytes of the file so far. */
  let start = 0;
  let size = 0;

  const block = (): Uint8Array => blocks[index % blocks.length] ?? new Uint8Array();
  const flush = (): void => {
    if (used === 0 && linked.length === 0 && pieces.length === 0) return;
    send({ index: index % blocks.length, used, isLayer, pieces, linked });
    index++;
    used = 0;
    pieces = [];
    linked = [];
  };
  const addPiece = (isLast: boolean): void => {
    if (wanted.digests) pieces.push(start, used, files - 1, isLast ? 1 : 0);
  };
  const put = (bytes: Uint8Array): void => {
    for (let at = 0; at < bytes.length;) {
      if (used === block().length) flush();
      const count = Math.min(bytes.length - at, block().length - used);
      block().set(count === bytes.length ? bytes : bytes.subarray(at, at + count), used);
      used += count;
      at += count;
    }
  };

  return {
    get isLayer() {
      return isLayer;
    },
    forgetLayer: () => void (isLayer = false),
    isWanted: () => isLayer || wanted.digests,
    put,
    begin() {
      start = used;
      size = 0;
      return files++;
    },
    room(most) {
      if (used === block().length) {
        if (used > start) addPiece(false);
        flush();
        start = 0;
      }
      return block().subarray(used, Math.min(used + most, block().length));
    },
    passed(count) {
      used += count;
      size += count;
    },
    end() {
      addPiece(true);
      if (isLayer) put(zeros.subarray(0, paddingOf(size)));
    },
    linked(path, bytes) {
      linked.push({ at: used, path, size: bytes, number: files });
      if (linked.length >= mostLinked) flush();
      return files++;
    },
    finish: flush,
  };
}

const zeros = new Uint8Array(512);
