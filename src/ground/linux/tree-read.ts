/**
 * What every reader of a `Tree` does the same way: describing an inode, following links inside the root, reading a file with a limit.
 * Loads no system call library: a build in which nothing runs reads its context through this.
 */
import { closeSync, constants, fstatSync, lstatSync, openSync, readSync, readlinkSync, type BigIntStats } from 'node:fs';
import { asByteString, nodePath, toText, type ByteString } from '#ground/base/byte-string.ts';
import { JettisonError, systemCode } from '#ground/base/errors.ts';
import { statField, timeAt } from './stat-rows.ts';
import type { TreeEntry } from './tree.ts';

const maximumLinks = 255;
/** Bytes (NAME_MAX). */
const longestName = 255;
const typeBits = constants.S_IFMT;
const kinds: ReadonlyMap<number, TreeEntry['kind']> = new Map([
  [constants.S_IFREG, 'file'],
  [constants.S_IFDIR, 'folder'],
  [constants.S_IFLNK, 'symlink'],
  [constants.S_IFIFO, 'fifo'],
  [constants.S_IFSOCK, 'socket'],
  [constants.S_IFCHR, 'character-device'],
  [constants.S_IFBLK, 'block-device'],
]);

const loopHint = 'Look at the links with "ls -l": one of them leads back to itself';

/** lstat with exact nanoseconds; undefined when nothing is there. The path up to the last component must be trusted. */
export function lookAt(hostPath: ByteString): BigIntStats | undefined {
  // Nothing can have such a name; the kernel makes an error of it.
  if (hostPath.length - hostPath.lastIndexOf('/') - 1 > longestName) return undefined;
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

/** The same of a folder that others may write to, from the row that begins at `at` of what a `FolderReader` gave. `target`: a link's. */
export function describeRow(place: {
  readonly path: ByteString;
  readonly hostPath: ByteString;
  readonly rows: Float64Array;
  readonly at: number;
  readonly target: ByteString | undefined;
}): TreeEntry {
  const { path, hostPath, rows, at, target } = place;
  const field = (name: keyof typeof statField): number => rows[at + statField[name]] ?? 0;
  const kind = kindOfMode(field('mode'));
  return {
    path,
    kind,
    mode: field('mode') & 0o7777,
    uid: field('uid'),
    gid: field('gid'),
    size: field('size'),
    mtime: timeAt(rows, at + statField.mtime),
    inode: field('inode'),
    links: field('links'),
    device: kind === 'character-device' || kind === 'block-device' ? splitDevice(BigInt(field('device'))) : undefined,
    target,
    hostPath,
    layer: 0,
    ctime: timeAt(rows, at + statField.ctime),
    fileSystem: BigInt(field('fileSystem')),
  };
}

export function kindOf(stats: BigIntStats): TreeEntry['kind'] {
  return kindOfMode(Number(stats.mode));
}

/** `mode` with the bits of the type. */
export function kindOfMode(mode: number): TreeEntry['kind'] {
  const kind = kinds.get(mode & typeBits);
  if (kind === undefined) throw new JettisonError('linux/unknown-file-type', `Unknown file type in mode ${mode}`, { fault: 'bug' });
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
    if (++links > maximumLinks)
      throw new JettisonError('linux/symlink-loop', `Too many symbolic links in "${toText(path)}"`, { hint: loopHint });
    if (target.startsWith('/')) real.length = 0;
    rest.push(...target.split('/').toReversed());
  }
  const found = asByteString(real.join('/'));
  return { path: found, entry: entryAt(found) };
}

/**
 * Opens the entry's regular file for reading; close it with `closeSync`. What is opened is the very file that the entry describes,
 * whatever was put in its place or in the place of a folder above it: else `linux/changed`. Never waits for a fifo's writer.
 * Throws `linux/not-a-file`.
 */
export function openEntryFile(entry: TreeEntry): number {
  if (entry.kind !== 'file')
    throw new JettisonError('linux/not-a-file', `"${toText(entry.path)}" is not a regular file`, { hint: 'Put an ordinary file there' });
  const file = openAsIs(entry);
  try {
    checkUnchanged(entry, fstatSync(file, { bigint: true }));
  } catch (error) {
    closeSync(file);
    throw error;
  }
  return file;
}

/** Throws `linux/changed` unless an inode's stats are those that the entry was made from. */
export function checkUnchanged(entry: TreeEntry, stats: BigIntStats): void {
  const same =
    Number(stats.ino) === entry.inode &&
    Number(stats.size) === entry.size &&
    stats.mtimeNs === entry.mtime &&
    (entry.ctime === undefined || stats.ctimeNs === entry.ctime) &&
    (entry.fileSystem === undefined || stats.dev === entry.fileSystem);
  if (!same) throw entryChanged(entry, changedMeanwhile);
}

const changedMeanwhile = 'was changed while it was read';

/** All bytes of a regular file. Throws `linux/too-large` beyond `limit` bytes, `linux/not-a-file` and `linux/changed` as `openEntryFile`. */
export function readEntryFile(entry: TreeEntry, limit: number): Uint8Array {
  if (entry.size > limit)
    throw new JettisonError('linux/too-large', `"${toText(entry.path)}" is larger than ${limit} bytes`, {
      hint: 'Is it the right file? No more of it is read',
    });
  const file = openEntryFile(entry);
  try {
    const bytes = new Uint8Array(entry.size);
    let length = 0;
    while (length < bytes.length) {
      const count = readSync(file, bytes, length, bytes.length - length, length);
      if (count === 0) throw entryChanged(entry, changedMeanwhile);
      length += count;
    }
    return bytes;
  } finally {
    closeSync(file);
  }
}

function openAsIs(entry: TreeEntry): number {
  try {
    return openSync(nodePath(entry.hostPath), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    const code = systemCode(error);
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ELOOP' || code === 'ENXIO') throw entryChanged(entry, changedMeanwhile, error);
    throw error;
  }
}

/** `linux/changed`: an entry is not any more what was listed. `what` says what was seen of it. */
export function entryChanged(entry: TreeEntry, what: string, cause?: unknown): JettisonError {
  return new JettisonError('linux/changed', `"${toText(entry.path)}" ${what}`, {
    hint: 'Run the build again once nothing writes to that folder',
    ...(cause === undefined ? {} : { cause }),
  });
}

/** `linux/not-a-folder`, for a path in a tree. */
export function notAFolder(path: ByteString): JettisonError {
  return new JettisonError('linux/not-a-folder', `"/${toText(path)}" is not a folder`);
}

/** As gnu_dev_major and gnu_dev_minor of the C library. */
function splitDevice(device: bigint): { readonly major: number; readonly minor: number } {
  return {
    major: Number(((device >> 8n) & 0xfffn) | ((device >> 32n) & 0xfffff000n)),
    minor: Number((device & 0xffn) | ((device >> 12n) & 0xffffff00n)),
  };
}
