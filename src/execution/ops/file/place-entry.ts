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
}): EntryPlacer {
  const { source, look, upper } = on;
  const copies = new Map<string, ByteString>();

  const ownerOf = (entry: TreeEntry): { readonly uid: number; readonly gid: number } =>
    look.owner ?? (source.isCommitted ? entry : { uid: 0, gid: 0 });
  const modeOf = (entry: TreeEntry): number => look.mode(entry.mode, entry.kind === 'folder');

  const placeFile = (folder: OpenFolder, name: ByteString, entry: TreeEntry): void => {
    const key = entry.links > 1 ? inodeKey(entry) : undefined;
    const first = key === undefined ? undefined : copies.get(key);
    if (first !== undefined && tryLink(() => linkAt(upper.file, first, folder.file, name))) return;
    if (first === undefined && mayLink(entry) && tryLink(() => linkAt(source.folderOf(entry), nameOf(entry.hostPath), folder.file, name))) {
      on.linked.set(entry.inode, on.sourceName + inodeKey(entry));
      return;
    }
    copy(folder, name, entry);
    if (key !== undefined) copies.set(key, joinPath(folder.path, name));
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
    place(folder, name, entry) {
      if (entry.kind === 'file') placeFile(folder, name, entry);
      else if (entry.kind === 'symlink') placeSymlink(folder, name, entry);
      else placeNode(folder, name, entry);
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
