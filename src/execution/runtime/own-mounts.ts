/**
 * What a process has mounted beside the system's folders, put into its root here and not by the runtime: a runtime resolves the path of a mount and then uses it, and
 * in a cache that another step writes to meanwhile the two need not be the same (CVE-2021-30465, CVE-2024-45310). Here the kernel resolves each path once, inside the
 * root and while no /proc is in it, and what is mounted on is the folder that it found, held open.
 */
import { readlinkSync, statSync } from 'node:fs';
import { asByteString, fromText, nodePath, toText, type ByteString } from '#ground/base/byte-string.ts';
import { JettisonError, messageOf, systemCode } from '#ground/base/errors.ts';
import { addFlagsBelow, flagsOfMount, mountFileSystem, mountFlags, unmount } from '#ground/linux/mount.ts';
import { openRoot, type OpenFile, type Root } from '#ground/linux/rooted-path.ts';
import { closeFile, makeFolderAt, openAt, openFlags, resolveFlags } from '#ground/linux/syscall.ts';
import type { ProcessMount, ProcessRequest, TmpfsMount } from './contract.ts';

/** Paths on which a mount is prepared before it goes into the root: an empty folder and an empty file, this process's own. */
export type Staging = { readonly folder: string; readonly file: string };

/** Does the runtime have to mount this, since it makes what is there? Nothing else ever writes to a new /dev, and in the others mounting is refused. */
export function isSystemPlace(target: string): boolean {
  return /^\/(?:dev|proc|sys)(?:\/|$)/u.test(target);
}

/** A folder before what is mounted inside it. */
export function inOrder<M extends { readonly target: string }>(mounts: readonly M[]): readonly M[] {
  return mounts.toSorted((a, b) => depth(a.target) - depth(b.target));
}

function depth(target: string): number {
  return target.split('/').filter(Boolean).length;
}

/** A file of /etc that says who is who (`NameFiles`). */
export type NameMount = { readonly source: string; readonly target: string };

/**
 * Mounts `names` and then the mounts of `request` on the mounted root `rootfs`, and looks at the working directory as it then is. Missing mount points
 * in other mounts are made. What is mounted goes with the root. Throws `runtime/bad-mount-target`, `runtime/bad-working-directory`.
 */
export function mountInside(
  rootfs: string,
  names: readonly NameMount[],
  request: Pick<ProcessRequest, 'mounts' | 'names' | 'security' | 'workingDirectory'>,
  staging: Staging,
): void {
  using root = openRoot(rootfs);
  const place: Place = { root, path: rootfs };
  for (const name of names) mountName(place, name, request.names.readOnly);
  const own = request.mounts.filter(({ target }) => !isSystemPlace(target));
  for (const mount of inOrder(own)) mountOne(place, mount, { staging, devices: request.security === 'insecure' });
  refuseNested(request.mounts.filter(({ target }) => target.startsWith('/dev/')));
  if (own.length > 0) checkWorkingDirectory(place, request.workingDirectory);
}

type Place = { readonly root: Root; readonly path: string };
type How = { readonly staging: Staging; readonly devices: boolean };

/** Nothing but the image is in the root yet: its path leads to the same file once more, to what is mounted on it by then. */
function mountName(place: Place, { source, target }: NameMount, isReadOnly: boolean): void {
  {
    using point = openPoint(place, target, 'file');
    bindTo(point, source, { target, isRecursive: false });
  }
  using shown = place.root.openFollowing(fromText(target.slice(1)), openFlags.path);
  const flags = mountFlags.noDevice | mountFlags.noSuid | (isReadOnly ? mountFlags.readOnly : 0);
  mountFileSystem({
    source: '',
    target: `/proc/self/fd/${shown.file}`,
    type: '',
    flags: mountFlags.bind | mountFlags.remount | flags,
    options: '',
  });
}

function mountOne(place: Place, mount: ProcessMount, { staging, devices }: How): void {
  const kind = mount.kind === 'tmpfs' || statSync(nodePath(fromText(mount.source))).isDirectory() ? 'folder' : 'file';
  const at = staging[kind];
  try {
    stage(mount, at, devices);
  } catch (error) {
    throw badTarget(mount.target, messageOf(error), error);
  }
  try {
    using point = openPoint(place, mount.target, kind);
    bindTo(point, at, { target: mount.target, isRecursive: mount.kind === 'bind' && mount.isRecursive === true });
  } finally {
    unmount(at);
  }
}

/** Flags are given before anybody can see the mount; a bind of it has them, too. */
function stage(mount: ProcessMount, at: string, devices: boolean): void {
  if (mount.kind === 'tmpfs') return stageTmpfs(mount, at, devices);
  const noDevice = devices || mount.isDevice === true ? 0 : mountFlags.noDevice;
  const readOnly = mount.readOnly ? mountFlags.readOnly : 0;
  const recursive = mount.isRecursive === true ? mountFlags.recursive : 0;
  mountFileSystem({ source: fromText(mount.source), target: at, type: '', flags: mountFlags.bind | recursive, options: '' });
  try {
    mountFileSystem({ source: '', target: at, type: '', flags: mountFlags.private | recursive, options: '' });
    if (recursive !== 0) addFlagsBelow(at, noDevice | (mount.isShallow === true ? 0 : readOnly));
    const has = flagsOfMount(at);
    const wanted = has | noDevice | readOnly;
    if (wanted !== has)
      mountFileSystem({ source: '', target: at, type: '', flags: mountFlags.bind | mountFlags.remount | wanted, options: '' });
  } catch (error) {
    unmount(at);
    throw error;
  }
}

