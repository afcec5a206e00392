/**
 * The root of a container as it lies on disk, before and after a run: read inside itself, checked, given the folders and files that
 * mounts need, and rid of them again. All of it happens while nothing runs in there.
 */
import { fstatSync, readdirSync, rmdirSync } from 'node:fs';
import { asByteString, fromText, nodePath, toText, type ByteString } from '#ground/base/byte-string.ts';
import { JettisonError, systemCode } from '#ground/base/errors.ts';
import { readAttributes } from '#ground/linux/attributes.ts';
import { openRoot, type Root } from '#ground/linux/rooted-path.ts';
import {
  AT_FDCWD,
  changeModeAt,
  changeTimeAt,
  closeFile,
  makeFolderAt,
  openAt,
  openFlags,
  removeFolderAt,
  resolveFlags,
  tryOpenAt,
  unlinkAt,
} from '#ground/linux/syscall.ts';
import { getAttribute } from '#ground/linux/attributes.ts';
import { describeEntry, lookAt, readEntryFile, resolveLinks } from '#ground/linux/tree-read.ts';
import type { TreeEntry } from '#ground/linux/tree.ts';
import { opaqueAttribute } from '#ground/linux/user-namespace.ts';

/** Reads a root without ever leaving it, each entry once: every look costs three system calls, and steps are many. Disposing closes it. */
export type RootTree = Disposable & {
  readonly root: Root;
  /** The entry itself; undefined when a part of the way is missing or no real folder. Paths without a leading slash. */
  entry(path: ByteString): TreeEntry | undefined;
  /** Follows links inside the root. */
  resolve(path: string): { readonly path: ByteString; readonly entry: TreeEntry | undefined };
  /** Text of a regular file, links followed inside the root; undefined when there is none. Throws `linux/not-a-file`, `linux/too-large`. */
  readText(path: string, limit: number): string | undefined;
  /** What was seen of this path and of the folder that it is in counts no more; without a path, all that was seen. Whoever changes something in there has to say so. */
  forget(path?: ByteString): void;
};

export function openRootTree(folder: string): RootTree {
  const root = openRoot(folder);
  const seen = new Map<string, TreeEntry | undefined>();
  const entry = (path: ByteString): TreeEntry | undefined => {
    if (!seen.has(path)) seen.set(path, entryAt(folder, root.file, path));
    return seen.get(path);
  };
  const resolve = (path: string) => resolveLinks(entry, fromText(path), true);
  return {
    root,
    entry,
    resolve,
    readText(path, limit) {
      const found = resolve(path).entry;
      return found && new TextDecoder().decode(readEntryFile(found, limit));
    },
    forget(path) {
      if (path === undefined) return seen.clear();
      seen.delete(path);
      seen.delete(parentOf(path));
    },
    [Symbol.dispose]: () => root[Symbol.dispose](),
  };
}

const systemFolders = ['dev', 'proc', 'sys', 'etc', 'run'];

/**
 * Refuses a root whose /dev, /proc, /sys, /etc or /run is anything but a folder. Through a symlinked /dev, runc before 1.2.8 writes to the
 * host; through a symlinked /proc, masking and labels go astray (CVE-2023-28642). Throws `runtime/unsafe-root`.
 */
export function checkRoot(tree: RootTree): void {
  for (const name of systemFolders) {
    const found = tree.entry(asByteString(name));
    if (!found || found.kind === 'folder') continue;
    throw new JettisonError('runtime/unsafe-root', `"/${name}" of the image is a ${found.kind}, not a folder`, {
      hint: `No process is started over such a root: a runtime could follow it to the host. Make "/${name}" a folder in the image`,
    });
  }
}

export type MountPoint = {
  /** Absolute path inside the root, as asked for. */
  readonly target: string;
  readonly kind: 'file' | 'folder';
};

export type PreparedRoot = {
  /** Where a target really is: links resolved inside the root. */
  resolved(target: string): string;
  /** Everything at the targets will be moved away and back, which changes nothing but times that no layer has: `tidy` takes care of it. */
  noteMoves(): void;
  /** Removes what was made only to be mounted on and is still empty, and gives the folders around it their times back. Call while the root is still mounted. */
  clean(): void;
  /**
   * Removes from the upper folder of an overlay (unmounted by now) the folders that were copied up for the mount points alone, so that
   * a step that writes nothing makes a layer with nothing.
   */
  tidy(upper: string): void;
};

/** What the runtime mounts in every container. BuildKit leaves the first three in the layer when the image had none, and so do we. */
const systemPoints: readonly (MountPoint & { readonly kept: boolean })[] = [
  { target: '/proc', kind: 'folder', kept: true },
  { target: '/sys', kind: 'folder', kept: true },
  { target: '/dev', kind: 'folder', kept: true },
  { target: '/etc/hosts', kind: 'file', kept: false },
  { target: '/etc/resolv.conf', kind: 'file', kept: false },
];

type Made = { readonly path: ByteString; readonly kind: 'file' | 'folder'; readonly inode: bigint };
/** A folder that was there before, as it was, and its time after the last thing made in it. */
type Touched = { readonly before: TreeEntry; readonly attributes: string; after: bigint };

