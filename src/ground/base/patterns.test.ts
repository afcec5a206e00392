import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { fromBytes, fromText } from './byte-string.ts';
import { isCode } from './errors.ts';
import { cleanPattern, goMatcher, matchGo, parsePatterns } from './patterns.ts';
import { randomRuns } from '#test/kit/random.ts';

const isIgnored = (patterns: readonly string[], path: string) => parsePatterns(patterns).matches(fromText(path));

test('one ignore pattern against one path', () => {
  const rows: readonly (readonly [string, string, boolean])[] = [
    ['a', 'a', true],
    ['a', 'ab', false],
    ['a', 'a/b/c', true],
    ['a', 'b/a', false],
    ['*.md', 'x.md', true],
    ['*.md', 'dir/x.md', false],
    ['*/*.md', 'dir/x.md', true],
    ['*', '.hidden', true],
    ['**', 'a/b', true],
    ['**/', 'a', true],
    ['**/*.md', 'x.md', true],
    ['**/*.md', 'a/b/x.md', true],
    ['**/node_modules', 'node_modules/x', true],
    ['**/node_modules', 'a/b/node_modules', true],
    ['**/node_modules', 'a/my_node_modules', false],
    ['a/**', 'a', false],
    ['a/**', 'a/b', true],
    ['a/**/z', 'a/z', true],
    ['a/**/z', 'a/b/c/z', true],
    ['a/**/z', 'a/bz', false],
    ['a**', 'abc/d', true],
    ['a**/z', 'abz', false],
    ['**.log', 'a/b.log', true],
    ['**.log', '.log', true],
    ['**lo?', 'my-log', false],
    ['**lo?', 'x/log', true],
    ['a?c', 'abc', true],
    ['a?c', 'a/c', false],
    ['a?c', 'aéc', true],
    ['a?c', 'a🐳c', true],
    ['[a-c]x', 'bx', true],
    ['[^a-c]x', 'bx', false],
    ['[^a-c]x', 'dx', true],
    ['[\\]\\-]x', ']x', true],
    ['[!a]', '!', true],
    ['[*.]', '*', true],
    ['st\\*r', 'st*r', true],
    ['st\\*r', 'stir', false],
    ['\\#hash', '#hash', true],
    ['\\!x', '!x', true],
    ['a.b', 'aXb', false],
    ['(a+)+', '(a+)+', true],
    ['./a//b/', 'a/b', true],
    ['/a/b', 'a/b', true],
    ['x/../a', 'a', true],
    ['  a  ', 'a', true],
    ['/', 'a', false],
    ['.', 'a', false],
    ['..', 'a', false],
    ['../a', 'a', false],
  ];
  for (const [pattern, path, expected] of rows) {
    assert.equal(isIgnored([pattern], path), expected, `${pattern} against ${path}`);
  }
});

test('the last pattern that matches a path or a folder above it decides', () => {
  assert.equal(isIgnored(['*.md', '!keep.md', '!README.md', 'README.md'], 'keep.md'), false);
  assert.equal(isIgnored(['*.md', '!keep.md', '!README.md', 'README.md'], 'README.md'), true);
  assert.equal(isIgnored(['*', '!dir/sub'], 'dir/sub/c.log'), false);
  assert.equal(isIgnored(['*', '!dir/sub'], 'dir/other'), true);
  assert.equal(isIgnored(['!a'], 'a'), false);
  assert.equal(isIgnored(['a', '! a/b', 'a/b/c'], 'a/b/d'), false);
  assert.equal(isIgnored(['a', '!a/b', 'a/b/c'], 'a/b/c/d'), true);
  assert.equal(isIgnored(['a', '!a/b', 'a'], 'a/b'), true);
  assert.equal(isIgnored(['!/./a/', 'b'], 'b'), true);
});

test('a left out folder is entered only where an exception may match below it', () => {
  assert.equal(parsePatterns(['*']).mayKeepBelow(fromText('dir')), false);
  assert.equal(mayKeep('!dir/sub', 'dir'), true);
  assert.equal(mayKeep('!dir/sub', 'dir/sub'), false);
  assert.equal(mayKeep('!dir/sub', 'di'), false);
  assert.equal(mayKeep('!dir', 'dir'), false);
  assert.equal(mayKeep('!*/keep', 'any'), true);
  assert.equal(mayKeep('!*/keep', 'any/deeper'), false);
  assert.equal(mayKeep('!**/keep', 'any/deeper'), true);
  assert.equal(mayKeep('!a/**', 'a'), true);
  assert.equal(mayKeep('!a**', 'abc'), true);
});

