/** Limits as they are written, and who is to blame where one is passed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { JettisonError } from '#ground/base/errors.ts';
import { digestOf } from '#ground/base/digest.ts';
import { breachesOf, readBudgets } from './budgets.ts';
import type { Ledger, LedgerLine } from './ledger-requests.ts';

const noFile = { text: 'FROM scratch\n', name: 'Dockerfile' };

function limits(...words: readonly string[]) {
  return readBudgets(words, noFile).map(({ kind, most }) => `${kind} ${most}`);
}

test('units are those of sizes: 1000, or 1024 with an i', () => {
  assert.deepEqual(limits('final<=20MB layer<=1.5kB', 'layers<=12,growth<=5%', 'file<=8MiB', 'growth<=500kb', 'final<=10B'), [
    'final 20000000',
    'layer 1500',
    'layers 12',
    'growth 0.05',
    'file 8388608',
    'growth 500000',
    'final 10',
  ]);
});

test('what cannot be read is refused with its place', () => {
  for (const word of [
    'final<20MB',
    'final<=20',
    'final<=5%',
    'layers<=2MB',
    'layers<=1.5',
    'size<=2MB',
    'growth<=5',
    'growth=5%',
    '',
    ' ',
    'final<=99999999999999PB',
  ])
    assert.throws(() => limits(word), { code: 'engine/bad-budget' }, word);
  const text = 'FROM a\n  # jettison:budget final<=20MB  growth<=5\nRUN x\n# jettison:budgets final<=1\n';
  assert.throws(
    () => readBudgets([], { text, name: 'Dockerfile' }),
    (error) => {
      assert.ok(error instanceof JettisonError);
      assert.deepEqual(
        error.at.map(({ file, start, end }) => [file, start.line, start.column, end.column]),
        [['Dockerfile', 2, 34, 43]],
      );
      return true;
    },
  );
  assert.throws(() => readBudgets([], { text: '# jettison:budget\nFROM a\n', name: 'Dockerfile' }), { code: 'engine/bad-budget' });
  assert.deepEqual(readBudgets([], { text: 'FROM a\nRUN echo jettison:budget\n', name: 'Dockerfile' }), []);
});

const make: LedgerLine = { text: 'RUN make', stage: 'build', line: 5 };
const copy: LedgerLine = { text: 'COPY --from=build /app /app', stage: 'stage-1', line: 9 };
const id = digestOf('image');

const ledger: Ledger = {
  image: id,
  names: [],
  platform: 'linux/amd64',
  dockerfile: 'Dockerfile',
  size: 21_000_000,
  base: { name: 'base', size: 15_000_000, layers: 1 },
  stages: [],
  images: [],
  repeated: 0,
  hidden: undefined,
  copies: [],
  layers: [
    { text: '', stage: undefined, line: undefined, size: 15_000_000, isBase: true },
    { ...copy, size: 6_000_000, isBase: false },
  ],
  files: [
    { path: '/app/old', size: 4_500_000, layer: copy, origin: { ...make, path: '/app/old' } },
    { path: '/app/planted', size: 1_500_000, layer: copy, origin: { ...make, path: '/app/planted' } },
  ],
  before: { name: 'app:latest', image: id, size: 19_500_000, lines: [{ ...make, before: 4_500_000, size: 6_000_000 }] },
};

function breaches(words: string, filesBefore?: ReadonlyMap<string, number>): readonly string[] {
  return breachesOf({ ledger, filesBefore }, readBudgets([words], noFile)).map(({ text }) => text);
}

test('a limit that is met says nothing; at the limit it is met', () => {
  assert.deepEqual(breaches('final<=21MB layer<=6MB layers<=2 growth<=1500kB growth<=8% file<=4.5MB'), []);
});

test('growth is blamed on the instruction that made it, and on the file that is new', () => {
  const before = new Map([['/app/old', 4_500_000]]);
  assert.deepEqual(breaches('growth<=5%', before), [
    '1.5MB (+7.7%) more than app:latest (growth<=5%): RUN make (line 5, stage build) made 1.5MB more, of it /app/planted (1.5MB)',
  ]);
  assert.deepEqual(breaches('final<=20999999B', before), [
    '21MB in all (final<=20999999B): RUN make (line 5, stage build) made 1.5MB more, of it /app/planted (1.5MB)',
  ]);
});

test('a base image that is too much by itself is to blame, whatever stands on it', () => {
  assert.deepEqual(breaches('final<=14MB'), ['21MB in all (final<=14MB): its base image base alone has 15MB']);
  assert.match(breaches('final<=15MB')[0] ?? '', /^21MB in all \(final<=15MB\): RUN make /u);
});

test('a layer, a file, the number of layers: which it is', () => {
  assert.deepEqual(breaches('layer<=5MB file<=4MB layers<=1'), [
    'a layer of 6MB (layer<=5MB): COPY --from=build /app /app (line 9, stage stage-1) /app/old (4.5MB)',
    'a file of 4.5MB (file<=4MB): RUN make (line 5, stage build) /app/old (4.5MB)',
    '2 layers (layers<=1): COPY --from=build /app /app (line 9, stage stage-1)',
  ]);
});
