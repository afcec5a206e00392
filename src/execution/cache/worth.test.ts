import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chooseEvictions, halfLife, type Kept } from './worth.ts';

const now = 1_000_000_000_000;
const MB = 1_000_000;
const item = (id: string, more: Partial<Kept> = {}): Kept => ({
  id,
  parent: undefined,
  also: [],
  bytes: 10 * MB,
  cost: 1000,
  inputs: [],
  lastUsedAt: now,
  held: false,
  ...more,
});

test('what saves the fewest seconds a byte goes first, and no more than is wanted', () => {
  const kept = [item('dear', { cost: 60_000 }), item('cheap'), item('big', { bytes: 1000 * MB, cost: 30_000 })];
  assert.deepEqual(chooseEvictions(kept, 1, now), ['big']);
  assert.deepEqual(chooseEvictions(kept, 1005 * MB, now), ['big', 'cheap']);
  assert.deepEqual(chooseEvictions(kept, 10_000 * MB, now), ['big', 'cheap', 'dear']);
  assert.deepEqual(chooseEvictions(kept, 0, now), []);
});

test('a use long ago counts for less', () => {
  const old = item('old', { cost: 4000, lastUsedAt: now - 3 * halfLife });
  assert.deepEqual(chooseEvictions([item('new'), old], 1, now), ['old']);
  assert.deepEqual(chooseEvictions([item('new'), { ...old, cost: 9000 }], 1, now), ['new']);
});

test('what is held stays, and what it stands on', () => {
  const kept = [
    item('base'),
    item('step', { parent: 'base' }),
    item('top', { parent: 'step', held: true }),
    item('side', { parent: 'base', cost: 1e9 }),
  ];
  assert.deepEqual(chooseEvictions(kept, 1e12, now), ['side']);
});

test('a small dear result on a big cheap one does not keep the big one for ever: branches are weighed as a whole, children first', () => {
  const kept = [
    item('packages', { bytes: 1000 * MB, cost: 10_000 }),
    item('tiny', { parent: 'packages', bytes: 4096, cost: 50 }),
    item('other', { bytes: 10 * MB, cost: 60_000 }),
  ];
  assert.deepEqual(chooseEvictions(kept, 500 * MB, now), ['tiny', 'packages']);
});

test('a thing that two others carry goes before either, and is weighed with the one that has its bytes', () => {
  const kept = [
    item('base', { bytes: 500 * MB }),
    item('files', { bytes: 50 * MB, cost: 10 }),
    item('stacked', { parent: 'files', also: ['base'], bytes: 0, cost: 0 }),
  ];
  assert.deepEqual(chooseEvictions(kept, 1, now), ['stacked', 'files']);
  assert.deepEqual(chooseEvictions(kept, 100 * MB, now), ['stacked', 'files', 'base']);
  assert.deepEqual(chooseEvictions([...kept.slice(0, 2), item('stacked', { parent: 'files', also: ['base'], held: true })], 1, now), []);
});

test('a copy of a few milliseconds is worth the whole stage that it came from, once that is gone', () => {
  const copy = item('copy', { cost: 5, inputs: [{ id: 'stage', rebuild: 300_000 }] });
  const stage = item('stage', { bytes: 1000 * MB, cost: 300_000 });
  const middling = item('middling', { cost: 10_000 });
  // With the stage there, the copy can be made again in no time.
  assert.deepEqual(chooseEvictions([copy, stage, middling], 1, now), ['copy']);
  assert.deepEqual(chooseEvictions([copy, middling], 1, now), ['middling']);
  // It gains its worth in the very moment in which the stage goes.
  const old = { ...stage, lastUsedAt: now - 40 * halfLife };
  assert.deepEqual(chooseEvictions([copy, old, middling], 1005 * MB, now), ['stage', 'middling']);
});

test('chains of thousands of steps and thousands of things are weighed in time', () => {
  const chain = Array.from({ length: 1000 }, (_, index) => item(`c${index}`, { parent: index === 0 ? undefined : `c${index - 1}` }));
  const things = Array.from({ length: 1000 }, (_, index) => item(`t${index}`, { cost: index + 2000 }));
  const before = process.cpuUsage();
  assert.equal(chooseEvictions([...chain, ...things], 1500 * 10 * MB, now).length, 1500);
  const { user } = process.cpuUsage(before);
  assert.ok(user < 3_000_000, `${user} microseconds`);
});
