/** Makes one entry of a source at its place in the upper folder: linked where nothing about the file changes, else copied. */
import { fchmodSync } from 'node:fs';
import { asByteString, toText, type ByteString } from '#ground/base/byte-string.ts';
import { JettisonError, systemCode } from '#ground/base/errors.ts';
import { copyFileInto, passBytes } from '#ground/linux/copy-file.ts';
import {
  changeModeAt,
  changeTimeAt,
  changeTimeOf,
  closeFile,
  fileTypes,
  linkAt,
  makeNodeAt,
  makeSymlinkAt,
  openAt,
  openFlags,
  procPath,
  resolveFlags,
} from '#ground/linux/syscall.ts';
import { lookAtOpen } from '#ground/linux/look.ts';
import { setTreeAttribute } from '#ground/linux/attributes.ts';
import { setOwner, setOwnerAt } from '#ground/linux/owner.ts';
import { inodeKey, sharedInode } from '#ground/linux/tree-digest.ts';
import { entryChanged } from '#ground/linux/tree-read.ts';
import type { TreeEntry } from '#ground/linux/tree.ts';
import { belongsToLayer } from '#stores/layer/attributes.ts';
import type { Content } from './content.ts';
import type { ModeChange } from './mode.ts';
import type { Source } from './source.ts';
import type { Stamps } from './stamps.ts';
import { layerAttributes, type Telling } from './telling.ts';
import { joinPath, nameOf, type OpenFolder, type Upper } from './upper.ts';

/** How the copies look. */
export type Look = {
  /** undefined: as in the source. */
  readonly owner: { readonly uid: number; readonly gid: number } | undefined;
  readonly mode: ModeChange;
};

/** Inodes of committed files that the upper folder has links to, each with the file of the source it stands for. */
export type LinkedInodes = Map<number, string>;

/** What an op has written so far: bytes of files, each inode once; unless something else wrote beside this. */
export type Written = { bytes: number; isKnown: boolean };

export type EntryPlacer = {
  /** Before a folder is filled that sources are copied into; it will have this time, if one is given. */
  begin(path: ByteString, mtime: bigint | undefined): void;
  /** Before a folder is filled that is dressed afterwards; `isNew`: nothing was there. */
  enter(path: ByteString, entry: TreeEntry, isNew: boolean): void;
  /** Only hands on a file's bytes. */
  read(entry: TreeEntry): void;
  /** Makes anything but a folder. Nothing is at the place any more. */
  place(folder: OpenFolder, name: ByteString, entry: TreeEntry): void;
  /** Owner, mode, attributes and time of a folder, when all is in it. */
  dress(folder: OpenFolder, entry: TreeEntry): void;
};

/** What the kernel gave files that were made in a folder before, by the mode that was asked for: a folder may have its own group, and rights that it hands on. */
type MadeThere = { readonly uid: number; readonly gid: number; readonly modes: Set<number> };

