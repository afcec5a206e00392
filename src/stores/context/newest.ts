/** The newest times of many files: when these are settled, so is each of the files. */
import type { ByteString } from '#ground/base/byte-string.ts';
import { statField } from '#ground/linux/stat-rows.ts';
import { isSettled } from './settled.ts';

type Newest = {
  /** Of one of the files. */
  readonly hostPath: ByteString;
  ctime: number;
  ctimeNanoseconds: number;
  mtime: number;
  mtimeNanoseconds: number;
  /** The change time of one of them is a whole millisecond: perhaps all of them are only as exact. */
  isCoarse: boolean;
};

export type NewestTimes = {
  /** `hostPath` is asked for one file of a file system only. */
  add(rows: Float64Array, at: number, hostPath: () => ByteString): void;
  /** See settled.ts. True when there are no files. */
  isSettled(seenAt: bigint): boolean;
};

const millisecond = 1_000_000;

export function createNewestTimes(): NewestTimes {
  const ofFileSystem = new Map<number, Newest>();
  let lastSystem = -1;
  let last: Newest | undefined;

  const open = (fileSystem: number, hostPath: () => ByteString): Newest => {
    const known = ofFileSystem.get(fileSystem);
    if (known !== undefined) return known;
    const times = { ctime: -Infinity, ctimeNanoseconds: 0, mtime: -Infinity, mtimeNanoseconds: 0 };
    const made = { hostPath: hostPath(), ...times, isCoarse: false };
    ofFileSystem.set(fileSystem, made);
    return made;
  };
  return {
    add(rows, at, hostPath) {
      const fileSystem = rows[at + statField.fileSystem] ?? 0;
      if (last === undefined || fileSystem !== lastSystem) [last, lastSystem] = [open(fileSystem, hostPath), fileSystem];
      const [ctime, nanoseconds] = [rows[at + statField.ctime] ?? 0, rows[at + statField.ctimeNanoseconds] ?? 0];
      if (ctime > last.ctime || (ctime === last.ctime && nanoseconds > last.ctimeNanoseconds)) {
        last.ctime = ctime;
        last.ctimeNanoseconds = nanoseconds;
      }
      if (nanoseconds % millisecond === 0) last.isCoarse = true;
      const [mtime, rest] = [rows[at + statField.mtime] ?? 0, rows[at + statField.mtimeNanoseconds] ?? 0];
      if (mtime > last.mtime || (mtime === last.mtime && rest > last.mtimeNanoseconds)) {
        last.mtime = mtime;
        last.mtimeNanoseconds = rest;
      }
    },
    isSettled: (seenAt) => [...ofFileSystem].every(([fileSystem, newest]) => areSettled(BigInt(fileSystem), newest, seenAt)),
  };
}

function areSettled(fileSystem: bigint, newest: Newest, seenAt: bigint): boolean {
  const { hostPath, isCoarse, ctimeNanoseconds } = newest;
  const nanoseconds = isCoarse ? Math.ceil(ctimeNanoseconds / millisecond) * millisecond : ctimeNanoseconds;
  const ctime = timeOf(newest.ctime, nanoseconds);
  return isSettled({ hostPath, fileSystem, ctime, mtime: timeOf(newest.mtime, newest.mtimeNanoseconds) }, seenAt);
}

function timeOf(seconds: number, nanoseconds: number): bigint {
  return BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds);
}
