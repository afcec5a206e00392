import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeFailedCommand, findFailedCommand, type FailedShell } from './failed-command.ts';

/** A process: how it ended, and how it was named where that is known. */
type Process = number | readonly [name: string, code: number];
type Shell = { readonly file?: string; readonly isReplaced?: true } & Partial<FailedShell>;

/** `run`: what stands behind FROM, from line 2. The last of the processes ended with the code of the shell, or `code` is told. */
function tell(run: string, children: readonly Process[], { file, isReplaced, ...more }: Shell = {}): string | undefined {
  const found = children.map((each) => (typeof each === 'number' ? { name: undefined, code: each } : { name: each[0], code: each[1] }));
  const failed = {
    text: `FROM a\nRUN ${run}\n`,
    file: 'Dockerfile',
    line: 2,
    words: ['/bin/sh', '-c', ''],
    environment: ['PATH=/bin'],
    code: found.at(-1)?.code ?? 1,
    output: undefined,
    ended: { own: isReplaced ? undefined : 'sh', children: found, isWhole: true, ...(file === undefined ? {} : { file }) },
    ...more,
  };
  const command = findFailedCommand(failed);
  return command && describeFailedCommand(command, 'D').replace(/^of \d+ commands (?:one of these failed: )?/u, '');
}

const chain = 'apt-get update && \\\n apt-get install x && \\\n make && \\\n make install';

test('where each command is a process for certain, their number says which one it was', () => {
  assert.equal(tell(chain, [0, 0, 2]), 'the 3rd failed: "make" (D:4)');
  assert.equal(tell(chain, [100]), 'the 1st failed: "apt-get update" (D:2)');
  assert.equal(tell(chain, [0, 0, ['make', 0], 2]), 'the 4th failed: "make install" (D:5)');
  assert.equal(tell('<<E\nset -e\napt-get update\nmake\nE', [0, 2]), 'the 3rd failed: "make" (D:5)');
  // What has a folder is no part of the shell.
  assert.equal(tell('/bin/mkdir a && ./cat && make', [0, 1]), 'the 2nd failed: "./cat" (D:2)');
  assert.equal(tell('cd a && make && make install', [2]), 'the 2nd failed: "make" (D:2)');
});

test('what a shell may do itself or not leaves more than one, unless the shell or a name is known', () => {
  const text = 'mkdir a && tar x && make';
  assert.equal(tell(text, [0, 2]), '"tar x" (D:2), "make" (D:2)');
  assert.equal(tell(text, [0, 2], { file: 'busybox' }), '"tar x" (D:2), "make" (D:2)');
  assert.equal(tell(text, [0, 2], { file: 'dash' }), 'the 2nd failed: "tar x" (D:2)');
  assert.equal(tell(text, [0, ['make', 2]]), 'the 3rd failed: "make" (D:2)');
  assert.equal(tell(text, [['tar', 0], 2]), 'the 3rd failed: "make" (D:2)');
  assert.equal(tell('echo a && printf b && make && ls', [0, 1]), '"printf b" (D:2), "make" (D:2), "ls" (D:2)', 'some have no printf');
  assert.equal(tell('echo a && printf b && make && ls', [0, 1], { file: 'bash' }), 'the 4th failed: "ls" (D:2)');
  assert.equal(tell('(ls a) && ls b && ls c', [0, 1], { file: 'dash' }), 'the 2nd failed: "ls b" (D:2)');
  // A word of bash that is no program of this shell, or one that nobody knows.
  assert.equal(tell('bind x && make && make b && make c', [0, 1], { file: 'bash' }), '"make" (D:2), "make b" (D:2)');
});

test('what the shell did itself stands behind all processes that ended well', () => {
  assert.equal(tell('make && cd /no && make b', [0], { code: 2 }), 'the 2nd failed: "cd /no" (D:2)');
  assert.equal(tell('make && cd /no && make b', [0], { code: 2, file: 'dash' }), 'the 2nd failed: "cd /no" (D:2)');
  assert.equal(tell('make && mkdir a && cd /no && make b', [0], { code: 1 }), '"mkdir a" (D:2), "cd /no" (D:2)');
  assert.equal(tell('make && mkdir a && cd /no && make b', [0, 0], { code: 1 }), 'the 3rd failed: "cd /no" (D:2)');
});

test('a script that goes on after failures may have left out what was not found', () => {
  assert.equal(tell('a; b; c; d', [2, 0, 1]), '"c" (D:2), "d" (D:2)');
  assert.equal(tell('a; b; c; d', [2, 0, 1, 3]), 'the 4th failed: "d" (D:2)');
});

test('a shell that became another program became the last one, where it is certain that it is a shell', () => {
  const replaced = { isReplaced: true, code: 2 } as const;
  assert.equal(tell(chain, [0, 0, 0], { ...replaced, file: 'dash' }), 'the 4th failed: "make install" (D:5)');
  assert.equal(tell(chain, [0, 0, 0], replaced), undefined, 'this may be a program that starts the shell');
  assert.equal(tell(chain, [0, 0], { ...replaced, file: 'dash' }), undefined, 'one is missing');
  assert.equal(tell('make a && exec make b && make c', [0], { ...replaced, file: 'dash' }), undefined);
});

test('where a word may be a function, or something was lost, nothing is counted', () => {
  assert.equal(tell(chain, [0, 0, 2], { environment: ['BASH_ENV=/root/.nvm/nvm.sh'] }), undefined);
  assert.equal(tell(chain, [0, 0, 2], { words: ['/bin/sh', '-lc', ''] }), undefined);
  assert.equal(tell(chain, [0, 0, 2], { words: ['/bin/bash', '--login', '-c', ''] }), undefined);
  assert.equal(tell(chain, [0, 0, 2], { words: ['/bin/zsh', '-c', ''] }), undefined);
  assert.equal(tell(chain, [0, 0, 2], { ended: { own: 'sh', children: [{ name: undefined, code: 2 }], isWhole: false } }), undefined);
  // More than there can be.
  assert.equal(tell('make && make install', [0, 0, 0, 2]), undefined);
});

test('in pipes and conditions each program may be it', () => {
  assert.equal(tell('make | tee log && cd a && exit 4', [0, 1]), '"make" (D:2), "tee log" (D:2), "cd a" (D:2)');
  assert.equal(tell('make | tee log && exit 3', [0, ['tee', 1]]), 'the 2nd failed: "tee log" (D:2)');
  assert.equal(tell('make || ls', [2, 1]), undefined, 'any of them says nothing');
});
