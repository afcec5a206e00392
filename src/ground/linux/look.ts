/** What the kernel says of entries and open files, without an object for each of them: names, stats, targets of links. */
import { constants } from 'node:os';
import { fromBytes, type ByteString } from '#ground/base/byte-string.ts';
import { SystemCallError, check, lastError, libc, pathBytes } from './libc.ts';

const { errno: errors } = constants;
const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_NO_AUTOMOUNT = 0x800;
const STATX_BASIC_STATS = 0x7ff;
const STATX_BTIME = 0x800;
const AT_EMPTY_PATH = 0x1000;
const native = {
  statx: libc.func('int statx(int, const uint8_t*, int, unsigned int, _Out_ uint8_t*)'),
  getdents64: libc.func('long getdents64(int, _Out_ uint8_t*, size_t)'),
  readlinkat: libc.func('long readlinkat(int, const uint8_t*, _Out_ uint8_t*, size_t)'),
};

/** getdents64(2): the next records of an open folder, as many as go into `into`; gives their length in bytes, 0 at the end. */
export function readFolderRecords(folder: number, into: Uint8Array): number {
  return check(Number(native.getdents64(folder, into, into.length)), 'getdents64', String(folder));
}

/** statx(2) of an entry of an open folder, no link followed: a struct statx of 256 bytes into `into`; false, and `into` as it was, where nothing is there. */
export function statAt(folder: number, name: ByteString, into: Uint8Array): boolean {
  const flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT;
  if (native.statx(folder, pathBytes(name), flags, STATX_BASIC_STATS, into) === 0) return true;
  const error = lastError();
  if (error === errors.ENOENT || error === errors.ENOTDIR) return false;
  throw new SystemCallError('statx', error, name);
}

/** readlinkat(2): where a symbolic link in an open folder leads. Linux has none longer than 4095 bytes. */
export function readLinkAt(folder: number, name: ByteString): ByteString {
  const target = new Uint8Array(4096);
  const length = check(Number(native.readlinkat(folder, pathBytes(name), target, target.length)), 'readlinkat', name);
  return fromBytes(target.subarray(0, length));
}

/** What statx(2) says of an inode, without an object and 14 big integers for each file of a large tree. Holds until the next look. */
export type FileLook = {
  /** Type and permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly inode: number;
  readonly size: number;
  /** Nanoseconds since the epoch. */
  readonly mtime: bigint;
  readonly ctime: bigint;
  /** As `st_dev`. */
  readonly fileSystem: bigint;
};

const lookBytes = new Uint8Array(256);
const lookNumbers = new Uint32Array(lookBytes.buffer);
const lookHalves = new Uint16Array(lookBytes.buffer);
const lookSeconds = new BigInt64Array(lookBytes.buffer);
const emptyPath = new Uint8Array(1);

/** Offsets of struct statx, in units of the arrays above. */
const looked: FileLook = {
  get mode() {
    return lookHalves[14] ?? 0;
  },
  get uid() {
    return lookNumbers[5] ?? 0;
  },
  get gid() {
    return lookNumbers[6] ?? 0;
  },
  get inode() {
    return Number(lookSeconds[4]);
  },
  get size() {
    return Number(lookSeconds[5]);
  },
  get mtime() {
    return nanosecondsAt(14);
  },
  get ctime() {
    return nanosecondsAt(12);
  },
  get fileSystem() {
    return makeDevice(lookNumbers[34] ?? 0, lookNumbers[35] ?? 0);
  },
};

function nanosecondsAt(index: number): bigint {
  return (lookSeconds[index] ?? 0n) * 1_000_000_000n + BigInt(lookNumbers[2 * index + 2] ?? 0);
}

/** Looks at an open file. The answer is the same object each time. */
export function lookAtOpen(file: number): FileLook {
  check(native.statx(file, emptyPath, AT_EMPTY_PATH, STATX_BASIC_STATS, lookBytes), 'statx', String(file));
  return looked;
}

/** When the inode of an open file was made, in nanoseconds since the epoch; 0 where its file system does not keep that. */
export function birthTime(file: number): bigint {
  check(native.statx(file, emptyPath, AT_EMPTY_PATH, STATX_BTIME, lookBytes), 'statx', String(file));
  return ((lookNumbers[0] ?? 0) & STATX_BTIME) === 0 ? 0n : nanosecondsAt(10);
}

/** A device number as the kernel and `st_dev` have it. */
export function makeDevice(major: number, minor: number): bigint {
  const [high, low] = [BigInt(major), BigInt(minor)];
  return ((high & 0xfffff000n) << 32n) | ((high & 0xfffn) << 8n) | ((low & 0xffffff00n) << 12n) | (low & 0xffn);
}
