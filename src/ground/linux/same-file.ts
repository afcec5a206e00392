/** Comparing what stat does not tell of: the bytes and the attributes of files. */
import { closeSync, constants, openSync, readSync } from 'node:fs';
import { nodePath, type ByteString } from '#ground/base/byte-string.ts';
import { readAttributes } from './attributes.ts';

const blockSize = 1 << 16;

/** Have two inodes the same extended attributes, those of overlayfs left out? */
export function sameAttributes(one: ByteString, other: ByteString): boolean {
  const [first, second] = [readAttributes(one), readAttributes(other)];
  if (first.size !== second.size) return false;
  return [...first].every(([name, value]) => {
    const found = second.get(name);
    return found !== undefined && isEqual(found, value);
  });
}

/** Have two regular files (no link is followed) the same bytes? */
export function sameBytes(one: ByteString, other: ByteString): boolean {
  const [first, second] = [openFile(one), openFile(other)];
  const [left, right] = [new Uint8Array(blockSize), new Uint8Array(blockSize)];
  try {
    for (;;) {
      const count = readSync(first, left);
      if (count !== readSync(second, right)) return false;
      if (count === 0) return true;
      if (!isEqual(left.subarray(0, count), right.subarray(0, count))) return false;
    }
  } finally {
    closeSync(first);
    closeSync(second);
  }
}

function isEqual(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, index) => byte === other[index]);
}

function openFile(path: ByteString): number {
  return openSync(nodePath(path), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
}