function stageTmpfs(mount: TmpfsMount, at: string, devices: boolean): void {
  const flags =
    (mount.allowsSetuid === true ? 0 : mountFlags.noSuid) |
    (devices ? 0 : mountFlags.noDevice) |
    (mount.noExecute === true ? mountFlags.noExec : 0) |
    (mount.readOnly === true ? mountFlags.readOnly : 0);
  mountFileSystem({ source: 'tmpfs', target: at, type: 'tmpfs', flags, options: tmpfsData(mount).join(',') });
}

/** What the file system itself is told. */
export function tmpfsData({ mode, size, more = [] }: TmpfsMount): readonly string[] {
  return [`mode=${mode.toString(8)}`, ...(size === null ? [] : [`size=${size}`]), ...more];
}

function bindTo(
  point: OpenFile,
  source: string,
  { target, isRecursive }: { readonly target: string; readonly isRecursive: boolean },
): void {
  const flags = mountFlags.bind | (isRecursive ? mountFlags.recursive : 0);
  try {
    mountFileSystem({ source: fromText(source), target: `/proc/self/fd/${point.file}`, type: '', flags, options: '' });
  } catch (error) {
    throw badTarget(target, messageOf(error), error);
  }
}

function badTarget(target: string, why: string, cause?: unknown): JettisonError {
  return new JettisonError('runtime/bad-mount-target', `Cannot mount on "${target}": ${why}`, cause === undefined ? {} : { cause });
}

/** In /dev, which the runtime makes, its mounts are mounted by the runtime: none of them inside another, where others may write. */
function refuseNested(mounts: readonly ProcessMount[]): void {
  for (const { target } of mounts) {
    const outer = mounts.find((other) => target.startsWith(`${other.target}/`));
    if (outer !== undefined) throw badTarget(target, `it is inside the mount on "${outer.target}", and in /dev mounts may not be nested`);
  }
}

/** What a target leads to, links followed inside the root; made when it is missing there. */
function openPoint(place: Place, target: string, kind: 'file' | 'folder'): OpenFile {
  using undo = new DisposableStack();
  const found = undo.use(openOrMake(place, fromText(target.replace(/^\/+/u, '')), kind));
  const isFolder = statSync(`/proc/self/fd/${found.file}`).isDirectory();
  if (isFolder !== (kind === 'folder')) throw badTarget(target, `it is a ${isFolder ? 'folder' : 'file'}, and a ${kind} is to be mounted`);
  const real = realPath(place, found);
  if (real === '' || isSystemPlace(`/${real}`)) throw badTarget(target, `it is "/${toText(real)}" in there`);
  undo.move();
  return found;
}

const seen = openFlags.path | openFlags.noFollow;

function openOrMake(place: Place, path: ByteString, kind: 'file' | 'folder'): OpenFile {
  try {
    return place.root.openFollowing(path, openFlags.path);
  } catch (error) {
    if (systemCode(error) !== 'ENOENT' || path === '') throw badTarget(`/${toText(path)}`, messageOf(error), error);
  }
  const slash = path.lastIndexOf('/');
  using parent = openOrMake(place, asByteString(path.slice(0, Math.max(slash, 0))), 'folder');
  if (isSystemPlace(`/${realPath(place, parent)}`)) throw badTarget(`/${toText(path)}`, 'it is in a folder of the system');
  const name = asByteString(path.slice(slash + 1));
  try {
    if (kind === 'folder') makeUnlessThere(parent.file, name);
    const flags = kind === 'folder' ? seen : openFlags.writeOnly | openFlags.create | openFlags.noFollow | openFlags.nonBlocking;
    const resolve = resolveFlags.beneath | resolveFlags.noSymlinks | resolveFlags.noMagicLinks;
    return closing(openAt(parent.file, name, { flags, mode: kind === 'folder' ? 0 : 0o644, resolve }));
  } catch (error) {
    throw badTarget(`/${toText(path)}`, messageOf(error), error);
  }
}

function makeUnlessThere(parent: number, name: ByteString): void {
  try {
    makeFolderAt(parent, name, 0o755);
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error;
  }
}

function closing(file: number): OpenFile {
  return { file, [Symbol.dispose]: () => closeFile(file) };
}

/** Where an open file is in the root, without a leading slash. */
function realPath({ path }: Place, { file }: OpenFile): ByteString {
  const real = readlinkSync(`/proc/self/fd/${file}`, 'latin1');
  const root = fromText(path);
  if (real !== root && !real.startsWith(`${root}/`))
    throw new JettisonError('runtime/bad-mount-target', `"${toText(asByteString(real))}" is not in the root`, { fault: 'bug' });
  return asByteString(real.slice(root.length + 1));
}

/** Before the mounts, it was seen to be no link to /proc; in a mount it may still be one (CVE-2024-21626). */
function checkWorkingDirectory(place: Place, asked: string): void {
  try {
    using folder = openOrMake(place, fromText(asked.replace(/^\/+/u, '')), 'folder');
    if (!/^proc(?:\/|$)/u.test(realPath(place, folder)) && statSync(`/proc/self/fd/${folder.file}`).isDirectory()) return;
  } catch (error) {
    if (!(error instanceof JettisonError) || error.code !== 'runtime/bad-mount-target') throw error;
    throw new JettisonError(
      'runtime/bad-working-directory',
      `Cannot use the working directory "${asked}" in the mounts of this step: ${error.message}`,
      { cause: error },
    );
  }
  throw new JettisonError('runtime/bad-working-directory', `Working directory "${asked}" is no folder of the image or its mounts`);
}
