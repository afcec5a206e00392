/**
 * The one way out of JavaScript: libc functions that Node does not have, through koffi. Load it in the worker process, and elsewhere only
 * where it saves more than it costs (some milliseconds). Every call is synchronous. Paths are byte strings; a failing call throws a SystemCallError with `code` (`ENOENT`).
 */
import { koffi } from './foreign.ts';
import { constants, endianness } from 'node:os';
import { getSystemErrorName } from 'node:util';
import { bytesOf, fromBytes, type ByteString } from '#ground/base/byte-string.ts';

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
export const mountFlags = {
  readOnly: 1,
  noSuid: 2,
  noDevice: 4,
  noExec: 8,
  remount: 32,
  bind: 4096,
  recursive: 16384,
  private: 1 << 18,
  slave: 1 << 19,
} as const;
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
const AT_NO_AUTOMOUNT = 0x800;
const STATX_BASIC_STATS = 0x7ff;
const SYS_OPENAT2 = 437;
const SEEK_DATA = 3;
const SEEK_HOLE = 4;
const FICLONE = 0x40049409;
const UTIME_OMIT = 0x3ffffffen;

export class SystemCallError extends Error {
  readonly code: string;
  readonly syscall: string;
  constructor(syscall: string, errno: number, subject: string) {
    const code = getSystemErrorName(-errno);
    super(`${code}: ${syscall} '${subject}'`);
    this.name = 'SystemCallError';
    this.code = code;
    this.syscall = syscall;
  }
}

const libc = koffi.load('libc.so.6');
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
  statx: libc.func('int statx(int, const uint8_t*, int, unsigned int, _Out_ uint8_t*)'),
  unshare: libc.func('int unshare(int)'),
  umask: libc.func('uint32_t umask(uint32_t)'),
  lgetxattr: libc.func('long lgetxattr(const uint8_t*, const uint8_t*, _Out_ uint8_t*, size_t)'),
  llistxattr: libc.func('long llistxattr(const uint8_t*, _Out_ uint8_t*, size_t)'),
  lsetxattr: libc.func('int lsetxattr(const uint8_t*, const uint8_t*, const uint8_t*, size_t, int)'),
  lremovexattr: libc.func('int lremovexattr(const uint8_t*, const uint8_t*)'),
  mount: libc.func('int mount(const uint8_t*, const uint8_t*, const uint8_t*, unsigned long, const uint8_t*)'),
  umount2: libc.func('int umount2(const uint8_t*, int)'),
  flock: libc.func('int flock(int, int)'),
  close: libc.func('int close(int)'),
  fchdir: libc.func('int fchdir(int)'),
  syncfs: libc.func('int syncfs(int)'),
  lseek: libc.func('long lseek(int, long, int)'),
  ioctl: libc.func('int ioctl(int, unsigned long, int)'),
  pipe2: libc.func('int pipe2(_Out_ int*, int)'),
  getdents64: libc.func('long getdents64(int, _Out_ uint8_t*, size_t)'),
  readlinkat: libc.func('long readlinkat(int, const uint8_t*, _Out_ uint8_t*, size_t)'),
  copyFileRange: libc.func('long copy_file_range(int, void*, int, void*, size_t, unsigned int)'),
};

/** Used in turns: more than any call takes. A new array for each name of a large tree costs more than the call. */
const shortPaths = Array.from({ length: 8 }, () => new Uint8Array(256));
let nextShort = 0;

/** Bytes with the NUL that C wants, good for the next call. A NUL inside a name is refused: it would cut the name short. */
function pathBytes(path: ByteString | string): Uint8Array {
  if (path.includes('\0')) throw new SystemCallError('path', 22, path);
  const short = path.length < 256 ? shortPaths[(nextShort = (nextShort + 1) % shortPaths.length)] : undefined;
  if (short !== undefined) {
    for (let index = 0; index < path.length; index++) short[index] = path.charCodeAt(index);
    short[path.length] = 0;
    return short;
  }
  const bytes = new Uint8Array(path.length + 1);
  bytes.set(bytesOf(path as ByteString)); // oxlint-disable-line typescript/no-unsafe-type-assertion
  return bytes;
}

function check(result: number, syscall: string, subject: string): number {
  if (result < 0) throw new SystemCallError(syscall, koffi.errno(), subject);
  return result;
}

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
  return file < 0 && koffi.errno() === errors.ENOENT ? undefined : check(file, 'openat2', path);
}

/** struct open_how: three numbers of 64 bits. */
const openHow = new Uint32Array(6);
const openHowBytes = new Uint8Array(openHow.buffer);
const [lowFlags, lowMode, lowResolve] = endianness() === 'LE' ? [0, 2, 4] : [1, 3, 5];

function open(at: number, path: ByteString | string, how: OpenHow): number {
  openHow[lowFlags] = how.flags | openFlags.closeOnExec;
  openHow[lowMode] = how.mode ?? 0;
  openHow[lowResolve] = how.resolve;
  return Number(native.openat2(SYS_OPENAT2, at, pathBytes(path), openHowBytes, openHowBytes.length));
}

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

/** getdents64(2): the next records of an open folder, as many as go into `into`; gives their length in bytes, 0 at the end. */
export function readFolderRecords(folder: number, into: Uint8Array): number {
  return check(Number(native.getdents64(folder, into, into.length)), 'getdents64', String(folder));
}

