import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatAge, formatDuration, formatSize, suggest } from './human.ts';

test('sizes have decimal units and three figures', () => {
  const sizes = [0, 999, 1000, 1234, 10_940_000, 999_999, 1e12, 5e18].map((bytes) => formatSize(bytes));
  assert.deepEqual(sizes, ['0B', '999B', '1kB', '1.23kB', '10.9MB', '1000kB', '1TB', '5000PB']);
  assert.equal(formatSize(393_720, 4), '393.7kB');
});

test('durations', () => {
  assert.deepEqual([0, 149, 12_345, 60_000, 64_900, 3_600_000].map(formatDuration), ['0.0s', '0.1s', '12.3s', '1m 0s', '1m 4s', '60m 0s']);
});

test("ages are in the docker CLI's words, at each border", () => {
  const [second, minute, hour, day] = [1000, 60_000, 3_600_000, 86_400_000];
  const shown = new Map([
    [-5, 'Less than a second'],
    [999, 'Less than a second'],
    [second, '1 second'],
    [59 * second, '59 seconds'],
    [minute, 'About a minute'],
    [2 * minute, '2 minutes'],
    [59 * minute, '59 minutes'],
    [hour, 'About an hour'],
    [2 * hour, '2 hours'],
    [47 * hour, '47 hours'],
    [48 * hour, '2 days'],
    [13 * day, '13 days'],
    [14 * day, '2 weeks'],
    [59 * day, '8 weeks'],
    [60 * day, '2 months'],
    [729 * day, '24 months'],
    [730 * day, '2 years'],
  ]);
  for (const [age, words] of shown) assert.equal(formatAge(age), words);
});

test('a slip of the finger finds its word; another word finds none', () => {
  const stages = ['build', 'test', 'release'];
  assert.equal(suggest('bulid', stages), 'build', 'two letters swapped are one slip');
  assert.equal(suggest('relase', stages), 'release');
  assert.equal(suggest('TEST', stages), 'test');
  assert.equal(suggest('deploy', stages), undefined);
  assert.equal(suggest('wrkdr', ['USER', 'WORKDIR']), 'WORKDIR');
  assert.equal(suggest('x', ['y']), 'y');
  assert.equal(suggest('ab', ['xy']), undefined);
  assert.equal(suggest('', []), undefined);
  assert.equal(suggest('build', ['b'.repeat(1 << 20), 'build2']), 'build2');
  assert.equal(suggest('b'.repeat(1 << 20), [`${'b'.repeat(1 << 20)}2`]), undefined, 'too long to be compared');
});
