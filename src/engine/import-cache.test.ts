import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sleep } from '#ground/base/retry.ts';
import { readInTime } from './import-cache.ts';

const never = new AbortController().signal;

test('a cache that says nothing is given up; whoever stops the build is not told of that', async () => {
  const silent = { read: async (signal: AbortSignal) => await sleep(60_000, signal).then(() => undefined) };
  await assert.rejects(readInTime(silent, 20, never), {
    code: 'engine/cache-too-slow',
    message: 'It has not said within 0.02 seconds what it has',
  });
  await assert.rejects(readInTime(silent, 60_000, AbortSignal.timeout(20)), { name: 'TimeoutError' });
  const quick = { read: async () => await Promise.resolve(undefined) };
  assert.equal(await readInTime(quick, 60_000, never), undefined);
});
