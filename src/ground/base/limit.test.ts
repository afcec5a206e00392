import { test } from 'node:test';
import assert from 'node:assert/strict';
import { createLimit } from './limit.ts';

const forever = new AbortController().signal;

test('at most so many run, in the order they came', async () => {
  const limit = createLimit(2);
  const order: number[] = [];
  let running = 0;
  let most = 0;
  const task = (index: number) => async (): Promise<void> => {
    most = Math.max(most, ++running);
    order.push(index);
    await new Promise(setImmediate);
    running--;
  };
  await Promise.all(Array.from({ length: 7 }, async (_, index) => await limit(task(index), forever)));
  assert.equal(most, 2);
  assert.deepEqual(order, [0, 1, 2, 3, 4, 5, 6]);
});

test('who is aborted in the line leaves it at once, and the others move up', async () => {
  const limit = createLimit(1);
  const gate = Promise.withResolvers<void>();
  const first = limit(async () => await gate.promise, forever);
  const controller = new AbortController();
  const second = limit(async () => await Promise.resolve('second'), controller.signal);
  const third = limit(async () => await Promise.resolve('third'), forever);
  controller.abort(new Error('gone'));
  await assert.rejects(second, /gone/u);
  gate.resolve();
  await first;
  assert.equal(await third, 'third');
});
