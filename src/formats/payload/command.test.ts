import { test } from 'node:test';
import assert from 'node:assert/strict';
import { behindInit, envCommand, shebang, shellCommand, shellScript } from './command.ts';

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

test('of a shell’s command only what is one plain program is followed', () => {
  const cases: readonly (readonly [string, readonly string[]])[] = [
    ['/app --flag', ['/app', '--flag']],
    ['exec app a=b', ['app', 'a=b']],
    ['exec /app "$HOME" \'a b\' c\\ d', ['/app']],
    ['/app "$A b" $A ${A}c "\\$A" \'$A\'', ['/app', 'value b', 'value', 'valuec', '$A', '$A']],
    ['"/my app" *.c', ['/my app']],
    ['A=1 B="$A" app', ['app']],
    ['app > /log 2>&1 < in', ['app']],
    ['app>/log', ['app']],
    ['app --port ${PORT:-80} x', ['app', '--port']],
    ['app # and so on', ['app']],
    ['exec "$0" "$@"', ['first', 'second', 'third']],
    ['$A x', ['value', 'x']],
  ];
  for (const [text, words] of cases) assert.deepEqual(inner(text), words, text);
  const others = [
    'a && b',
    'a; b',
    '$APP',
    '"$APP"',
    'echo hi',
    'cd /x',
    'a &',
    '(a)',
    'a\nb',
    '',
    'a $(b)',
    'a "`b`"',
    'PATH=/x app',
    '! a',
    '[ -f a ]',
  ];
  for (const text of [
    ...others,
    '$SPACE',
    '~/app',
    '/a*',
    '{ a',
    'exec',
    'exec -a b c',
    'A=1',
    'a <<E',
    "a 'b",
    '# a\nb',
    '${A:-b}',
    '$(a)',
    'a "$(b)"',
  ])
    assert.equal(inner(text), undefined, text);
  for (const options of [
    ['-o', 'pipefail', '-c'],
    ['-euxo', 'pipefail', '-c'],
    ['-e', '+x', '-c'],
    ['--norc', '-ec'],
  ])
    assert.deepEqual(shellCommand(['/bin/bash', ...options, 'app'], variables)?.words, ['app'], options.join(' '));
  assert.equal(shellCommand(['/bin/bash', '-i', '-c', 'app'], variables), undefined);
  assert.equal(shellCommand(['/bin/sh', '/script'], variables), undefined);
  assert.equal(shellScript(['/bin/sh', '-ex', '/script', '-c', 'x']), '/script');
  for (const words of [['/bin/sh', '-c', 'x'], ['/bin/sh'], ['/bin/sh', '-s', 'x'], ['/app', '/script']])
    assert.equal(shellScript(words), undefined);
  assert.equal(shellCommand(['/bin/bash', '-lc', 'app'], variables)?.isSearched, false);
  assert.equal(shellCommand(['/bin/bash', '-lc', '$A'], variables), undefined, 'a login shell sets its own');
  assert.deepEqual(shellCommand(['/bin/busybox', 'sh', '-c', 'app'], variables)?.words, ['app']);
});

test('an init starts what stands behind it', () => {
  assert.deepEqual(behindInit(['/sbin/tini', '-g', '--', 'app', 'x']), ['app', 'x']);
  assert.deepEqual(behindInit(['dumb-init', 'app']), ['app']);
  assert.deepEqual(behindInit(['tini', '-g', '-p', 'SIGTERM', 'app']), ['app']);
  assert.deepEqual(behindInit(['/usr/bin/dumb-init', '-c', '--rewrite', '15:3', 'app']), ['app']);
  assert.equal(behindInit(['tini', '-x', 'app']), undefined);
  assert.equal(behindInit(['app']), undefined);
});

const variables = new Map([
  ['A', 'value'],
  ['PYTHON', 'python3'],
  ['SPACE', 'a b'],
]);

function inner(text: string): readonly string[] | undefined {
  return shellCommand(['/bin/sh', '-c', text, 'first', 'second', 'third'], variables)?.words;
}

function byEnv(argument: string): readonly string[] | undefined {
  return envCommand([argument], variables)?.words;
}
