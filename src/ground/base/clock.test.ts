import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createClock } from './clock.ts';

test('a clock that is set back goes on at its own pace; one that is set forward is followed', () => {
  let [wall, elapsed] = [1_000_000, 50];
  const pass = (milliseconds: number, jump = 0): void => {
    wall += milliseconds + jump;
    elapsed += milliseconds;
  };
  const clock = createClock({ wall: () => wall, elapsed: () => elapsed });
  assert.equal(clock(), 1_000_000);
  pass(10);
  assert.equal(clock(), 1_000_010);
  pass(10, -3_600_000);
  assert.equal(clock(), 1_000_020);
  pass(5);
  assert.equal(clock(), 1_000_025);
  const follower = createClock({ wall: () => wall, elapsed: () => elapsed, least: clock() });
  pass(5);
  assert.deepEqual([clock(), follower()], [1_000_030, 1_000_030]);
  pass(5, 7_200_000);
  assert.deepEqual([clock(), follower()], [wall, wall]);
});
