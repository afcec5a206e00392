import assert from 'node:assert/strict';
import { linkSync, mkdirSync, mkdtempDisposableSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { diskUsage } from './disk-usage.ts';

test('a file with names in several trees counts for the oldest, and for none where it counted before', () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-usage-');
  const at = (...names: readonly string[]): string => join(folder.path, ...names);
  for (const name of ['old', 'one', 'two']) mkdirSync(at(name));
  const block = new Uint8Array(64 * 1024);
  writeFileSync(at('old', 'x'), block);
  linkSync(at('old', 'x'), at('one', 'x'));
  writeFileSync(at('one', 'a'), block);
  linkSync(at('one', 'a'), at('one', 'again'));
  writeFileSync(at('one', 'b'), block);
  linkSync(at('one', 'b'), at('two', 'b'));
  const rest = (size: { readonly bytes: number; readonly linked: number } | undefined): readonly number[] => [
    Math.floor((size?.bytes ?? 0) / block.length),
    Math.floor((size?.linked ?? 0) / block.length),
  ];
  const both = diskUsage(
    new Map([
      ['one', at('one')],
      ['two', at('two')],
    ]),
  );
  assert.deepEqual(
    [rest(both.get('one')), rest(both.get('two'))],
    [
      [2, 1],
      [0, 1],
    ],
  );
  const all = diskUsage(
    new Map([
      ['old', at('old')],
      ['one', at('one')],
      ['gone', at('gone')],
    ]),
  );
  assert.deepEqual(
    [rest(all.get('old')), rest(all.get('one')), rest(all.get('gone'))],
    [
      [1, 0],
      [1, 2],
      [0, 0],
    ],
  );
});
