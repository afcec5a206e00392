import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { test } from 'node:test';
import * as v from 'valibot';
import { healthCheckSchema, nextPause, probeWords, readHealth, startingHealth, withResult, writeHealth, type Health } from './health.ts';

const check = v.parse(healthCheckSchema, { test: ['CMD-SHELL', 'true'], interval: 2e9, startPeriod: 10e9, startInterval: 1e9, retries: 2 });
const result = (start: number, code: number) => ({ start, end: start + 1, code, output: '' });

function after(codes: readonly (readonly [number, number])[]): Health {
  return codes.reduce((health, [start, code]) => withResult(health, result(start, code), { check, started: 0 }), startingHealth(undefined));
}

function summary(...codes: readonly (readonly [number, number])[]): readonly unknown[] {
  const { status, failingStreak } = after(codes);
  return [status, failingStreak];
}

test('failures count from the end of the start period on, and as many as are allowed make it unhealthy; one success makes it healthy', () => {
  assert.deepEqual(summary([0, 1], [9999, -1]), ['starting', 0]);
  assert.deepEqual(summary([0, 1], [10_000, 1]), ['starting', 1]);
  assert.deepEqual(summary([10_000, 1], [12_000, 7]), ['unhealthy', 2]);
  assert.deepEqual(summary([0, 0], [1000, 1], [2000, 1]), ['unhealthy', 2], 'one that was healthy has no start period any more');
  assert.deepEqual(summary([10_000, 1], [12_000, 1], [14_000, 0]), ['healthy', 0]);
  assert.deepEqual(summary([0, 0], [1000, 1]), ['healthy', 1]);
});

test('the last five results are kept, also over a new start', () => {
  const health = after([1, 2, 3, 4, 5, 6].map((start) => [start, 0] as const));
  assert.deepEqual(
    health.log.map(({ start }) => start),
    [2, 3, 4, 5, 6],
  );
  assert.deepEqual([startingHealth(health).status, startingHealth(health).log.length], ['starting', 5]);
});

test('pauses: the shorter one while it starts; what is run', () => {
  assert.equal(nextPause(check, 'starting', 0), 1000);
  assert.equal(nextPause(check, 'healthy', 0), 2000);
  assert.equal(nextPause(check, 'starting', 10_000), 2000);
  assert.equal(nextPause(v.parse(healthCheckSchema, { test: [] }), 'starting', 0), 30_000);
  assert.deepEqual(probeWords(check), ['/bin/sh', '-c', 'true']);
  assert.deepEqual(probeWords({ ...check, test: ['CMD', 'a', 'b'] }), ['a', 'b']);
  assert.deepEqual([probeWords({ ...check, test: ['NONE'] }), probeWords({ ...check, test: [] })], [undefined, undefined]);
});

test('what is kept is read again; a damaged file is none', () => {
  const folder = mkdtempSync('/tmp/jettison-health-');
  try {
    assert.equal(readHealth(folder), undefined);
    const health = after([[0, 0]]);
    writeHealth(folder, health);
    assert.deepEqual(readHealth(folder), health);
    writeHealth(`${folder}/gone`, health);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
