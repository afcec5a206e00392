import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isCode } from '#ground/base/errors.ts';
import { bytesToKeep } from './prune.ts';
import { allowedBytes, parseBytes, parseSpaceLimit } from './space-limit.ts';

const GB = 1e9;

test('sizes are docker’s, shares are of the disk, and what is neither is refused', () => {
  assert.deepEqual(['0', '8k', '1.5GB', '10GiB', '20 m'].map(parseBytes), [0, 8192, 1.5 * 2 ** 30, 10 * 2 ** 30, 20 * 2 ** 20]);
  assert.deepEqual(['none', '20%', '64m'].map(parseSpaceLimit), [
    { kind: 'none' },
    { kind: 'share', percent: 20 },
    { kind: 'bytes', bytes: 64 * 2 ** 20 },
  ]);
  for (const text of ['', 'much', '-1', '101%', '1e9', '10GB!', '99999999999999999p'])
    assert.throws(
      () => parseSpaceLimit(text),
      (error) => isCode(error, 'engine/bad-size'),
      text,
    );
});

function at(total: number, free: number, unheld: number): number {
  return allowedBytes(undefined, { total: total * GB, free: free * GB }, unheld * GB) / GB;
}

function keep(reserved?: number, maxUsed?: number, minFree?: number): number | undefined {
  return bytesToKeep({ reserved, maxUsed, minFree }, 100, 30);
}

test('without a limit of the user’s: a share of the disk, less while the disk is nearly full, and never next to nothing', () => {
  assert.equal(at(100, 50, 500), 60);
  assert.equal(at(1000, 500, 500), 100);
  // 20 GB should be free and 5 are: 15 of the cache's 40 go.
  assert.equal(at(100, 5, 40), 25);
  assert.equal(at(100, 0, 12), 10);
  assert.equal(at(20, 0, 12), 8);
  assert.equal(allowedBytes({ kind: 'share', percent: 10 }, { total: 50, free: 0 }, 1e9), 5);
  assert.equal(allowedBytes({ kind: 'none' }, { total: 50, free: 0 }, 1e9), Infinity);
});

test('limits of prune are BuildKit’s: a most, less where the disk lacks space, never below what is reserved', () => {
  assert.deepEqual(
    [
      keep(),
      keep(40),
      keep(undefined, 60),
      keep(undefined, undefined, 50),
      keep(undefined, 90, 50),
      keep(95, undefined, 50),
      keep(undefined, undefined, 10),
    ],
    [undefined, 40, 60, 80, 80, 95, 100],
  );
});
