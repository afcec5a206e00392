import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ProgressEvent } from '#formats/progress/event.ts';
import { createWaits } from './waits.ts';

test('a wait is told once to each who listens, or to who opened the engine', () => {
  const clock = { now: 0 };
  const heard: string[] = [];
  const listener =
    (name: string) =>
    (event: ProgressEvent): void =>
      void heard.push(`${name} ${event.kind === 'note' ? event.text : ''}`);
  const [first, second] = [listener('first'), listener('second')];
  const waits = createWaits(listener('nobody'), () => clock.now);
  waits.tell('a');
  const listening = [waits.toldTo(first), waits.toldTo(first), waits.toldTo(second)];
  waits.tell('a');
  waits.tell('b');
  for (const one of listening) one[Symbol.dispose]();
  clock.now = 5000;
  waits.tell('a');
  assert.deepEqual(heard, ['nobody a', 'first b', 'second b', 'nobody a']);
});
