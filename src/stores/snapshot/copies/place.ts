/** Makes copies of entries, exactly as they are: bytes, holes, owner, mode, attributes, time, and which of them are one file. */
import { fchmodSync, fchownSync } from 'node:fs';
import { asByteString, toText, type ByteString } from '#ground/base/byte-string.ts';
import { isCode, JettisonError, systemCode } from '#ground/base/errors.ts';
import { getAttribute, listAttributes, setAttribute } from '#ground/linux/attributes.ts';
import { copyFileInto } from '#ground/linux/copy-file.ts';
import { ownRights } from '#ground/linux/own-rights.ts';
import {
  changeModeAt,
  changeOwnerAt,
  changeTimeAt,
  changeTimeOf,
  fileTypes,
  linkAt,
  makeNodeAt,
  makeSymlinkAt,
  procPath,
} from '#ground/linux/syscall.ts';
import { sharedInode } from '#ground/linux/tree-digest.ts';
import type { TreeEntry } from '#ground/linux/tree.ts';
import { isMark } from '../whiteout.ts';

export type Placer = {
  /** Makes anything but a folder under `path` of the target; `folder` is the open folder that `path` is in, and nothing is there yet. */
  place(folder: number, path: ByteString, entry: TreeEntry): void;
};

/** For copies into the tree whose root is open as `target`: entries of one inode become one there. */
export function createPlacer(target: number): Placer {
  const copies = new Map<string, ByteString>();
  return {
    place(folder, path, entry) {
      const name = asByteString(path.slice(path.lastIndexOf('/') + 1));
      const inode = sharedInode(entry);
      const first = inode === undefined ? undefined : copies.get(inode);
      if (first !== undefined && tryLink(() => linkAt(target, first, folder, name))) return;
      copyEntry(folder, name, entry);
      if (inode !== undefined) copies.set(inode, path);
    },
  };
}

/** Owner, mode, attributes and time of a folder that is all filled; `at` is open, `name` may be '.'. */
export function dressFolder(at: number, name: ByteString, entry: Pick<TreeEntry, 'mode' | 'uid' | 'gid' | 'mtime' | 'hostPath'>): void {
  if (!ownRights().hasOneId) changeOwnerAt(at, name, entry.uid, entry.gid);
  changeModeAt(at, name, entry.mode);
  if (entry.hostPath !== '') copyAttributes(entry.hostPath, procPath(at, name));
  changeTimeAt(at, name, entry.mtime);
}

function copyEntry(folder: number, name: ByteString, entry: TreeEntry): void {
  if (entry.kind === 'file') copyFile(folder, name, entry);
  else {
    if (entry.kind === 'symlink') makeSymlinkAt(entry.target ?? asByteString(''), folder, name);
    else makeNodeAt(folder, name, { type: nodeTypes[entry.kind], mode: 0o600, ...entry.device });
    if (!isOwn(entry)) changeOwnerAt(folder, name, entry.uid, entry.gid);
    if (entry.kind !== 'symlink') changeModeAt(folder, name, entry.mode);
    copyAttributes(entry.hostPath, procPath(folder, name));
    changeTimeAt(folder, name, entry.mtime);
  }
}

function copyFile(folder: number, name: ByteString, entry: TreeEntry): void {
  const dress = (file: number): void => {
    if (!isOwn(entry)) fchownSync(file, entry.uid, entry.gid);
    fchmodSync(file, entry.mode);
    copyAttributes(entry.hostPath, procPath(folder, name));
    changeTimeOf(file, entry.mtime);
  };
  const count = copyFileInto({ from: entry.hostPath, folder, name, size: entry.size, dress });
  if (count !== entry.size) {
    throw new JettisonError('snapshot/damaged', `"${toText(entry.hostPath)}" has ${count} bytes, not ${entry.size}`, {
      fault: 'environment',
      hint: 'Something else wrote into the store: remove the store and build again',
    });
  }
}

/** New files have these owners by themselves: the folders that they are made in hand on none of their own yet. Where there is one id, owners are attributes (`owner.ts`). */
function isOwn({ uid, gid }: TreeEntry): boolean {
  return ownRights().hasOneId || (uid === process.geteuid?.() && gid === process.getegid?.());
}

/** As they are on disk, some perhaps under other names (`attributes.ts`). What a security module keeps for itself may not be set, nor need be: it gives new files their own. */
function copyAttributes(from: ByteString, to: ByteString): void {
  for (const name of listAttributes(from)) {
    const value = isMark(name) ? undefined : getAttribute(from, name);
    if (value === undefined) continue;
    try {
      setAttribute(to, name, value);
    } catch (error) {
      const isModules = name.startsWith('security.') && name !== 'security.capability';
      if (!isModules || !(isCode(error, 'linux/attribute-refused') || systemCode(error) === 'EACCES')) throw error;
    }
  }
}

const nodeTypes: Readonly<Record<TreeEntry['kind'], number>> = {
  fifo: fileTypes.fifo,
  socket: fileTypes.socket,
  'character-device': fileTypes.character,
  'block-device': fileTypes.block,
  file: fileTypes.file,
  folder: fileTypes.folder,
  symlink: fileTypes.symlink,
};

/** Full link counts (65,000 on ext4) and file systems without links: then a copy serves as well. */
function tryLink(link: () => void): boolean {
  try {
    link();
    return true;
  } catch (error) {
    if (!['EMLINK', 'EPERM', 'EOPNOTSUPP'].includes(systemCode(error) ?? '')) throw error;
    return false;
  }
}
