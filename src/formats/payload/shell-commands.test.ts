import { test } from 'node:test';
import assert from 'node:assert/strict';
import { shellCommands, type ShellCommands } from './shell-commands.ts';

const variables = new Map([
  ['A', 'value'],
  ['PYTHON', 'python3'],
  ['SPACE', 'a b'],
  ['PATH', '/bin'],
]);

function read(text: string, endsOnFailure = false): ShellCommands {
  return shellCommands(text, { environment: variables, parameters: ['first', 'second', 'third'], endsOnFailure });
}

/** `!` certain, `?` not, `+` may be brought by something before; `cd` for folders; `...` where it is left alone. */
function told(text: string, endsOnFailure = false): string {
  const { commands, isWhole } = read(text, endsOnFailure);
  const each = commands.map((command) =>
    command.kind === 'folder'
      ? `cd ${command.name}`
      : `${command.isCertain ? '!' : '?'}${command.mayBeBrought ? '+' : ''}${command.words.join(' ')}`,
  );
  return [...each, ...(isWhole ? [] : ['...'])].join(', ');
}

test('a plain command: its words as far as they are known', () => {
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
    ['# first\n\napp \\\n  x', ['app', 'x']],
    ['app $(nproc) x', ['app']],
    ['app "`nproc`" x', ['app']],
    ['app "a\\\nb" c\\\nd', ['app', 'ab', 'cd']],
    ['app \\; x', ['app', ';', 'x']],
  ];
  for (const [text, words] of cases) {
    const { commands, isWhole } = read(text);
    assert.ok(isWhole, text);
    assert.deepEqual(
      commands.map((command) => (command.kind === 'program' ? [command.words, command.isCertain] : [])),
      [[words, true]],
      text,
    );
  }
});

test('what is not plain is left alone from there on', () => {
  for (const text of [
    '(a)',
    'if a; then b; fi',
    'for i in a; do b; done',
    'case $A in b) c;; esac',
    '{ a; }',
    'f() { a; }',
    'function f { a; }',
    '. /file',
    'source /file',
    'eval a',
    'command a',
    'cat <<E\na\nE',
    "a 'b",
    'a "b',
    '[[ -f a && -f b ]]',
    'a <(b)',
    'a $(b "c")',
    'A=(b c)',
    'cd',
    'cd $NOWHERE',
    'cd -',
    'PATH=$(a)',
    'export PATH=$NOWHERE:$PATH',
    'unset PATH',
    'set -- $NOWHERE',
    'set -o',
    'alias a=b',
    'a ;; b',
    '&& a',
    'a | | b',
  ])
    assert.match(told(`true; ${text}; app`), /^(?:\?[a-z]+, )?\.\.\.$/u, text);
});

