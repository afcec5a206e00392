/** What every reader of a `Tree` does the same way: describing an inode, following links inside the root, reading a file with a limit. */
import { closeSync, constants, fstatSync, lstatSync, openSync, readSync, readlinkSync, type BigIntStats } from 'node:fs';
import { asByteString, nodePath, toText, type ByteString } from '#ground/base/byte-string.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { fileTypes, getAttribute, listAttributes } from './syscall.ts';
import type { TreeEntry } from './tree.ts';

const maximumLinks = 255;
const typeBits = 0o170000n;
const kinds: ReadonlyMap<bigint, TreeEntry['kind']> = new Map([
  [BigInt(fileTypes.file), 'file'],
  [BigInt(fileTypes.folder), 'folder'],
  [BigInt(fileTypes.symlink), 'symlink'],
  [BigInt(fileTypes.fifo), 'fifo'],
  [BigInt(fileTypes.socket), 'socket'],
  [BigInt(fileTypes.character), 'character-device'],
  [BigInt(fileTypes.block), 'block-device'],
]);

/** lstat with exact nanoseconds; undefined when nothing is there. The path up to the last component must be trusted. */
export function lookAt(hostPath: ByteString): BigIntStats | undefined {
  return lstatSync(nodePath(hostPath), { bigint: true, throwIfNoEntry: false });
}

/** The entry `path` of a tree whose own inode is `hostPath` with these `stats`. */
export function describeEntry(place: {
  readonly path: ByteString;
  readonly hostPath: ByteString;
  readonly layer: number;
  readonly stats: BigIntStats;
}): TreeEntry {
  const { path, hostPath, layer, stats } = place;
  const kind = kindOf(stats);
  return {
    path,
    kind,
    mode: Number(stats.mode) & 0o7777,
    uid: Number(stats.uid),
    gid: Number(stats.gid),
    size: Number(stats.size),
    mtime: stats.mtimeNs,
    inode: Number(stats.ino),
    links: Number(stats.nlink),
    device: kind === 'character-device' || kind === 'block-device' ? splitDevice(stats.rdev) : undefined,
    target: kind === 'symlink' ? asByteString(readlinkSync(nodePath(hostPath), 'latin1')) : undefined,
    hostPath,
    layer,
  };
}

export function kindOf(stats: BigIntStats): TreeEntry['kind'] {
  const kind = kinds.get(stats.mode & typeBits);
  if (kind === undefined) throw new JettisonError('linux/unknown-file-type', `Unknown file type in mode ${stats.mode}`, { fault: 'bug' });
  return kind;
}

/**
 * The real path of `path` inside the root that `entryAt` shows, and what lies there. `..` stops at the root and an absolute link starts
 * again there. What lies below a missing entry (or below something that is no folder) is taken as written.
 * Throws `linux/symlink-loop` after 255 links.
 */
export function resolveLinks(
  entryAt: (path: ByteString) => TreeEntry | undefined,
  path: ByteString,
  followLast: boolean,
): { readonly path: ByteString; readonly entry: TreeEntry | undefined } {
  const rest = path.split('/').toReversed();
  const real: string[] = [];
  let links = 0;
  for (let name = rest.pop(); name !== undefined; name = rest.pop()) {
    if (name === '' || name === '.') continue;
    if (name === '..') {
      real.pop();
      continue;
    }
    const target = entryAt(asByteString([...real, name].join('/')))?.target;
    if (target === undefined || (!followLast && rest.every((later) => later === '' || later === '.'))) {
      real.push(name);
      continue;
    }
    if (++links > maximumLinks) throw new JettisonError('linux/symlink-loop', `Too many symbolic links in "${toText(path)}"`);
    if (target.startsWith('/')) real.length = 0;
    rest.push(...target.split('/').toReversed());
  }
  const found = asByteString(real.join('/'));
  return { path: found, entry: entryAt(found) };
}

/** All bytes of a regular file. Throws `linux/too-large` beyond `limit` bytes, `linux/not-a-file` for anything else. */
export function readEntryFile(entry: TreeEntry, limit: number): Uint8Array {
  const shown = toText(entry.path);
  if (entry.kind !== 'file') throw new JettisonError('linux/not-a-file', `"${shown}" is not a regular file`);
  const file = openSync(nodePath(entry.hostPath), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const { size } = fstatSync(file);
    if (size > limit) throw new JettisonError('linux/too-large', `"${shown}" is larger than ${limit} bytes`);
    const bytes = new Uint8Array(size);
    let length = 0;
    while (length < size) {
      const count = readSync(file, bytes, length, size - length, length);
      if (count === 0) break;
      length += count;
    }
    return bytes.subarray(0, length);
  } finally {
    closeSync(file);
  }
}

/** Extended attributes of the inode itself, without those of overlayfs. */
export function readAttributes(hostPath: ByteString): ReadonlyMap<string, Uint8Array> {
  const found = new Map<string, Uint8Array>();
  for (const name of listAttributes(hostPath)) {
    if (name.startsWith('trusted.overlay.') || name.startsWith('user.overlay.')) continue;
    const value = getAttribute(hostPath, name);
    if (value !== undefined) found.set(name, value);
  }
  return found;
}

/** As gnu_dev_major and gnu_dev_minor of the C library. */
function splitDevice(device: bigint): { readonly major: number; readonly minor: number } {
  return {
    major: Number(((device >> 8n) & 0xfffn) | ((device >> 32n) & 0xfffff000n)),
    minor: Number((device & 0xffn) | ((device >> 12n) & 0xffffff00n)),
  };
}
