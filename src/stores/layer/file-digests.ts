/** sha256 of many files whose bytes come in pieces, one file after the other. */
import { createHash, hash, type Hash } from 'node:crypto';
import { closeSync, constants, openSync, readSync } from 'node:fs';
import { nodePath, type ByteString } from '#ground/base/byte-string.ts';

/** Bytes of one digest. */
export const digestLength = 32;

export type FileDigests = {
  /** `bytes` hold pieces: of each its start and end, the number of its file, and 1 where the file ends. */
  take(bytes: Uint8Array, pieces: readonly number[]): void;
  /** Reads the file itself. */
  read(path: ByteString, number: number): void;
  /** The digest of file n at 32 * n. */
  all(): Uint8Array;
};

export function createFileDigests(): FileDigests {
  let digests = new Uint8Array(1024 * digestLength);
  let count = 0;
  let open: Hash | undefined;

  const keep = (number: number, digest: Uint8Array): void => {
    count = Math.max(count, number + 1);
    while (count * digestLength > digests.length) {
      const larger = new Uint8Array(2 * digests.length);
      larger.set(digests);
      digests = larger;
    }
    digests.set(digest, number * digestLength);
  };

  return {
    take(bytes, pieces) {
      for (let at = 0; at + 3 < pieces.length; at += 4) {
        const [start, end, number = 0, isLast] = pieces.slice(at, at + 4);
        const piece = bytes.subarray(start, end);
        if (isLast === 1 && open === undefined) {
          keep(number, hash('sha256', piece, 'buffer'));
          continue;
        }
        open ??= createHash('sha256');
        open.update(piece);
        if (isLast !== 1) continue;
        keep(number, open.digest());
        open = undefined;
      }
    },
    read: (path, number) => keep(number, hashFile(path)),
    all: () => digests.slice(0, count * digestLength),
  };
}

const readLength = 1 << 18;

function hashFile(path: ByteString): Uint8Array {
  const file = openSync(nodePath(path), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const state = createHash('sha256');
    const buffer = new Uint8Array(readLength);
    for (let length = readSync(file, buffer); length > 0; length = readSync(file, buffer)) state.update(buffer.subarray(0, length));
    return state.digest();
  } finally {
    closeSync(file);
  }
}
