/**
 * Copies what a folder of an image holds: names, bytes, holes, hard links, owners, modes, attributes, times. Both sides are read and written through open folders, and no link is
 * followed on either.
 */
import { readlinkSync, type BigIntStats } from 'node:fs';
import { asByteString, type ByteString, fromBytes, nodePath } from '#ground/base/byte-string.ts';
import { readAttributes, setTreeAttribute } from '#ground/linux/attributes.ts';
import { copyFileInto } from '#ground/linux/copy-file.ts';
import { nodeFolderReader } from '#ground/linux/folder-reader.ts';
import { readOwner, setOwnerAt, type Owner } from '#ground/linux/owner.ts';
import { ownRights } from '#ground/linux/own-rights.ts';
import {
  changeModeAt,
  changeTimeAt,
  closeFile,
  fileTypes,
  linkAt,
  makeFolderAt,
  makeNodeAt,
  makeSymlinkAt,
  openAt,
  openFlags,
  procPath,
  resolveFlags,
} from '#ground/linux/syscall.ts';
import { describeEntry, lookAt } from '#ground/linux/tree-read.ts';

/** A folder of the source that is still to be copied; its time is set when nothing more is made in it. */
type Folder = { readonly path: ByteString; readonly stats: BigIntStats };
type Both = { readonly from: number; readonly to: number };

/** Fills the empty folder `to` with what is in `from`, both open, and makes `to` look like it. Throws system errors; what was copied then stays. */
export function copyFolder(from: number, to: number, signal: AbortSignal): void {
  const links = new Map<string, ByteString>();
  const top = lookAt(procPath(from, '.'));
  if (top === undefined) return;
  const folders: Folder[] = [{ path: asByteString('.'), stats: top }];
  // The list grows while it is gone through: a tree may be deeper than there are descriptors.
  for (const { path } of folders) {
    signal.throwIfAborted();
    copyEntries({ from, to }, path, { links, onFolder: (folder) => folders.push(folder) });
  }
  for (const { path, stats } of folders.toReversed()) {
    using own = openBoth({ from, to }, path);
    dress(procPath(own.from, '.'), own.to, asByteString('.'), stats);
  }
}

type Copying = { readonly links: Map<string, ByteString>; readonly onFolder: (folder: Folder) => void };

function copyEntries(roots: Both, path: ByteString, { links, onFolder }: Copying): void {
  using own = openBoth(roots, path);
  for (const name of nodeFolderReader.names(own.from)) {
    const stats = lookAt(procPath(own.from, name));
    if (stats === undefined) continue;
    const inner = asByteString(`${path}/${name}`);
    if (stats.isDirectory()) {
      makeFolderAt(own.to, name, 0o700);
      onFolder({ path: inner, stats });
      continue;
    }
    const inode = `${stats.dev} ${stats.ino}`;
    const first = stats.nlink > 1n ? links.get(inode) : undefined;
    if (first !== undefined) {
      linkAt(roots.to, first, own.to, name);
      continue;
    }
    copyEntry(own, name, stats);
    if (stats.nlink > 1n) links.set(inode, inner);
  }
}

function copyEntry({ from, to }: Both, name: ByteString, stats: BigIntStats): void {
  const hostPath = procPath(from, name);
  if (stats.isSymbolicLink()) makeSymlinkAt(fromBytes(readlinkSync(nodePath(hostPath), 'buffer')), to, name);
  else if (stats.isFile()) {
    const source = openAt(from, name, { flags: openFlags.noFollow | openFlags.nonBlocking, resolve: inside });
    try {
      copyFileInto({ from: source, folder: to, name });
    } finally {
      closeFile(source);
    }
  } else makeNodeAt(to, name, nodeOf(name, hostPath, stats));
  dress(hostPath, to, name, stats);
}

function nodeOf(name: ByteString, hostPath: ByteString, stats: BigIntStats) {
  const { device } = describeEntry({ path: name, hostPath, layer: 0, stats });
  const type = stats.isFIFO()
    ? fileTypes.fifo
    : stats.isSocket()
      ? fileTypes.socket
      : stats.isBlockDevice()
        ? fileTypes.block
        : fileTypes.character;
  return { type, mode: 0o600, major: device?.major ?? 0, minor: device?.minor ?? 0 };
}

/** Owner before mode: changing it takes setuid away. */
function dress(source: ByteString, folder: number, name: ByteString, stats: BigIntStats): void {
  const { uid, gid } = ownerOf(source, stats);
  setOwnerAt(folder, name, uid, gid);
  const target = procPath(folder, name);
  if (!stats.isSymbolicLink()) {
    changeModeAt(folder, name, Number(stats.mode & 0o7777n));
    for (const [attribute, value] of readAttributes(source)) setTreeAttribute(target, attribute, value);
  }
  changeTimeAt(folder, name, stats.mtimeNs);
}

function ownerOf(source: ByteString, stats: BigIntStats): Owner {
  if (!ownRights().hasOneId) return { uid: Number(stats.uid), gid: Number(stats.gid) };
  const recorded = stats.isFile() || stats.isDirectory() ? readOwner(source) : undefined;
  return recorded ?? { uid: 0, gid: 0 };
}

const inside = resolveFlags.beneath | resolveFlags.noSymlinks | resolveFlags.noMagicLinks;

function openBoth({ from, to }: Both, path: ByteString): Both & Disposable {
  const how = { flags: openFlags.readOnly | openFlags.directory | openFlags.noFollow, resolve: inside };
  const source = openAt(from, path, how);
  let target: number | undefined;
  try {
    target = openAt(to, path, how);
    const opened = target;
    return {
      from: source,
      to: opened,
      [Symbol.dispose]() {
        closeFile(source);
        closeFile(opened);
      },
    };
  } finally {
    if (target === undefined) closeFile(source);
  }
}
