import assert from 'node:assert/strict';
import { test } from 'node:test';
import { codeFrame, type Span } from './span.ts';

const text = Array.from({ length: 12 }, (_, index) => `line ${index + 1}`).join('\n');

function span(start: number, end: number, column = 99): Span {
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

test('carets below a span that is a part of its line, and its column in the head', () => {
  const rule = '-'.repeat(20);
  const source = 'FROM a\n\tCOPY --chwn=1 b /c\n';
  assert.equal(
    codeFrame(source, [part(2, 7, 15)]),
    ['D:2:7', rule, ' 1 |     FROM a', ' 2 | >>> \tCOPY --chwn=1 b /c', '   |     \t     ^^^^^^^^', ' 3 |', rule].join('\n'),
  );
  assert.match(codeFrame(source, [part(2, 1, 21)]), /^D:2\n/u, 'the whole line, blanks aside');
  const two = codeFrame('EXPOSE 80 \\\n  81/x \\\n 82', [
    { file: 'D', start: { line: 1, column: 1 }, end: { line: 3, column: 4 } },
    part(2, 3, 7),
  ]);
  assert.match(two, /^D:1\n/u, 'the head is that of the first');
  assert.ok(two.includes(' 2 | >>>   81/x \\\n   |       ^^^^\n'));
  assert.ok(!codeFrame('x'.repeat(1000), [part(1, 500, 600)]).includes('^'), 'none where the line is cut');
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

function part(line: number, from: number, to: number): Span {
  return { file: 'D', start: { line, column: from }, end: { line, column: to } };
}
