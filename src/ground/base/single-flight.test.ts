import { test } from 'node:test';
import assert from 'node:assert/strict';
import { createSingleFlight } from './single-flight.ts';

const forever = new AbortController().signal;
const fail = async (): Promise<string> => await Promise.reject(new Error('broken'));

test('callers with one key share one call; a later call runs again', async () => {
  const flight = createSingleFlight<string, number>();
  let calls = 0;
  const task = async (): Promise<number> => {
    await Promise.resolve();
    return ++calls;
  };
  assert.deepEqual(await Promise.all([flight('a', task, forever), flight('a', task, forever), flight('b', task, forever)]), [1, 1, 2]);
  assert.equal(await flight('a', task, forever), 3);
});

test('the call goes on while one waiter is left and is cancelled when the last one leaves', async () => {
  const flight = createSingleFlight<string, string>();
  const first = new AbortController();
  const second = new AbortController();
  let ended: unknown;
  const task = async (signal: AbortSignal): Promise<string> => {
    const done = Promise.withResolvers<string>();
    signal.addEventListener('abort', () => {
      ended = signal.reason;
      done.reject(signal.reason);
    });
    return await done.promise;
  };
  const one = flight('k', task, first.signal);
  const two = flight('k', task, second.signal);
  first.abort(new Error('first left'));
  await assert.rejects(one, /first left/u);
  assert.equal(ended, undefined);
  second.abort(new Error('second left'));
  await assert.rejects(two, /second left/u);
  assert.match(String(ended), /Nobody waits/u);
  assert.equal(await flight('k', async () => await Promise.resolve('new'), forever), 'new');
});

test('a failure reaches every waiter and is not kept', async () => {
  const flight = createSingleFlight<string, string>();
  await assert.rejects(flight('k', fail, forever), /broken/u);
  assert.equal(await flight('k', async () => await Promise.resolve('fine'), forever), 'fine');
});