/** statx(2) of an entry of an open folder, no link followed: a struct statx of 256 bytes into `into`; false, and `into` as it was, where nothing is there. */
export function statAt(folder: number, name: ByteString, into: Uint8Array): boolean {
  const flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT;
  if (native.statx(folder, pathBytes(name), flags, STATX_BASIC_STATS, into) === 0) return true;
  const error = koffi.errno();
  if (error === errors.ENOENT || error === errors.ENOTDIR) return false;
  throw new SystemCallError('statx', error, name);
}

/** readlinkat(2): where a symbolic link in an open folder leads. Linux has none longer than 4095 bytes. */
export function readLinkAt(folder: number, name: ByteString): ByteString {
  const target = new Uint8Array(4096);
  const length = check(Number(native.readlinkat(folder, pathBytes(name), target, target.length)), 'readlinkat', name);
  return fromBytes(target.subarray(0, length));
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
    const error = koffi.errno();
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
    const error = koffi.errno();
    if (error === errors.ENODATA || error === errors.EOPNOTSUPP) return undefined;
    if (error !== errors.ERANGE) throw new SystemCallError('lgetxattr', error, path);
  }
}

export function setAttribute(path: ByteString, name: string, value: Uint8Array): void {
  check(native.lsetxattr(pathBytes(path), pathBytes(name), value, value.length, 0), 'lsetxattr', path);
}

export function removeAttribute(path: ByteString, name: string): void {
  check(native.lremovexattr(pathBytes(path), pathBytes(name)), 'lremovexattr', path);
}

/** mount(2). `flags` from `mountFlags`. */
export function mountFileSystem(mount: {
  readonly source: string;
  readonly target: ByteString | string;
  readonly type: string;
  readonly flags: number;
  readonly options: string;
}): void {
  check(
    native.mount(pathBytes(mount.source), pathBytes(mount.target), pathBytes(mount.type), mount.flags, pathBytes(mount.options)),
    'mount',
    mount.target,
  );
}

/** umount2(2) with MNT_DETACH and UMOUNT_NOFOLLOW. */
export function unmount(target: ByteString | string): void {
  check(native.umount2(pathBytes(target), 2 | 8), 'umount2', target);
}

/**
 * Runs `work` with the open folder `at` as the process's current folder, then goes back: for mount options, which must fit one page and
 * so want short relative names. Nothing else of this process may rely on the current folder meanwhile (threads share it).
 */
export function insideFolder<T>(at: number, work: () => T): T {
  const before = openAt(AT_FDCWD, '.', { flags: openFlags.path | openFlags.directory, resolve: 0 });
  try {
    check(native.fchdir(at), 'fchdir', String(at));
    return work();
  } finally {
    native.fchdir(before);
    native.close(before);
  }
}

/** syncfs(2): everything written so far to the file system of an open file is on disk afterwards. May take seconds. */
export function syncFileSystem(file: number): void {
  check(native.syncfs(file), 'syncfs', String(file));
}

/** flock(2): an exclusive or shared lock on an open file; false when somebody else holds it and `wait` is false. Ends with its process. */
export function lockFile(file: number, how: { readonly exclusive: boolean; readonly wait: boolean }): boolean {
  const result = native.flock(file, (how.exclusive ? 2 : 1) | (how.wait ? 0 : 4));
  if (result === 0) return true;
  const error = new SystemCallError('flock', koffi.errno(), String(file));
  if (error.code === 'EAGAIN' || error.code === 'EWOULDBLOCK') return false;
  throw error;
}

/** Makes `to` share the data of `from` (FICLONE): both open files of one file system that can (Btrfs, XFS). Throws EOPNOTSUPP, EXDEV or EINVAL elsewhere. */
export function cloneFile(from: number, to: number): void {
  check(native.ioctl(to, FICLONE, from), 'ioctl', String(to));
}

/** copy_file_range(2) at `offset` of both files (undefined: from their current offsets); bytes copied, 0 at the end. Throws EXDEV or EINVAL where the kernel cannot. */
export function copyRange(from: number, to: number, length: number, offset?: number): number {
  const at = (): BigInt64Array | null => (offset === undefined ? null : new BigInt64Array([BigInt(offset)]));
  return check(Number(native.copyFileRange(from, at(), to, at(), length, 0)), 'copy_file_range', String(to));
}

/** lseek(2) to the next byte of data at or after `offset`, or to the next hole; undefined when there is no data any more. */
export function seekSparse(file: number, offset: number, to: 'data' | 'hole'): number | undefined {
  const found = Number(native.lseek(file, offset, to === 'data' ? SEEK_DATA : SEEK_HOLE));
  if (found >= 0) return found;
  const error = new SystemCallError('lseek', koffi.errno(), String(file));
  if (error.code === 'ENXIO') return undefined;
  throw error;
}

/** pipe2(2), closed on exec: the read end and the write end. Node's own pipes to a child are sockets, which cannot be opened again through /dev/stdout. */
export function makePipe(): { readonly readEnd: number; readonly writeEnd: number } {
  const ends = new Int32Array(2);
  check(native.pipe2(ends, openFlags.closeOnExec), 'pipe2', '');
  const [readEnd = -1, writeEnd = -1] = ends;
  return { readEnd, writeEnd };
}

function makeDevice(major: number, minor: number): bigint {
  const [high, low] = [BigInt(major), BigInt(minor)];
  return ((high & 0xfffff000n) << 32n) | ((high & 0xfffn) << 8n) | ((low & 0xffffff00n) << 12n) | (low & 0xffn);
}