test('of several it says which are certain, and which something before may bring', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['a && b', '!a, ?+b'],
    ['a; b', '?a, ?+b'],
    ['a\nb\n', '?a, ?+b'],
    ['a & b', '?a, !+b'],
    ['a & exec b', '?a, !+b'],
    ['a || b', ''],
    ['a || b; c', '?+c'],
    ['a && b || c; d', '?+d'],
    ['a | b', '?a, !b'],
    ['a |& b | c', '?a, ?b, !c'],
    ['a | b; c', '?a, ?b, ?+c'],
    ['echo x && a', '!a'],
    ['echo x; a', '!a'],
    ['echo x | a', '!a'],
    ['true; a; true', '?a'],
    ['test -f x && a', '?a'],
    ['[ -f x ] && a', '?a'],
    ['[ -f x ] && true; a', '!a'],
    ['[ -f x ] || exit 1; a', '?a'],
    ['[ -f x ] && exec a; b', '?a, ?b'],
    ['exec a; b', '!a'],
    ['exec > /dev/stderr 2>&1; a', '!a'],
    ['exec > /log\na', '!+a'],
    ['echo x > /a; sh /a', '!+sh /a'],
    ['a > /log && b 2>/dev/null', '!a, ?+b'],
    ['chmod +x a && ./a', '!chmod +x a, ?+./a'],
    ['sleep 5; a', '?sleep 5, !a'],
    ['sleep infinity; a', '?sleep infinity, ?+a'],
    ['mkdir -p x && a', '!mkdir -p x, ?a'],
    ['mkdir -p x; a', '?mkdir -p x, !a'],
    ['$NOWHERE x; a', '?+a'],
    ['exec $NOWHERE; a', '?a'],
    ['! a; b', '?+b'],
    ['A=$(b); c', '!+c'],
    ['a; exit 0', '?a'],
    ['exit; a', ''],
    ['true | exit; a', '?a'],
    ['cd /x && a', 'cd /x, !a'],
    ['[ -f x ] && cd /x; a', '...'],
    ['cd /x | a', '!a'],
    ['cd /x || exit 1; a', 'cd /x, ?a'],
    ['cd /x && a & b', '...'],
    ['exec a && b & c', '...'],
    ['exec a || b; c', '?+c'],
    ['! a | b', '?b'],
    ['set -e; a; b', '!a, ?+b'],
    ['set -eu\na\nb', '!a, ?+b'],
    ['set -o errexit; a; b', '!a, ?+b'],
    ['set -euo pipefail; a; b', '!a, ?+b'],
    ['set -e; set +e; a; b', '?a, ?+b'],
    ['set -e; a && b; c', '?a, ?+b, ?+c'],
    ['set -e; test -f x; a', '?a'],
    ['set -e; a; (b)', '!a, ...'],
    ['a; (b)', '?a, ...'],
    ['a && (b)', '?a, ...'],
    ['exec a && (b)', '?a, ...'],
    ['set -- a b; exec "$@"', '!a b'],
    ['shift; exec "$@"', '!third'],
    ['set x; a', '...'],
    ['wait', ''],
    ['', ''],
    ['# nothing', ''],
  ];
  for (const [text, expected] of cases) assert.equal(told(text), expected, text);
  assert.equal(told('a; b', true), '!a, ?+b');
});

test('a text without end is left alone', () => {
  assert.equal(told(`a${' x'.repeat(40_000)}`), '...');
  const { commands, isWhole } = read('a;'.repeat(10_000));
  assert.deepEqual([commands.length, isWhole], [2000, false]);
  assert.equal(read('a|'.repeat(10_000)).isWhole, false);
});

test('variables are those that the program will have', () => {
  assert.equal(after('export B=x; a', 'B'), 'x');
  assert.equal(after('B=x; a', 'B'), undefined, 'of the shell alone');
  assert.equal(after('B=x; export B; a', 'B'), 'x');
  assert.equal(after('A=x; a', 'A'), 'x', 'it is exported already');
  assert.equal(after('B=x a', 'B'), 'x');
  assert.equal(after('PATH=/x:$PATH; a', 'PATH'), '/x:/bin');
  assert.equal(after('export PATH="/x:$PATH" C=d; a', 'PATH'), '/x:/bin');
  assert.equal(after('(PATH=/x); a', 'PATH'), 'no program');
  assert.equal(after('PATH=/x | true; a', 'PATH'), '/bin');
  assert.equal(after('PATH=/x & a', 'PATH'), '/bin');
  assert.equal(after('A=$(x); a', 'A'), undefined);
  assert.equal(after('unset A; a', 'A'), undefined);
  assert.equal(after('true && A=x; a', 'A'), 'x');
  assert.equal(after('test -f x && A=x; a', 'A'), undefined, 'perhaps');
  assert.equal(after('A=x; export B=$A; a', 'B'), 'x');
});

/** The variable, as the last program of the text has it. */
function after(text: string, name: string): string | undefined {
  const command = read(text).commands.at(-1);
  return command?.kind === 'program' ? command.environment.get(name) : 'no program';
}
