/** Extended attributes of a tree's entries. */
import { statfsSync } from 'node:fs';
import { constants } from 'node:os';
import { asByteString, fromBytes, fromText, nodePath, type ByteString } from '#ground/base/byte-string.ts';
import { JettisonError, systemCode } from '#ground/base/errors.ts';
import { SystemCallError, check, lastError, libc, pathBytes } from './libc.ts';

const { errno: errors } = constants;
const native = {
  lgetxattr: libc.func('long lgetxattr(const uint8_t*, const uint8_t*, _Out_ uint8_t*, size_t)'),
  llistxattr: libc.func('long llistxattr(const uint8_t*, _Out_ uint8_t*, size_t)'),
  lsetxattr: libc.func('int lsetxattr(const uint8_t*, const uint8_t*, const uint8_t*, size_t, int)'),
  fsetxattr: libc.func('int fsetxattr(int, const uint8_t*, const uint8_t*, size_t, int)'),
  lremovexattr: libc.func('int lremovexattr(const uint8_t*, const uint8_t*)'),
};

/** Holds an owner that a file cannot have (`owner.ts`). */
export const ownerAttribute = 'user.jettison.owner';

/** For most lists of names: a new array for each file of a large tree costs more than the call. */
const nameSpace = new Uint8Array(1024);

/** Names of the extended attributes of `path` itself (no link followed); none where the file system has none. */
export function listAttributes(path: ByteString): readonly string[] {
  const nul = pathBytes(path);
  for (let size = nameSpace.length; ; size *= 4) {
    const buffer = size === nameSpace.length ? nameSpace : new Uint8Array(size);
    const length = Number(native.llistxattr(nul, buffer, size));
    if (length === 0) return [];
    if (length > 0) return fromBytes(buffer.subarray(0, length)).split('\0').slice(0, -1);
    const error = lastError();
    if (error === errors.EOPNOTSUPP) return [];
    if (error !== errors.ERANGE) throw new SystemCallError('llistxattr', error, path);
  }
}

/** Bytes of one extended attribute; undefined when it is not there. */
export function getAttribute(path: ByteString, name: string): Uint8Array | undefined {
  const nul = pathBytes(path);
  const nameBytes = pathBytes(name);
  for (let size = 1024; ; size *= 8) {
    const buffer = new Uint8Array(size);
    const length = Number(native.lgetxattr(nul, nameBytes, buffer, size));
    if (length >= 0) return buffer.slice(0, length);
    const error = lastError();
    if (error === errors.ENODATA || error === errors.EOPNOTSUPP) return undefined;
    if (error !== errors.ERANGE) throw new SystemCallError('lgetxattr', error, path);
  }
}

/** Sets an attribute of `path` itself. Throws `linux/attribute-refused` where the kernel or the file system does not take it, else system errors. */
export function setAttribute(path: ByteString, name: string, value: Uint8Array): void {
  const error = trySet(path, name, value);
  if (error) throw explain(error, path, { name, value });
}

function trySet(path: ByteString, name: string, value: Uint8Array): SystemCallError | undefined {
  if (native.lsetxattr(pathBytes(path), pathBytes(name), value, value.length, 0) >= 0) return undefined;
  return new SystemCallError('lsetxattr', lastError(), path);
}

function explain(error: SystemCallError, path: ByteString, { name, value }: { readonly name: string; readonly value: Uint8Array }): Error {
  const isTooMuch = error.code === 'ENOSPC' && hasRoom(path);
  const why = isTooMuch ? 'it takes more room than there is for a file' : refusals.get(error.code);
  if (why === undefined) return error;
  return new JettisonError('linux/attribute-refused', `The extended attribute "${name}" (${value.length} bytes) cannot be set: ${why}`, {
    fault: 'environment',
    hint: 'File systems take a few kilobytes of attributes a file, and not each kind on each file: leave it out where the archive or image is made',
    cause: error,
  });
}

