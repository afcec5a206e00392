/** Mounting and unmounting. */
import { endianness } from 'node:os';
import type { ByteString } from '#ground/base/byte-string.ts';
import { check, libc, pathBytes } from './libc.ts';
import { AT_FDCWD, closeFile, openAt, openFlags } from './syscall.ts';

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
  shared: 1 << 20,
} as const;

const native = {
  mount: libc.func('int mount(const uint8_t*, const uint8_t*, const uint8_t*, unsigned long, const uint8_t*)'),
  statfs: libc.func('int statfs(const uint8_t*, uint8_t*)'),
  umount2: libc.func('int umount2(const uint8_t*, int)'),
  fchdir: libc.func('int fchdir(int)'),
  mount_setattr: libc.func('long syscall(long, int, const uint8_t*, uint32_t, const uint8_t*, size_t)'),
};

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

/** struct statfs has 120 bytes where a long has eight. */
const fileSystemFacts = new Uint8Array(128);
const flagsAt = 80;

/**
 * Which of `readOnly`, `noSuid`, `noDevice` and `noExec` the mount at `path` has, by statfs(2): a remount has to repeat them, and in a user namespace may not leave
 * out one that the mount had before.
 */
export function flagsOfMount(path: string): number {
  check(native.statfs(pathBytes(path), fileSystemFacts), 'statfs', path);
  const flags = Number(new DataView(fileSystemFacts.buffer).getBigUint64(flagsAt, endianness() === 'LE'));
  return flags & (mountFlags.readOnly | mountFlags.noSuid | mountFlags.noDevice | mountFlags.noExec);
}

const SYS_MOUNT_SETATTR = 442;
const AT_RECURSIVE = 0x8000;

/**
 * Gives flags (of `readOnly`, `noSuid`, `noDevice`, `noExec`, which have the same bits in both calls) to the mount at `path` and to all below it; takes none away.
 * mount_setattr(2), Linux 5.12. `path` must be in the mount namespace of this process.
 */
export function addFlagsBelow(path: string, flags: number): void {
  if (flags === 0) return;
  const attributes = new BigUint64Array(4);
  attributes[0] = BigInt(flags);
  const bytes = new Uint8Array(attributes.buffer);
  check(native.mount_setattr(SYS_MOUNT_SETATTR, AT_FDCWD, pathBytes(path), AT_RECURSIVE, bytes, bytes.length), 'mount_setattr', path);
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
    closeFile(before);
  }
}
