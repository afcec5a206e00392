import { test } from 'node:test';
import assert from 'node:assert/strict';
import { compareOutput } from './compare.ts';
import { masked } from './masks.ts';
import { readTutorial } from './read.ts';
import { rewriteShown } from './rewrite.ts';

const fence = '```';
const text = (...lines: readonly string[]): string => lines.join('\n').replaceAll('~~', fence);

test('blocks become files, commands and what these show', () => {
  const { steps, ignored } = readTutorial(
    text(
      'See `x.go`. Write `src/app.go`, with `main`:',
      '',
      '~~go',
      'package main',
      '~~',
      '',
      '~~dockerfile',
      'FROM scratch',
      '~~',
      '~~sh',
      'docker build -t app . \\',
      '  --pull',
      '~~',
      '~~',
      'Successfully tagged app:latest',
      '~~',
      '~~json',
      '{"only": "shown"}',
      '~~',
      '1. In a list:',
      '   ~~console',
      '   $ docker images app',
      '   REPOSITORY   TAG',
      '   $ cat <<EOF |',
      '   $ no prompt',
      '   EOF',
      '   > wc -l',
      '   1',
      '   ~~',
    ),
    'guide.md',
  );
  assert.deepEqual(
    steps.map((step) =>
      step.kind === 'file' ? [step.path, step.text, step.at.from] : [step.script, step.shown?.lines, step.at.from, step.shown?.at],
    ),
    [
      ['src/app.go', 'package main\n', 4],
      ['Dockerfile', 'FROM scratch\n', 8],
      ['docker build -t app . \\\n  --pull', ['Successfully tagged app:latest'], 11, { from: 15, to: 15 }],
      ['docker images app', ['REPOSITORY   TAG'], 22, { from: 23, to: 23 }],
      ['cat <<EOF |\n$ no prompt\nEOF\nwc -l', ['1'], 24, { from: 28, to: 28 }],
    ],
  );
  assert.deepEqual(ignored, [17]);
});

test('comments say what a reader need not see', () => {
  const { steps, ignored } = readTutorial(
    text(
      '<!-- replay: skip -->',
      '~~sh',
      'rm -rf /',
      '~~',
      '<!-- replay: exit=1, excerpt -->',
      '~~console',
      '$ false',
      'oops',
      '~~',
      '<!-- replay: file=a/b.txt -->',
      '~~text',
      'hello',
      '~~',
      '<!-- replay: exit=any tty -->',
      '~~sh',
      'sh',
      '~~',
    ),
    'guide.md',
  );
  assert.deepEqual(ignored, [2]);
  assert.deepEqual(
    steps.map((step) => (step.kind === 'file' ? step.path : step.expects)),
    [{ exit: 1, isExcerpt: true, wantsTerminal: false }, 'a/b.txt', { exit: undefined, isExcerpt: false, wantsTerminal: true }],
  );
});

test('a misspelt word in a comment and a file outside of the folder are refused', () => {
  assert.throws(() => readTutorial(text('<!-- replay: skp -->', '~~sh', 'true', '~~'), 'x.md'), { code: 'tutorial/bad-directive' });
  assert.throws(() => readTutorial(text('~~sh file=../x', 'true', '~~'), 'x.md'), { code: 'tutorial/bad-path' });
  assert.throws(() => readTutorial(text('~~sh title="/etc/passwd"', 'true', '~~'), 'x.md'), { code: 'tutorial/bad-path' });
});

test('ids, times and sizes are as good as any', () => {
  assert.equal(
    masked('bwer432/kittycat   thick     de9b3b4d017c   4 minutes ago   207MB'),
    masked('bwer432/kittycat thick 000000000001 About an hour ago 3.1kB'),
  );
  assert.equal(masked(' ---> Running in 8fdbb711c5d9'), '---> Running in ID');
  assert.equal(masked('#7 DONE 12.3s'), '#7 DONE DURATION');
  assert.notEqual(masked('Step 3/12 : RUN x'), masked('Step 4/12 : RUN x'));
  assert.equal(masked('golang:1.22s-x cpus 0.5'), 'golang:1.22s-x cpus 0.5');
});

function same(shown: readonly string[], printed: string, isExcerpt = false): boolean {
  return compareOutput(shown, printed, isExcerpt).kind === 'same';
}

test('lines are compared in order, with gaps only where the tutorial leaves some', () => {
  assert.ok(same(['a', '', 'b  c'], 'a\nb c\n\n'));
  assert.ok(!same(['a', 'c'], 'a\nb\nc\n'));
  assert.ok(same(['a', '...', 'c'], 'a\nb\nb\nc\n'));
  assert.ok(same(['...', 'c'], 'c'));
  assert.ok(same(['a', '…'], 'a\nb\nc'));
  assert.ok(!same(['a', '...', 'd'], 'a\nb\nc'));
  assert.ok(same(['a', 'c'], '0\na\nb\nc\nd\n', true));
  assert.ok(!same(['c', 'a'], 'a\nb\nc\n', true));
  assert.ok(same(['CREATED BY /bin/sh -c go bui...'], 'CREATED BY /bin/sh -c go build -o app'));
  assert.ok(same(['[1/2] RUN (x)'], '\u001B[32m[1/2] RUN (x)\u001B[0m\r\n'));
  assert.ok(same(['a', '...', 'b', '...', 'b', 'c'], 'a\nb\nb\nb\nc'));
});

test('a difference says what was shown and what came', () => {
  const comparison = compareOutput(['one', 'two', 'three', 'four'], 'one\ntwo\n3\nfour\n', false);
  assert.deepEqual(comparison, {
    kind: 'different',
    lines: [
      { kind: 'both', text: 'one' },
      { kind: 'both', text: 'two' },
      { kind: 'shown', text: 'three' },
      { kind: 'printed', text: '3' },
      { kind: 'both', text: 'four' },
    ],
  });
});

test('what is shown is written anew, and nothing else', () => {
  const source = text('- item', '  ~~console', '  $ one', '  old', '  older', '  $ two', '  same', '  ~~', 'end', '');
  const tutorial = readTutorial(source, 'x.md');
  const [one] = tutorial.steps;
  const written = rewriteShown(source, tutorial, new Map([[one?.at.from ?? 0, 'new\n\nnewer\n']]));
  assert.equal(written, text('- item', '  ~~console', '  $ one', '  new', '', '  newer', '  $ two', '  same', '  ~~', 'end', ''));
});
