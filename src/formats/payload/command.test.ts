import { test } from 'node:test';
import assert from 'node:assert/strict';
import { envCommand, scriptCall, shebang, shellCall, startedBehind, type ShellCall } from './command.ts';

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
  assert.deepEqual(byEnv('python3'), ['python3']);
  assert.deepEqual(byEnv('python3 -u'), ['python3 -u']);
  assert.deepEqual(byEnv('-S python3 -u'), ['python3', '-u']);
  assert.deepEqual(byEnv('-S A=1 B=2 python3'), ['python3']);
  assert.deepEqual(byEnv('-Spython3 -u\r'), ['python3', '-u']);
  assert.deepEqual(byEnv('--split-string=python3 -u'), ['python3', '-u']);
  assert.deepEqual(byEnv('-iS python3'), ['python3']);
  assert.deepEqual(byEnv('-vS -u A -i python3'), ['python3']);
  assert.deepEqual(byEnv(`-S "my python" 'a'b # c`), ['my python', 'ab']);
  assert.deepEqual(byEnv('-S ${PYTHON} -u'), ['python3', '-u']);
  for (const text of ['-i', '', '-S ${NOTHING} python3', '-S', '-S -C / x', '-S a\\_b', '-S $A', '-x'])
    assert.equal(byEnv(text), undefined, text);
});

test('env changes the variables that its program is looked for with', () => {
  const environment = new Map([
    ['PATH', '/usr/bin'],
    ['LD_LIBRARY_PATH', '/lib'],
  ]);
  const after = (...words: readonly string[]) => envCommand(words, environment)?.environment;
  assert.equal(after('PATH=/x:/y', 'a')?.get('PATH'), '/x:/y');
  assert.equal(after('-u', 'LD_LIBRARY_PATH', 'a')?.get('LD_LIBRARY_PATH'), undefined);
  assert.deepEqual(
    [...(after('-i', 'A=b', 'a') ?? [])],
    [
      ['PATH', '/usr/local/bin:/bin:/usr/bin'],
      ['A', 'b'],
    ],
  );
});

test('of a shell it says what it reads, and how', () => {
  const plain = { isLogin: false, endsOnFailure: false };
  for (const options of [
    ['-o', 'pipefail', '-c'],
    ['-uxo', 'pipefail', '-c'],
    ['+x', '-c'],
    ['--norc', '-uc'],
  ])
    assert.deepEqual(call('/bin/bash', ...options, 'app', 'x', 'y'), { text: 'app', parameters: ['x', 'y'], ...plain }, options.join(' '));
  for (const options of [['-ec'], ['-e', '-c'], ['-euo', 'pipefail', '-c'], ['-o', 'errexit', '-c']])
    assert.equal(call('/bin/bash', ...options, 'app')?.endsOnFailure, true, options.join(' '));
  assert.equal(call('/bin/bash', '-e', '+e', '-c', 'app')?.endsOnFailure, false);
  assert.equal(call('/bin/bash', '-i', '-c', 'app'), undefined);
  assert.equal(call('/bin/bash', '-lc', 'app')?.isLogin, true);
  assert.deepEqual(call('/bin/busybox', 'sh', '-c', 'app'), { text: 'app', parameters: [], ...plain });
  assert.deepEqual(call('/bin/sh', '-ex', '/script', '-c', 'x'), {
    text: undefined,
    parameters: ['/script', '-c', 'x'],
    isLogin: false,
    endsOnFailure: true,
  });
  for (const words of [['/bin/sh'], ['/bin/sh', '-s', 'x'], ['/app', '/script']]) assert.equal(call(...words), undefined);
});

test('a script is started by its interpreter, or by what env finds', () => {
  assert.deepEqual(by('/bin/sh', ''), ['/bin/sh', '/s', 'x']);
  assert.deepEqual(by('/bin/sh', '-e'), ['/bin/sh', '-e', '/s', 'x']);
  assert.deepEqual(by('/usr/bin/env', 'sh'), ['sh', '/s', 'x']);
  assert.deepEqual(by('/usr/bin/env', '-S bash -e'), ['bash', '-e', '/s', 'x']);
  assert.equal(by('/usr/bin/env', '-x'), undefined);
});

test('programs that only start another one', () => {
  assert.deepEqual(behind('/sbin/tini', '-g', '--', 'app', 'x'), ['app', 'x']);
  assert.deepEqual(behind('dumb-init', 'app'), ['app']);
  assert.deepEqual(behind('tini', '-g', '-p', 'SIGTERM', 'app'), ['app']);
  assert.deepEqual(behind('/usr/bin/dumb-init', '-c', '--rewrite', '15:3', 'app'), ['app']);
  assert.equal(behind('tini', '-x', 'app'), undefined);
  assert.equal(behind('app'), undefined);
  for (const words of [
    ['nice', 'app', '-x'],
    ['nice', '-n', '5', 'app', '-x'],
    ['nice', '-n-5', 'app', '-x'],
    ['nohup', 'app', '-x'],
    ['setsid', '-c', 'app', '-x'],
    ['timeout', '5', 'app', '-x'],
    ['/usr/bin/timeout', '-k', '5', '-s', 'TERM', '10s', 'app', '-x'],
    ['timeout', '--signal=KILL', '--', '1m', 'app', '-x'],
    ['gosu', 'user:group', 'app', '-x'],
    ['su-exec', '1000', 'app', '-x'],
  ])
    assert.deepEqual(behind(...words), ['app', '-x'], words.join(' '));
  assert.equal(startedBehind(['gosu', 'user', 'app'])?.isOtherUser, true);
  assert.equal(startedBehind(['nice', 'app'])?.isOtherUser, false);
  assert.deepEqual(behind('timeout', '5'), []);
  assert.equal(behind('timeout', '--help'), undefined);
  assert.equal(behind('gosu', '--version'), undefined);
});

const variables = new Map([
  ['A', 'value'],
  ['PYTHON', 'python3'],
  ['SPACE', 'a b'],
]);

function call(...words: readonly string[]): ShellCall | undefined {
  return shellCall(words);
}

function by(interpreter: string, argument: string): readonly string[] | undefined {
  return scriptCall({ interpreter, argument }, ['/s', 'x'], variables);
}

function behind(...words: readonly string[]): readonly string[] | undefined {
  return startedBehind(words)?.words;
}

function byEnv(argument: string): readonly string[] | undefined {
  return envCommand([argument], variables)?.words;
}
