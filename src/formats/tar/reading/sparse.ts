/** Maps of sparse files: which regions of a file the archive stores (https://www.gnu.org/software/tar/manual/html_node/Sparse-Formats.html). */
import { fromBytes } from '#ground/base/byte-string.ts';
import { badArchive, type Place } from './fail.ts';
import { parseNumber } from './header.ts';
import { paxNumber, type Pax } from './pax.ts';

/** Pairs of offset and length, in order. */
export type Regions = readonly number[];

/** The four pairs in an old GNU header, and whether a block with more follows. */
export function oldHeaderMap(
  block: Uint8Array,
  place: Place,
): { readonly regions: Regions; readonly more: boolean; readonly size: number } {
  const size = parseNumber(block, 483, 12);
  if (size === undefined || size < 0) throw badArchive('bad-sparse', 'its real size is not a number', place);
  return { regions: oldPairs(block, { at: 386, count: 4 }, place), more: block[482] !== 0, size };
}

/** The 21 pairs of a block that goes on with an old GNU map. */
export function oldBlockMap(block: Uint8Array, place: Place): { readonly regions: Regions; readonly more: boolean } {
  return { regions: oldPairs(block, { at: 0, count: 21 }, place), more: block[504] !== 0 };
}

function oldPairs(block: Uint8Array, table: { readonly at: number; readonly count: number }, place: Place): Regions {
  const regions: number[] = [];
  for (let index = 0; index < table.count; index++) {
    const at = table.at + index * 24;
    if (block[at] === 0) break;
    const offset = parseNumber(block, at, 12);
    const length = parseNumber(block, at + 12, 12);
    if (offset === undefined || length === undefined) throw badArchive('bad-sparse', 'its map holds something that is no number', place);
    regions.push(offset, length);
  }
  return regions;
}

/** The map of formats 0.0 and 0.1, which lies in the extended header; undefined when there is none. */
export function paxMap(pax: Pax, place: Place): Regions | undefined {
  const list = pax.values.get('GNU.sparse.map');
  if (list === undefined) return pax.regions.length > 0 || pax.values.has('GNU.sparse.size') ? pax.regions : undefined;
  const text = fromBytes(list);
  if (text === '') return [];
  if (!/^[0-9]{1,16}(?:,[0-9]{1,16})*$/u.test(text)) throw badArchive('bad-sparse', 'its map is not a list of numbers', place);
  return text.split(',').map(Number);
}

/** Format 1.0: the map stands before the data. */
export function hasMapInData(pax: Pax, place: Place): boolean {
  const major = paxNumber(pax, 'GNU.sparse.major', place);
  const minor = paxNumber(pax, 'GNU.sparse.minor', place);
  if (major === undefined || (major === 0 && (minor ?? 0) <= 1)) return false;
  if (major === 1 && (minor ?? 0) === 0) return true;
  throw badArchive('unsupported', `its sparse format ${major}.${minor ?? 0} is not known`, place);
}

/** Reads a format 1.0 map line by line: a count, then offset and length of each region; whole blocks. */
export type DataMap = {
  /** Takes one block; true when the map is complete with it. */
  push(block: Uint8Array): boolean;
  regions(): Regions;
};

export function createDataMap(limit: number, place: Place): DataMap {
  const numbers: number[] = [];
  let digits = '';
  let bytes = 0;
  let wanted = 1;
  return {
    push(block) {
      bytes += block.length;
      if (bytes > limit) throw badArchive('too-large', `its sparse map is longer than ${limit} bytes`, place);
      for (const byte of block) {
        if (numbers.length === wanted) break;
        if (byte >= 0x30 && byte <= 0x39 && digits.length < 16) digits += String.fromCharCode(byte);
        else if (byte === 0x0a && digits !== '') {
          numbers.push(Number(digits));
          digits = '';
          if (numbers.length === 1) wanted = 1 + 2 * (numbers[0] ?? 0);
        } else throw badArchive('bad-sparse', 'its map is not a list of numbers', place);
      }
      return numbers.length === wanted;
    },
    regions: () => numbers.slice(1),
  };
}

/** In order, apart, inside the file, and as many bytes as are stored; or `tar/bad-sparse`. */
export function checkRegions(regions: Regions, file: { readonly size: number; readonly stored: number }, place: Place): void {
  let end = 0;
  let stored = 0;
  if (regions.length % 2 !== 0) throw badArchive('bad-sparse', 'its map has an odd count of numbers', place);
  for (let index = 0; index < regions.length; index += 2) {
    const offset = regions[index] ?? -1;
    const length = regions[index + 1] ?? -1;
    if (!Number.isSafeInteger(offset) || offset < end || length < 0 || length > file.size - offset) {
      throw badArchive('bad-sparse', 'a region of its map overlaps another or lies outside the file', place);
    }
    end = offset + length;
    stored += length;
  }
  if (stored !== file.stored) throw badArchive('bad-sparse', `its map tells of ${stored} bytes, the archive holds ${file.stored}`, place);
}
