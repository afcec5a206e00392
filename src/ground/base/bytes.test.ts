import { test } from 'node:test';
import assert from 'node:assert/strict';
import { joinBytes } from './bytes.ts';

test('joins any number of parts, and shares no memory with them', () => {
  const first = Uint8Array.of(1, 2);
  const whole = joinBytes([first, new Uint8Array(), Uint8Array.of(3)]);
  first[0] = 9;
  assert.deepEqual(whole, Uint8Array.of(1, 2, 3));
  assert.equal(joinBytes([]).length, 0);
});
