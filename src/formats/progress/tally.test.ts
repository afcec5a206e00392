import assert from 'node:assert/strict';
import { test } from 'node:test';
import { digestOf } from '#ground/base/digest.ts';
import { createTally } from './tally.ts';
import { readEvent, writeEvent } from './journal.ts';
import type { ProgressEvent } from './event.ts';

const a = digestOf('a');
const b = digestOf('b');

test('vertices are numbered as they are heard of, not as they are declared', () => {
  const tally = createTally();
  tally.add({ kind: 'vertex', vertex: a, text: 'RUN a', stage: 'build', step: 2, steps: 4 }, 0);
  tally.add({ kind: 'vertex', vertex: b, text: 'RUN b' }, 0);
  tally.add({ kind: 'vertex-cached', vertex: b, time: 10 }, 10);
  tally.add({ kind: 'vertex-started', vertex: a, time: 20 }, 20);
  assert.deepEqual(
    tally.vertices().map((vertex) => [vertex.name, vertex.number, vertex.state]),
    [
      ['[build 2/4] RUN a', 2, 'running'],
      ['RUN b', 1, 'cached'],
    ],
  );
  assert.deepEqual(tally.counts(), { finished: 1, total: 2, cached: 1 });
});

test('a vertex that is part of another one is shown only when it fails', () => {
  const tally = createTally();
  tally.add({ kind: 'vertex', vertex: a, text: 'COPY --link a /' }, 0);
  tally.add({ kind: 'vertex', vertex: b, text: 'COPY --link a /', isPart: true }, 0);
  tally.add({ kind: 'vertex-started', vertex: b, time: 1 }, 1);
  tally.add({ kind: 'vertex-started', vertex: a, time: 2 }, 2);
  const shown = () => tally.vertices().map(({ number, state }) => [number, state]);
  assert.deepEqual(shown(), [[1, 'running']]);
  assert.equal(tally.counts().total, 1);
  const failed = tally.add({ kind: 'vertex-failed', vertex: b, time: 3, message: 'no', cancelled: false }, 3);
  assert.ok(failed.kind === 'vertex' && failed.vertex.number === 2);
  assert.deepEqual(shown(), [
    [1, 'running'],
    [2, 'failed'],
  ]);
});

test('output cut anywhere becomes whole lines, a rest comes out at the end, streams do not mix', () => {
  const tally = createTally();
  const write = (text: string, stream: 'stdout' | 'stderr' = 'stdout') => {
    const change = tally.add({ kind: 'output', vertex: a, stream, text, time: 5 }, 5);
    return change.kind === 'vertex' ? change.lines.map((line) => line.text) : [];
  };
  assert.deepEqual(write('one\ntw'), ['one']);
  assert.deepEqual(write('E', 'stderr'), []);
  assert.deepEqual(write('o\n'), ['two']);
  const end = tally.add({ kind: 'vertex-finished', vertex: a, time: 9 }, 9);
  assert.deepEqual(end.kind === 'vertex' ? end.lines.map((line) => [line.text, line.stream]) : [], [['E', 'stderr']]);
  assert.deepEqual(tally.vertices()[0]?.tail, ['one', 'two', 'E']);
});

test('endless output without a line break is cut, and few lines are kept', () => {
  const tally = createTally();
  let longest = 0;
  for (let count = 0; count < 100; count++) {
    const change = tally.add({ kind: 'output', vertex: a, stream: 'stdout', text: 'x'.repeat(10_000), time: 1 }, 1);
    if (change.kind === 'vertex') longest = Math.max(longest, ...change.lines.map((line) => line.text.length));
  }
  assert.equal(longest, 16_384);
  const text = 'y\n'.repeat(1000);
  tally.add({ kind: 'output', vertex: a, stream: 'stderr', text, time: 1 }, 1);
  assert.equal(tally.vertices()[0]?.tail.length, 12);
});

test('a transfer says when its state changes', () => {
  const tally = createTally();
  const transfer = (current: number, state: 'running' | 'done') =>
    tally.add({ kind: 'transfer', direction: 'pull', item: a, current, total: 10, state }, current);
  const seen = [transfer(1, 'running'), transfer(5, 'running'), transfer(10, 'done')];
  assert.deepEqual(
    seen.map((change) => change.kind === 'transfer' && change.stateChanged),
    [true, false, true],
  );
  assert.equal(tally.transfers()[0]?.finishedAt, 10);
});

test('events survive a journal, and other lines are refused', () => {
  const events: readonly ProgressEvent[] = [
    { kind: 'vertex', vertex: a, text: 'RUN "x"\n', stage: 'build', step: 1, steps: 2 },
    { kind: 'output', vertex: a, stream: 'stdout', text: '\u001b[1m\n', time: 1 },
    { kind: 'vertex-failed', vertex: a, time: 2, message: 'no', cancelled: false },
    { kind: 'warning', rule: 'R', message: 'm', at: [] },
  ];
  for (const event of events) {
    assert.equal(writeEvent(event).split('\n').length, 2);
    assert.deepEqual(readEvent(writeEvent(event)), event);
  }
  for (const line of ['', '{', '[]', '{"kind":"no"}', '{"kind":"__proto__"}', '{"kind":"vertex","vertex":1,"text":"x"}']) {
    assert.throws(() => readEvent(line), { code: 'progress/bad-line' });
  }
});
