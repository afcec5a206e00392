/** The side that a copy reads: folders of a chain are trusted and never change; a folder of the client is opened name by name, and may change. */
import { constants } from 'node:fs';
import { asByteString, toText, type ByteString } from '#ground/base/byte-string.ts';
import { systemCode, type JettisonError } from '#ground/base/errors.ts';
import { AT_FDCWD, closeFile, openAt, openFlags, resolveFlags } from '#ground/linux/syscall.ts';
import { lookAtOpen } from '#ground/linux/look.ts';
import type { Tree, TreeEntry } from '#ground/linux/tree.ts';
import { changedWhileCopied, notReadable } from '#stores/context/errors.ts';
import { nameOf, parentOf } from './upper.ts';

export type Source = Disposable & {
  readonly tree: Tree;
  /** Committed folders: their files may be linked. */
  readonly isCommitted: boolean;
  /** File descriptor of the folder that holds the entry; stays open until the next call for another folder. */
  folderOf(entry: TreeEntry): number;
  /** Opens a regular file for reading. Throws `context/changed` when it is not the file that the entry was made of. */
  open(entry: TreeEntry): number;
  /** The same without a look at what was opened: whoever reads it calls `check` before anything that was read counts, and when reading fails. */
  openUnchecked(entry: TreeEntry): number;
  /** Throws `context/changed` when an open file is not the one that the entry was made of, or was written to since. */
  check(file: number, entry: TreeEntry): void;
};

const beneath = resolveFlags.beneath | resolveFlags.noSymlinks;

/** Of folders on the host that this program wrote and nobody changes any more. */
export function openCommittedSource(tree: Tree): Source {
  const folders = folderCache((entry) => openAt(AT_FDCWD, parentOf(entry.hostPath), { flags: openFlags.directory, resolve: 0 }));
  const open = (entry: TreeEntry): number =>
    openAt(folders.folderOf(parentOf(entry.hostPath), entry), nameOf(entry.hostPath), { flags: fileFlags, resolve: beneath });
  return {
    tree,
    isCommitted: true,
    folderOf: (entry) => folders.folderOf(parentOf(entry.hostPath), entry),
    open,
    openUnchecked: open,
    check: () => undefined,
    [Symbol.dispose]: folders.close,
  };
}

/**
 * The root of a committed tree with a time that comes from what is in it: no layer says one of it, and that of the folder on the disk is when the layer was written.
 * Any other entry as it is.
 */
export function datedByContents(tree: Tree, entry: TreeEntry): TreeEntry {
  if (entry.path !== '') return entry;
  return { ...entry, mtime: tree.list(entry.path).reduce((newest, { mtime }) => (mtime > newest ? mtime : newest), 0n) };
}

/** Of a folder of the client, whose root is `root`. */
export function openClientSource(tree: Tree, root: ByteString): Source {
  const rootFile = openAt(AT_FDCWD, root, { flags: openFlags.directory, resolve: 0 });
  const folders = folderCache((entry) => {
    const folder = parentOf(entry.path);
    return openAt(rootFile, folder === '' ? '.' : folder, { flags: openFlags.directory, resolve: beneath });
  });
  const openUnchecked = (entry: TreeEntry): number =>
    asChanged(entry, () =>
      openAt(folders.folderOf(parentOf(entry.path), entry), nameOf(entry.path), { flags: fileFlags, resolve: beneath }),
    );
  const open = (entry: TreeEntry): number => {
    const file = openUnchecked(entry);
    try {
      checkUnchanged(file, entry);
      return file;
    } catch (error) {
      closeFile(file);
      throw error;
    }
  };
  return {
    tree,
    isCommitted: false,
    folderOf: (entry) => folders.folderOf(parentOf(entry.path), entry),
    open,
    openUnchecked,
    check: checkUnchanged,
    [Symbol.dispose]() {
      folders.close();
      closeFile(rootFile);
    },
  };
}

const fileFlags = openFlags.readOnly | openFlags.noFollow | openFlags.nonBlocking;

/** One folder at a time: entries come folder by folder. */
function folderCache(open: (entry: TreeEntry) => number) {
  let current: { readonly key: ByteString; readonly file: number } | undefined;
  const close = (): void => {
    if (current) closeFile(current.file);
    current = undefined;
  };
  return {
    folderOf(key: ByteString, entry: TreeEntry): number {
      if (current?.key === key) return current.file;
      close();
      current = { key: asByteString(key), file: open(entry) };
      return current.file;
    },
    close,
  };
}

/** Gone, something else by now, or not for us to read. */
function asChanged<T>(entry: TreeEntry, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'ELOOP', 'EXDEV', 'ENXIO'].includes(systemCode(error) ?? '')) throw changed(entry, error);
    if (systemCode(error) !== 'EACCES') throw error;
    throw notReadable(entry, error);
  }
}

function checkUnchanged(file: number, entry: TreeEntry): void {
  const { mode, inode, size, mtime, ctime, fileSystem } = lookAtOpen(file);
  const sameBytes =
    (mode & constants.S_IFMT) === constants.S_IFREG && inode === entry.inode && size === entry.size && mtime === entry.mtime;
  const sameInode = ctime === (entry.ctime ?? ctime) && fileSystem === (entry.fileSystem ?? fileSystem);
  if (!sameBytes || !sameInode) throw changed(entry);
}

function changed(entry: TreeEntry, cause?: unknown): JettisonError {
  return changedWhileCopied(`"/${toText(entry.path)}"`, cause);
}
