/** The files of a container, for `cp`, `export` and `diff`: as they were left, read through its chain without a mount, or with its volumes in a mount of their own; or as they are now, beneath the root of its process. */
import { readSync, writeSync } from 'node:fs';
import { asByteString, fromText, toText } from '#ground/base/byte-string.ts';
import { JettisonError, systemCode } from '#ground/base/errors.ts';
import type { Tree, TreeEntry } from '#ground/linux/tree.ts';
import { archiveFound, archiveTree } from '#stores/files/archive.ts';
import { openExtraction } from '#stores/files/extract.ts';
import { findFile, openFilesRoot, openFolderIn, openProcessRoot, type FilesRoot } from '#stores/files/root.ts';
import { openChainTree } from '#stores/snapshot/chain-tree.ts';
import type { SnapshotId, SnapshotStore } from '#stores/snapshot/contract.ts';
import type { ContainerMount } from './container-mounts.ts';
import { mountFiles } from './container/mounted-files.ts';

/** `isLive`: it is being written, and only its own files are wanted, without mounts. `mounts`: what is to be seen in it; never together with `isLive`. `process`: the tree as a process has it, mounts included; `start` is when it began. */
export type FilesPlace =
  | {
      readonly kind: 'snapshot';
      readonly snapshot: SnapshotId | undefined;
      readonly isLive?: boolean;
      readonly mounts?: readonly ContainerMount[];
    }
  | { readonly kind: 'process'; readonly pid: number; readonly start: string };

/** Paths are absolute, in the container; what ends in `/` is followed if it is a link. */
export type LookRequest = { readonly place: FilesPlace; readonly path: string; readonly follow: boolean };
/** `name`: of the topmost entry of the archive, `.` for none. */
export type ReadRequest = LookRequest & { readonly name: string };
/** `path`: of a folder. `keepsOwners`: those of the archive; else everything becomes root's. */
export type WriteRequest = { readonly place: FilesPlace; readonly path: string; readonly keepsOwners: boolean };

/** `path`: without the links that were followed. `target`: of a link. Times in nanoseconds since the epoch. */
export type FileLook = Pick<TreeEntry, 'kind' | 'mode' | 'size' | 'mtime'> & { readonly target: string | undefined };

/** What the process's standard streams carry. */
const input = 0;
const output = 1;

/** What is at a path; undefined when nothing is. Throws `files/process-gone`. */
export async function lookAtFile(
  { place, path, follow }: LookRequest,
  snapshots: SnapshotStore,
  signal: AbortSignal,
): Promise<FileLook | undefined> {
  if (place.kind === 'process') {
    using root = openProcessRoot(place);
    using found = findFile(root, fromText(path), follow);
    return found && toLook(found.entry);
  }
  if (hasMounts(place)) {
    await using files = await mountFiles({ ...place, writes: false }, snapshots, signal);
    using found = findFile(files.root, fromText(path), follow);
    return found && toLook(found.entry);
  }
  await using held = await holdTree(place, snapshots, signal);
  const found = findInTree(held.tree, path, follow);
  return found && toLook(found);
}

/** Writes what is at a path to this process's stdout, as a tar. Gives its bytes. Throws `ops/no-such-file` when nothing is there any more. */
export async function readFiles(
  { place, path, follow, name }: ReadRequest,
  snapshots: SnapshotStore,
  signal: AbortSignal,
): Promise<number> {
  if (place.kind === 'process') {
    using root = openProcessRoot(place);
    return readBeneath(root, { path, follow, name }, signal);
  }
  if (hasMounts(place)) {
    await using files = await mountFiles({ ...place, writes: false }, snapshots, signal);
    return readBeneath(files.root, { path, follow, name }, signal);
  }
  await using held = await holdTree(place, snapshots, signal);
  const found = findInTree(held.tree, path, follow);
  if (found === undefined) throw fileNotFound(path);
  return pour(archiveTree(held.tree, found.path, fromText(name)), signal);
}

function readBeneath(root: FilesRoot, { path, follow, name }: Omit<ReadRequest, 'place'>, signal: AbortSignal): number {
  using found = findFile(root, fromText(path), follow);
  if (found === undefined) throw fileNotFound(path);
  return pour(archiveFound(found, { name: fromText(name), path: fromText(path), isRoot: isRootPath(path) }), signal);
}

type OfSnapshot = Extract<FilesPlace, { kind: 'snapshot' }>;

