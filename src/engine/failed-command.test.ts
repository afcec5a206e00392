import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeFailedCommand, findFailedCommand, type FailedShell } from './failed-command.ts';

type Ended = readonly (readonly [name: string, code: number])[];

/** `run`: what stands behind FROM, from line 2. */
function tell(run: string, code: number, ended?: Ended, more: Partial<FailedShell> & { readonly own?: string } = {}): string | undefined {
  const { own = 'sh', ...rest } = more;
  const accounts = ended && { own, children: ended.map(([name, each]) => ({ name, code: each })), isWhole: true };
  const words = ['/bin/sh', '-c', ''];
  const failed = {
    text: `FROM a\n${run}\n`,
    file: 'Dockerfile',
    line: 2,
    words,
    environment: [],
    code,
    ended: accounts,
    output: undefined,
    ...rest,
  };
  const found = findFailedCommand(failed);
  return found && describeFailedCommand(found, 'Dockerfile');
}

test('the command whose process ended with the code of the shell is told, with its own line', () => {
  const chain = 'RUN ./configure && \\\n  # words\n  make && \\\n\n  make install && \\\n  rm -rf /src';
  const done = [
    ['configure', 0],
    ['make', 0],
    ['make', 2],
  ] as const;
  assert.equal(tell(chain, 2, done), 'of 4 commands the 3rd failed: "make install" (Dockerfile:6)');
  assert.equal(
    tell(chain, 2, done.slice(1)),
    'of 4 commands one of these failed: "make" (Dockerfile:4), "make install" (Dockerfile:6)',
    'one is missing',
  );
  // A shell becomes what it would only wait for.
  assert.equal(tell(chain, 1, done, { own: 'rm' }), 'of 4 commands the 4th failed: "rm -rf /src" (Dockerfile:7)');
  assert.equal(
    tell('RUN <<EOF\nset -e\nmake\ncp a b\nEOF', 1, [
      ['make', 0],
      ['cp', 1],
    ]),
    'of 3 commands the 3rd failed: "cp a b" (Dockerfile:5)',
  );
  assert.equal(
    tell('RUN make | tee log && ls', 1, [
      ['make', 2],
      ['tee', 1],
    ]),
    'of 3 commands the 2nd failed: "tee log" (Dockerfile:2)',
  );
});

test('what the shell does itself has no process: it is what stands behind the last one', () => {
  assert.equal(tell('RUN make && cd /no && ls', 2, [['make', 0]]), 'of 3 commands the 2nd failed: "cd /no" (Dockerfile:2)');
  assert.equal(tell('RUN make || exit 7; exit 8', 7, [['make', 2]]), 'of 3 commands the 2nd failed: "exit 7" (Dockerfile:2)');
});

test('a program that the shell became may be the last one, or what it was told to become', () => {
  assert.equal(tell('RUN ls && exec ls /no && ls b', 2, [['ls', 0]], { own: 'ls' }), of(3, 'exec ls /no', 'ls b'));
  assert.equal(tell('RUN ls && exec make && ls b', 2, [['ls', 0]], { own: 'ls' }), of(3, 'exec make', 'ls b'));
});

test('where several may be it, all are told', () => {
  assert.equal(tell('RUN make; false', 1, [['make', 1]]), of(2, 'make', 'false'), 'it may have been ignored');
  assert.equal(tell('RUN a=$(ls x) && ls', 1, [['ls', 1]]), of(2, 'a=$(ls x)', 'ls'));
  assert.equal(tell('RUN $MAKE && make', 2, [['make', 2]]), of(2, '$MAKE', 'make'));
  // Without accounts.
  assert.equal(tell('RUN echo a && make && make install', 2), of(3, 'make', 'make install'));
  assert.equal(tell('RUN a && b && c && d', 2), undefined, 'any of them says nothing');
  assert.equal(
    tell('RUN a && b && c && d', 127, undefined, { output: 'sh: 1: c: not found\n' }),
    'of 4 commands the 3rd failed: "c" (Dockerfile:2)',
  );
});

