/** Trees of files as tar archives, while others may write to them. */
import { readSync, statfsSync } from 'node:fs';
import { JettisonError, systemCode } from '#ground/base/errors.ts';
import { asByteString, nodePath, toText, type ByteString } from '#ground/base/byte-string.ts';
import { readAttributes } from '#ground/linux/attributes.ts';
import { readOwner } from '#ground/linux/owner.ts';
import { ownRights } from '#ground/linux/own-rights.ts';
import { closeFile, procPath } from '#ground/linux/syscall.ts';
import { openEntryFile } from '#ground/linux/tree-read.ts';
import type { Tree, TreeEntry } from '#ground/linux/tree.ts';
import { noAttributes, type TarEntry } from '#formats/tar/entry.ts';
import { encodeHeader, endOfArchive, paddingOf } from '#formats/tar/write.ts';
import { belongsToLayer } from '#stores/layer/attributes.ts';
import { permitted } from './permitted.ts';
import { listFolder, openFound, openInner, type FoundFile } from './root.ts';

/** An entry of an archive; `open` gives its file, undefined when that is gone by now. */
type Item = { readonly entry: TarEntry; readonly open: () => number | undefined };

const blockLength = 1 << 20;
const zeros = new Uint8Array(64 << 10);
const none = (): undefined => undefined;

/** linux/magic.h: what the kernel makes up as it is read (proc, sysfs, both cgroups, devpts, mqueue, debugfs, tracefs, securityfs). */
const madeUp = new Set([
  0x9fa0, 0x62656572, 0x27e0eb, 0x63677270, 0x1cd1, 0x19800202, 0x64626720, 0x74726163, 0x73636673, 0xcafe4a11, 0x6165676c,
]);

/** `path`: what errors call it. */
type FoundNaming = { readonly name: ByteString; readonly path: ByteString; readonly isRoot: boolean };

/**
 * What was found as a tar, block by block: its own entry is called `name`, `.` for a folder whose content is wanted under no name, '' for one that is to have no entry itself. A file that is shorter by now is filled with zeros, a longer one
 * is cut. Nothing is read of file systems that the kernel makes up, nor of `/dev` where that is mounted (`isRoot`: the found folder is the root of a container). Holds one block in memory.
 * Throws `files/made-up`, `files/not-permitted`.
 */
export function* archiveFound(found: FoundFile, naming: FoundNaming): Generator<Uint8Array, void, void> {
  const { kind, hostPath } = found.entry;
  // One without a folder is open.
  if (kind === 'file' && isMadeUp(found.folder < 0 ? hostPath : procPath(found.folder, '.'))) {
    throw new JettisonError('files/made-up', `Cannot copy "${toText(naming.path)}": the kernel makes it up as it is read`, {
      hint: 'Print it into a file (cat), and copy that',
    });
  }
  yield* archiveItems(itemsOf(found, { ...naming, firstNames: new Map() }));
}

/** The tree of a snapshot, or what it has at `path` (a real path), in the same form. */
export function* archiveTree(tree: Tree, path: ByteString, name: ByteString): Generator<Uint8Array, void, void> {
  const entry = tree.entry(path);
  if (entry !== undefined) yield* archiveItems(treeItems(tree, entry, { name, firstNames: new Map() }));
}

type Naming = { readonly name: ByteString; readonly firstNames: Map<string, ByteString> };

function* itemsOf(found: FoundFile, to: Naming & FoundNaming): Generator<Item, void, void> {
  const { folder, entry, name } = found;
  if (entry.kind !== 'folder') {
    const look = unlessGone(() => [owned(entry), attributesOf(entry.hostPath)] as const);
    if (look !== undefined) yield* single(look[0], to, look[1], () => permitted('read', to.path, () => openFound(found)));
    return;
  }
  using inner = permitted('read', to.path, () => openInner(folder, name));
  if (inner === undefined) return;
  const here = asByteString('.');
  yield* single(owned(entry), to, attributesOf(procPath(inner.file, here)), none);
  yield* folderItems(inner.file, to);
}

/** Ask it of an open folder, not of what is in it: that may be another thing by now, or a link that leads out. */
function isMadeUp(path: ByteString): boolean {
  return madeUp.has(statfsSync(nodePath(path)).type);
}

