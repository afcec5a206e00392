/** The bytes of open files: shared, copied, skipped and brought to the disk by the kernel. */
import { SystemCallError, check, lastError, libc } from './libc.ts';

const SEEK_DATA = 3;
const SEEK_HOLE = 4;
const FICLONE = 0x40049409;

const native = {
  syncfs: libc.func('int syncfs(int)'),
  lseek: libc.func('long lseek(int, long, int)'),
  ioctl: libc.func('int ioctl(int, unsigned long, int)'),
  copyFileRange: libc.func('long copy_file_range(int, void*, int, void*, size_t, unsigned int)'),
};

/** syncfs(2): everything written so far to the file system of an open file is on disk afterwards. May take seconds. */
export function syncFileSystem(file: number): void {
  check(native.syncfs(file), 'syncfs', String(file));
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
  const error = new SystemCallError('lseek', lastError(), String(file));
  if (error.code === 'ENXIO') return undefined;
  throw error;
}
