/**
 * A volume is a folder of the store: `_data` is what containers see. An empty one is filled with what the image has at its place, in two steps, so that nobody ever takes a part
 * for the whole: all is copied into `draft`, which becomes `full` when it is complete; then what is in there is moved to `_data`. Whoever opens the volume after a death goes on there.
 */
import { mkdirSync, readdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { asByteString, fromText, nodePath, type ByteString } from '#ground/base/byte-string.ts';
import { JettisonError, systemCode } from '#ground/base/errors.ts';
import { readAttributes, setTreeAttribute } from '#ground/linux/attributes.ts';
import { tryLockFile } from '#ground/linux/lock-file.ts';
import { readOwner, setOwnerAt } from '#ground/linux/owner.ts';
import { ownRights } from '#ground/linux/own-rights.ts';
import { removeTree } from '#ground/linux/remove-tree.ts';
import { openRoot } from '#ground/linux/rooted-path.ts';
import { AT_FDCWD, changeModeAt, changeTimeAt } from '#ground/linux/syscall.ts';
import { lookAt } from '#ground/linux/tree-read.ts';
import { openRootTree } from '#execution/runtime/root.ts';
import { copyFolder } from './copy-folder.ts';

/** What a container's root has at the place of a volume. */
export type VolumeSource = { readonly rootfs: string; readonly target: string };

/**
 * Makes the volume in `folder` ready, filled from `source` if there is one and nothing is in the volume; gives its `_data`. Waits for others who do the same.
 * Throws `ops/volume-over-file`, `ops/volume-gone`.
 */
export function openVolume(folder: string, source: VolumeSource | undefined, signal: AbortSignal): string {
  using lock = lockVolume(folder);
  if (lock === undefined)
    throw new JettisonError('ops/volume-gone', `The volume in "${folder}" is gone`, {
      hint: 'It was removed meanwhile: run the command again',
    });
  const data = join(folder, '_data');
  const [draft, full] = [join(folder, 'draft'), join(folder, 'full')];
  makeFolder(data);
  if (isThere(full)) moveIn(full, data);
  if (isThere(draft)) removeTree(draft);
  if (source === undefined || readdirSync(data).length > 0) return data;
  mkdirSync(draft, { mode: 0o755 });
  try {
    if (copyFrom(source, draft, signal)) {
      renameSync(draft, full);
      moveIn(full, data);
    }
  } finally {
    if (isThere(draft)) removeTree(draft);
  }
  return data;
}

function lockVolume(folder: string): Disposable | undefined {
  try {
    return tryLockFile(join(folder, 'lock'), { exclusive: true, wait: true });
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** False where the image has nothing there. */
function copyFrom({ rootfs, target }: VolumeSource, draft: string, signal: AbortSignal): boolean {
  using tree = openRootTree(rootfs);
  const { path, entry } = tree.resolve(target);
  if (entry === undefined) return false;
  if (entry.kind !== 'folder') {
    throw new JettisonError('ops/volume-over-file', `cannot mount volume over existing file, file exists ${target}`, {
      hint: 'Mount it on a folder, or on a path that the image does not have',
    });
  }
  using from = tree.root.openFolder(path);
  using to = openRoot(draft);
  copyFolder(from.file, to.file, signal);
  return true;
}

/** What somebody has put there meanwhile stays. */
function moveIn(full: string, data: string): void {
  for (const name of readdirSync(full, 'latin1').map(asByteString)) {
    try {
      renameSync(nodePath(inside(full, name)), nodePath(inside(data, name)));
    } catch (error) {
      if (!['EEXIST', 'ENOTEMPTY', 'ENOTDIR', 'EISDIR'].includes(systemCode(error) ?? '')) throw error;
    }
  }
  look(fromText(full), fromText(data));
  removeTree(full);
}

/** The folder itself looks as in the image, too. */
function look(source: ByteString, target: ByteString): void {
  const stats = lookAt(source);
  if (stats === undefined) return;
  const recorded = ownRights().hasOneId ? readOwner(source) : { uid: Number(stats.uid), gid: Number(stats.gid) };
  setOwnerAt(AT_FDCWD, target, recorded?.uid ?? 0, recorded?.gid ?? 0);
  changeModeAt(AT_FDCWD, target, Number(stats.mode & 0o7777n));
  for (const [name, value] of readAttributes(source)) setTreeAttribute(target, name, value);
  changeTimeAt(AT_FDCWD, target, stats.mtimeNs);
}

function inside(folder: string, name: ByteString): ByteString {
  return asByteString(`${fromText(folder)}/${name}`);
}

function isThere(path: string): boolean {
  return lookAt(fromText(path)) !== undefined;
}

function makeFolder(path: string): void {
  try {
    mkdirSync(path, { mode: 0o755 });
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error;
  }
}