const refusals: ReadonlyMap<string, string> = new Map([
  ['E2BIG', 'its value is too long'],
  ['ERANGE', 'its name is too long'],
  ['EINVAL', 'its name or value is not one that can be'],
  ['EPERM', 'it is not permitted for this kind of file, or to this user'],
  ['ENOTSUP', 'the file system does not support it'],
  ['EOPNOTSUPP', 'the file system does not support it'],
]);

/** Is anything free on the disk of the folder that `path` lies in? Some file systems say "no space" of attributes that are too large for them. */
function hasRoom(path: ByteString): boolean {
  try {
    const { bavail, bsize } = statfsSync(nodePath(asByteString(path.slice(0, path.lastIndexOf('/') + 1))));
    return bavail * bsize > 1 << 20;
  } catch (error) {
    if (systemCode(error) === undefined) throw error;
    return false;
  }
}

/** The same of an open file. */
export function setAttributeOf(file: number, name: string, value: Uint8Array): void {
  const error = trySetOf(file, name, value);
  if (error) throw error;
}

function trySetOf(file: number, name: string, value: Uint8Array): SystemCallError | undefined {
  if (native.fsetxattr(file, pathBytes(name), value, value.length, 0) >= 0) return undefined;
  return new SystemCallError('fsetxattr', lastError(), String(file));
}

export function removeAttribute(path: ByteString, name: string): void {
  check(native.lremovexattr(pathBytes(path), pathBytes(name)), 'lremovexattr', path);
}

/** Before the name of an attribute that cannot be set here: it is kept under this one. */
const keptPrefix = 'user.jettison.kept.';

/**
 * Sets an attribute of a tree's entry. What only the machine's root may set (`trusted.*`), and an access list that speaks of ids that are not mapped here, is kept under
 * another name, by which `readAttributes` knows it: processes do not see it, layers have it.
 */
export function setTreeAttribute(path: ByteString, name: string, value: Uint8Array): void {
  const error = trySet(path, name, value);
  if (!error) return;
  if (!mayBeKept(name, error.code)) throw explain(error, path, { name, value });
  setAttribute(path, keptPrefix + name, value);
}

/** The same of an open file. */
export function setTreeAttributeOf(file: number, name: string, value: Uint8Array): void {
  const error = trySetOf(file, name, value);
  if (!error) return;
  const again = mayBeKept(name, error.code) ? trySetOf(file, keptPrefix + name, value) : error;
  if (again) throw explain(again, fromText(`/proc/self/fd/${file}/`), { name, value });
}

function mayBeKept(name: string, code: string): boolean {
  return name.startsWith('trusted.') ? code === 'EPERM' : name.startsWith('system.posix_acl_') && code === 'EINVAL';
}

/** Removes what `setTreeAttribute` set. */
export function removeTreeAttribute(path: ByteString, name: string): void {
  const isKept = listAttributes(path).includes(keptPrefix + name);
  removeAttribute(path, isKept ? keptPrefix + name : name);
}

/** The name that an attribute was set by with `setTreeAttribute`. */
export function treeAttributeName(name: string): string {
  const kept = name.startsWith(keptPrefix) ? name.slice(keptPrefix.length) : '';
  // A step can give its files any name of this kind: it must not get more by it than what is kept.
  return /^(?:trusted\.(?!overlay\.)|system\.posix_acl_)/u.test(kept) ? kept : name;
}

/** Extended attributes of the inode itself, without those of overlayfs and the owner that is recorded for it. */
export function readAttributes(hostPath: ByteString): ReadonlyMap<string, Uint8Array> {
  const found = new Map<string, Uint8Array>();
  for (const name of listAttributes(hostPath)) {
    if (name.startsWith('trusted.overlay.') || name.startsWith('user.overlay.') || name === ownerAttribute) continue;
    const value = getAttribute(hostPath, name);
    if (value !== undefined) found.set(treeAttributeName(name), value);
  }
  return found;
}