/**
 * Makes the working folder (kept, 0755 0:0) and every mount point that the root lacks. Throws `runtime/unsafe-root`,
 * `runtime/bad-mount-target`, `runtime/bad-working-directory`.
 */
export function prepareRoot(tree: RootTree, points: readonly MountPoint[], workingDirectory: string): PreparedRoot {
  checkRoot(tree);
  const made: Made[] = [];
  const touched = new Map<string, Touched>();
  const own = new Set<string>();
  const resolved = new Map<string, string>();
  const make = (path: ByteString, kind: 'file' | 'folder', kept: boolean): void => {
    for (const part of missingParts(tree, path)) {
      const isLast = part === path;
      if (!own.has(parentOf(part))) noteFolders(tree, touched, parentOf(part));
      makeEntry(tree, part, isLast ? kind : 'folder');
      own.add(part);
      const folder = touched.get(parentOf(part));
      if (folder) folder.after = tree.entry(parentOf(part))?.mtime ?? folder.after;
      const inode = tree.entry(part)?.inode;
      if (!kept && inode !== undefined) made.push({ path: part, kind: isLast ? kind : 'folder', inode: BigInt(inode) });
    }
  };
  const pathsOf = (from: readonly MountPoint[]): readonly ByteString[] => from.map(({ target }) => tree.resolve(target).path);
  // What is mounted first. The files of /etc come before the mounts of the step, which may then hide them.
  const systemCovers = pathsOf(systemPoints.slice(0, 3));
  const covers = [...systemCovers, ...pathsOf(points)];
  const isCovered = (path: ByteString, by: readonly ByteString[] = covers): boolean => by.some((cover) => path.startsWith(`${cover}/`));
  const cwd = tree.resolve(workingDirectory);
  refuseWorkingDirectory(workingDirectory, cwd.path, cwd.entry);
  if (!isCovered(cwd.path) && !covers.includes(cwd.path)) make(cwd.path, 'folder', true);
  const prepare = ({ target, kind }: MountPoint, kept: boolean, by: readonly ByteString[]): void => {
    const { path } = tree.resolve(target);
    if (!kept) refuseTarget(target, path);
    resolved.set(target, `/${toText(path)}`);
    if (!isCovered(path, by)) make(path, kind, kept);
  };
  for (const point of systemPoints) prepare(point, point.kept, systemCovers);
  for (const point of points) prepare(point, false, covers);
  return {
    resolved: (target) => resolved.get(target) ?? target,
    noteMoves: () => {
      for (const path of [...pathsOf(systemPoints), ...pathsOf(points)]) noteMoved(path, { tree, touched, own });
    },
    clean: () => cleanRoot(tree, made, touched),
    tidy: (upper) => tidyUpper(upper, touched),
  };
}

function entryAt(folder: string, descriptor: number, path: ByteString): TreeEntry | undefined {
  const how = {
    flags: openFlags.path | openFlags.noFollow,
    resolve: resolveFlags.beneath | resolveFlags.noSymlinks | resolveFlags.noMagicLinks,
  };
  let file: number | undefined;
  try {
    file = tryOpenAt(descriptor, path === '' ? '.' : path, how);
  } catch (error) {
    if (['ENOTDIR', 'ELOOP', 'ENAMETOOLONG'].includes(systemCode(error) ?? '')) return undefined;
    throw error;
  }
  if (file === undefined) return undefined;
  try {
    const stats = fstatSync(file, { bigint: true });
    return describeEntry({ path, hostPath: asByteString(`${fromText(folder)}/${path}`), layer: 0, stats });
  } finally {
    closeFile(file);
  }
}

function parentOf(path: ByteString): ByteString {
  return asByteString(path.slice(0, Math.max(path.lastIndexOf('/'), 0)));
}

function nameOf(path: ByteString): ByteString {
  return asByteString(path.slice(path.lastIndexOf('/') + 1));
}

/** The parts of a real path that are not there, outermost first. */
function missingParts(tree: RootTree, path: ByteString): readonly ByteString[] {
  const missing: ByteString[] = [];
  for (let part = path; part !== '' && !tree.entry(part); part = parentOf(part)) missing.unshift(part);
  const first = missing[0];
  const stands = first === undefined ? undefined : tree.entry(parentOf(first));
  if (stands && stands.kind !== 'folder') {
    throw new JettisonError('runtime/bad-mount-target', `Cannot make "/${toText(path)}": "/${toText(stands.path)}" is a ${stands.kind}`);
  }
  return missing;
}

/** Remembers how a folder and those around it were. */
function noteFolders(tree: RootTree, touched: Map<string, Touched>, from: ByteString): void {
  for (let path = from; !touched.has(path); path = parentOf(path)) {
    const before = tree.entry(path);
    if (!before) return;
    touched.set(path, { before, attributes: attributesOf(before.hostPath), after: before.mtime });
    if (path === '') return;
  }
}

