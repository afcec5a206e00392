/** Making and changing single inodes in an open folder. All names are single components, and no call follows a link. */
import { readdirSync, type BigIntStats } from 'node:fs';
import { asByteString, nodePath, type ByteString } from '#ground/base/byte-string.ts';
import {
  changeModeAt,
  changeTimeAt,
  closeFile,
  openAt,
  openFlags,
  procPath,
  removeFolderAt,
  resolveFlags,
  unlinkAt,
} from '#ground/linux/syscall.ts';
import { listAttributes, removeTreeAttribute, setTreeAttribute, treeAttributeName } from '#ground/linux/attributes.ts';
import { setOwnerAt } from '#ground/linux/owner.ts';
import { lookAt } from '#ground/linux/tree-read.ts';
import { systemCode } from '#ground/base/errors.ts';
import { belongsToLayer } from '../attributes.ts';

/** What a tar or the tree below says of an inode. */
export type Metadata = {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: bigint;
  readonly xattrs: ReadonlyMap<string, Uint8Array>;
};

/** The folder itself as a name in itself, for calls that take a folder and a name. */
export const itself = asByteString('.');
/** Children of a folder take this over when they are made, so it comes last. */
export const inheritedAttribute = 'system.posix_acl_default';

/** Nothing but what lies in the open folder: no link, no `..`, no magic link of /proc. */
const strict = resolveFlags.beneath | resolveFlags.noSymlinks | resolveFlags.noMagicLinks;

/** A folder by its path of real folders; undefined when there is no such folder. Only good as a place to start from (O_PATH). */
export function tryOpenFolder(at: number, path: ByteString): number | undefined {
  try {
    return openAt(at, path === '' ? itself : path, { flags: openFlags.path | openFlags.directory | openFlags.noFollow, resolve: strict });
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'ELOOP'].includes(systemCode(error) ?? '')) return undefined;
    throw error;
  }
}

/** A new file to write; throws EEXIST. */
export function createFile(at: number, name: ByteString): number {
  const flags = openFlags.writeOnly | openFlags.create | openFlags.exclusive | openFlags.noFollow;
  return openAt(at, name, { flags, mode: 0o600, resolve: strict });
}

/** The inode that `name` is, of whatever kind. */
export function lookIn(at: number, name: ByteString): BigIntStats | undefined {
  return lookAt(procPath(at, name));
}

/** Owner, then mode (a new owner takes setuid bits away), then attributes (capabilities too), then time. */
export function setMetadata(at: number, name: ByteString, kind: 'symlink' | 'folder' | 'other', metadata: Metadata): void {
  setOwnerAt(at, name, metadata.uid, metadata.gid);
  if (kind !== 'symlink') changeModeAt(at, name, metadata.mode);
  for (const [key, value] of metadata.xattrs) {
    if (belongsToLayer(key) && key !== inheritedAttribute) setTreeAttribute(procPath(at, name), key, value);
  }
  if (kind !== 'folder') changeTimeAt(at, name, metadata.mtime);
}

/** Takes away the attributes that `wanted` does not have. */
export function removeOtherAttributes(at: number, name: ByteString, wanted: ReadonlyMap<string, Uint8Array>): void {
  const path = procPath(at, name);
  for (const key of listAttributes(path).map(treeAttributeName)) {
    if (belongsToLayer(key) && !wanted.has(key)) removeTreeAttribute(path, key);
  }
}

/** Deletes a folder with all in it. */
export function removeTree(at: number, name: ByteString): void {
  const folder = openAt(at, name, { flags: openFlags.readOnly | openFlags.directory | openFlags.noFollow, resolve: strict });
  try {
    for (const child of readdirSync(nodePath(procPath(folder, itself)), { encoding: 'latin1', withFileTypes: true })) {
      const childName = asByteString(child.name);
      if (lookIn(folder, childName)?.isDirectory()) removeTree(folder, childName);
      else unlinkAt(folder, childName);
    }
  } finally {
    closeFile(folder);
  }
  removeFolderAt(at, name);
}
