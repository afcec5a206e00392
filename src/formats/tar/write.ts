/**
 * Writes tar archives: ustar where an entry fits, one pax extended header before it where it does not. The same entry always gives the
 * same bytes: no clock, no user names, no access times, times in whole seconds.
 */
import { asByteString, bytesOf, type ByteString } from '#ground/base/byte-string.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { blockSize, noAttributes, type TarEntry, type TarKind } from './entry.ts';

const typeFlags: Readonly<Record<TarKind, string>> = {
  file: '0',
  'hard-link': '1',
  symlink: '2',
  'character-device': '3',
  'block-device': '4',
  folder: '5',
  fifo: '6',
};

/** Largest numbers of the header's octal fields (POSIX, "ustar Interchange Format"). */
const largestId = 0o7777777;
const largestSize = 0o77777777777;
const paxName = asByteString('././@PaxHeader');
const nothing = asByteString('');

type UstarName = { readonly name: string; readonly prefix: string };

/**
 * Header blocks of an entry; a file's `size` bytes follow, then `paddingOf(size)` zeros. A folder's name gets its slash here. Names of
 * attributes have `%` and `=` as `%25` and `%3D`, as GNU tar writes them. Throws `tar/bad-entry` for what tar cannot say.
 */
export function encodeHeader(entry: TarEntry): Uint8Array {
  checkEntry(entry);
  const name = entry.kind === 'folder' ? `${entry.name}/` : entry.name;
  const place = splitName(name);
  const mtime = floorSeconds(entry.mtime);
  const records = place && fitsPlain(entry, mtime) ? [] : paxRecords(entry, name, mtime);
  if (records.length === 0) return encodeBlock(entry, place ?? { name, prefix: '' }, mtime, new Uint8Array(blockSize));
  return withPax(entry, place ?? { name: name.slice(0, 100), prefix: '' }, mtime, records);
}

/** Zeros that follow `size` bytes of content: 0 to 511. */
export function paddingOf(size: number): number {
  return (blockSize - (size % blockSize)) % blockSize;
}

/** The two blocks of zeros that end an archive. */
export function endOfArchive(): Uint8Array {
  return new Uint8Array(2 * blockSize);
}

function checkEntry(entry: TarEntry): void {
  const wrong = (what: string): never => {
    throw new JettisonError('tar/bad-entry', `The entry "${entry.name}" cannot be written to a tar archive: ${what}`, { fault: 'bug' });
  };
  if (entry.name === '' || entry.name.includes('\0') || entry.linkName.includes('\0')) wrong('its name is empty or holds a NUL');
  if (!isCount(entry.size) || !isCount(entry.uid) || !isCount(entry.gid)) wrong('a number is negative or too large');
  if (entry.size > 0 && entry.kind !== 'file') wrong('only files have content');
  if (entry.device && (entry.device.major > largestId || entry.device.minor > largestId)) wrong('its device number is too large');
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}

/** Everything but the name fits into the header's own fields. */
function fitsPlain(entry: TarEntry, mtime: bigint): boolean {
  return (
    entry.xattrs.size === 0 &&
    entry.size <= largestSize &&
    entry.uid <= largestId &&
    entry.gid <= largestId &&
    entry.linkName.length <= 100 &&
    isAscii(entry.linkName) &&
    mtime >= 0n &&
    mtime <= BigInt(largestSize)
  );
}

/** A name as name (100 bytes) and prefix (155); undefined when it does not fit or is not ASCII, which is for pax to say. */
function splitName(name: string): UstarName | undefined {
  if (!isAscii(name)) return undefined;
  if (name.length <= 100) return { name, prefix: '' };
  const slash = name.indexOf('/', name.length - 101);
  if (slash < 1 || slash > 155 || slash === name.length - 1) return undefined;
  return { name: name.slice(slash + 1), prefix: name.slice(0, slash) };
}

/** Records of what does not fit, in byte order of their keys. */
function paxRecords(entry: TarEntry, name: string, mtime: bigint): readonly Uint8Array[] {
  const records: Uint8Array[] = [];
  const add = (key: string, value: string): void => void records.push(record(key, bytesOf(asByteString(value))));
  for (const [key, value] of [...entry.xattrs].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    records.push(record(`SCHILY.xattr.${encodeKey(key)}`, value));
  }
  if (entry.gid > largestId) add('gid', String(entry.gid));
  if (entry.linkName.length > 100 || !isAscii(entry.linkName)) add('linkpath', entry.linkName);
  if (mtime < 0n || mtime > BigInt(largestSize)) add('mtime', String(mtime));
  if (!splitName(name)) add('path', name);
  if (entry.size > largestSize) add('size', String(entry.size));
  if (entry.uid > largestId) add('uid', String(entry.uid));
  return records;
}

