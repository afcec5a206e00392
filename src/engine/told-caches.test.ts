import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sleep } from '#ground/base/retry.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { tellOfCaches, troubleOf } from './told-caches.ts';

test('a cache that does not tell in time of its steps is slow, not damaged', async () => {
  const silent = { name: 'slow', readMemory: async (signal: AbortSignal) => await sleep(60_000, signal).then(() => undefined) };
  const mute = { name: 'mute', readMemory: async () => await Promise.resolve(undefined) };
  assert.deepEqual(await tellOfCaches([silent, mute], new AbortController().signal, 20), [
    {
      name: 'slow',
      memory: undefined,
      trouble: { kind: 'unreachable', message: 'It has not said within 0.02 seconds what its steps were made of' },
    },
    { name: 'mute', memory: undefined, trouble: undefined },
  ]);
});

test('who interrupts a build does not wait for what a cache says, even for one that hears nothing', async () => {
  const deaf = { name: 'deaf', readMemory: async () => await new Promise<undefined>(() => undefined) };
  const interrupt = new AbortController();
  const told = tellOfCaches([deaf], interrupt.signal);
  interrupt.abort(new Error('Ctrl-C'));
  const [cache] = await told;
  assert.equal(cache?.trouble?.kind, 'unreachable');
  assert.match(cache?.trouble?.message ?? '', /interrupted/u);
});

test('a cache that is not there yet is neither away nor damaged', () => {
  assert.equal(troubleOf(new JettisonError('registry/not-found', '404')).kind, 'missing');
  assert.equal(troubleOf(new JettisonError('registry/server-error', '503')).kind, 'unreachable');
  assert.equal(troubleOf(new JettisonError('registry/wrong-digest', 'other bytes')).kind, 'damaged');
});
