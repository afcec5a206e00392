import { test } from 'node:test';
import assert from 'node:assert/strict';
import { appendFileSync, mkdtempDisposableSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isCode } from '#ground/base/errors.ts';
import { setTimeout as sleep } from 'node:timers/promises';
import { followFile, type GrowingFile } from './growing.ts';
import { removeSegments, segmentPath } from './segment.ts';

const signal = new AbortController().signal;

async function readAll(file: GrowingFile, offset = 0): Promise<string> {
  const chunks: string[] = [];
  for await (const chunk of file.read(offset, signal)) chunks.push(Buffer.from(chunk).toString());
  return chunks.join('');
}

test('a file is read to its end while it is made, grows, moves and is removed', async () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'jettison-growing-'));
  const path = join(folder.path, 'part');
  const written = Promise.withResolvers<{ readonly size: number }>();
  const following = followFile(path, written.promise, signal);
  await sleep(20);
  writeFileSync(path, 'one ');
  using file = await following;
  assert.equal(await file.exceeds(3, signal), true);
  const [whole, rest] = [readAll(file), readAll(file, 4)];
  await sleep(20);
  appendFileSync(path, 'two ');
  renameSync(path, `${path}.done`);
  appendFileSync(`${path}.done`, 'three');
  rmSync(`${path}.done`);
  written.resolve({ size: 13 });
  assert.deepEqual(await Promise.all([whole, rest]), ['one two three', 'two three']);
  assert.deepEqual([await file.exceeds(12, signal), await file.exceeds(13, signal)], [true, false]);
});

test('what the writer throws is thrown, a file shorter than was said is an error, aborting ends it', async () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'jettison-growing-'));
  const path = join(folder.path, 'part');
  const written = Promise.withResolvers<{ readonly size: number }>();
  const missing = followFile(path, written.promise, signal);
  writeFileSync(`${path}-2`, 'short');
  using file = await followFile(`${path}-2`, written.promise, signal);
  const reading = readAll(file);
  const controller = new AbortController();
  const waiting = file.exceeds(10, controller.signal);
  controller.abort(new Error('enough'));
  await assert.rejects(waiting, /enough/u);
  written.reject(new Error('no more disk'));
  await assert.rejects(missing, /no more disk/u);
  await assert.rejects(reading, /no more disk/u);
  using cut = await followFile(`${path}-2`, Promise.resolve({ size: 6 }), signal);
  await assert.rejects(readAll(cut), /ends after 5 of 6 bytes/u);
});

test('segments are read one after the other and removed behind the reader, who may go back over the last ones', async () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'jettison-growing-'));
  const path = join(folder.path, 'part');
  const written = Promise.withResolvers<{ readonly size: number }>();
  writeFileSync(path, 'begin ');
  using file = await followFile(path, written.promise, signal);
  const whole = readAll(file);
  const words = Array.from({ length: 9 }, (_, index) => `word${index + 1} `);
  for (const [index, word] of words.entries()) {
    // What comes to a segment just before the next one is begun belongs to it.
    writeFileSync(segmentPath(path, index + 1), word.slice(0, 3));
    await sleep(index < 3 ? 20 : 0);
    appendFileSync(segmentPath(path, index + 1), word.slice(3));
  }
  written.resolve({ size: 6 + 9 * 6 });
  assert.equal(await whole, `begin ${words.join('')}`);
  assert.deepEqual(
    readdirSync(folder.path).toSorted(),
    [5, 6, 7, 8, 9].map((index) => `part.${index}`),
  );
  assert.equal(await readAll(file, 33), 'd5 word6 word7 word8 word9 ');
  assert.equal(await readAll(file, 60), '');
  await assert.rejects(readAll(file, 29), (error) => isCode(error, 'content/passed'));
  removeSegments(path, 10);
  assert.deepEqual(readdirSync(folder.path), []);
});

test('short pieces may all be kept: a request takes several before it asks to wait', async () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'jettison-growing-'));
  const path = join(folder.path, 'part');
  const written = Promise.withResolvers<{ readonly size: number }>();
  writeFileSync(path, 'first ');
  using file = await followFile(path, written.promise, signal);
  const kept: Uint8Array[] = [];
  for await (const chunk of file.read(0, signal)) {
    kept.push(chunk);
    if (kept.length < 5) appendFileSync(path, `piece ${kept.length} `);
    else written.resolve({ size: 6 + 4 * 8 });
  }
  assert.equal(Buffer.concat(kept).toString(), 'first piece 1 piece 2 piece 3 piece 4 ');
});
