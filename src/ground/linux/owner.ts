/**
 * Owners of a tree's files. Where this process's user namespace has a single id, no file can have another one: there an owner is recorded, for layers that are made of the
 * tree and copies that are taken of it. Files and folders carry theirs in an attribute, which overlayfs copies up with them. Symbolic links and special files can carry
 * none (xattr(7)): their owners stand by inode in a file beside the tree, which is named when the tree is opened for writing.
 */
import { appendFileSync, chownSync, existsSync, fchownSync, readFileSync, readlinkSync } from 'node:fs';
import { fromText, type ByteString } from '#ground/base/byte-string.ts';
import { systemCode } from '#ground/base/errors.ts';
import { getAttribute, ownerAttribute, removeAttribute, setAttribute, setAttributeOf } from './attributes.ts';
import { ownRights } from './own-rights.ts';
import { changeOwnerAt, procPath } from './syscall.ts';
import { lookAt } from './tree-read.ts';
import type { TreeEntry } from './tree.ts';

export type Owner = { readonly uid: number; readonly gid: number };

/** Never follows a link. An empty name means `at` itself. Clears setuid and setgid bits of files: set the mode afterwards. */
export function setOwnerAt(at: number, name: ByteString, uid: number, gid: number): void {
  if (!ownRights().hasOneId) return changeOwnerAt(at, name, uid, gid);
  const path = name.startsWith('/') ? name : procPath(at, name === '' ? '.' : name);
  const stats = lookAt(path);
  if (stats === undefined || !(stats.isFile() || stats.isDirectory())) recordBeside(at, stats?.ino, { uid, gid });
  else if (uid !== 0 || gid !== 0) setAttribute(path, ownerAttribute, print({ uid, gid }));
  else if (getAttribute(path, ownerAttribute) !== undefined) removeAttribute(path, ownerAttribute);
}

/** The same of an open file that was just made. */
export function setOwner(file: number, uid: number, gid: number): void {
  if (!ownRights().hasOneId) fchownSync(file, uid, gid);
  else if (uid !== 0 || gid !== 0) setAttributeOf(file, ownerAttribute, print({ uid, gid }));
}

/** Of a file or folder that is no part of a tree: where there is one id, everything belongs to it. Follows links. */
export function setOwnerOutside(path: string, uid: number, gid: number): void {
  if (!ownRights().hasOneId) chownSync(path, uid, gid);
}

function print({ uid, gid }: Owner): Uint8Array {
  return new TextEncoder().encode(`${uid}:${gid}`);
}

type Records = { readonly root: string; readonly file: string };

/** Trees that are open for writing in this thread. */
const open = new Set<Records>();

/** Until it is disposed, owners of links and special files below `root` (an absolute path) are recorded in `file`. */
export function recordOwnersOf(root: string, file: string): Disposable {
  if (!ownRights().hasOneId) return { [Symbol.dispose]: () => undefined };
  const records = { root: fromText(root), file };
  open.add(records);
  return { [Symbol.dispose]: () => void open.delete(records) };
}

/** Gives entries of a tree the owners that are recorded for them: nothing where owners are what they are. `file`: where those of links and special files stand. */
export function ownersRecordedIn(file: string): (entry: TreeEntry) => TreeEntry {
  if (!ownRights().hasOneId) return (entry) => entry;
  let besides: ReadonlyMap<number, Owner> | undefined;
  return (entry) => {
    const isCarrier = entry.kind === 'file' || entry.kind === 'folder';
    const owner = isCarrier ? readOwner(entry.hostPath) : (besides ??= readRecords(file)).get(entry.inode);
    return { ...entry, uid: owner?.uid ?? 0, gid: owner?.gid ?? 0 };
  };
}

/** The owner recorded at a file or folder. */
export function readOwner(path: ByteString): Owner | undefined {
  const value = getAttribute(path, ownerAttribute);
  return value === undefined ? undefined : parseOwner(new TextDecoder().decode(value));
}

/** A step can write what it likes. */
function parseOwner(text: string): Owner | undefined {
  const [, uid, gid] = /^([0-9]{1,10}):([0-9]{1,10})$/u.exec(text) ?? [];
  if (uid === undefined || gid === undefined) return undefined;
  return Number(uid) < largestId && Number(gid) < largestId ? { uid: Number(uid), gid: Number(gid) } : undefined;
}

const largestId = 2 ** 32 - 1;

function recordBeside(at: number, inode: bigint | undefined, { uid, gid }: Owner): void {
  const folder = readlinkSync(`/proc/self/fd/${at}`, 'latin1');
  const records = [...open].find(({ root }) => folder === root || folder.startsWith(`${root}/`));
  if (records === undefined || inode === undefined) return;
  // Root's need no line, unless the inode was another's before.
  if (uid !== 0 || gid !== 0 || existsSync(records.file)) appendFileSync(records.file, `${inode} ${uid} ${gid}\n`, { mode: 0o600 });
}

function readRecords(file: string): ReadonlyMap<number, Owner> {
  const found = new Map<number, Owner>();
  try {
    for (const line of readFileSync(file, 'latin1').split('\n')) {
      const [inode = '', uid = '', gid = ''] = line.split(' ');
      if (inode !== '') found.set(Number(inode), { uid: Number(uid), gid: Number(gid) });
    }
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error;
  }
  return found;
}
