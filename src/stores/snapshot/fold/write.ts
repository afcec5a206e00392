/** Writes a layer as it was planned: a folder of hard links to the files of the layers that it is made of. */
import { readdirSync } from 'node:fs';
import { asByteString, fromText, nodePath, toText, type ByteString } from '#ground/base/byte-string.ts';
import { JettisonError, systemCode } from '#ground/base/errors.ts';
import { setOwnerAt } from '#ground/linux/owner.ts';
import { ownRights } from '#ground/linux/own-rights.ts';
import { AT_FDCWD, closeFile, linkAt, makeFolderAt, openAt, openFlags, procPath } from '#ground/linux/syscall.ts';
import { describeEntry } from '#ground/linux/tree-read.ts';
import type { TreeEntry } from '#ground/linux/tree.ts';
import { isOpaque, markOpaque } from '../chain-tree.ts';
import { createPlacer, dressFolder, type Placer } from '../copies/place.ts';
import { recordedOwners, recordOwners } from '../owners-file.ts';
import { makeWhiteoutAt } from '../whiteout.ts';
import { inside, lookFor, type Found } from './meet.ts';
import type { LayerPlan } from './plan.ts';

export type Writing = {
  /** Of the layers that are folded, the lowest first. */
  readonly folders: readonly string[];
  /** The place of the layer to write. */
  readonly layer: number;
  readonly plan: LayerPlan;
  /** Absolute path of an empty folder. */
  readonly target: string;
};

const here = asByteString('.');
const root = asByteString('');

/** Files that cannot be linked, or would become names of a file that they are no names of, are copied. */
export function writeFolded({ folders, layer, plan, target }: Writing): void {
  using _ = recordOwners(target);
  const file = openAt(AT_FDCWD, fromText(target), { flags: openFlags.directory, resolve: 0 });
  try {
    const writer: Writer = { folders, plan, file, linked: new Map(), placers: new Map() };
    const own = lookFor(fromText(folders[layer] ?? ''), layer);
    // No layer says anything of the root; here it looks as it does in the end.
    const top = lookFor(fromText(folders.at(-1) ?? ''), folders.length - 1);
    if (own === undefined || top === undefined) throw folderGone(folders[layer] ?? '');
    fill(own, { path: root, file }, writer);
    dress({ path: root, file, found: top }, writer);
    if (isOpaque(own.hostPath) || plan.opaque.has(root)) markOpaque(fromText(target));
  } finally {
    closeFile(file);
  }
}

type Writer = Pick<Writing, 'folders' | 'plan'> & {
  /** The root of the target. */
  readonly file: number;
  /** The layer whose file each inode with several names stands for. */
  readonly linked: Map<bigint, number>;
  /** For copies, by the layer that they are of. */
  readonly placers: Map<number, Placer>;
};

type Open = { readonly path: ByteString; readonly file: number };

function fill(from: Found, to: Open, writer: Writer): void {
  const { plan } = writer;
  for (const name of readdirSync(nodePath(from.hostPath), 'latin1').toSorted()) {
    const path = inside(to.path, name);
    const own = plan.dropped.has(path) ? undefined : lookFor(inside(from.hostPath, name), from.layer);
    const found = plan.moved.get(path) ?? own;
    if (found === undefined) continue;
    if (found.kind === 'whiteout') makeWhiteoutAt(to.file, asByteString(name));
    else if (found.kind === 'folder') makeFolder(found, { path, file: to.file }, writer);
    else link(found, { path, file: to.file }, writer);
  }
}

function makeFolder(found: Found, to: Open, writer: Writer): void {
  const name = nameOf(to.path);
  makeFolderAt(to.file, name, 0o700);
  const file = openAt(to.file, name, { flags: openFlags.directory | openFlags.noFollow, resolve: 0 });
  try {
    const made = { path: to.path, file };
    fill(found, made, writer);
    const { looks, opaque } = writer.plan;
    dress({ ...made, found: looks.get(to.path) ?? found }, writer);
    if (isOpaque(found.hostPath) || opaque.has(to.path)) markOpaque(procPath(file, here));
  } finally {
    closeFile(file);
  }
}

/** When all is in it. */
function dress({ path, file, found }: Open & { readonly found: Found }, { folders }: Writer): void {
  const { hostPath, layer, stats } = found;
  const entry = recordedOwners(folders[layer] ?? '')(describeEntry({ path, hostPath, layer, stats }));
  dressFolder(file, here, entry);
}

function link({ hostPath, layer, stats }: Found, to: Open, writer: Writer): void {
  const name = nameOf(to.path);
  const stands = stats.nlink > 1n ? writer.linked.get(stats.ino) : undefined;
  const isOwn = stands === undefined || stands === layer;
  if (!isOwn || !tryLink(hostPath, to.file, name)) {
    const placer = writer.placers.get(layer) ?? createPlacer(writer.file);
    writer.placers.set(layer, placer);
    placer.place(to.file, to.path, describeEntry({ path: to.path, hostPath, layer, stats }));
  } else if (stats.nlink > 1n) writer.linked.set(stats.ino, layer);
  if (!ownRights().hasOneId || stats.isFile()) return;
  const entry: TreeEntry = recordedOwners(writer.folders[layer] ?? '')(describeEntry({ path: to.path, hostPath, layer, stats }));
  setOwnerAt(to.file, name, entry.uid, entry.gid);
}

/** Full link counts (65,000 on ext4) and file systems without links. */
function tryLink(hostPath: ByteString, folder: number, name: ByteString): boolean {
  try {
    linkAt(AT_FDCWD, hostPath, folder, name);
    return true;
  } catch (error) {
    if (!['EMLINK', 'EPERM', 'EOPNOTSUPP', 'EXDEV'].includes(systemCode(error) ?? '')) throw error;
    return false;
  }
}

function nameOf(path: ByteString): ByteString {
  return asByteString(path.slice(path.lastIndexOf('/') + 1));
}

function folderGone(folder: string): JettisonError {
  return new JettisonError('snapshot/folder-missing', `"${toText(fromText(folder))}" is not a folder`, { fault: 'environment' });
}
