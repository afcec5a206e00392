import { JettisonError, unreachable } from '#ground/base/errors.ts';

/**
 * Cuts zstd data where frames end, skippable ones too (RFC 8878, 3.1). Node 24's decompressor can lose what follows the end of a frame in
 * the same piece of input, so no piece may hold the end of one frame and the start of the next.
 */
export type FrameCutter = {
  /** Views of `chunk` in order, each within one frame. Throws `layer/bad-compression` where no frame begins though one must. */
  push(chunk: Uint8Array): readonly Uint8Array[];
};

/** A part of a frame: `left` bytes of it are still to come; `value` is the little-endian number of those that came. */
type Part = { kind: 'magic' | 'descriptor' | 'header' | 'skip-size' | 'skip' | 'block' | 'content' | 'checksum'; left: number };
type State = { readonly part: Part; value: number; count: number; hasChecksum: boolean; isLast: boolean };

const frameMagic = 0xfd2fb528;
const skippableMagic = 0x184d2a50;
const dictionaryLengths = [0, 1, 2, 4];
const contentSizeLengths = [0, 2, 4, 8];

export function createFrameCutter(): FrameCutter {
  const state: State = { part: { kind: 'magic', left: 4 }, value: 0, count: 0, hasChecksum: false, isLast: false };
  return {
    push(chunk) {
      const pieces: Uint8Array[] = [];
      let from = 0;
      for (let at = 0; at < chunk.length;) {
        const taken = takeBytes(state, chunk, at);
        at += taken;
        if (state.part.left > 0 || !endPart(state)) continue;
        pieces.push(chunk.subarray(from, at));
        from = at;
      }
      if (from < chunk.length) pieces.push(chunk.subarray(from));
      return pieces;
    },
  };
}

function takeBytes(state: State, chunk: Uint8Array, at: number): number {
  const { part } = state;
  const isNumber = part.kind !== 'content' && part.kind !== 'skip';
  const taken = isNumber ? 1 : Math.min(part.left, chunk.length - at);
  if (isNumber && state.count < 4) state.value = (state.value | ((chunk[at] ?? 0) << (8 * state.count))) >>> 0;
  if (isNumber) state.count++;
  part.left -= taken;
  return taken;
}

/** The part at hand is complete. True at the end of a frame. */
function endPart(state: State): boolean {
  const { value } = state;
  switch (state.part.kind) {
    case 'magic':
      if (value === frameMagic) return start(state, 'descriptor', 1);
      if ((value & 0xfffffff0) >>> 0 === skippableMagic) return start(state, 'skip-size', 4);
      throw notZstd();
    case 'descriptor':
      state.hasChecksum = (value & 4) !== 0;
      return start(state, 'header', headerLength(value));
    case 'header':
      return start(state, 'block', 3);
    case 'block':
      state.isLast = (value & 1) === 1;
      return start(state, 'content', contentLength(value));
    case 'content':
      if (!state.isLast) return start(state, 'block', 3);
      return start(state, 'checksum', state.hasChecksum ? 4 : 0);
    case 'skip-size':
      return start(state, 'skip', value);
    case 'skip':
    case 'checksum':
      start(state, 'magic', 4);
      return true;
    default:
      return unreachable(state.part.kind, 'part of a zstd frame');
  }
}

/** A part of no bytes is complete at once. */
function start(state: State, kind: Part['kind'], left: number): boolean {
  state.part.kind = kind;
  state.part.left = left;
  state.value = 0;
  state.count = 0;
  return left === 0 && endPart(state);
}

/** Bytes between the descriptor and the first block: window, dictionary ID, content size. */
function headerLength(descriptor: number): number {
  const isSingle = (descriptor & 0x20) !== 0;
  const sizeFlag = descriptor >> 6;
  const sizeLength = sizeFlag === 0 && isSingle ? 1 : (contentSizeLengths[sizeFlag] ?? 0);
  return (isSingle ? 0 : 1) + (dictionaryLengths[descriptor & 3] ?? 0) + sizeLength;
}

/** A block of one repeated byte holds that byte only. */
function contentLength(block: number): number {
  const type = (block >> 1) & 3;
  if (type === 3) throw notZstd();
  return type === 1 ? 1 : block >> 3;
}

function notZstd(): JettisonError {
  return new JettisonError('layer/bad-compression', 'The compressed bytes of the layer are damaged: no zstd frame where one must begin', {
    hint: 'Get the image again from where it was made',
  });
}
