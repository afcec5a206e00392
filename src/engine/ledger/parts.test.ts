/** Which instruction made the difference. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { differencesOf, type Part } from './parts.ts';

const part = (text: string, bytes: number, stage = 'build', line = 1): Part => ({ text, stage, line, bytes });
const shown = (before: readonly Part[], now: readonly Part[]): readonly string[] =>
  differencesOf(before, now).map(({ text, before: old, size }) => `${text} ${old} -> ${size}`);

test('the same instruction is found again where it was moved, renamed with its stage, or changed', () => {
  assert.deepEqual(shown([part('RUN a', 5), part('RUN b', 7)], [part('RUN b', 7, 'build', 9), part('RUN a', 5)]), []);
  assert.deepEqual(shown([part('RUN a', 5)], [part('RUN a', 9, 'other')]), ['RUN a 5 -> 9']);
  assert.deepEqual(shown([part('RUN make', 5), part('COPY x', 1)], [part('COPY x', 1), part('RUN make -j2', 6)]), ['RUN make -j2 5 -> 6']);
});

test('new ones and those that are gone; the largest change first', () => {
  assert.deepEqual(shown([part('RUN a', 5), part('COPY x', 3)], [part('RUN a', 6), part('ADD y', 9)]), [
    'ADD y 0 -> 9',
    'COPY x 3 -> 0',
    'RUN a 5 -> 6',
  ]);
});
