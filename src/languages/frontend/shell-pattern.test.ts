import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseShellPattern, replaceMatches, trimEnd, trimStart } from './shell-pattern.ts';

const text = 'one.two.three';

function cutStart(pattern: string, longest = false): string {
  return trimStart(text, parseShellPattern(pattern), { longest, meter: { work: 0 } });
}

function cutEnd(pattern: string, longest = false): string {
  return trimEnd(text, parseShellPattern(pattern), { longest, meter: { work: 0 } });
}

function replace(value: string, pattern: string, all: boolean): string {
  return replaceMatches(value, parseShellPattern(pattern), { replacement: '-', all, longest: 1000, meter: { work: 0 } });
}

test('beginnings are cut shortest or longest', () => {
  assert.equal(cutStart('*.'), 'two.three');
  assert.equal(cutStart('*.', true), 'three');
  assert.equal(cutStart('o?e'), '.two.three');
  assert.equal(cutStart('two'), 'one.two.three');
  assert.equal(cutStart('*', true), '');
  assert.equal(cutStart('*'), 'one.two.three');
  assert.equal(cutStart('one*e*e', true), '');
});

test('ends are cut shortest or longest', () => {
  assert.equal(cutEnd('.*'), 'one.two');
  assert.equal(cutEnd('.*', true), 'one');
  assert.equal(cutEnd('?'), 'one.two.thre');
  assert.equal(cutEnd('.t*e', true), 'one');
});

test('matches are replaced from the left, each as long as it goes', () => {
  assert.equal(replace('aXbXc', 'X', false), 'a-bXc');
  assert.equal(replace('aXbXc', 'X', true), 'a-b-c');
  assert.equal(replace('aXbXc', 'X*', true), 'a-');
  assert.equal(replace('abc', '?', true), '---');
  assert.equal(replace('abc', '', true), '-a-b-c-');
  assert.equal(replace('abc', 'z', true), 'abc');
  assert.equal(replace('\u{1f433}x', '?', false), '-x');
});

test('a backslash takes the next character literally', () => {
  assert.equal(trimStart('*a', parseShellPattern('\\*'), { longest: false, meter: { work: 0 } }), 'a');
  assert.equal(trimStart('a/b', parseShellPattern('a\\/'), { longest: false, meter: { work: 0 } }), 'b');
  assert.equal(trimEnd('a*b', parseShellPattern('\\*b'), { longest: false, meter: { work: 0 } }), 'a');
  assert.throws(() => parseShellPattern('\\a'), { code: 'frontend/bad-pattern' });
});

test('many stars do not make matching slow', () => {
  const value = 'a'.repeat(20_000);
  const start = process.cpuUsage();
  trimStart(value, parseShellPattern(`${'*a'.repeat(500)}*b`), { longest: true, meter: { work: 0 } });
  replaceMatches(value, parseShellPattern('a*a*a*a*b'), { replacement: '', all: true, longest: 1 << 20, meter: { work: 0 } });
  assert.ok(process.cpuUsage(start).user < 500_000);
  assert.throws(
    () => trimStart('a'.repeat(200_000), parseShellPattern(`*${'a'.repeat(100_000)}b`), { longest: false, meter: { work: 0 } }),
    {
      code: 'frontend/costly-pattern',
    },
  );
});
