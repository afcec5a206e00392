import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeIgnoredFailures, findIgnoredFailures, type PassedShell } from './ignored-failures.ts';

type Ended = readonly (readonly [name: string | undefined, code: number])[];

/** `script`: the here-document, from line 3; `more.own`: as what the shell itself ended. */
function tell(
  script: string,
  ended: Ended,
  more: Partial<PassedShell> & { readonly own?: string; readonly isWhole?: boolean; readonly file?: string } = {},
): string {
  const { own = 'sh', isWhole = true, file, ...rest } = more;
  const children = ended.map(([name, code]) => ({ name, code }));
  const words = ['/bin/sh', '-c', `${script}\n`];
  const found = findIgnoredFailures({
    text: `FROM a\nRUN <<EOF\n${script}\nEOF\n`,
    file: 'Dockerfile',
    line: 2,
    words,
    environment: [],
    ended: { own, isWhole, children, ...(file === undefined ? {} : { file }) },
    ...rest,
  });
  return found.map(({ command, code }) => `${command.text} ${command.line} ${code}`).join('; ');
}

test('a command that failed in a step that went on is told, with its line', () => {
  const done = [['make', 2], ['ls', 0]] as const; // prettier-ignore
  assert.equal(tell('make\nls', done), 'make 3 2');
  assert.equal(tell('# words\ncd /src\nx=1 make\necho done\n\nls -l', done), 'x=1 make 5 2');
  // The shell became the last one, or that one is no process.
  assert.equal(tell('make\nls', [['make', 2]], { own: 'ls' }), 'make 3 2');
  assert.equal(tell('make\necho done', [['make', 2]]), 'make 3 2');
  // A program that became another one hides nothing of the others.
  assert.equal(tell('npm ci\nmake\nls', [['node', 1], ...done]), 'make 4 2');
  assert.equal(tell('make\nno\nls', [['make', 2], ['sh', 127], ['ls', 0]]), 'make 3 2; no 4 127'); // prettier-ignore
  assert.equal(tell('make > /no/x\nls', [['sh', 2], ['ls', 0]]), 'make > /no/x 3 2'); // prettier-ignore
  // Beside what may or may not run.
  assert.equal(tell('if test -f a; then cp a b; fi\nmake\nls', [['cp', 1], ...done]), 'make 4 2');
  assert.equal(tell('if test -f a; then cp a b; fi\nmake\nls', done), 'make 4 2');
  assert.equal(tell('grep -q a b || true\nmake\nls', [['grep', 1], ...done]), 'make 4 2');
});

test('what was provided for is not told', () => {
  const failed = [['grep', 1], ['ls', 0]] as const; // prettier-ignore
  for (const text of [
    'grep -q a b || true\nls',
    'grep -q a b && echo yes\nls',
    'if grep -q a b; then echo yes; fi\nls',
    'while grep -q a b; do echo yes; done\nls',
    'grep a b | cat\nls',
    '{ grep a b; } || echo no\nls',
    'grep a b &\nls',
    'set +e\ngrep -q a b\nset -e\nls',
    '! grep -q a b\nls',
    'grep -q a b\ntest $? -eq 1 && echo expected\nls',
    'grep -q a b; code=$?\nls',
  ])
    assert.equal(tell(text, failed), '', text);
  assert.equal(tell('ls\ngrep a b || true', [['ls', 0], ['grep', 1]]), ''); // prettier-ignore
});

test('where it is not certain, nothing is told', () => {
  const failed = [['make', 2], ['ls', 0]] as const; // prettier-ignore
  assert.equal(tell('make\nls', failed, { isWhole: false }), '');
  assert.equal(tell('make\nls', [...failed, ['ls', 0]]), '', 'a process of somebody else came to the shell');
  assert.equal(tell('./all\nmake\nls', failed), '', 'one is missing: "all" may have become make');
  assert.equal(tell('make a || true\nmake b\nmake c || true', [['make', 2], ['make', 0], ['make', 0]]), ''); // prettier-ignore
  assert.equal(tell('for i in 1 2; do make $i; done\nmake\nls', [['make', 0], ['make', 2], ['make', 0], ['ls', 0]]), ''); // prettier-ignore
  assert.equal(tell('make && make b\nls', failed), '');
  assert.equal(tell('test -f a && ./x\nnpm ci\nls', [['node', 1], ['ls', 0]]), ''); // prettier-ignore
  assert.equal(tell('test -f a && ./x\nnpm ci\nmake\nls', [['node', 1], ...failed]), '', 'x may have become node');
  assert.equal(tell('test -f a && make b\nmake c\nls', failed), '', 'either of two');
  assert.equal(tell('. ./x\nls\nexit 0', [['ls', 2]]), '', 'x may have run it, and ended all');
  for (const text of [
    '$MAKE\nls',
    'x=$(make)\nls',
    'env make\nls',
    '(make)\nls',
    '. ./x\nls',
    'case a in a) make;; esac\nls',
    'f() { make; }\nf\nls',
  ])
    assert.equal(tell(text, failed), '', text);
  assert.equal(tell('set -e\nmake\nls', failed), '', 'then another thing made it go on');
  assert.equal(tell('make\nls', failed, { words: ['/bin/sh', '-ec', 'make\nls\n'] }), '');
  assert.equal(tell('make\nls', failed, { words: ['/usr/bin/python3', '-c', 'make\nls\n'] }), '');
  assert.equal(tell('#!/bin/sh\nmake\nls', failed), '');
  assert.equal(tell('make\nls', failed, { own: 'cat' }), '');
});

const failedAt = (line: number) => ({ command: { text: 'make\n a', name: 'make', line, isPlain: true, isUnguarded: true }, code: 2 });

test('without names, their number has to say which one each was', () => {
  const failed = [[undefined, 2], [undefined, 0]] as const; // prettier-ignore
  assert.equal(tell('make\nls', failed), 'make 3 2');
  assert.equal(tell('cd /src\nx=1\nmake\nls', failed), 'make 5 2');
  assert.equal(tell('echo a\nmake\nls', failed), '', 'some shells start a program for it');
  assert.equal(tell('echo a\nmake\nls', failed, { file: 'dash' }), 'make 4 2');
  assert.equal(tell('make\nls\nls -l', failed), '', 'one is missing');
  assert.equal(tell('if test -f a; then cp a b; fi\nmake\nls', failed, { file: 'dash' }), '', 'cp may be one of them');
  assert.equal(tell('make\nls', failed, { environment: ['BASH_ENV=/etc/functions'] }), '');
  assert.equal(tell('make\nls', failed, { words: ['/bin/bash', '-lc', 'make\nls\n'] }), '');
});

test('the warning is one line, and names three at most', () => {
  assert.equal(describeIgnoredFailures([], 'Dockerfile'), undefined);
  assert.equal(
    describeIgnoredFailures([failedAt(3)], 'Dockerfile'),
    'Warning: the step went on after "make a" (Dockerfile:3) ended with code 2: "set -e" at the beginning of the here-document ends it there',
  );
  assert.match(describeIgnoredFailures([3, 4, 5, 6].map(failedAt), 'D') ?? '', /\(D:5\) ended with code 2, and 1 more that failed: /u);
});
