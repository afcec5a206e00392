import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sleep } from '#ground/base/retry.ts';
import { tellOfCaches } from './told-caches.ts';

test('a cache that does not tell in time of its steps is slow, not damaged', async () => {
  const silent = { name: 'slow', readMemory: async (signal: AbortSignal) => await sleep(60_000, signal).then(() => undefined) };
  const mute = { name: 'mute', readMemory: async () => await Promise.resolve(undefined) };
  assert.deepEqual(await tellOfCaches([silent, mute], 20), [
    {
      name: 'slow',
      memory: undefined,
      trouble: { kind: 'unreachable', message: 'It has not said within 0.02 seconds what its steps were made of' },
    },
    { name: 'mute', memory: undefined, trouble: undefined },
  ]);
});
