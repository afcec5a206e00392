/** Comparing what stat does not tell of: the bytes and the attributes of files. */
import { closeSync, constants, openSync, readSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { nodePath, type ByteString } from '#ground/base/byte-string.ts';
import { readAttributes } from './attributes.ts';

/** Compared by isDeepStrictEqual, whose loop over bytes is native: 130 times as fast as one of ours. */
const blockSize = 1 << 16;

/** Have two inodes the same extended attributes, those of overlayfs left out? */
export function sameAttributes(one: ByteString, other: ByteString): boolean {
  const [first, second] = [readAttributes(one), readAttributes(other)];
  if (first.size !== second.size) return false;
  return [...first].every(([name, value]) => {
    const found = second.get(name);
    return found !== undefined && isDeepStrictEqual(found, value);
  });
}

/** Have two regular files (no link is followed) the same bytes? */
export function sameBytes(one: ByteString, other: ByteString): boolean {
  using files = new DisposableStack();
  const [first, second] = [files.adopt(openFile(one), closeSync), files.adopt(openFile(other), closeSync)];
  const [left, right] = [new Uint8Array(blockSize), new Uint8Array(blockSize)];
  for (;;) {
    const count = readSync(first, left);
    if (count !== readSync(second, right)) return false;
    if (count === 0) return true;
    if (!isDeepStrictEqual(left.subarray(0, count), right.subarray(0, count))) return false;
  }
}

function openFile(path: ByteString): number {
  return openSync(nodePath(path), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
}
