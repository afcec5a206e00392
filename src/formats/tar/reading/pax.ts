/** Extended headers: records "LENGTH KEY=VALUE\n" whose values are bytes (POSIX, "pax Extended Header"). */
import { fromBytes, type ByteString } from '#ground/base/byte-string.ts';
import { badArchive, type Place } from './fail.ts';

export type Pax = {
  /** Last value of each key that means something here; an empty one takes back a global value. */
  readonly values: ReadonlyMap<string, Uint8Array>;
  /** `GNU.sparse.offset` and `GNU.sparse.numbytes` in the order they came (sparse format 0.0 repeats the keys). */
  readonly regions: readonly number[];
};

export const noPax: Pax = { values: new Map<string, Uint8Array>(), regions: [] };

const attributePrefix = 'SCHILY.xattr.';
/** All others are passed over: kept, those of a global header would cost time at every entry. */
const knownKeys = /^(?:path|linkpath|size|uid|gid|mtime|GNU\.sparse\..*|SCHILY\.xattr\..*)$/su;
/** What no global header may say: it belongs to one entry. */
const entryOnly = /^(?:path|linkpath|size|GNU\.sparse\..*|SCHILY\.xattr\..*)$/su;

/** Throws `tar/bad-pax`. Values are views of `bytes`. */
export function parsePax(bytes: Uint8Array, place: Place): Pax {
  const values = new Map<string, Uint8Array>();
  const regions: number[] = [];
  for (let at = 0; at < bytes.length;) {
    const record = parseRecord(bytes, at);
    if (!record) throw badArchive('bad-pax', 'an extended header record is not well formed', place);
    at = record.end;
    if (record.key === 'GNU.sparse.offset' || record.key === 'GNU.sparse.numbytes') {
      if ((record.key === 'GNU.sparse.offset') !== (regions.length % 2 === 0))
        throw badArchive('bad-sparse', 'its map is out of order', place);
      regions.push(decimal(record.value, record.key, place));
    } else if (knownKeys.test(record.key)) values.set(record.key, record.value);
  }
  return { values, regions };
}

/** Global values that hold from now on. Throws `tar/bad-pax` for keys that belong to one entry. */
export function mergeGlobal(old: Pax, added: Pax, place: Place): Pax {
  const wrong = added.regions.length > 0 ? 'GNU.sparse.offset' : [...added.values.keys()].find((key) => entryOnly.test(key));
  if (wrong !== undefined) throw badArchive('bad-pax', `a global header says "${wrong.slice(0, 40)}"`, place);
  return { values: overlay(old.values, added.values), regions: [] };
}

/** What holds for one entry. */
export function applyPax(global: Pax, local: Pax): Pax {
  if (local.values.size === 0 && local.regions.length === 0) return global;
  return global.values.size === 0 ? local : { values: overlay(global.values, local.values), regions: local.regions };
}

/** A value that is text without NUL; undefined when not said. */
export function paxText(pax: Pax, key: string, place: Place): ByteString | undefined {
  const value = pax.values.get(key);
  if (value === undefined || value.length === 0) return undefined;
  if (value.includes(0)) throw badArchive('bad-pax', `"${key}" holds a NUL`, place);
  return fromBytes(value);
}

/** A value that is a whole number from 0 to 2^53. */
export function paxNumber(pax: Pax, key: string, place: Place): number | undefined {
  const value = pax.values.get(key);
  return value === undefined || value.length === 0 ? undefined : decimal(value, key, place);
}

/** Seconds with a fraction, as nanoseconds. */
export function paxTime(pax: Pax, key: string, place: Place): bigint | undefined {
  const text = paxText(pax, key, place);
  if (text === undefined) return undefined;
  const match = /^(-?)([0-9]{1,15})(?:\.([0-9]{0,40}))?$/u.exec(text);
  if (!match) throw badArchive('bad-pax', `"${key}" is not a time`, place);
  const size = BigInt(match[2] ?? '0') * 1_000_000_000n + BigInt((match[3] ?? '').slice(0, 9).padEnd(9, '0'));
  return match[1] === '-' ? -size : size;
}

/** Extended attributes with names as GNU tar writes them (`%25`, `%3D`); undefined when there are none. Values are copies. */
export function paxAttributes(pax: Pax, place: Place): ReadonlyMap<string, Uint8Array> | undefined {
  let found: Map<string, Uint8Array> | undefined;
  for (const [key, value] of pax.values) {
    if (!key.startsWith(attributePrefix)) continue;
    const name = key.slice(attributePrefix.length).replaceAll('%3D', '=').replaceAll('%25', '%');
    if (name === '' || name.length > 255 || name.includes('\0'))
      throw badArchive('bad-pax', 'the name of an extended attribute is bad', place);
    found ??= new Map();
    found.set(name, value.slice());
  }
  return found;
}

function parseRecord(
  bytes: Uint8Array,
  start: number,
): { readonly key: string; readonly value: Uint8Array; readonly end: number } | undefined {
  let length = 0;
  let at = start;
  for (; at < bytes.length && bytes[at] !== 0x20; at++) {
    const digit = (bytes[at] ?? 0) - 0x30;
    if (digit < 0 || digit > 9 || at - start > 8) return undefined;
    length = length * 10 + digit;
  }
  const end = start + length;
  if (at === start || end > bytes.length || end <= at + 2 || bytes[end - 1] !== 0x0a) return undefined;
  const equals = bytes.indexOf(0x3d, at + 1);
  if (equals <= at + 1 || equals >= end - 1) return undefined;
  const key = fromBytes(bytes.subarray(at + 1, equals));
  return key.includes('\0') ? undefined : { key, value: bytes.subarray(equals + 1, end - 1), end };
}

function overlay(old: ReadonlyMap<string, Uint8Array>, added: ReadonlyMap<string, Uint8Array>): ReadonlyMap<string, Uint8Array> {
  const merged = new Map(old);
  for (const [key, value] of added) {
    if (value.length === 0 && !key.startsWith(attributePrefix)) merged.delete(key);
    else merged.set(key, value);
  }
  return merged;
}

function decimal(value: Uint8Array, key: string, place: Place): number {
  const text = fromBytes(value.subarray(0, 20));
  const number = Number(text);
  if (!/^[0-9]{1,16}$/u.test(text) || !Number.isSafeInteger(number)) {
    throw badArchive('bad-pax', `"${key.slice(0, 40)}" is not a number that can be`, place);
  }
  return number;
}