/** The entry itself, too; what was made here is no change of what was there before. */
function noteMoved(
  moved: ByteString,
  { tree, touched, own }: { readonly tree: RootTree; readonly touched: Map<string, Touched>; readonly own: ReadonlySet<string> },
): void {
  for (let path = moved; ; path = parentOf(path)) {
    const before = own.has(path) || touched.has(path) ? undefined : tree.entry(path);
    if (before?.kind === 'folder') touched.set(path, { before, attributes: attributesOf(before.hostPath), after: before.mtime });
    if (path === '') return;
  }
}

function attributesOf(hostPath: ByteString): string {
  return [...readAttributes(hostPath)]
    .map(([name, value]) => `${name}=${value.toString()}`)
    .toSorted()
    .join('\n');
}

function makeEntry(tree: RootTree, path: ByteString, kind: 'file' | 'folder'): void {
  using parent = tree.root.openFolder(parentOf(path));
  if (kind === 'folder') {
    makeFolderAt(parent.file, nameOf(path), 0o755);
    changeModeAt(parent.file, nameOf(path), 0o755);
  } else {
    const flags = openFlags.writeOnly | openFlags.create | openFlags.exclusive | openFlags.noFollow;
    closeFile(openAt(parent.file, nameOf(path), { flags, mode: 0o644, resolve: resolveFlags.beneath }));
  }
  tree.forget(path);
}

function refuseTarget(target: string, path: ByteString): void {
  const isSystem = /^(?:proc|sys)(?:\/|$)|^dev$/u.test(path);
  if (path !== '' && !isSystem) return;
  throw new JettisonError('runtime/bad-mount-target', `Cannot mount on "${target}": it is "/${toText(path)}" in the image`, {
    hint: 'Nothing may be mounted over the root, /proc, /sys or /dev',
  });
}

/** A working directory below /proc reaches open folders of the runtime (CVE-2024-21626). */
function refuseWorkingDirectory(asked: string, path: ByteString, entry: TreeEntry | undefined): void {
  if (/^proc(?:\/|$)/u.test(path)) {
    throw new JettisonError('runtime/bad-working-directory', `Working directory "${asked}" is inside /proc`, {
      hint: 'Choose a folder of the image',
    });
  }
  if (!entry || entry.kind === 'folder') return;
  throw new JettisonError('runtime/bad-working-directory', `Working directory "${asked}" is a ${entry.kind}, not a folder`);
}

function cleanRoot(tree: RootTree, made: readonly Made[], touched: ReadonlyMap<string, Touched>): void {
  // The process has run since.
  tree.forget();
  const now = new Map([...touched.keys()].map((path) => [path, tree.entry(asByteString(path))?.mtime]));
  for (const { path, kind, inode } of made.toReversed()) {
    const found = tree.entry(path);
    if (found?.kind !== kind || BigInt(found.inode) !== inode || (kind === 'file' && found.size > 0)) continue;
    removeEntry(tree, path, kind);
  }
  for (const [path, folder] of touched) {
    const current = now.get(path);
    const stands = tree.entry(asByteString(path));
    if (current === undefined || stands?.kind !== 'folder') continue;
    const wanted = current === folder.after ? folder.before.mtime : current;
    if (stands.mtime !== wanted) setTime(tree, asByteString(path), wanted);
  }
}

function removeEntry(tree: RootTree, path: ByteString, kind: 'file' | 'folder'): void {
  using parent = tree.root.openFolder(parentOf(path));
  try {
    if (kind === 'file') unlinkAt(parent.file, nameOf(path));
    else removeFolderAt(parent.file, nameOf(path));
  } catch (error) {
    if (systemCode(error) !== 'ENOTEMPTY') throw error;
  }
  tree.forget(path);
}

function setTime(tree: RootTree, path: ByteString, mtime: bigint): void {
  using folder = tree.root.openFolder(path);
  changeTimeAt(folder.file, asByteString('.'), mtime);
  tree.forget(path);
}

/** Nothing but this process writes to an upper folder that is not mounted, and every folder on the way to a touched one is a real folder there. */
function tidyUpper(upper: string, touched: ReadonlyMap<string, Touched>): void {
  const deepestFirst = [...touched].filter(([path]) => path !== '').toSorted(([a], [b]) => b.split('/').length - a.split('/').length);
  for (const [path, { before, attributes }] of deepestFirst) {
    const hostPath = asByteString(`${fromText(upper)}/${path}`);
    const stats = lookAt(hostPath);
    if (!stats?.isDirectory() || readdirSync(nodePath(hostPath)).length > 0) continue;
    const now = describeEntry({ path: asByteString(path), hostPath, layer: 0, stats });
    const same = now.mode === before.mode && now.uid === before.uid && now.gid === before.gid && now.mtime === before.mtime;
    if (!same || attributesOf(hostPath) !== attributes || isOpaque(hostPath)) continue;
    const parent = asByteString(hostPath.slice(0, hostPath.lastIndexOf('/')));
    const parentTime = lookAt(parent)?.mtimeNs;
    rmdirSync(nodePath(hostPath));
    if (parentTime !== undefined) changeTimeAt(AT_FDCWD, parent, parentTime);
  }
}

function isOpaque(hostPath: ByteString): boolean {
  return getAttribute(hostPath, opaqueAttribute()) !== undefined;
}
