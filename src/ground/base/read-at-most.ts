import { closeSync, openSync, readSync } from 'node:fs';
import { joinBytes } from './bytes.ts';

const pieceLength = 65_536;

/** The bytes of a file that a user named; undefined when there are more than `limit`: its size says nothing of a device or a pipe. Throws the system's error. */
export function readAtMost(path: string, limit: number): Uint8Array | undefined {
  const file = openSync(path, 'r');
  try {
    const pieces: Uint8Array[] = [];
    for (let length = 0; ;) {
      const piece = new Uint8Array(pieceLength);
      const count = readSync(file, piece);
      if (count === 0) return joinBytes(pieces);
      length += count;
      if (length > limit) return undefined;
      pieces.push(piece.subarray(0, count));
    }
  } finally {
    closeSync(file);
  }
}
