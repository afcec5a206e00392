/** Is what a layer has the same that is below it? A process that changes the mode of a file has the whole file in its layer. */
import { closeSync, readSync } from 'node:fs';
import { openEntryFile } from '#ground/linux/tree-read.ts';
import type { Tree, TreeEntry } from '#ground/linux/tree.ts';

const blockSize = 1 << 16;

/** Bytes, target or device. */
export function isSameContent(one: TreeEntry, other: TreeEntry): boolean {
  if (one.kind !== other.kind) return false;
  if (one.kind === 'symlink') return one.target === other.target;
  if (one.kind !== 'file') return one.device?.major === other.device?.major && one.device?.minor === other.device?.minor;
  return one.size === other.size && (one.size === 0 || one.hostPath === other.hostPath || haveSameBytes(one, other));
}

/** Mode, owner and extended attributes. Times are no matter: copying and copying up keep or lose them as it comes. */
export function haveSameLook(one: TreeEntry, other: TreeEntry, tree: Tree): boolean {
  if (one.mode !== other.mode || one.uid !== other.uid || one.gid !== other.gid) return false;
  const [mine, theirs] = [tree.xattrs(one), tree.xattrs(other)];
  return mine.size === theirs.size && [...mine].every(([name, value]) => isEqual(value, theirs.get(name)));
}

function isEqual(one: Uint8Array, other: Uint8Array | undefined): boolean {
  return other !== undefined && one.length === other.length && one.every((byte, index) => byte === other[index]);
}

function haveSameBytes(one: TreeEntry, other: TreeEntry): boolean {
  const [mine, theirs] = [openEntryFile(one), openEntryFile(other)];
  try {
    const [a, b] = [new Uint8Array(blockSize), new Uint8Array(blockSize)];
    for (let at = 0; at < one.size;) {
      const length = readSync(mine, a, 0, blockSize, at);
      if (length === 0 || readSync(theirs, b, 0, length, at) !== length) return false;
      // oxlint-disable-next-line no-restricted-globals
      if (Buffer.compare(a.subarray(0, length), b.subarray(0, length)) !== 0) return false;
      at += length;
    }
    return true;
  } finally {
    closeSync(mine);
    closeSync(theirs);
  }
}
