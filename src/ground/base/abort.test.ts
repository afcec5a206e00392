import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cancelled, childSignal, orAborted } from './abort.ts';

test('a child ends with its parent, for the same reason, also when that ended before', () => {
  const parent = new AbortController();
  using early = childSignal(parent.signal);
  const reason = new Error('stop');
  parent.abort(reason);
  using late = childSignal(parent.signal);
  assert.deepEqual([early.signal.reason, late.signal.reason], [reason, reason]);
});

test('a child that ends leaves its parent alone', () => {
  const parent = new AbortController();
  using child = childSignal(parent.signal);
  child.abort(new Error('mine'));
  assert.equal(parent.signal.aborted, false);
});

test('a disposed child is forgotten, not aborted', () => {
  const parent = new AbortController();
  const child = childSignal(parent.signal);
  child[Symbol.dispose]();
  parent.abort(new Error('stop'));
  assert.equal(child.signal.aborted, false);
});

test('a promise that takes too long is left behind with the reason of the signal', async () => {
  const controller = new AbortController();
  const reason = cancelled('Cancelled by SIGINT', 'SIGINT');
  const waiting = orAborted(new Promise<never>(() => undefined), controller.signal);
  controller.abort(reason);
  await assert.rejects(waiting, (error) => error === reason);
  await assert.rejects(orAborted(Promise.resolve(1), controller.signal), (error) => error === reason);
  assert.deepEqual([reason.code, reason.cause], ['base/cancelled', 'SIGINT']);
});

test('what settles first counts', async () => {
  const { signal } = new AbortController();
  assert.equal(await orAborted(Promise.resolve(1), signal), 1);
  await assert.rejects(orAborted(Promise.reject(new Error('broken')), signal), /broken/u);
});
