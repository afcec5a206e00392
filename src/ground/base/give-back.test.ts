import assert from 'node:assert/strict';
import { test } from 'node:test';
import { giveBack } from './give-back.ts';

test('memory that holds nothing else is freed, a part of something larger stays', () => {
  const whole = new Uint8Array([1, 2, 3]);
  const part = whole.subarray(1);
  giveBack(part);
  assert.deepEqual([...whole], [1, 2, 3]);
  giveBack(whole);
  assert.equal(whole.length, 0);
  assert.equal(part.length, 0);
  giveBack(whole);
  const shared = new Uint8Array(new SharedArrayBuffer(2));
  giveBack(shared);
  assert.equal(shared.length, 2);
});
