/** The file that a layer's blob is written to, or its segments. */
import { closeSync, openSync, writeSync, writevSync } from 'node:fs';
import { hasRoom, removeSegments, segmentLength, segmentPath } from '#stores/content/segment.ts';

export type BlobFile = Disposable & {
  /** Bytes so far. */
  readonly size: number;
  readonly segments: number;
  /** `read`: bytes of the tar that were read so far. Waits where too much was not taken yet. */
  write(pieces: readonly Uint8Array[], read: number): void;
  remove(): void;
};

/** What is written so far has become at most so little shorter: then keeping it saves next to no work, and the rest goes into segments. */
const worthKeeping = 0.9;
/** Bytes that are written before this is asked. */
const leastWritten = 32 << 20;

/** Milliseconds between two looks at what is taken. */
const pause = 4;

/** A new file; with `passes`, one that may be left in segments. `check` may throw to end a wait; the umask applies to `mode`. Throws EEXIST and what else opening throws. */
export function createBlobFile(path: string, passes: boolean, check: () => void, mode = 0o600): BlobFile {
  const never = new Int32Array(new SharedArrayBuffer(4));
  let file = openSync(path, 'wx', mode);
  let segments = 1;
  let size = 0;
  let begun = 0;
  const isFull = (read: number): boolean =>
    segments > 1 ? size - begun >= segmentLength : size >= leastWritten && size > read * worthKeeping;
  return {
    get size() {
      return size;
    },
    get segments() {
      return segments;
    },
    write(pieces, read) {
      if (passes && isFull(read)) {
        while (!hasRoom(path, segments)) {
          check();
          Atomics.wait(never, 0, 0, pause);
        }
        const next = openSync(segmentPath(path, segments), 'wx', mode);
        closeSync(file);
        file = next;
        segments++;
        begun = size;
      }
      size += writeAll(file, pieces);
    },
    remove: () => removeSegments(path, segments),
    [Symbol.dispose]: () => closeSync(file),
  };
}

/** Gives how many bytes there were. A short write is rare: what it left goes piece by piece. */
function writeAll(file: number, pieces: readonly Uint8Array[]): number {
  let skip = writevSync(file, pieces);
  let total = 0;
  for (const piece of pieces) {
    for (let at = Math.min(skip, piece.length); at < piece.length;) at += writeSync(file, piece, at);
    skip = Math.max(0, skip - piece.length);
    total += piece.length;
  }
  return total;
}
