/** System calls on entries of open folders: opening, making, linking, removing and changing them. A failing call throws a SystemCallError (`libc.ts`). */
import { constants, endianness } from 'node:os';
import type { ByteString } from '#ground/base/byte-string.ts';
import { SystemCallError, check, lastError, libc, pathBytes } from './libc.ts';
import { makeDevice } from './look.ts';

export const AT_FDCWD = -100;
export const openFlags = {
  readOnly: 0,
  writeOnly: 1,
  readWrite: 2,
  create: 0o100,
  exclusive: 0o200,
  truncate: 0o1000,
  nonBlocking: 0o4000,
  directory: 0o200000,
  noFollow: 0o400000,
  closeOnExec: 0o2000000,
  path: 0o10000000,
} as const;
/** openat2(2): how a path may be resolved. */
export const resolveFlags = { noCrossDevice: 1, noMagicLinks: 2, noSymlinks: 4, beneath: 8, inRoot: 16 } as const;
export const fileTypes = {
  fifo: 0o010000,
  character: 0o020000,
  folder: 0o040000,
  block: 0o060000,
  file: 0o100000,
  symlink: 0o120000,
  socket: 0o140000,
} as const;

const { errno: errors } = constants;
const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_REMOVEDIR = 0x200;
const AT_EMPTY_PATH = 0x1000;
const SYS_OPENAT2 = 437;
const UTIME_OMIT = 0x3ffffffen;

const native = {
  openat2: libc.func('long syscall(long, int, const uint8_t*, const uint8_t*, size_t)'),
  mkdirat: libc.func('int mkdirat(int, const uint8_t*, uint32_t)'),
  mknodat: libc.func('int mknodat(int, const uint8_t*, uint32_t, uint64_t)'),
  symlinkat: libc.func('int symlinkat(const uint8_t*, int, const uint8_t*)'),
  linkat: libc.func('int linkat(int, const uint8_t*, int, const uint8_t*, int)'),
  unlinkat: libc.func('int unlinkat(int, const uint8_t*, int)'),
  renameat: libc.func('int renameat(int, const uint8_t*, int, const uint8_t*)'),
  fchownat: libc.func('int fchownat(int, const uint8_t*, uint32_t, uint32_t, int)'),
  fchmodat: libc.func('int fchmodat(int, const uint8_t*, uint32_t, int)'),
  utimensat: libc.func('int utimensat(int, const uint8_t*, const uint8_t*, int)'),
  futimens: libc.func('int futimens(int, const uint8_t*)'),
  unshare: libc.func('int unshare(int)'),
  umask: libc.func('uint32_t umask(uint32_t)'),
  flock: libc.func('int flock(int, int)'),
  close: libc.func('int close(int)'),
  pipe2: libc.func('int pipe2(_Out_ int*, int)'),
};

export type OpenHow = { readonly flags: number; readonly mode?: number; readonly resolve: number };

/**
 * openat2(2): opens `path` relative to the folder `at` under `resolve` rules. With `resolveFlags.inRoot`, absolute links and `..` stay
 * inside `at`. Gives a file descriptor; close it with `closeFile`.
 */
export function openAt(at: number, path: ByteString | string, how: OpenHow): number {
  return check(open(at, path, how), 'openat2', path);
}

/** As `openAt`, but undefined where nothing is there: for places where that is usual, as an error costs more than the call. */
export function tryOpenAt(at: number, path: ByteString | string, how: OpenHow): number | undefined {
  const file = open(at, path, how);
  return file < 0 && lastError() === errors.ENOENT ? undefined : check(file, 'openat2', path);
}

/** struct open_how: three numbers of 64 bits. */
const openHow = new Uint32Array(6);
const openHowBytes = new Uint8Array(openHow.buffer);
const [lowFlags, lowMode, lowResolve] = endianness() === 'LE' ? [0, 2, 4] : [1, 3, 5];

function open(at: number, path: ByteString | string, how: OpenHow): number {
  openHow[lowFlags] = how.flags | openFlags.closeOnExec;
  openHow[lowMode] = how.mode ?? 0;
  openHow[lowResolve] = how.resolve;
  for (let tries = 1; ; tries++) {
    const file = Number(native.openat2(SYS_OPENAT2, at, pathBytes(path), openHowBytes, openHowBytes.length));
    if (file >= 0 || tries === maximumTries || lastError() !== errors.EAGAIN) return file;
  }
}

/** Of a path with `..` that has to stay inside a folder: while anything is renamed or mounted on the machine, the kernel cannot tell, and says EAGAIN. */
const maximumTries = 128;

export function closeFile(file: number): void {
  native.close(file);
}

export function makeFolderAt(at: number, name: ByteString, mode: number): void {
  check(native.mkdirat(at, pathBytes(name), mode), 'mkdirat', name);
}

