import { test } from 'node:test';
import assert from 'node:assert/strict';
import { behindInit, envProgram, shebang, shellCommand } from './command.ts';

test('a script names its interpreter as the kernel reads it', () => {
  const cases: readonly (readonly [string, string, string])[] = [
    ['#!/bin/sh\n', '/bin/sh', ''],
    ['#! \t/bin/sh -e x \n', '/bin/sh', '-e x'],
    ['#!/bin/sh\r\n', '/bin/sh\r', ''],
    ['#!/usr/bin/env -S a b\r\n', '/usr/bin/env', '-S a b\r'],
    ['#!\n', '', ''],
    ['#!/bin/sh', '/bin/sh', ''],
  ];
  for (const [head, interpreter, argument] of cases) assert.deepEqual(shebang(head), { interpreter, argument }, JSON.stringify(head));
  assert.equal(shebang('\u{feff}#!/bin/sh\n'), undefined);
  assert.deepEqual(shebang(`#!/${'a'.repeat(253)}`), { interpreter: '', argument: '' });
});

test('env starts its one argument, or with -S the words of it', () => {
  assert.deepEqual(envProgram('python3'), ['python3']);
  assert.deepEqual(envProgram('python3 -u'), ['python3 -u']);
  assert.deepEqual(envProgram('-S python3 -u'), ['python3', '-u']);
  assert.deepEqual(envProgram('-S A=1 B=2 python3'), ['python3']);
  assert.equal(envProgram('-i'), undefined);
  assert.equal(envProgram(''), undefined);
});

test('of a shell’s command only what is one plain program is followed', () => {
  assert.deepEqual(inner('/app --flag'), ['/app', '--flag']);
  assert.deepEqual(inner('exec app a=b'), ['app', 'a=b']);
  for (const text of ['a && b', 'a; b', 'a "b"', 'A=1 app', '$APP', 'echo hi', 'cd /x', 'a > b', 'a &', '(a)', 'a\nb', ''])
    assert.equal(inner(text), undefined, text);
  assert.equal(shellCommand(['/bin/sh', '/script']), undefined);
  assert.equal(shellCommand(['/bin/bash', '-lc', 'app'])?.isSearched, false);
});

test('an init starts what stands behind it', () => {
  assert.deepEqual(behindInit(['/sbin/tini', '-g', '--', 'app', 'x']), ['app', 'x']);
  assert.deepEqual(behindInit(['dumb-init', 'app']), ['app']);
  assert.equal(behindInit(['tini', '-g', 'app']), undefined);
  assert.equal(behindInit(['app']), undefined);
});

function inner(text: string): readonly string[] | undefined {
  return shellCommand(['/bin/sh', '-c', text])?.words;
}
