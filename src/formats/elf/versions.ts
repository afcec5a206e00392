/** Versions of symbols that a library has and that others want of it: Linux Standard Base, "Symbol Versioning". */
import type { ByteString } from '#ground/base/byte-string.ts';
import type { FileBytes } from './file-bytes.ts';
import type { Numbers } from './numbers.ts';

/** What is wanted of the library with this soname. A weak version may be missing. */
export type VersionNeed = {
  readonly library: ByteString;
  readonly versions: readonly { readonly name: ByteString; readonly isWeak: boolean }[];
};

export type VersionTable = {
  readonly file: FileBytes;
  readonly numbers: Numbers;
  /** A string by its offset in the table of strings. */
  readonly text: (offset: number) => ByteString | undefined;
};

const mostVersions = 4096;
const VER_FLG_WEAK = 2;

export function readVersionsNeeded({ file, numbers, text }: VersionTable, start: number, count: number): readonly VersionNeed[] {
  const needs: VersionNeed[] = [];
  let left = mostVersions;
  let at = start;
  for (let index = 0; index < Math.min(count, mostVersions); index++) {
    const row = file.read(at, 16);
    const library = text(numbers.u32(row, 4));
    const versions: VersionNeed['versions'][number][] = [];
    let next = at + numbers.u32(row, 8);
    for (let one = 0; one < numbers.u16(row, 2) && left > 0; one++, left--) {
      const version = file.read(next, 16);
      const name = text(numbers.u32(version, 8));
      if (name !== undefined && name !== '') versions.push({ name, isWeak: (numbers.u16(version, 4) & VER_FLG_WEAK) !== 0 });
      const step = numbers.u32(version, 12);
      if (step === 0) break;
      next += step;
    }
    if (library !== undefined) needs.push({ library, versions });
    const step = numbers.u32(row, 12);
    if (step === 0) break;
    at += step;
  }
  return needs;
}

export function readVersionsDefined({ file, numbers, text }: VersionTable, start: number, count: number): ReadonlySet<ByteString> {
  const names = new Set<ByteString>();
  let at = start;
  for (let index = 0; index < Math.min(count, mostVersions); index++) {
    const row = file.read(at, 20);
    // The first of its names is its own; the others are those that it follows.
    const name = text(numbers.u32(file.read(at + numbers.u32(row, 12), 8), 0));
    if (name !== undefined) names.add(name);
    const step = numbers.u32(row, 16);
    if (step === 0) break;
    at += step;
  }
  return names;
}
