/** Where the bytes of two files begin to differ, and what stands there. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { nodePath, type ByteString } from '#ground/base/byte-string.ts';

/** Bytes of one file around the first difference. */
export type Excerpt = { readonly bytes: Uint8Array; /** Of the first of them in the file. */ readonly start: number };

export type ContentDifference = {
  /** Of the first byte that differs; in what was packed, where `isPacked`. */
  readonly offset: number;
  readonly sizes: readonly [number, number];
  /** The first bytes of the first file. */
  readonly head: Uint8Array;
  readonly excerpts: readonly [Excerpt, Excerpt];
  /** The bytes are those inside of gzip data. */
  readonly isPacked: boolean;
  /** All of it where it is short. */
  readonly whole?: readonly [Uint8Array, Uint8Array];
};

const block = 1 << 20;
/** Bytes before and after the first difference that are looked at. */
const before = 4096;
const after = 256;
const longestWhole = 4 << 20;
const longestUnpacked = 64 << 20;
const headLength = 64;

type Bytes = { readonly size: number; read(offset: number, length: number): Uint8Array };

/** Of two regular files by their paths on this machine; undefined when they have the same bytes. */
export function compareContent(first: ByteString, second: ByteString): ContentDifference | undefined {
  using one = openBytes(first);
  using other = openBytes(second);
  const found = compareBytes([one, other], false);
  if (found === undefined || !isGzip(one) || !isGzip(other)) return found;
  // What it says of itself stands in its first ten bytes; what differs after them says nothing unless it is unpacked.
  if (found.offset < gzipHead) return found;
  const [inner, otherInner] = [unpacked(one), unpacked(other)];
  if (inner === undefined || otherInner === undefined) return found;
  return compareBytes([inMemory(inner), inMemory(otherInner)], true) ?? found;
}

const gzipHead = 10;

function isGzip(file: Bytes): boolean {
  const [a, b] = file.read(0, 2);
  return a === 0x1f && b === 0x8b;
}

/** undefined for what is damaged or too long. */
function unpacked(file: Bytes): Uint8Array | undefined {
  if (file.size > longestUnpacked) return undefined;
  try {
    return gunzipSync(file.read(0, file.size), { maxOutputLength: longestUnpacked });
  } catch {
    return undefined;
  }
}

function compareBytes(files: readonly [Bytes, Bytes], isPacked: boolean): ContentDifference | undefined {
  const [one, other] = files;
  const offset = firstDifference(one, other);
  if (offset === undefined) return undefined;
  const excerpt = (file: Bytes): Excerpt => {
    const start = Math.max(0, offset - before);
    return { bytes: file.read(start, offset - start + after), start };
  };
  const isShort = Math.max(one.size, other.size) <= longestWhole;
  return {
    offset,
    sizes: [one.size, other.size],
    head: one.read(0, headLength),
    excerpts: [excerpt(one), excerpt(other)],
    isPacked,
    ...(isShort ? { whole: [one.read(0, one.size), other.read(0, other.size)] } : {}),
  };
}

function firstDifference(one: Bytes, other: Bytes): number | undefined {
  for (let offset = 0; ; offset += block) {
    const [a, b] = [one.read(offset, block), other.read(offset, block)];
    const length = Math.min(a.length, b.length);
    for (let index = 0; index < length; index++) if (a[index] !== b[index]) return offset + index;
    if (a.length !== b.length) return offset + length;
    if (a.length < block) return undefined;
  }
}

function openBytes(path: ByteString): Bytes & Disposable {
  const file = openSync(nodePath(path), 'r');
  const { size } = fstatSync(file);
  return {
    size,
    read(offset, length) {
      const bytes = new Uint8Array(Math.max(0, Math.min(length, size - offset)));
      let filled = 0;
      while (filled < bytes.length) {
        const count = readSync(file, bytes, filled, bytes.length - filled, offset + filled);
        if (count === 0) break;
        filled += count;
      }
      return bytes.subarray(0, filled);
    },
    [Symbol.dispose]: () => closeSync(file),
  };
}

function inMemory(bytes: Uint8Array): Bytes {
  return { size: bytes.length, read: (offset, length) => bytes.subarray(offset, offset + length) };
}

/** The same of the first and of the second. */
export function ofBoth<A, B>([first, second]: readonly [A, A], of: (one: A) => B): readonly [B, B] {
  return [of(first), of(second)];
}
