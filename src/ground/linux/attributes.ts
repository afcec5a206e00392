/** Extended attributes of a tree's entries. */
import type { ByteString } from '#ground/base/byte-string.ts';
import { getAttribute, listAttributes } from './syscall.ts';

/** Extended attributes of the inode itself, without those of overlayfs. */
export function readAttributes(hostPath: ByteString): ReadonlyMap<string, Uint8Array> {
  const found = new Map<string, Uint8Array>();
  for (const name of listAttributes(hostPath)) {
    if (name.startsWith('trusted.overlay.') || name.startsWith('user.overlay.')) continue;
    const value = getAttribute(hostPath, name);
    if (value !== undefined) found.set(name, value);
  }
  return found;
}
