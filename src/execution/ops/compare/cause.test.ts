import { test } from 'node:test';
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { fromText } from '#ground/base/byte-string.ts';
import { causeOfContent } from './cause.ts';
import { compareContent } from './content.ts';

const now = 1_800_000_000;
const period = { from: now - 5, to: now + 5 };

type Bytes = string | Uint8Array;

/** Two files that differ, and what is said of them. */
function told(first: Bytes, second: Bytes, path = '/x') {
  using folder = temporary();
  writeFileSync(join(folder.path, 'a'), first);
  writeFileSync(join(folder.path, 'b'), second);
  const found = compareContent(fromText(join(folder.path, 'a')), fromText(join(folder.path, 'b')));
  return found && { offset: found.offset, isPacked: found.isPacked, cause: causeOfContent(found, path, period) };
}

function temporary(): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), 'jettison-test-'));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true }) };
}

function number(size: 4 | 8, value: number, little: boolean): Uint8Array {
  const view = new DataView(new ArrayBuffer(24));
  if (size === 4) view.setUint32(7, value, little);
  else view.setBigUint64(7, BigInt(value), little);
  return new Uint8Array(view.buffer);
}

/** The head of one entry with a time in it. */
function tarHead(time: number): Uint8Array {
  const head = new Uint8Array(1024);
  const write = (text: string, at: number): void => head.set(new TextEncoder().encode(text), at);
  write('name', 0);
  write(time.toString(8).padStart(11, '0'), 136);
  write('ustar', 257);
  return head;
}

function arHead(time: number): string {
  return `!<arch>\n${'a.o/'.padEnd(16)}${String(time).padEnd(12)}${'0'.padEnd(6)}${'0'.padEnd(6)}${'644'.padEnd(8)}${'4'.padEnd(10)}\u0060\nabcd`;
}

function gzip(time: number, text: string): Uint8Array {
  const bytes = gzipSync(text);
  new DataView(bytes.buffer, bytes.byteOffset).setUint32(4, time, true);
  return bytes;
}

function zip(time: number): Uint8Array {
  const head = new Uint8Array(40);
  head.set([0x50, 0x4b, 3, 4]);
  new DataView(head.buffer).setUint16(10, time, true);
  return head;
}

const id = (letter: string): string => `${letter.repeat(8)}-1111-4111-8111-${letter.repeat(12)}`;

const cases: readonly (readonly [what: string, first: Bytes, second: Bytes, kind: string, says: RegExp, path?: string])[] = [
  ['a date', 'at Sun Nov 22 15:18:44 UTC 2026\n', 'at Sun Nov 22 15:18:47 UTC 2026\n', 'time', /as text/u],
  ['a date of ISO 8601', '{"at":"2026-11-22T15:18:44Z"}', '{"at":"2026-11-22T15:18:47Z"}', 'time', /as text/u],
  ['a time alone', 'x 15:18:44', 'x 15:18:45', 'time', /as text/u],
  ['seconds', `t=${now}\n`, `t=${now + 2}\n`, 'time', /since 1970/u],
  ['nanoseconds', `t=${now}123456789\n`, `t=${now + 2}123456780\n`, 'time', /since 1970/u],
  ['a number that is no time', 'n=1234567890\n', 'n=1234567892\n', 'unknown', /not recognised/u],
  ['four bytes, little end first', number(4, now, true), number(4, now + 1, true), 'time', /4 bytes/u],
  ['four bytes, big end first', number(4, now, false), number(4, now + 1, false), 'time', /4 bytes/u],
  ['eight bytes of nanoseconds', number(8, now * 1e9, true), number(8, (now + 1) * 1e9, true), 'time', /8 bytes/u],
  ['the head of gzip', gzip(now, 'a'), gzip(now + 1, 'a'), 'time', /head of gzip/u],
  ['inside of gzip', gzip(0, 'at 15:18:44'), gzip(0, 'at 15:18:47'), 'time', /as text/u],
  ['a zip archive', zip(100), zip(101), 'time', /zip/u],
  ['a tar archive', tarHead(now), tarHead(now + 1), 'time', /tar archive/u],
  ['an ar archive', arHead(now), arHead(now + 1), 'time', /ar archive/u],
  ['compiled Python', `0123456789abc`, `01234567x9abc`, 'time', /Python/u, '/a/x.pyc'],
  ['lines', 'a\nb\nc\n', 'c\na\nb\n', 'order', /lines/u],
  ['words', '{"a": 1, "b": 1}', '{"b": 1, "a": 1}', 'order', /words/u],
  ['a UUID', `id=${id('a')}`, `id=${id('b')}`, 'random', /UUID/u],
  ['a hash', 'a'.repeat(32), 'b'.repeat(32), 'random', /hash/u],
  ['a temporary file', 'in /tmp/tmp.abcdef\n', 'in /tmp/tmp.abcdeg\n', 'path', /temporary/u],
  ['a process', 'pid: 17', 'pid: 19', 'process', /process/u],
  ['a file of a process', '17\n', '19\n', 'process', /process/u, '/run/x.pid'],
  ['random bytes', new Uint8Array(32).fill(1), new Uint8Array(32).fill(200), 'random', /random bytes/u],
  ['more of the same', 'abc', 'abcd', 'unknown', /not recognised/u],
];

for (const [what, first, second, kind, says, path] of cases) {
  test(`the likely cause: ${what}`, () => {
    const found = told(first, second, path);
    assert.equal(found?.cause.kind, kind);
    assert.match(found.cause.what, says);
  });
}

test('where the first byte differs, also behind the first megabyte, and in what is packed', () => {
  const long = 'x'.repeat((1 << 20) + 10);
  assert.equal(told(`${long}a`, `${long}b`)?.offset, long.length);
  assert.equal(told(long, `${long}b`)?.offset, long.length);
  assert.equal(told(long, long), undefined);
  const packed = told(gzip(0, 'some text 1'), gzip(0, 'some text 2'));
  assert.deepEqual([packed?.offset, packed?.isPacked], [10, true]);
});
