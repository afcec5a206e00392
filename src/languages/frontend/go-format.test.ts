import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatDuration, goQuote, goQuoteList, goQuoteRune, parseDuration } from './go-format.ts';
import { randomRuns } from '#test/kit/random.ts';

test('texts are quoted as %q quotes them', () => {
  assert.equal(goQuoteList(['tab\t', 'é', 'nl\n', '"q"', 'back\\']), '["tab\\t" "é" "nl\\n" "\\"q\\"" "back\\\\"]');
  assert.equal(goQuote('\u0000\u007f\u00a0\u{1f433}\u200b\ud800'), '"\\x00\\x7f\\u00a0\u{1f433}\\u200b\ufffd"');
});

test('durations are read as Go reads them', () => {
  const cases: readonly (readonly [string, number | undefined])[] = [
    ['5m', 300e9],
    ['1m30s', 90e9],
    ['1.5h', 5400e9],
    ['1us', 1000],
    ['-2ms', -2e6],
    ['.5s', 5e8],
    ['0', 0],
    ['', undefined],
    ['5', undefined],
    ['5 s', undefined],
    ['s', undefined],
    ['.s', undefined],
    ['9'.repeat(60), undefined],
  ];
  for (const [text, wanted] of cases) assert.equal(parseDuration(text), wanted, text);
});

test('durations are printed as Go prints them', () => {
  const cases: readonly (readonly [number, string])[] = [
    [0, '0s'],
    [1, '1ns'],
    [1100, '1.1\u00b5s'],
    [1e6, '1ms'],
    [1.5e9, '1.5s'],
    [60e9, '1m0s'],
    [90e9, '1m30s'],
    [300e9, '5m0s'],
    [3600e9, '1h0m0s'],
    [3_661_000_000_001, '1h1m1.000000001s'],
  ];
  for (const [value, wanted] of cases) assert.equal(formatDuration(value), wanted);
});

test('what is printed reads as the same duration', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 45 }), (value) => {
      assert.equal(parseDuration(formatDuration(value)), value);
    }),
    randomRuns(),
  );
});

test('whole numbers as %q has them', () => {
  assert.deepEqual([0, 3, 10, 34, 39, 92, 65, 0xd800, -1, 0x110000].map(goQuoteRune), [
    String.raw`'\x00'`,
    String.raw`'\x03'`,
    String.raw`'\n'`,
    `'"'`,
    String.raw`'\''`,
    String.raw`'\\'`,
    `'A'`,
    `'\ufffd'`,
    `'\ufffd'`,
    `'\ufffd'`,
  ]);
});
