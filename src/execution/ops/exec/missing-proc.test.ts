import assert from 'node:assert/strict';
import { test } from 'node:test';
import { watchForProc } from './missing-proc.ts';

function hintFor(...texts: readonly string[]): string | undefined {
  const watch = watchForProc();
  for (const text of texts) watch.take(new TextEncoder().encode(text));
  return watch.hint();
}

test('what programs say without /proc gives a hint, in pieces too; anything else gives none', () => {
  assert.match(hintFor("cat: can't open '/dev/fd/63'") ?? '', /no \/proc/u);
  assert.match(hintFor('java: error while loading shared ', 'libraries: libjli.so') ?? '', /no \/proc/u);
  assert.match(hintFor('x'.repeat(5000), '/pro', 'c/self/exe\n', 'more') ?? '', /no \/proc/u);
  assert.equal(hintFor('compiling /process/self.c', '/dev/null: full', '/proc/cpuinfo'), undefined);
});
