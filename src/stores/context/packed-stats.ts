/**
 * The files of one folder with the state that each was hashed in, as one run of bytes that is read without being taken apart. Numbers are as this machine has them: the bytes never
 * leave it. A count and the length of all names, then columns: inode and size, times and file system, digests as hex, and names with NULs between them.
 */
import { asByteString, bytesOf, fromBytes } from '#ground/base/byte-string.ts';
import { digestOfHex, hexOf, type Digest } from '#ground/base/digest.ts';
import type { TreeEntry } from '#ground/linux/tree.ts';

/** What tells one state of a file from the next. */
export type FileState = Pick<TreeEntry, 'inode' | 'size' | 'mtime' | 'ctime' | 'fileSystem'>;

export type Hashed = { readonly state: FileState; readonly digest: Digest };

export function isSameState(one: FileState, other: FileState): boolean {
  const same = one.inode === other.inode && one.size === other.size && one.mtime === other.mtime;
  return same && one.ctime === other.ctime && one.fileSystem === other.fileSystem;
}

export type PackedStats = {
  readonly count: number;
  /** The digest of the file when it was last hashed in this very state. */
  find(name: string, state: FileState): Digest | undefined;
  entries(): Iterable<readonly [name: string, Hashed]>;
};

const headerLength = 16;
const hexLength = 64;
const [plainColumns, wideColumns] = [2, 3];
const nothing = -(2n ** 63n);

/** Bytes that do not add up are as good as none: it is only a memory. */
export function readPackedStats(bytes: Uint8Array): PackedStats {
  const copy = bytes.slice();
  const view = new DataView(copy.buffer);
  const whole = copy.length >= headerLength;
  const [count, namesLength] = whole ? [view.getUint32(0, true), view.getUint32(4, true)] : [0, 0];
  const numbersLength = count * 8 * (plainColumns + wideColumns);
  if (copy.length !== headerLength + numbersLength + count * hexLength + namesLength) return noStats;
  const plain = new Float64Array(copy.buffer, headerLength, count * plainColumns);
  const wide = new BigInt64Array(copy.buffer, headerLength + count * plainColumns * 8, count * wideColumns);
  const hexes = fromBytes(copy.subarray(headerLength + numbersLength, copy.length - namesLength));
  const names = fromBytes(copy.subarray(copy.length - namesLength)).split('\0');
  if (names.length !== count || !/^[0-9a-f]*$/u.test(hexes)) return noStats;
  const digestAt = (index: number): Digest => digestOfHex(hexes.slice(index * hexLength, (index + 1) * hexLength));
  let places: Map<string, number> | undefined;
  return {
    count,
    find(name, { inode, size, mtime, ctime, fileSystem }) {
      places ??= new Map(names.map((one, index) => [one, index]));
      const index = places.get(name);
      if (index === undefined || plain[index * 2] !== inode || plain[index * 2 + 1] !== size) return undefined;
      const at = index * wideColumns;
      const same = wide[at] === mtime && wide[at + 1] === (ctime ?? nothing) && wide[at + 2] === (fileSystem ?? nothing);
      return same ? digestAt(index) : undefined;
    },
    *entries() {
      for (let index = 0; index < count; index++) {
        const [inode = 0, size = 0] = plain.subarray(index * plainColumns);
        const [mtime = 0n, ctime = nothing, fileSystem = nothing] = wide.subarray(index * wideColumns);
        const known = { ...(ctime === nothing ? {} : { ctime }), ...(fileSystem === nothing ? {} : { fileSystem }) };
        yield [names[index] ?? '', { state: { inode, size, mtime, ...known }, digest: digestAt(index) }];
      }
    },
  };
}

export const noStats: PackedStats = { count: 0, find: () => undefined, entries: () => [] };

/** At least one file; digests are sha256, names without NUL. */
export function packStats(files: readonly (readonly [name: string, Hashed])[]): Uint8Array {
  const count = files.length;
  const names = bytesOf(asByteString(files.map(([name]) => name).join('\0')));
  const hexes = bytesOf(asByteString(files.map(([, { digest }]) => hexOf(digest)).join('')));
  const numbersLength = count * 8 * (plainColumns + wideColumns);
  const bytes = new Uint8Array(headerLength + numbersLength + hexes.length + names.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, count, true);
  view.setUint32(4, names.length, true);
  const plain = new Float64Array(bytes.buffer, headerLength, count * plainColumns);
  const wide = new BigInt64Array(bytes.buffer, headerLength + count * plainColumns * 8, count * wideColumns);
  for (const [index, [, { state }]] of files.entries()) {
    plain.set([state.inode, state.size], index * plainColumns);
    wide.set([state.mtime, state.ctime ?? nothing, state.fileSystem ?? nothing], index * wideColumns);
  }
  bytes.set(hexes, headerLength + numbersLength);
  bytes.set(names, headerLength + numbersLength + hexes.length);
  return bytes;
}
