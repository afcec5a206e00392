import assert from 'node:assert/strict';
import { test } from 'node:test';
import { codeFrame, type Span } from './span.ts';

const text = Array.from({ length: 12 }, (_, index) => `line ${index + 1}`).join('\n');

function span(start: number, end: number, column = 5): Span {
  return { file: 'app/Dockerfile', start: { line: start, column: 1 }, end: { line: end, column } };
}

test('marked lines stand behind >>>, with two around them', () => {
  const rule = '-'.repeat(20);
  const body = ['  8 |     line 8', '  9 |     line 9', ' 10 | >>> line 10', ' 11 |     line 11', ' 12 |     line 12'];
  assert.equal(codeFrame(text, [span(10, 10)]), ['app/Dockerfile:10', rule, ...body, rule].join('\n'));
});

test('a span that ends before the first character of a line does not mark that line', () => {
  assert.deepEqual(marked(codeFrame(text, [span(3, 5, 1)])), ['3', '4']);
  assert.deepEqual(marked(codeFrame(text, [span(3, 3, 1)])), ['3']);
  assert.deepEqual(marked(codeFrame(text, [span(3, 5, 2)])), ['3', '4', '5']);
});

test('all spans are marked; the file and line are those of the first', () => {
  const frame = codeFrame(text, [span(6, 6), span(2, 2)]);
  assert.deepEqual(marked(frame), ['2', '6']);
  assert.ok(frame.startsWith('app/Dockerfile:6\n'));
});

test('nothing beyond the ends of the text, line ends of Windows, long lines cut', () => {
  const frame = codeFrame(`one\r\n${'x'.repeat(1000)}`, [span(2, 9)]);
  assert.ok(frame.includes(' 1 |     one\n'));
  assert.ok(frame.includes(` 2 | >>> ${'x'.repeat(240)}...\n`));
  assert.ok(!frame.includes(' 3 |'));
});

test('no spans, no excerpt', () => {
  assert.equal(codeFrame(text, []), '');
});

function marked(frame: string): readonly string[] {
  return [...frame.matchAll(/^ +(\d+) \| >>>/gmu)].map((match) => match[1] ?? '');
}
