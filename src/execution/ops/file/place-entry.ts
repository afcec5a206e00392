/** Makes one entry of a source at its place in the upper folder: linked where nothing about the file changes, else copied. */
import { asByteString, toText, type ByteString } from '#ground/base/byte-string.ts';
import { JettisonError, systemCode } from '#ground/base/errors.ts';
import { copyFileInto } from '#ground/linux/copy-file.ts';
import {
  changeModeAt,
  changeOwnerAt,
  changeTimeAt,
  closeFile,
  fileTypes,
  linkAt,
  makeNodeAt,
  makeSymlinkAt,
  openAt,
  openFlags,
  procPath,
  resolveFlags,
  setAttribute,
} from '#ground/linux/syscall.ts';
import { inodeKey } from '#ground/linux/tree-digest.ts';
import type { TreeEntry } from '#ground/linux/tree.ts';
import { belongsToLayer } from '#stores/layer/attributes.ts';
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

export type EntryPlacer = {
  /** Before a folder is filled that sources are copied into; it will have this time. */
  begin(path: ByteString, mtime: bigint): void;
  /** Before a folder is filled that is dressed afterwards; `isNew`: nothing was there. */
  enter(path: ByteString, entry: TreeEntry, isNew: boolean): void;
  /** Makes anything but a folder. Nothing is at the place any more. */
  place(folder: OpenFolder, name: ByteString, entry: TreeEntry): void;
  /** Owner, mode, attributes and time of a folder, when all is in it. */
  dress(folder: OpenFolder, entry: TreeEntry): void;
};

/** For one source: files with several names in it stay one file. */
export function createEntryPlacer(on: {
  readonly upper: Upper;
  readonly source: Source;
  readonly look: Look;
  readonly linked: LinkedInodes;
  /** Committed files may be linked. */
  readonly mayLink: boolean;
  /** Tells this source's files from those of others in `linked`. */
  readonly sourceName: string;
  /** Hears of every entry. */
  readonly telling?: Telling | undefined;
  /** Of a folder of the client. */
  readonly stamps?: Stamps | undefined;
}): EntryPlacer {
  const { source, look, upper, telling, stamps } = on;
  const copies = new Map<string, ByteString>();
  const startedAt = BigInt(Date.now()) * 1_000_000n;

  const ownerOf = ({ uid, gid }: TreeEntry): { readonly uid: number; readonly gid: number } =>
    look.owner ?? (source.isCommitted ? { uid, gid } : { uid: 0, gid: 0 });
  const modeOf = (entry: TreeEntry): number => look.mode(entry.mode, entry.kind === 'folder');

  const placeFile = (folder: OpenFolder, name: ByteString, entry: TreeEntry): void => {
    const path = joinPath(folder.path, name);
    const inode = entry.links > 1 ? inodeKey(entry) : undefined;
    const first = inode === undefined ? undefined : copies.get(inode);
    if (first !== undefined && tryLink(() => linkAt(upper.file, first, folder.file, name))) {
      stamps?.keep(entry, path, startedAt);
      tell(path, entry, { inode });
      return;
    }
    if (first === undefined && mayLink(entry) && tryLink(() => linkAt(source.folderOf(entry), nameOf(entry.hostPath), folder.file, name))) {
      on.linked.set(entry.inode, on.sourceName + inodeKey(entry));
      tell(path, entry, { inode });
      return;
    }
    if (stamps?.link(entry, path, folder.file) !== true) {
      copy(folder, name, entry);
      stamps?.keep(entry, path, startedAt);
    }
    tell(path, entry, { inode, isCopy: true });
    if (inode !== undefined) copies.set(inode, path);
  };
  const tell = (path: ByteString, entry: TreeEntry, as: { readonly inode?: string | undefined; readonly isCopy?: boolean }): void => {
    if (telling === undefined) return;
    const mode = entry.kind === 'symlink' ? 0o777 : modeOf(entry);
    telling.entry(entry, { path, mode, ...ownerOf(entry), xattrs: layerAttributes(source.tree.xattrs(entry)), ...as });
  };
  /** A layer takes names of one inode for hard links: those that are none in the source must not become some. */
  const mayLink = (entry: TreeEntry): boolean => {
    if (!source.isCommitted || !on.mayLink) return false;
    const owner = ownerOf(entry);
    if (owner.uid !== entry.uid || owner.gid !== entry.gid || modeOf(entry) !== entry.mode) return false;
    const stands = on.linked.get(entry.inode);
    return stands === undefined || stands === on.sourceName + inodeKey(entry);
  };
  const copy = (folder: OpenFolder, name: ByteString, entry: TreeEntry): void => {
    const from = source.open(entry);
    try {
      copyFileInto({ from, folder: folder.file, name });
      source.check(from, entry);
    } finally {
      closeFile(from);
    }
    dressAt(folder, name, entry);
  };
  const dressAt = (folder: OpenFolder, name: ByteString, entry: TreeEntry): void => {
    const { uid, gid } = ownerOf(entry);
    changeOwnerAt(folder.file, name, uid, gid);
    if (entry.kind !== 'symlink') changeModeAt(folder.file, name, modeOf(entry));
    setAttributes(procPath(folder.file, name), entry);
    changeTimeAt(folder.file, name, entry.mtime);
  };
  const setAttributes = (path: ByteString, entry: TreeEntry): void => {
    for (const [name, value] of source.tree.xattrs(entry)) {
      if (belongsToLayer(name)) setAttribute(path, name, value);
    }
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
      changeOwnerAt(folder.file, asByteString(''), owner.uid, owner.gid);
      changeModeAt(folder.file, asByteString('.'), modeOf(entry));
      setAttributes(procPath(folder.file, '.'), entry);
      changeTimeAt(folder.file, asByteString('.'), entry.mtime);
    },
  };
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
