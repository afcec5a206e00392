/**
 * What lies in one open folder, as names and rows of numbers: for looks at so many files that an object for each would cost more than the look itself. This reader is
 * Node's, and loads no system call library; `native-folder-reader.ts` is another one.
 */
import { readdirSync, readlinkSync } from 'node:fs';
import { asByteString, nodePath, type ByteString } from '#ground/base/byte-string.ts';
import { putStats, statLength } from './stat-rows.ts';
import { lookAt } from './tree-read.ts';

export type FolderReader = {
  /** All names but `.` and `..`, in byte order. `folder` is open for reading. */
  names(folder: number): readonly ByteString[];
  /** One row for each name, as lstat sees it; all zeros where nothing is there any more. */
  stats(folder: number, names: readonly ByteString[]): Float64Array;
  /** Target of a symbolic link. */
  target(folder: number, name: ByteString): ByteString;
};

export const nodeFolderReader: FolderReader = {
  names: (folder) => readdirSync(`/proc/self/fd/${folder}`, 'latin1').map(asByteString).toSorted(byByte),
  stats(folder, names) {
    const rows = new Float64Array(names.length * statLength);
    let at = 0;
    for (const name of names) {
      const stats = lookAt(asByteString(`/proc/self/fd/${folder}/${name}`));
      if (stats !== undefined) putStats(rows, at, stats);
      at += statLength;
    }
    return rows;
  },
  target: (folder, name) => asByteString(readlinkSync(nodePath(asByteString(`/proc/self/fd/${folder}/${name}`)), 'latin1')),
};

/** Byte order of names. */
export function byByte(a: ByteString, b: ByteString): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
