/** The data types of SSH (RFC 4251, section 5): read with every length checked, and written. */
import { fromBase64, joinBytes } from '#ground/base/bytes.ts';

export type WireReader = {
  u32(): number;
  /** A `string`: bytes with their length before them. */
  bytes(): Uint8Array;
  text(): string;
  /** Bytes of this length, without one before them. */
  raw(length: number): Uint8Array;
};

/** Throws a RangeError where the data end too soon: callers say of what. */
export function readWire(data: Uint8Array): WireReader {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  let at = 0;
  const raw = (length: number): Uint8Array => {
    if (length > data.length - at) throw new RangeError('The data end too soon');
    at += length;
    return data.subarray(at - length, at);
  };
  const number = (): number => {
    const value = view.getUint32(at);
    at += 4;
    return value;
  };
  const bytes = (): Uint8Array => raw(number());
  return { u32: number, bytes, raw, text: () => new TextDecoder().decode(bytes()) };
}

export function join(...parts: readonly Uint8Array[]): Uint8Array {
  return joinBytes(parts);
}

export function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}

export function string(value: Uint8Array | string): Uint8Array {
  const bytes = typeof value === 'string' ? new TextEncoder().encode(value) : value;
  return join(u32(bytes.length), bytes);
}

/** An `mpint` of an unsigned number, big-endian: no zeros before it but the one that keeps it positive. */
export function mpint(number: Uint8Array): Uint8Array {
  const digits = withoutZeros(number);
  return string((digits[0] ?? 0) >= 0x80 ? join(new Uint8Array(1), digits) : digits);
}

/** Zeros at the beginning left out. */
export function withoutZeros(number: Uint8Array): Uint8Array {
  const first = number.findIndex((byte) => byte !== 0);
  return first < 0 ? new Uint8Array(0) : number.subarray(first);
}

export function same(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, index) => byte === other[index]);
}

/** base64url without padding (RFC 4648, section 5), as JSON web keys have it. */
export function toBase64Url(bytes: Uint8Array): string {
  return btoa(String.fromCodePoint(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '');
}

export function fromBase64Url(text: string): Uint8Array {
  return fromBase64(text.replaceAll('-', '+').replaceAll('_', '/'));
}