function hasMounts(place: OfSnapshot): place is OfSnapshot & { readonly mounts: readonly ContainerMount[] } {
  return place.mounts !== undefined && place.mounts.length > 0;
}

/** Makes the files of the tar that comes on this process's stdin in a folder. Gives their bytes. Throws `ops/no-such-file`, `ops/not-a-folder`, and what extracting throws; what was made before that stays. */
export async function writeFiles(
  { place, path, keepsOwners }: WriteRequest,
  snapshots: SnapshotStore,
  signal: AbortSignal,
): Promise<number> {
  if (place.kind === 'process') {
    using root = openProcessRoot(place);
    return extractInto(root, path, keepsOwners);
  }
  if (place.snapshot === undefined) throw new JettisonError('ops/no-snapshot', 'Nothing to write to', { fault: 'bug' });
  if (hasMounts(place)) {
    await using files = await mountFiles({ ...place, writes: true }, snapshots, signal);
    return extractInto(files.root, path, keepsOwners);
  }
  await using active = await snapshots.reopen(place.snapshot, signal);
  await using mounted = await active.mount(signal);
  using root = openFilesRoot(mounted.path);
  return extractInto(root, path, keepsOwners);
}

function extractInto(root: FilesRoot, path: string, keepsOwners: boolean): number {
  const folder = asByteString(fromText(path).replace(/^\/+/u, ''));
  {
    using found = findFile(root, folder, true);
    if (found === undefined) throw fileNotFound(path);
    using opened = openFolderIn(root, folder);
    if (opened === undefined)
      throw new JettisonError('ops/not-a-folder', 'extraction point is not a directory', { hint: `"${path}" is a file` });
  }
  using extraction = openExtraction({ root, folder, owner: keepsOwners ? 'keep' : { uid: 0, gid: 0 }, followsLinks: true });
  const buffer = new Uint8Array(1 << 18);
  try {
    for (let count = readSync(input, buffer); count > 0; count = readSync(input, buffer)) extraction.push(buffer.subarray(0, count));
    return extraction.finish();
  } catch (error) {
    throw refused(path, error);
  }
}

/** What mounts refuse. */
function refused(path: string, error: unknown): unknown {
  const details = { fault: 'environment', cause: error } as const;
  if (systemCode(error) === 'EROFS')
    return new JettisonError('ops/read-only', `Cannot write to "${path}": what is mounted there is marked read-only`, details);
  if (systemCode(error) === 'EBUSY')
    return new JettisonError('ops/mount-point', `Cannot put a file in "${path}": another is mounted in its place`, {
      ...details,
      hint: 'Write to the file of the machine that is mounted there',
    });
  return error;
}

/** In one go: who wants to stop it ends the process, or the pipe. */
function pour(blocks: Iterable<Uint8Array>, signal: AbortSignal): number {
  signal.throwIfAborted();
  let bytes = 0;
  for (const block of blocks) {
    for (let at = 0; at < block.length;) at += writeSync(output, block, at, block.length - at);
    bytes += block.length;
  }
  return bytes;
}

type HeldTree = AsyncDisposable & { readonly tree: Tree };

/** While it is held nobody writes on it: something stands on it. */
async function holdTree(place: OfSnapshot, snapshots: SnapshotStore, signal: AbortSignal): Promise<HeldTree> {
  const { snapshot, isLive = false } = place;
  const holding = snapshot === undefined || isLive ? undefined : await snapshots.prepare(snapshot, signal);
  const folders = snapshot === undefined ? [] : snapshots.foldersOf(snapshot);
  return { tree: openChainTree(folders), [Symbol.asyncDispose]: async () => await holding?.[Symbol.asyncDispose]() };
}

function findInTree(tree: Tree, path: string, follow: boolean): TreeEntry | undefined {
  const { entry } = tree.resolve(asByteString(fromText(path).replace(/^\/+/u, '')), follow || /\/\.?$/u.test(path));
  return entry?.kind !== 'folder' && /\/\.?$/u.test(path) ? undefined : entry;
}

function toLook({ kind, mode, size, mtime, target }: TreeEntry): FileLook {
  return { kind, mode, size, mtime, target: target === undefined ? undefined : toText(target) };
}

function isRootPath(path: string): boolean {
  return path.split('/').every((name) => name === '' || name === '.');
}

/** `ops/no-such-file` */
function fileNotFound(path: string): JettisonError {
  return new JettisonError('ops/no-such-file', `Could not find the file ${path} in the container`);
}
