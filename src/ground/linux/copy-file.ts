/** Copies the bytes of a regular file the cheapest way there is: shared blocks, in the kernel, or through a buffer; holes stay holes. */
import { fstatSync, ftruncateSync, readSync, writeSync } from 'node:fs';
import type { ByteString } from '#ground/base/byte-string.ts';
import { systemCode } from '#ground/base/errors.ts';
import { AT_FDCWD, closeFile, openAt, openFlags } from './syscall.ts';
import { cloneFile, copyRange, seekSparse } from './file-bytes.ts';

export type CopyRequest = {
  /** An open file, or the path of a regular file whose folders are trusted (a link at its end is refused). */
  readonly from: number | ByteString;
  /** Open folder to make the file in, under a `name` that is not there yet. */
  readonly folder: number;
  readonly name: ByteString;
  /** What is asked for when the file is made; the umask applies. 0600 when not said. */
  readonly mode?: number;
  /** Bytes of the file, when they are known: a small file is not looked at then, and no more than these are read of one that goes through a passage. */
  readonly size?: number;
  /** Wants the bytes, too. */
  readonly passage?: Passage | undefined;
  /** Called with the new file when its bytes are in it. */
  readonly dress?: (file: number) => void;
};

/** Buffers that bytes pass through on their way, for whoever wants them. */
export type Passage = {
  /** Room for 1 to `wanted` bytes. */
  room(wanted: number): Uint8Array;
  /** So many bytes of the room given last have come. */
  passed(count: number): void;
};

/** Smaller files are quicker through the buffer. */
const smallFile = 128 << 10;
const largeRange = 1 << 30;
const cannot = new Set(['EOPNOTSUPP', 'ENOTSUP', 'EXDEV', 'EINVAL', 'ENOTTY', 'ENOSYS', 'EPERM', 'ETXTBSY']);
/** Pairs of devices between which cloning has failed once. */
const notCloning = new Set<string>();
let buffer: Uint8Array | undefined;

/**
 * Makes `name` (owned by this process) with the bytes of `from` and gives their number. Mode, owner, attributes and times are the caller's, in
 * this order. Throws system errors: `EEXIST`, `ELOOP`, `ENOSPC`; what was made of the file then stays for the caller to remove.
 */
export function copyFileInto({ from, folder, name, mode = 0o600, size, passage, dress }: CopyRequest): number {
  const source =
    typeof from === 'number' ? from : openAt(AT_FDCWD, from, { flags: openFlags.noFollow | openFlags.nonBlocking, resolve: 0 });
  try {
    const target = openAt(folder, name, {
      flags: openFlags.writeOnly | openFlags.create | openFlags.exclusive | openFlags.noFollow,
      mode,
      resolve: 0,
    });
    try {
      const count = copyBytes(source, target, size, passage);
      dress?.(target);
      return count;
    } finally {
      closeFile(target);
    }
  } finally {
    if (typeof from !== 'number') closeFile(source);
  }
}

function copyBytes(source: number, target: number, known: number | undefined, passage: Passage | undefined): number {
  if (known !== undefined && known <= smallFile) {
    if (passage !== undefined) return passBytes(source, known, passage, target);
    return copyUpTo({ source, target, offset: 0, length: known, inKernel: false });
  }
  const { size, blocks, dev } = fstatSync(source);
  if (size > smallFile) {
    const isCloned = tryClone(source, target, dev);
    if (isCloned || blocks * 512 < size) {
      const count = isCloned ? size : copySparse(source, target, size);
      return passage === undefined ? count : passBytes(source, known ?? size, passage);
    }
  }
  if (passage !== undefined) return passBytes(source, known ?? size, passage, target);
  return copyUpTo({ source, target, offset: 0, length: Number.POSITIVE_INFINITY, inKernel: size > smallFile });
}

/** Reads `size` bytes, fewer where the file is shorter, through a passage, into `target` where one is given. Gives how many it were. */
export function passBytes(source: number, size: number, passage: Passage, target?: number): number {
  let done = 0;
  while (done < size) {
    const room = passage.room(size - done);
    const count = readSync(source, room, 0, Math.min(room.length, size - done), done);
    if (count === 0) break;
    for (let written = 0; target !== undefined && written < count;) {
      written += writeSync(target, room, written, count - written, done + written);
    }
    passage.passed(count);
    done += count;
  }
  return done;
}

function tryClone(source: number, target: number, device: number): boolean {
  const pair = `${device} ${fstatSync(target).dev}`;
  if (notCloning.has(pair)) return false;
  try {
    cloneFile(source, target);
    return true;
  } catch (error) {
    if (!cannot.has(systemCode(error) ?? '')) throw error;
    notCloning.add(pair);
    return false;
  }
}

function copySparse(source: number, target: number, size: number): number {
  let end = 0;
  for (let start = seekSparse(source, 0, 'data'); start !== undefined; start = seekSparse(source, end, 'data')) {
    const hole = seekSparse(source, start, 'hole') ?? size;
    end = start + copyUpTo({ source, target, offset: start, length: hole - start, inKernel: true });
    if (end < hole) break;
  }
  const total = Math.max(size, end);
  ftruncateSync(target, total);
  return total;
}

type Range = {
  readonly source: number;
  readonly target: number;
  readonly offset: number;
  readonly length: number;
  readonly inKernel: boolean;
};

/** Copies `length` bytes at the same offset in both, or up to the end of the source; gives how many it were. */
function copyUpTo(range: Range): number {
  return (range.inKernel ? copyInKernel(range) : undefined) ?? copyThroughBuffer(range);
}

/** Undefined when the kernel cannot do it between these two files. */
function copyInKernel({ source, target, offset, length }: Range): number | undefined {
  let done = 0;
  while (done < length) {
    try {
      const count = copyRange(source, target, Math.min(length - done, largeRange), offset + done);
      if (count === 0) break;
      done += count;
    } catch (error) {
      if (done > 0 || !cannot.has(systemCode(error) ?? '')) throw error;
      return undefined;
    }
  }
  return done;
}

function copyThroughBuffer({ source, target, offset, length }: Range): number {
  buffer ??= new Uint8Array(1 << 20);
  let done = 0;
  while (done < length) {
    const count = readSync(source, buffer, 0, Math.min(length - done, buffer.length), offset + done);
    if (count === 0) break;
    for (let written = 0; written < count;) written += writeSync(target, buffer, written, count - written, offset + done + written);
    done += count;
  }
  return done;
}
