/** One header block: v7, ustar, GNU and star (https://www.gnu.org/software/tar/manual/html_node/Standard.html; libarchive's tar(5)). */
import { asByteString, fromBytes, type ByteString } from '#ground/base/byte-string.ts';
import { blockSize } from '../entry.ts';
import { badArchive, type Place } from './fail.ts';

export type Header = {
  readonly name: ByteString;
  readonly typeFlag: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  /** Seconds. */
  readonly mtime: number;
  readonly linkName: ByteString;
  readonly major: number;
  readonly minor: number;
  readonly isGnu: boolean;
};

export function isZeroBlock(block: Uint8Array): boolean {
  for (let at = 0; at < blockSize; at++) if (block[at] !== 0) return false;
  return true;
}

/** The sum of the block's bytes, as unsigned or (in old archives) signed numbers, is what the header says. */
export function hasGoodChecksum(block: Uint8Array): boolean {
  const said = parseOctal(block, 148, 8);
  let unsigned = 8 * 0x20;
  let signed = unsigned;
  for (let at = 0; at < blockSize; at++) {
    if (at >= 148 && at < 156) continue;
    const byte = block[at] ?? 0;
    unsigned += byte;
    signed += byte < 128 ? byte : byte - 256;
  }
  return said === unsigned || said === signed;
}

/** Throws `tar/bad-header`; the checksum was looked at before. */
export function parseHeader(block: Uint8Array, place: Place): Header {
  const magic = textField(block, 257, 8);
  const isUstar = magic.startsWith('ustar') && block[262] === 0;
  const isStar = isUstar && textField(block, 508, 4).startsWith('tar');
  const prefix = isUstar ? textField(block, 345, isStar ? 131 : 155) : '';
  const short = textField(block, 0, 100);
  const name = asByteString(prefix === '' ? short : `${prefix}/${short}`);
  const here = { ...place, name };
  const number = (at: number, length: number, what: string): number => {
    const value = parseNumber(block, at, length);
    if (value === undefined || value < 0) throw badArchive('bad-header', `its ${what} is not a number that can be`, here);
    return value;
  };
  const mtime = parseNumber(block, 136, 12);
  if (mtime === undefined) throw badArchive('bad-header', 'its time is not a number', here);
  const hasDevice = magic.startsWith('ustar');
  return {
    name,
    typeFlag: String.fromCharCode(block[156] ?? 0),
    mode: number(100, 8, 'mode') & 0o7777,
    uid: number(108, 8, 'user ID'),
    gid: number(116, 8, 'group ID'),
    size: number(124, 12, 'size'),
    mtime,
    linkName: textField(block, 157, 100),
    major: hasDevice ? number(329, 8, 'device number') : 0,
    minor: hasDevice ? number(337, 8, 'device number') : 0,
    isGnu: magic.startsWith('ustar '),
  };
}

/** Bytes up to the first NUL or the end of the field. */
export function textField(block: Uint8Array, at: number, length: number): ByteString {
  let end = at;
  while (end < at + length && block[end] !== 0) end++;
  return fromBytes(block.subarray(at, end));
}

/** Octal digits, or base 256 when the first bit is set (GNU); undefined for anything else and beyond 2^53. */
export function parseNumber(block: Uint8Array, at: number, length: number): number | undefined {
  const first = block[at] ?? 0;
  if ((first & 0x80) === 0) return parseOctal(block, at, length);
  let value = first & 0x40 ? BigInt(first) - 256n : BigInt(first & 0x3f);
  for (let index = at + 1; index < at + length; index++) value = value * 256n + BigInt(block[index] ?? 0);
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : undefined;
}

/** Digits between spaces and NULs; an empty field is 0. */
function parseOctal(block: Uint8Array, start: number, length: number): number | undefined {
  let at = start;
  const end = start + length;
  while (at < end && isBlank(block[at])) at++;
  let value = 0;
  for (; at < end && !isBlank(block[at]); at++) {
    const digit = (block[at] ?? 0) - 0x30;
    if (digit < 0 || digit > 7) return undefined;
    value = value * 8 + digit;
  }
  for (; at < end; at++) if (!isBlank(block[at])) return undefined;
  return value;
}

function isBlank(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0;
}
