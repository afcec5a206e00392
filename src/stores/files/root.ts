/**
 * The tree of a container, or of the machine, as others may be writing to it at this moment: paths are resolved by the kernel as if the root were `/` (openat2(2) with RESOLVE_IN_ROOT),
 * so that no link and no rename leads out of it; from there on it goes from open folder to name, and no name is looked up twice.
 */
import { fstatSync, readdirSync, type BigIntStats } from 'node:fs';
import { asByteString, fromText, nodePath, type ByteString } from '#ground/base/byte-string.ts';
import { JettisonError, systemCode } from '#ground/base/errors.ts';
import { startOf } from '#ground/base/process-identity.ts';
import { AT_FDCWD, closeFile, openAt, openFlags, procPath, resolveFlags } from '#ground/linux/syscall.ts';
import { describeEntry, lookAt } from '#ground/linux/tree-read.ts';
import type { TreeEntry } from '#ground/linux/tree.ts';
import { permitted } from './permitted.ts';

/** An open folder, by which all below it is reached; closed when disposed. */
export type FilesRoot = Disposable & { readonly file: number };

/** An entry, and the open folder that it was found in under `name`; closed when disposed. The entry's host path leads through that folder. */
export type FoundFile = Disposable & { readonly folder: number; readonly name: ByteString; readonly entry: TreeEntry };

const inRoot = resolveFlags.inRoot | resolveFlags.noMagicLinks;
/** One name in an open folder: not even a mount's magic link leads away from it. */
const oneName = resolveFlags.beneath | resolveFlags.noSymlinks | resolveFlags.noMagicLinks;
const itself = asByteString('.');
const missing = new Set(['ENOENT', 'ENOTDIR', 'ELOOP', 'ENAMETOOLONG']);

/** `path`: absolute and trusted. */
export function openFilesRoot(path: string): FilesRoot {
  return closing(openAt(AT_FDCWD, fromText(path), { flags: openFlags.path | openFlags.directory, resolve: 0 }));
}

/** The root of a process, with all that is mounted there. `start` is when the process began (`startOf`). Throws `files/process-gone` when it has ended, even if another one has its number by now. */
export function openProcessRoot({ pid, start }: { readonly pid: number; readonly start: string }): FilesRoot {
  let root: FilesRoot;
  try {
    root = openFilesRoot(`/proc/${pid}/root`);
  } catch (error) {
    if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ESRCH') throw processGone(error);
    throw error;
  }
  if (startOf(pid) === start) return root;
  root[Symbol.dispose]();
  throw processGone();
}

function processGone(cause?: unknown): JettisonError {
  return new JettisonError('files/process-gone', 'The container has ended meanwhile', {
    fault: 'environment',
    hint: 'Try again: its files are read as they were left',
    ...(cause === undefined ? {} : { cause }),
  });
}

/** What `path` (names with `/` between them) leads to; links at its end are followed when it ends in `/` or `follow` says so. Undefined when nothing is there. Throws `files/not-permitted`. */
export function findFile(root: FilesRoot, path: ByteString, follow: boolean): FoundFile | undefined {
  return permitted('read', path, () => find(root, path, follow));
}

function find(root: FilesRoot, path: ByteString, follow: boolean): FoundFile | undefined {
  const names = path.split('/').filter((name) => name !== '' && name !== '.');
  const name = asByteString(names.at(-1) ?? '.');
  if (name === '.' || name === '..') return findFolder(root, path);
  const folder = tryFolder(root.file, asByteString(names.slice(0, -1).join('/')), inRoot);
  if (folder === undefined) return undefined;
  const opened = closing(folder);
  const stats = lookAt(procPath(folder, name));
  const isWanted =
    stats !== undefined && !(stats.isSymbolicLink() ? follow || path.endsWith('/') : path.endsWith('/') && !stats.isDirectory());
  const entry = isWanted ? tryDescribe(folder, name, stats) : undefined;
  if (entry !== undefined) return { ...opened, folder, name, entry };
  opened[Symbol.dispose]();
  return stats?.isSymbolicLink() === true ? findTarget(root, path) : undefined;
}

function findFolder(root: FilesRoot, path: ByteString): FoundFile | undefined {
  const folder = tryFolder(root.file, path, inRoot);
  return folder === undefined ? undefined : openedFolder(folder);
}

