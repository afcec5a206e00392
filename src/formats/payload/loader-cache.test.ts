import { test } from 'node:test';
import assert from 'node:assert/strict';
import { asByteString } from '#ground/base/byte-string.ts';
import { readLoaderCache } from './loader-cache.ts';

/** One entry: `libx.so.1` at `/l/libx.so.1`. */
function cacheOf(prefix = ''): Uint8Array {
  const strings = 'libx.so.1\0/l/libx.so.1\0';
  const bytes = new Uint8Array(prefix.length + 72 + strings.length);
  const view = new DataView(bytes.buffer, prefix.length);
  const put = (text: string, at: number): void => bytes.set(new TextEncoder().encode(text), at);
  put(prefix, 0);
  put('glibc-ld.so.cache1.1', prefix.length);
  view.setUint32(20, 1, true);
  view.setUint32(52, 72, true);
  view.setUint32(56, 82, true);
  put(strings, prefix.length + 72);
  return bytes;
}

test('names lead to paths, in the form of today and behind the old one', () => {
  const expected = new Map([[asByteString('libx.so.1'), [asByteString('/l/libx.so.1')]]]);
  assert.deepEqual(readLoaderCache(cacheOf()), expected);
  assert.deepEqual(readLoaderCache(cacheOf(`ld.so-1.7.0\0\0\0\0\0`)), expected);
});

test('what is damaged says less, and never throws', () => {
  const bytes = cacheOf();
  for (let length = 0; length < bytes.length; length++) assert.doesNotThrow(() => readLoaderCache(bytes.subarray(0, length)));
  const many = cacheOf();
  new DataView(many.buffer).setUint32(20, 0xffffffff, true);
  assert.ok(readLoaderCache(many).size < 3);
  assert.equal(readLoaderCache(new TextEncoder().encode('text')).size, 0);
});