test('names that are not UTF-8 match as unknown characters', () => {
  const name = fromBytes(new Uint8Array([0x61, 0xff, 0x62]));
  assert.equal(parsePatterns(['a?b']).matches(name), true);
  assert.equal(parsePatterns(['a*']).matches(name), true);
  assert.equal(matchGo('a[^c]b', name), true);
  assert.equal(matchGo('a\u{ff}b', name), false);
  assert.equal(matchGo('ÿ', fromText('ÿ')), true);
  assert.equal(matchGo('a', fromText('\u{feff}a')), false);
});

test("wildcards of COPY follow Go's filepath.Match", () => {
  const rows: readonly (readonly [string, string, boolean])[] = [
    ['abc', 'abc', true],
    ['*', 'abc', true],
    ['*c', 'abc', true],
    ['a*', 'ab/c', false],
    ['a*/b', 'abc/b', true],
    ['a*b*c*d*e*/f', 'axbxcxdxe/f', true],
    ['a*b*c*d*e*/f', 'axbxcxdxe/xxx/f', false],
    ['**', 'a/b', false],
    ['**', 'ab', true],
    ['a*b?c*x', 'abxbbxdbxebxczzx', true],
    ['a*b?c*x', 'abxbbxdbxebxczzy', false],
    ['ab[c]', 'abc', true],
    ['ab[b-d]', 'abc', true],
    ['ab[e-g]', 'abc', false],
    ['ab[^e-g]', 'abc', true],
    ['a\\*b', 'a*b', true],
    ['a\\*b', 'ab', false],
    ['a[^a]b', 'a☺b', true],
    ['a???b', 'a☺b', false],
    ['[a-ζ]*', 'α', true],
    ['*[a-ζ]', 'A', false],
    ['a?b', 'a/b', false],
    ['a*b', 'a/b', false],
    ['[\\]a]', ']', true],
    ['[\\-x]', '-', true],
    ['[x\\-]', 'z', false],
    ['', '', true],
    ['', 'a', false],
    ['*x', 'xxx', true],
  ];
  for (const [pattern, name, expected] of rows) assert.equal(matchGo(pattern, fromText(name)), expected, `${pattern} against ${name}`);
  const bad = ['[]a]', '[-]', '[x-]', '[-x]', '\\', '[a-b-c]', '[', '[^', '[^bc', 'a[', 'a[]', '[a', 'a*[', '[\\'];
  for (const pattern of bad) {
    assert.throws(() => goMatcher(pattern), badPattern, pattern);
    assert.throws(() => parsePatterns([pattern]), badPattern, pattern);
  }
  for (const nothing of ['!', '! ', '!/', '!//', '!/.', '!/..']) assert.throws(() => parsePatterns([nothing]), badPattern, nothing);
});

test('patterns meant to explode take linear time', () => {
  const path = fromText(Array.from({ length: 200 }, () => 'a-pxt').join('/'));
  const started = process.cpuUsage();
  assert.equal(parsePatterns([`${'**/'.repeat(40)}x`]).matches(path), false);
  assert.equal(parsePatterns([`${'**/a*t/'.repeat(40)}x`]).matches(path), false);
  assert.equal(parsePatterns([`${'*a'.repeat(40)}x`]).matches(path), false);
  assert.equal(matchGo(`${'*a'.repeat(100)}b`, fromText(`b${'a'.repeat(2000)}`)), false);
  assert.ok(process.cpuUsage(started).user < 600_000, `${process.cpuUsage(started).user} µs`);
});

test('a pattern matches what the same pattern written as a regular expression matches', () => {
  const piece = fc.constantFrom(['a', 'a'], ['b', 'b'], ['/', '/'], ['*', '[^/]*'], ['?', '[^/]'], ['**/', '(.*/)?'], ['[^b]', '[^b]']);
  const text = fc.array(fc.constantFrom('a', 'b', 'c', '/a', '/b'), { maxLength: 6 }).map((parts) => parts.join(''));
  fc.assert(
    fc.property(fc.array(piece, { minLength: 1, maxLength: 6 }), text, (pieces, path) => {
      const pattern = pieces.map(([glob]) => glob).join('');
      fc.pre(
        cleanPattern(pattern) === pattern &&
          !pieces.some(([glob], index) => glob === '*' && pieces[index + 1]?.[0].startsWith('*')) &&
          !/^\/|\/\/|\/$/u.test(path) &&
          path !== '',
      );
      const expression = new RegExp(`^${pieces.map(([, regexp]) => regexp).join('')}$`, 'u');
      const parts = path.split('/');
      const expected = parts.some((_, index) => expression.test(parts.slice(0, index + 1).join('/')));
      assert.equal(isIgnored([pattern], path), expected, `${pattern} against ${path}`);
    }),
    randomRuns(500),
  );
});

function mayKeep(exception: string, folder: string): boolean {
  return parsePatterns(['*', exception]).mayKeepBelow(fromText(folder));
}

function badPattern(error: unknown): boolean {
  return isCode(error, 'base/bad-pattern');
}