test('what failed and was ignored is not told as what ended the step', () => {
  const grep = [['grep', 1]] as const;
  // Neither a condition nor what stands before "&&" ends a script that says "set -e".
  assert.equal(tell('RUN set -e; if grep -q a b; then ls; fi; test -f b', 1, grep), of(4, 'grep -q a b', 'test -f b'));
  assert.equal(tell('RUN set -e; grep -q a b && ls; test -f b', 1, grep), of(4, 'grep -q a b', 'test -f b'));
  assert.equal(tell('RUN grep -q a b; set -e; test -f b', 1, grep), of(3, 'grep -q a b', 'test -f b'));
  assert.equal(tell('RUN for i in 1 2; do test $i = 1 && grep a b; done', 1, grep), of(2, 'test $i = 1', 'grep a b'));
  assert.equal(tell('RUN grep a b | cat; test -f c', 1, [...grep, ['cat', 0]]), of(3, 'grep a b', 'test -f c'));
  assert.equal(tell('RUN grep a b; [[ -f c ]]', 1, grep), of(2, 'grep a b', '[[ -f c ]]'));
  const lines = tell('RUN <<EOF\ngrep a b\ntest -f c\nEOF', 1, grep);
  assert.equal(lines, 'of 2 commands one of these failed: "grep a b" (Dockerfile:3), "test -f c" (Dockerfile:4)');
  // A second "rm" that did not run, and one that is another program's.
  assert.equal(tell('RUN grep a b && rm c; rm d', 1, [...grep, ['rm', 1]]), of(3, 'rm c', 'rm d'));
  assert.equal(tell('RUN env A=1 make && make install', 2, [['make', 2]]), of(2, 'env A=1 make', 'make install'));
  assert.equal(tell('RUN ./all && make install', 2, [['make', 2]]), of(2, './all', 'make install'), 'it may have become make');
});

test('what left no process is not laid on a builtin alone', () => {
  // Files that cannot be opened, options that the shell does not know.
  assert.equal(tell('RUN test -d / && echo x > /no/y', 2, []), of(2, 'test -d /', 'echo x > /no/y'));
  assert.equal(tell('RUN test -d / && ls > /no/y', 2, []), of(2, 'test -d /', 'ls > /no/y'));
  assert.equal(tell('RUN test -d / && ls > /dev/null 2>&1', 2, []), 'of 2 commands the 1st failed: "test -d /" (Dockerfile:2)');
  assert.equal(tell('RUN set -o pipefail && cd /tmp', 2, []), of(2, 'set -o pipefail', 'cd /tmp'));
  // A last shell, or one in brackets, goes on in the same process.
  assert.equal(tell('RUN cd / && sh b.sh', 1, []), of(2, 'cd /', 'sh b.sh'));
  assert.equal(tell('RUN cd / && (test -f b)', 1, []), of(2, 'cd /', '(test -f b)'));
  assert.equal(tell('RUN make && sh b.sh', 2, [['make', 0], ['make', 2]]), of(2, 'make', 'sh b.sh')); // prettier-ignore
  assert.equal(tell('RUN make a && ls > /no/y && make b', 2, [['make', 0], ['sh', 2]]), 'of 3 commands the 2nd failed: "ls > /no/y" (Dockerfile:2)'); // prettier-ignore
  assert.equal(tell('RUN cd /tmp && no 2>/dev/null', 127, []), 'of 2 commands the 2nd failed: "no 2>/dev/null" (Dockerfile:2)');
  // A script says it too, of a word that another command has.
  assert.equal(tell('RUN pip install poetry && ./b', 127, [['pip', 0], ['b', 127]], { output: './b: 1: poetry: not found\n' }), 'of 2 commands the 2nd failed: "./b" (Dockerfile:2)'); // prettier-ignore
});

test('nothing is said of one command, of other shells and of texts that are not understood', () => {
  assert.equal(tell('RUN make', 2, [['make', 2]]), undefined);
  assert.equal(tell('RUN ["sh", "-c", "a && b"]', 2, [['a', 2]]), undefined);
  assert.equal(tell('RUN a && b', 2, [['a', 2]], { words: ['/bin/fish', '-c', ''] }), undefined);
  for (const text of [
    'case x in x) a;; esac; b',
    'f() { a; }; f',
    "a 'b && c",
    'a && (b',
    'test -d / && ! a',
    "trap 'a' EXIT && b && a",
    'for i in $(a); do b; done',
    'cat <<X && b\nX',
  ])
    assert.equal(tell(`RUN ${text}`, 2, [['a', 2]]), undefined, text);
  // Separators that are none.
  const quoted = `RUN a 'x && y' "z; $(q; r)" b\\;c 2>&1 >& d && e # f && g`;
  assert.equal(tell(quoted, 2, [['e', 2]]), of(2, `a 'x && y' "z; $(q; r)" b\\;c 2>&1 >& d`, 'e'));
});

function of(commands: number, ...each: readonly string[]): string {
  return `of ${commands} commands one of these failed: ${each.map((one) => `"${one}" (Dockerfile:2)`).join(', ')}`;
}