/** `type` is one of `fileTypes`; device numbers count for devices only. The umask applies to `mode`. */
export function makeNodeAt(
  at: number,
  name: ByteString,
  node: { readonly type: number; readonly mode: number; readonly major?: number; readonly minor?: number },
): void {
  check(native.mknodat(at, pathBytes(name), node.type | node.mode, makeDevice(node.major ?? 0, node.minor ?? 0)), 'mknodat', name);
}

export function makeSymlinkAt(target: ByteString, at: number, name: ByteString): void {
  check(native.symlinkat(pathBytes(target), at, pathBytes(name)), 'symlinkat', name);
}

/** Hard link; the source itself is linked when it is a symlink. */
export function linkAt(from: number, fromName: ByteString, to: number, toName: ByteString): void {
  check(native.linkat(from, pathBytes(fromName), to, pathBytes(toName), 0), 'linkat', toName);
}

export function unlinkAt(at: number, name: ByteString): void {
  check(native.unlinkat(at, pathBytes(name), 0), 'unlinkat', name);
}

export function removeFolderAt(at: number, name: ByteString): void {
  check(native.unlinkat(at, pathBytes(name), AT_REMOVEDIR), 'unlinkat', name);
}

export function renameAt(from: number, fromName: ByteString, to: number, toName: ByteString): void {
  check(native.renameat(from, pathBytes(fromName), to, pathBytes(toName)), 'renameat', toName);
}

/** Never follows a link. An empty name means `at` itself. Clears setuid and setgid bits of files: set the mode afterwards. */
export function changeOwnerAt(at: number, name: ByteString, uid: number, gid: number): void {
  check(native.fchownat(at, pathBytes(name), uid, gid, AT_SYMLINK_NOFOLLOW | (name === '' ? AT_EMPTY_PATH : 0)), 'fchownat', name);
}

/** Follows a link at the end: only for entries known not to be one. */
export function changeModeAt(at: number, name: ByteString, mode: number): void {
  check(native.fchmodat(at, pathBytes(name), mode, 0), 'fchmodat', name);
}

/** Sets mtime (and atime to the same), nanoseconds since the epoch; never follows a link. */
export function changeTimeAt(at: number, name: ByteString, mtime: bigint): void {
  check(native.utimensat(at, pathBytes(name), timesOf(mtime), AT_SYMLINK_NOFOLLOW), 'utimensat', name);
}

/** The same for an open file. */
export function changeTimeOf(file: number, mtime: bigint): void {
  check(native.futimens(file, timesOf(mtime)), 'futimens', String(file));
}

/** Two struct timespec: seconds and nanoseconds. */
const times = new BigInt64Array(4);
const timesBytes = new Uint8Array(times.buffer);

function timesOf(mtime: bigint): Uint8Array {
  const seconds = mtime >= 0n ? mtime / 1_000_000_000n : (mtime - 999_999_999n) / 1_000_000_000n;
  const nanoseconds = mtime - seconds * 1_000_000_000n;
  times[0] = seconds;
  times[1] = mtime === -1n ? UTIME_OMIT : nanoseconds;
  times[2] = seconds;
  times[3] = nanoseconds;
  return timesBytes;
}

const CLONE_FS = 0x200;

/**
 * From now on files that this thread makes get exactly the mode they are asked for, and the umask of the process's other threads stays as it is: the thread
 * has a umask (and a current folder) of its own. Where the kernel refuses that, nothing changes.
 */
export function dropUmask(): void {
  if (native.unshare(CLONE_FS) === 0) native.umask(0);
}

/** Path of an entry of an open folder, for calls that only take paths: only the last component is resolved by the kernel. */
export function procPath(at: number, name: ByteString | string): ByteString {
  return `/proc/self/fd/${at}/${name}` as ByteString; // oxlint-disable-line typescript/no-unsafe-type-assertion
}

/** flock(2): an exclusive or shared lock on an open file; false when somebody else holds it and `wait` is false. Ends with its process. */
export function lockFile(file: number, how: { readonly exclusive: boolean; readonly wait: boolean }): boolean {
  const result = native.flock(file, (how.exclusive ? 2 : 1) | (how.wait ? 0 : 4));
  if (result === 0) return true;
  const error = new SystemCallError('flock', lastError(), String(file));
  if (error.code === 'EAGAIN' || error.code === 'EWOULDBLOCK') return false;
  throw error;
}

/** pipe2(2), closed on exec: the read end and the write end. Node's own pipes to a child are sockets, which cannot be opened again through /dev/stdout. */
export function makePipe(): { readonly readEnd: number; readonly writeEnd: number } {
  const ends = new Int32Array(2);
  check(native.pipe2(ends, openFlags.closeOnExec), 'pipe2', '');
  const [readEnd = -1, writeEnd = -1] = ends;
  return { readEnd, writeEnd };
}
