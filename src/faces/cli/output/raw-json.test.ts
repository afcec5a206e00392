import assert from 'node:assert/strict';
import { test } from 'node:test';
import { digestOf } from '#ground/base/digest.ts';
import { createRawJsonScreen } from './raw-json.ts';

const bytes = (text: string): string => Buffer.from(text).toString('base64');
const second = (count: number): string => `1970-01-01T00:00:0${count}.000Z`;

test('events become lines of SolveStatus: whole vertices, bytes in base64, times of RFC 3339', () => {
  const lines: string[] = [];
  const screen = createRawJsonScreen(
    (text) => lines.push(...text.trimEnd().split('\n')),
    () => 5000,
  );
  const [a, b] = [digestOf('a'), digestOf('b')];
  screen.report({ kind: 'vertex', vertex: a, text: 'RUN a', stage: 'build', step: 2, steps: 4, inputs: [b] });
  screen.report({ kind: 'vertex-started', vertex: a, time: 1000 });
  screen.report({ kind: 'output', vertex: a, stream: 'stderr', text: 'ä\u001b[1m\n', time: 1500 });
  screen.report({ kind: 'vertex-failed', vertex: a, time: 2000, message: 'no', cancelled: false });
  screen.report({ kind: 'vertex', vertex: b, text: 'b' });
  screen.report({ kind: 'vertex-cached', vertex: b, time: 3000 });
  screen.report({ kind: 'transfer', direction: 'pull', item: 'sha256:1', current: 5, total: 10, state: 'running' });
  screen.report({ kind: 'transfer', direction: 'unpack', item: 'sha256:1', current: 7, total: 0, state: 'done', vertex: a });
  const found = {
    kind: 'warning',
    rule: 'R',
    message: 'm',
    description: 'What it wants',
    url: 'https://rule',
    source: 'FROM ä\n\nRUN a b\n',
    at: [{ file: 'f', start: { line: 3, column: 1 }, end: { line: 3, column: 9 } }],
  } as const;
  screen.report(found);
  screen.report({ ...found, message: 'n' });
  screen.report({ kind: 'warning', rule: 'R', message: 'no place', at: [] });
  const vertex = { digest: a, name: '[build 2/4] RUN a', inputs: [b] };
  assert.deepEqual(
    lines.slice(0, 6).map((line) => JSON.parse(line) as unknown),
    [
      { vertexes: [vertex] },
      { vertexes: [{ ...vertex, started: second(1) }] },
      { logs: [{ vertex: a, stream: 2, data: Buffer.from('ä\u001b[1m\n').toString('base64'), timestamp: '1970-01-01T00:00:01.500Z' }] },
      { vertexes: [{ ...vertex, started: second(1), completed: second(2), error: 'no' }] },
      { vertexes: [{ digest: b, name: 'b' }] },
      { vertexes: [{ digest: b, name: 'b', started: second(3), completed: second(3), cached: true }] },
    ],
  );
  const [transfer, unpacked, warning, again, nowhere] = lines
    .slice(6)
    .map((line) => JSON.parse(line) as Record<string, readonly Record<string, unknown>[]>);
  assert.deepEqual([transfer?.['statuses']?.[0]?.['current'], transfer?.['statuses']?.[0]?.['total']], [5, 10]);
  assert.equal(transfer?.['vertexes']?.[0]?.['name'], 'pull');
  assert.equal(unpacked?.['vertexes'], undefined, 'it is of a step that is there');
  const status = unpacked?.['statuses']?.[0];
  assert.deepEqual(
    [status?.['id'], status?.['vertex'], status?.['name'], status?.['completed']],
    ['extracting sha256:1', a, 'extracting', second(5)],
  );
  const [reading] = warning?.['vertexes'] ?? [];
  assert.equal(reading?.['name'], '[internal] load build definition from f');
  assert.equal(reading?.['completed'], second(5));
  const expected = {
    vertex: reading?.['digest'],
    level: 1,
    short: bytes('R: m (line 3)'),
    detail: [bytes('What it wants')],
    url: 'https://rule',
    sourceInfo: { filename: 'f', data: bytes('FROM ä\n\nRUN a b\n'), language: 'Dockerfile' },
    range: [{ start: { line: 3 }, end: { line: 3, character: 8 } }],
  };
  assert.deepEqual(warning?.['warnings'], [expected]);
  assert.deepEqual(again?.['vertexes'], undefined, 'the text is read once');
  assert.equal(again?.['warnings']?.[0]?.['vertex'], expected.vertex);
  assert.deepEqual(nowhere, { warnings: [{ level: 1, short: bytes('R: no place') }] });
});
