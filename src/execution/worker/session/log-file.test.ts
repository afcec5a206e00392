import { test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempDisposableSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openContainerLog } from './log-file.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const all = { maxSize: undefined, maxFiles: 1, attributes: {} };

function entriesOf(file: string): readonly { readonly log: string; readonly attrs?: unknown }[] {
  const lines = readFileSync(file, 'utf8').split('\n').slice(0, -1);
  return lines.map((line) => JSON.parse(line) as { readonly log: string });
}

test('a disk that is full costs lines of the log, not the container that writes them', () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'log-'));
  // full(4): every write fails with ENOSPC.
  execFileSync('mknod', [join(folder.path, 'log.json'), 'c', '1', '7']);
  using log = openContainerLog(folder.path, all, () => 0);
  log.write('stdout', bytes('one\n'));
  log.write('stderr', bytes('two\nhalf'));
  assert.ok(true, 'nothing was thrown');
});

test('a line that is too long is cut between characters, and no byte is lost', () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'log-'));
  const line = `x${'日本語😀'.repeat(5000)}\n`;
  const own = bytes(line);
  {
    using log = openContainerLog(folder.path, all, () => 0);
    for (let at = 0; at < own.length; at += 1000) log.write('stdout', own.subarray(at, at + 1000));
    log.write('stderr', new Uint8Array(40_000).fill(0x80));
  }
  const entries = entriesOf(join(folder.path, 'log.json'));
  const pieces = entries.filter(({ log }) => !log.startsWith('\ufffd')).map(({ log }) => log);
  assert.equal(pieces.join(''), line);
  assert.ok(pieces.length > 3 && pieces.every((piece) => bytes(piece).length <= 16_384));
  assert.equal(
    entries.map(({ log }) => log.split('\ufffd').length - 1).reduce((sum, count) => sum + count),
    40_000,
  );
});

test('a full file gets an older name, the oldest goes, and whoever has one open reads it to its end', () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'log-'));
  const keeping = { maxSize: 200, maxFiles: 3, attributes: { tier: 'front' } };
  for (let round = 0; round < 3; round++) {
    using log = openContainerLog(folder.path, keeping, () => 0);
    for (let line = 0; line < 10; line++) log.write('stdout', bytes(`${round * 10 + line}\n`));
  }
  assert.deepEqual(readdirSync(folder.path).toSorted(), ['log.json', 'log.json.1', 'log.json.2']);
  const kept = ['log.json.2', 'log.json.1', 'log.json'].flatMap((name) => entriesOf(join(folder.path, name)));
  const numbers = kept.map(({ log }) => Number(log));
  assert.deepEqual(
    numbers,
    Array.from(numbers, (_, index) => 30 - numbers.length + index),
    'the last ones, without a hole',
  );
  assert.ok(numbers.length > 4 && numbers.length < 15);
  assert.deepEqual(kept[0]?.attrs, { tier: 'front' });
});

test('without a log nothing is kept', () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'log-'));
  using log = openContainerLog(folder.path, undefined, () => 0);
  log.write('stdout', bytes('one\n'));
  assert.deepEqual(readdirSync(folder.path), []);
});
