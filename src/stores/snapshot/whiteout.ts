/** A deletion in a snapshot's folder: overlayfs's character device 0:0, or a file that stands for it. */
import type { BigIntStats } from 'node:fs';
import type { ByteString } from '#ground/base/byte-string.ts';
import { systemCode } from '#ground/base/errors.ts';
import { getAttribute, setAttribute } from '#ground/linux/attributes.ts';
import { fileTypes, makeNodeAt, procPath } from '#ground/linux/syscall.ts';

/** On an empty file that nobody may open: a store on an overlay (in a container) cannot have the device. Overlays cannot be mounted over it either, so only we have to know. */
const standIn = 'user.jettison.whiteout';

/** Makes one under a path of the open folder `at`, where nothing is. */
export function makeWhiteoutAt(at: number, path: ByteString): void {
  try {
    makeNodeAt(at, path, { type: fileTypes.character, mode: 0 });
  } catch (error) {
    if (systemCode(error) !== 'EPERM') throw error;
    makeNodeAt(at, path, { type: fileTypes.file, mode: 0 });
    setAttribute(procPath(at, path), standIn, new Uint8Array([0x79]));
  }
}

/** Is the inode at `hostPath` one? */
export function isWhiteout(stats: BigIntStats, hostPath: ByteString): boolean {
  if (stats.isCharacterDevice()) return stats.rdev === 0n;
  return stats.size === 0n && stats.isFile() && (stats.mode & 0o7777n) === 0n && getAttribute(hostPath, standIn) !== undefined;
}

/** Has this extended attribute a meaning in a snapshot's folder that no step may give it? */
export function isMark(name: string): boolean {
  return name.startsWith('trusted.overlay.') || name.startsWith('user.overlay.') || name === standIn;
}
