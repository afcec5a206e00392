/** What lstat says of many files: a row of numbers for each, one behind the other. */
import type { BigIntStats } from 'node:fs';

/** Numbers in a row. */
export const statLength = 12;

/**
 * Where each number stands in a row: `mode` with the bits of the type, `fileSystem` and `device` as makedev gives them, times as seconds and the nanoseconds after them.
 * All of them are exact but for inodes of 2^53 and more (overlayfs over several file systems, FUSE), which are the nearest number, and negative from 2^63 on, as
 * Node has them.
 */
export const statField = {
  mode: 0,
  uid: 1,
  gid: 2,
  links: 3,
  inode: 4,
  size: 5,
  fileSystem: 6,
  device: 7,
  mtime: 8,
  mtimeNanoseconds: 9,
  ctime: 10,
  ctimeNanoseconds: 11,
} as const;

/** `at`: where the row begins. */
export function putStats(rows: Float64Array, at: number, stats: BigIntStats): void {
  rows[at + statField.mode] = Number(stats.mode);
  rows[at + statField.uid] = Number(stats.uid);
  rows[at + statField.gid] = Number(stats.gid);
  rows[at + statField.links] = Number(stats.nlink);
  rows[at + statField.inode] = Number(stats.ino);
  rows[at + statField.size] = Number(stats.size);
  rows[at + statField.fileSystem] = Number(stats.dev);
  rows[at + statField.device] = Number(stats.rdev);
  putTime(rows, at + statField.mtime, stats.mtimeNs);
  putTime(rows, at + statField.ctime, stats.ctimeNs);
}

/** `time` in nanoseconds since the epoch, to the two fields at `at`. */
export function putTime(rows: Float64Array, at: number, time: bigint): void {
  const nanoseconds = Number(((time % second) + second) % second);
  rows[at] = Number((time - BigInt(nanoseconds)) / second);
  rows[at + 1] = nanoseconds;
}

const second = 1_000_000_000n;

/** The time whose seconds stand at `at`, as nanoseconds since the epoch. */
export function timeAt(rows: Float64Array, at: number): bigint {
  return BigInt(rows[at] ?? 0) * second + BigInt(rows[at + 1] ?? 0);
}