/** For one source: files with several names in it stay one file. */
export function createEntryPlacer(on: {
  readonly upper: Upper;
  readonly source: Source;
  readonly look: Look;
  readonly linked: LinkedInodes;
  readonly written?: Written;
  /** Committed files may be linked. */
  readonly mayLink: boolean;
  /** Tells this source's files from those of others in `linked`. */
  readonly sourceName: string;
  /** Hears of every entry. */
  readonly telling?: Telling | undefined;
  /** Takes the bytes of files. */
  readonly content?: Content | undefined;
  /** Gets the number of each file's bytes in `content`, in the order of the entries. */
  readonly numbers?: number[] | undefined;
  /** Of a folder of the client. */
  readonly stamps?: Stamps | undefined;
}): EntryPlacer {
  const { source, look, upper, telling, stamps, content, numbers } = on;
  const copies = new Map<string, { readonly path: ByteString; readonly number: number | undefined }>();
  const made = new WeakMap<OpenFolder, MadeThere>();
  const startedAt = BigInt(Date.now()) * 1_000_000n;

  const ownerOf = ({ uid, gid }: TreeEntry): { readonly uid: number; readonly gid: number } =>
    look.owner ?? (source.isCommitted ? { uid, gid } : { uid: 0, gid: 0 });
  const modeOf = (entry: TreeEntry): number => look.mode(entry.mode, entry.kind === 'folder');

  const countFile = ({ size }: TreeEntry): void => {
    if (on.written !== undefined) on.written.bytes += size;
  };
  const placeFile = (folder: OpenFolder, name: ByteString, entry: TreeEntry): void => {
    const path = joinPath(folder.path, name);
    const inode = sharedInode(entry);
    const first = inode === undefined ? undefined : copies.get(inode);
    if (first !== undefined && tryLink(() => linkAt(upper.file, first.path, folder.file, name))) {
      stamps?.keep(entry, path, startedAt);
      tell(path, entry, { inode });
      if (first.number !== undefined) numbers?.push(first.number);
      return;
    }
    if (first === undefined && mayLink(entry) && tryLink(() => linkAt(source.folderOf(entry), nameOf(entry.hostPath), folder.file, name))) {
      if (!on.linked.has(entry.inode)) countFile(entry);
      on.linked.set(entry.inode, on.sourceName + inodeKey(entry));
      if (tell(path, entry, { inode })) handOnLinked(path, entry);
      return;
    }
    countFile(entry);
    const isLinked = stamps?.link(entry, path, folder.file) === true;
    tell(path, entry, { inode, isCopy: true });
    const number = isLinked ? handOnLinked(path, entry) : copy(folder, name, entry);
    if (number !== undefined) numbers?.push(number);
    if (!isLinked) stamps?.keep(entry, path, startedAt);
    if (inode !== undefined) copies.set(inode, { path, number });
  };
  /** Whoever follows reads a linked file later, at its path. Only in a layer that is told (it has one source) nothing else can stand there by then. */
  const handOnLinked = (path: ByteString, entry: TreeEntry): number | undefined =>
    content?.isLayer === true ? content.linked(path, entry.size) : handOn(entry);
  const tell = (path: ByteString, entry: TreeEntry, as: { readonly inode?: string | undefined; readonly isCopy?: boolean }): boolean => {
    if (telling === undefined) return false;
    const mode = entry.kind === 'symlink' ? 0o777 : modeOf(entry);
    return telling.entry(entry, { path, mode, ...ownerOf(entry), xattrs: layerAttributes(source.tree.xattrs(entry)), ...as });
  };
  /** A layer takes names of one inode for hard links: those that are none in the source must not become some. */
  const mayLink = (entry: TreeEntry): boolean => {
    if (!source.isCommitted || !on.mayLink) return false;
    const owner = ownerOf(entry);
    if (owner.uid !== entry.uid || owner.gid !== entry.gid || modeOf(entry) !== entry.mode) return false;
    const stands = on.linked.get(entry.inode);
    return stands === undefined || stands === on.sourceName + inodeKey(entry);
  };
  /** Gives the number of the file's bytes. */
  const copy = (folder: OpenFolder, name: ByteString, entry: TreeEntry): number | undefined => {
    const passage = content?.isWanted() === true ? content : undefined;
    const mode = modeOf(entry);
    const from = source.openUnchecked(entry);
    try {
      const number = passage?.begin();
      const dress = (file: number): void => dressFile(file, { folder, name, mode }, entry);
      readChecked(from, entry, () =>
        copyFileInto({ from, folder: folder.file, name, mode: mode & 0o777, size: entry.size, passage, dress }),
      );
      passage?.end();
      return number;
    } finally {
      closeFile(from);
    }
  };
  /** Only hands on the bytes; gives their number. */
  const handOn = (entry: TreeEntry): number | undefined => {
    if (content?.isWanted() !== true) return undefined;
    const from = source.openUnchecked(entry);
    try {
      const number = content.begin();
      readChecked(from, entry, () => passBytes(from, entry.size, content));
      content.end();
      return number;
    } finally {
      closeFile(from);
    }
  };
  /** `read` gives the bytes that it read. */
  const readChecked = (from: number, entry: TreeEntry, read: () => number): void => {
    let count: number;
    try {
      count = read();
    } catch (error) {
      source.check(from, entry);
      throw error;
    }
    source.check(from, entry);
    if (count !== entry.size) throw entryChanged(entry, 'has not as many bytes as its size says');
  };
  /** What the kernel gave the file already is not set again. */
  const dressFile = (
    file: number,
    { folder, name, mode }: { readonly folder: OpenFolder; readonly name: ByteString; readonly mode: number },
    entry: TreeEntry,
  ): void => {
    const { uid, gid } = ownerOf(entry);
    const there = made.get(folder);
    if (there?.uid !== uid || there.gid !== gid || !there.modes.has(mode)) {
      const found = lookAtOpen(file);
      const isOwned = found.uid === uid && found.gid === gid;
      const hasMode = (found.mode & 0o7777) === mode;
      if (!isOwned) setOwner(file, uid, gid);
      if (!isOwned || !hasMode) fchmodSync(file, mode);
      else remember(folder, { uid, gid, mode });
    }
    const xattrs = source.tree.xattrs(entry);
    if (xattrs.size > 0) setAttributes(procPath(folder.file, name), xattrs);
    changeTimeOf(file, entry.mtime);
  };
  const remember = (
    folder: OpenFolder,
    { uid, gid, mode }: { readonly uid: number; readonly gid: number; readonly mode: number },
  ): void => {
    const there = made.get(folder);
    if (there?.uid === uid && there.gid === gid) there.modes.add(mode);
    else made.set(folder, { uid, gid, modes: new Set([mode]) });
  };
  const dressAt = (folder: OpenFolder, name: ByteString, entry: TreeEntry): void => {
    const { uid, gid } = ownerOf(entry);
    setOwnerAt(folder.file, name, uid, gid);
    if (entry.kind !== 'symlink') changeModeAt(folder.file, name, modeOf(entry));
    setAttributes(procPath(folder.file, name), source.tree.xattrs(entry));
    changeTimeAt(folder.file, name, entry.mtime);
  };
  const placeNode = (folder: OpenFolder, name: ByteString, entry: TreeEntry): void => {
    if (entry.kind === 'character-device' && entry.device?.major === 0 && entry.device.minor === 0) throw whiteoutDevice(entry);
    const type = nodeTypes[entry.kind];
    if (type === undefined) throw new JettisonError('ops/unknown-kind', `Unexpected ${entry.kind}`, { fault: 'bug' });
    makeNodeAt(folder.file, name, { type, mode: 0o600, ...entry.device });
    dressAt(folder, name, entry);
  };
  const placeSymlink = (folder: OpenFolder, name: ByteString, entry: TreeEntry): void => {
    makeSymlinkAt(entry.target ?? asByteString(''), folder.file, name);
    dressAt(folder, name, entry);
  };

  return {
    begin: (path, mtime) => telling?.way(path, mtime),
    read(entry) {
      const number = handOn(entry);
      if (number !== undefined) numbers?.push(number);
    },
    enter(path, entry, isNew) {
      if (isNew) tell(path, entry, {});
      else telling?.lose();
    },
    place(folder, name, entry) {
      if (entry.kind === 'file') {
        placeFile(folder, name, entry);
        return;
      }
      if (entry.kind === 'symlink') placeSymlink(folder, name, entry);
      else placeNode(folder, name, entry);
      // Names of one link are separate links in the copy.
      tell(joinPath(folder.path, name), entry, {});
    },
    dress(folder, entry) {
      const owner = ownerOf(entry);
      setOwnerAt(folder.file, asByteString(''), owner.uid, owner.gid);
      changeModeAt(folder.file, asByteString('.'), modeOf(entry));
      setAttributes(procPath(folder.file, '.'), source.tree.xattrs(entry));
      changeTimeAt(folder.file, asByteString('.'), entry.mtime);
    },
  };
}