function* folderItems(folder: number, to: Naming & FoundNaming): Generator<Item, void, void> {
  if (isMadeUp(procPath(folder, '.'))) return;
  for (const { name, entry } of listFolder(folder, to.path)) {
    const named = { name: inside(to.name, name), path: below(to.path, name), isRoot: false, firstNames: to.firstNames };
    if (to.isRoot && name === 'dev') yield* single(owned(entry), named, noAttributes, none);
    else yield* itemsOf({ folder, name, entry, [Symbol.dispose]: none }, named);
  }
}

function* treeItems(tree: Tree, entry: TreeEntry, to: Naming): Generator<Item, void, void> {
  const attributes = new Map([...tree.xattrs(entry)].filter(([name]) => belongsToLayer(name)));
  yield* single(entry, to, attributes, () => openEntryFile(entry));
  if (entry.kind !== 'folder') return;
  for (const inner of tree.list(entry.path)) {
    const name = inner.path.slice(inner.path.lastIndexOf('/') + 1);
    yield* treeItems(tree, inner, { name: inside(to.name, name), firstNames: to.firstNames });
  }
}

/** Sockets have no entry. The second name of an inode is a hard link. */
function* single(
  entry: TreeEntry,
  { name, firstNames }: Naming,
  xattrs: ReadonlyMap<string, Uint8Array>,
  open: Item['open'],
): Generator<Item, void, void> {
  const { kind, mode, uid, gid, mtime } = entry;
  if (kind === 'socket' || name === '') return;
  const nothing = asByteString('');
  const item = { name, mode, uid, gid, mtime, size: 0, linkName: nothing, device: entry.device, xattrs };
  const inode = kind !== 'folder' && entry.links > 1 ? `${entry.fileSystem ?? entry.layer}:${entry.inode}` : undefined;
  const first = inode === undefined ? undefined : firstNames.get(inode);
  if (first !== undefined) {
    yield { entry: { ...item, kind: 'hard-link', linkName: first, xattrs: noAttributes, device: undefined }, open: none };
    return;
  }
  if (inode !== undefined) firstNames.set(inode, name);
  if (kind === 'symlink') yield { entry: { ...item, kind, linkName: entry.target ?? nothing }, open: none };
  else if (kind === 'file') yield { entry: { ...item, kind, size: entry.size }, open };
  else yield { entry: { ...item, kind }, open: none };
}

function attributesOf(hostPath: ByteString): ReadonlyMap<string, Uint8Array> {
  return new Map([...readAttributes(hostPath)].filter(([name]) => belongsToLayer(name)));
}

/** A program in the container may take a file away while it is listed: then it was not there. */
function unlessGone<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Where files can have one owner only, the recorded one. */
function owned(entry: TreeEntry): TreeEntry {
  if (!ownRights().hasOneId) return entry;
  const owner = entry.kind === 'file' || entry.kind === 'folder' ? readOwner(entry.hostPath) : undefined;
  return { ...entry, uid: owner?.uid ?? 0, gid: owner?.gid ?? 0 };
}

function below(path: ByteString, name: string): ByteString {
  return asByteString(`${path.replace(/\/\.?$/u, '')}/${name}`);
}

function inside(folder: ByteString, name: string): ByteString {
  return asByteString(folder === '' ? name : `${folder}/${name}`);
}

function* archiveItems(items: Iterable<Item>): Generator<Uint8Array, void, void> {
  const block = new Uint8Array(blockLength);
  let used = 0;
  function* put(bytes: Uint8Array): Generator<Uint8Array, void, void> {
    if (used + bytes.length > block.length) {
      yield block.subarray(0, used);
      used = 0;
    }
    block.set(bytes, used);
    used += bytes.length;
  }
  function* putFile(file: number | undefined, size: number): Generator<Uint8Array, void, void> {
    for (let left = size; left > 0;) {
      if (used === block.length) {
        yield block;
        used = 0;
      }
      const room = Math.min(left, block.length - used);
      const count = file === undefined ? 0 : readSync(file, block, used, room, null);
      if (count === 0) block.fill(0, used, used + room);
      used += count || room;
      left -= count || room;
    }
  }
  for (const { entry, open } of items) {
    yield* put(encodeHeader(entry));
    if (entry.size === 0) continue;
    const file = open();
    try {
      yield* putFile(file, entry.size);
    } finally {
      if (file !== undefined) closeFile(file);
    }
    yield* put(zeros.subarray(0, paddingOf(entry.size)));
  }
  yield* put(endOfArchive());
  yield block.subarray(0, used);
}
