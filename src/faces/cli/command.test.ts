import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readWords } from './command.ts';
import { choice, flag, list, parsed, text } from './option.ts';
import { splitFields, toMap, withEnvironment, withKnown } from './option-values.ts';

const definition = {
  name: 'try',
  summary: 'Tries',
  usage: '[OPTIONS] PATH',
  options: {
    all: flag('all', { short: 'a', help: '' }),
    file: text('file', { short: 'f', help: '' }),
    human: flag('human', { short: 'H', help: '' }, true),
    jobs: parsed('jobs', { initial: 1, help: '' }, Number),
    mode: choice('mode', { words: ['fast', 'slow'], initial: 'fast', help: '' }),
    quiet: flag('quiet', { short: 'q', help: '' }),
    tags: list('tag', { short: 't', help: '' }),
  },
  notBuilt: 'squash m=memory',
  arguments: [0, 3] as const,
  run: async () => await Promise.resolve(0),
};

function read(line: string, more: { readonly optionsEndAtArgument?: boolean } = {}) {
  const found = readWords({ ...definition, ...more }, line === '' ? [] : line.split(' '));
  assert.ok(found);
  return found;
}

test('options stand before or behind arguments, in every form the docker CLI takes', () => {
  const { options, arguments: rest } = read('-t a one -aq --file=x=y -tb -t=c two --jobs 3 --mode slow -fz --human=false');
  assert.deepEqual(options, { all: true, file: 'z', human: false, jobs: 3, mode: 'slow', quiet: true, tags: ['a', 'b', 'c'] });
  assert.deepEqual(rest, ['one', 'two']);
  assert.deepEqual(read('').options, { all: false, file: undefined, human: true, jobs: 1, mode: 'fast', quiet: false, tags: [] });
  assert.equal(read('-aqt x').options.tags[0], 'x');
  assert.equal(read('-a=false -q=1').options.quiet, true);
  assert.equal(read('-f --all').options.file, '--all', 'a value may look like an option');
  assert.deepEqual(read('-- -a --file -').arguments, ['-a', '--file', '-']);
  assert.deepEqual(read('-a -').arguments, ['-']);
  assert.deepEqual(read('--file= --tag=').options.file, '');
});

test('options end at the first argument where the rest belongs to somebody else', () => {
  const { options, arguments: rest } = read('-a image -q --help', { optionsEndAtArgument: true });
  assert.deepEqual([options.all, options.quiet, rest], [true, false, ['image', '-q', '--help']]);
  assert.equal(readWords(definition, ['x', '--help']), undefined);
  assert.equal(readWords(definition, ['-h']), undefined);
});

test('what is wrong is named', () => {
  const cases: readonly (readonly [string, string, RegExp])[] = [
    ['--tga x', 'cli/unknown-flag', /^unknown flag: --tga$/u],
    ['-ax', 'cli/unknown-flag', /^unknown shorthand flag: 'x' in -ax$/u],
    ['--squash', 'cli/not-built', /^"--squash" is not built yet$/u],
    ['--memory=1g', 'cli/not-built', /^"--memory" is not built yet$/u],
    ['-am 1g', 'cli/not-built', /^"--memory" is not built yet$/u],
    ['--file', 'cli/flag-value', /^flag needs an argument: --file$/u],
    ['-qf', 'cli/flag-value', /^flag needs an argument: 'f' in -f$/u],
    ['--mode middle', 'cli/flag-value', /^invalid argument "middle" for "--mode" flag: use "fast", "slow"/u],
    ['--all=maybe', 'cli/flag-value', /"maybe" for "-a, --all" flag/u],
    ['a b c d', 'cli/argument-count', /^jettison: 'jettison try' requires at most 3 arguments$/u],
    ['--__proto__', 'cli/unknown-flag', /__proto__/u],
  ];
  for (const [line, code, message] of cases) assert.throws(() => read(line), { code, message }, line);
  assert.throws(() => read('--tga x'), { hint: /^Did you mean "--tag"\?\n\nUsage: {2}jettison try/u });
});

test('variables without a value come from the environment', () => {
  assert.deepEqual(withEnvironment(['A=1', 'B', 'C', 'D='], { B: '2=3' }), ['A=1', 'B=2=3', 'D=']);
  assert.deepEqual(withKnown(['A=1', 'B', 'C', 'D='], { B: '2=3' }), ['A=1', 'B=2=3', 'C', 'D=']);
  assert.throws(() => withEnvironment(['=x'], {}), { code: 'cli/bad-value' });
  assert.deepEqual(
    [...toMap(['a=1', 'b', 'a=2=3'])],
    [
      ['a', '2=3'],
      ['b', ''],
    ],
  );
});

test('fields between commas may be quoted', () => {
  assert.deepEqual(splitFields('type=oci,"dest=a,b ""c""",x'), ['type=oci', 'dest=a,b "c"', 'x']);
  assert.deepEqual(splitFields(''), ['']);
  assert.deepEqual(splitFields('a,'), ['a', '']);
  assert.throws(() => splitFields('a"b'), { code: 'cli/bad-value' });
});