function setAttributes(path: ByteString, xattrs: ReadonlyMap<string, Uint8Array>): void {
  for (const [name, value] of xattrs) {
    if (belongsToLayer(name)) setTreeAttribute(path, name, value);
  }
}

/** A new empty file to write to, mode 0600; fails when anything is there. */
export function createFile(folder: OpenFolder, name: ByteString): number {
  return openAt(folder.file, name, {
    flags: openFlags.writeOnly | openFlags.create | openFlags.exclusive | openFlags.noFollow,
    mode: 0o600,
    resolve: resolveFlags.beneath | resolveFlags.noSymlinks,
  });
}

/** As BuildKit: a socket becomes an empty file. */
const nodeTypes: Readonly<Record<TreeEntry['kind'], number | undefined>> = {
  fifo: fileTypes.fifo,
  'character-device': fileTypes.character,
  'block-device': fileTypes.block,
  socket: fileTypes.file,
  file: undefined,
  folder: undefined,
  symlink: undefined,
};

/** Full link counts (65,000 on ext4), other file systems and links that the host forbids: then a copy serves as well. */
function tryLink(link: () => void): boolean {
  try {
    link();
    return true;
  } catch (error) {
    if (!['EMLINK', 'EXDEV', 'EPERM'].includes(systemCode(error) ?? '')) throw error;
    return false;
  }
}

function whiteoutDevice(entry: TreeEntry): JettisonError {
  return new JettisonError('ops/whiteout-device', `Cannot copy "/${toText(entry.path)}": a character device 0:0 marks deleted files`, {
    hint: 'Leave it out with .dockerignore or --exclude',
  });
}