function openedFolder(folder: number): FoundFile {
  return { ...closing(folder), folder, name: itself, entry: describe(folder, itself, fstatSync(folder, { bigint: true })) };
}

/** The real place of what a link leads to: the kernel says where it is, and it must be there still. */
function findTarget(root: FilesRoot, path: ByteString): FoundFile | undefined {
  const folder = findFolder(root, path);
  if (folder !== undefined) return folder;
  if (path.endsWith('/')) return undefined;
  let file: number;
  try {
    file = openAt(root.file, path, { flags: openFlags.path, resolve: inRoot });
  } catch (error) {
    if (missing.has(systemCode(error) ?? '')) return undefined;
    throw error;
  }
  const stats = fstatSync(file, { bigint: true });
  const hostPath = asByteString(`/proc/self/fd/${file}`);
  if (stats.isDirectory()) {
    // It has become one since it was asked for as one.
    using unread = closing(file);
    return openedFolder(openAt(AT_FDCWD, `/proc/self/fd/${unread.file}`, { flags: openFlags.readOnly | openFlags.directory, resolve: 0 }));
  }
  return { ...closing(file), folder: -1, name: hostPath, entry: describeEntry({ path: hostPath, hostPath, layer: 0, stats }) };
}

/** A folder in an open folder, to read; undefined when it is none any more. */
export function openInner(folder: number, name: ByteString): (Disposable & { readonly file: number }) | undefined {
  const file = tryFolder(folder, name, oneName);
  return file === undefined ? undefined : closing(file);
}

/** The folder `path` as seen from `root`, links in it followed inside; undefined when there is none. */
export function openFolderIn(root: FilesRoot, path: ByteString): (Disposable & { readonly file: number }) | undefined {
  const file = tryFolder(root.file, path, inRoot);
  return file === undefined ? undefined : closing(file);
}

/** Entries of an open folder, in byte order; what goes meanwhile is left out. `path` is for errors. Throws `files/not-permitted`. */
export function* listFolder(
  folder: number,
  path: ByteString,
): Generator<{ readonly name: ByteString; readonly entry: TreeEntry }, void, void> {
  for (const name of readdirSync(nodePath(procPath(folder, itself)), 'latin1')
    .toSorted()
    .map(asByteString)) {
    const stats = permitted('read', path, () => lookAt(procPath(folder, name)));
    const entry = stats && tryDescribe(folder, name, stats);
    if (entry !== undefined) yield { name, entry };
  }
}

/** The very file that an entry is, to read; undefined when something else is there by now. */
export function openFound({ folder, name, entry }: Pick<FoundFile, 'folder' | 'name' | 'entry'>): number | undefined {
  const flags = openFlags.readOnly | openFlags.nonBlocking;
  let file: number;
  try {
    file =
      folder < 0
        ? openAt(AT_FDCWD, name, { flags, resolve: 0 })
        : openAt(folder, name, { flags: flags | openFlags.noFollow, resolve: oneName });
  } catch (error) {
    if (missing.has(systemCode(error) ?? '') || systemCode(error) === 'ENXIO') return undefined;
    throw error;
  }
  const stats = fstatSync(file, { bigint: true });
  if (stats.isFile() && Number(stats.ino) === entry.inode) return file;
  closeFile(file);
  return undefined;
}

function tryDescribe(folder: number, name: ByteString, stats: BigIntStats): TreeEntry | undefined {
  try {
    return describe(folder, name, stats);
  } catch (error) {
    // A link that is something else by now.
    if (['ENOENT', 'EINVAL'].includes(systemCode(error) ?? '')) return undefined;
    throw error;
  }
}

function describe(folder: number, name: ByteString, stats: BigIntStats): TreeEntry {
  return describeEntry({ path: name, hostPath: procPath(folder, name), layer: 0, stats });
}

function tryFolder(at: number, path: ByteString, resolve: number): number | undefined {
  try {
    return openAt(at, path === '' ? itself : path, { flags: openFlags.readOnly | openFlags.directory, resolve });
  } catch (error) {
    if (missing.has(systemCode(error) ?? '')) return undefined;
    throw error;
  }
}

function closing(file: number): Disposable & { readonly file: number } {
  let isOpen = true;
  return {
    file,
    [Symbol.dispose]() {
      if (isOpen) closeFile(file);
      isOpen = false;
    },
  };
}