/** "LENGTH KEY=VALUE\n", where LENGTH counts itself. */
function record(key: string, value: Uint8Array): Uint8Array {
  const rest = key.length + value.length + 3;
  let length = rest + String(rest).length;
  length = rest + String(length).length;
  const bytes = new Uint8Array(length);
  const head = `${length} ${key}=`;
  putText(bytes, 0, head);
  bytes.set(value, head.length);
  bytes[length - 1] = 0x0a;
  return bytes;
}

function encodeKey(key: string): string {
  return key.replaceAll('%', '%25').replaceAll('=', '%3D');
}

function withPax(entry: TarEntry, place: UstarName, mtime: bigint, records: readonly Uint8Array[]): Uint8Array {
  const size = records.reduce((sum, each) => sum + each.length, 0);
  const headerAt = blockSize + size + paddingOf(size);
  const bytes = new Uint8Array(headerAt + blockSize);
  encodeBlock({ ...paxEntry, size }, { name: paxName, prefix: '' }, 0n, bytes);
  bytes[156] = 'x'.charCodeAt(0);
  putChecksum(bytes);
  let at = blockSize;
  for (const each of records) {
    bytes.set(each, at);
    at += each.length;
  }
  encodeBlock(entry, place, mtime, bytes.subarray(headerAt));
  return bytes;
}

const paxEntry: TarEntry = {
  name: paxName,
  kind: 'file',
  mode: 0o644,
  uid: 0,
  gid: 0,
  size: 0,
  mtime: 0n,
  linkName: nothing,
  device: undefined,
  xattrs: noAttributes,
};

/** One ustar block into `block` (zeros so far). Numbers that do not fit are written as 0: the pax header says them. */
function encodeBlock(entry: TarEntry, place: UstarName, mtime: bigint, block: Uint8Array): Uint8Array {
  putText(block, 0, place.name);
  putOctal(block, 100, 7, entry.mode & 0o7777);
  putOctal(block, 108, 7, entry.uid > largestId ? 0 : entry.uid);
  putOctal(block, 116, 7, entry.gid > largestId ? 0 : entry.gid);
  putOctal(block, 124, 11, entry.size > largestSize ? 0 : entry.size);
  putOctal(block, 136, 11, mtime < 0n || mtime > BigInt(largestSize) ? 0 : Number(mtime));
  putText(block, 156, typeFlags[entry.kind]);
  putText(block, 157, entry.linkName.slice(0, 100));
  putText(block, 257, 'ustar\u000000');
  if (entry.device) {
    putOctal(block, 329, 7, entry.device.major);
    putOctal(block, 337, 7, entry.device.minor);
  }
  putText(block, 345, place.prefix);
  putChecksum(block);
  return block;
}

/** Sum of the block's bytes with the checksum itself as spaces: six digits, NUL, space. */
function putChecksum(block: Uint8Array): void {
  block.fill(0x20, 148, 156);
  let sum = 0;
  for (let at = 0; at < blockSize; at++) sum += block[at] ?? 0;
  putOctal(block, 148, 6, sum);
  block[154] = 0;
}

function putText(bytes: Uint8Array, at: number, text: string): void {
  for (let index = 0; index < text.length; index++) bytes[at + index] = text.charCodeAt(index);
}

function putOctal(bytes: Uint8Array, at: number, digits: number, value: number): void {
  let rest = value;
  for (let place = at + digits - 1; place >= at; place--) {
    bytes[place] = 0x30 + (rest % 8);
    rest = Math.floor(rest / 8);
  }
}

function floorSeconds(nanoseconds: bigint): bigint {
  const seconds = nanoseconds / 1_000_000_000n;
  return nanoseconds < 0n && seconds * 1_000_000_000n !== nanoseconds ? seconds - 1n : seconds;
}

function isAscii(text: ByteString | string): boolean {
  for (let index = 0; index < text.length; index++) if (text.charCodeAt(index) > 0x7f) return false;
  return true;
}
