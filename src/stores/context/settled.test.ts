import assert from 'node:assert/strict';
import { mkdtempDisposableSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fromText } from '#ground/base/byte-string.ts';
import { openLocalContext } from './local.ts';
import { isSettled } from './settled.ts';

test('times count as they are exact: a tenth of a second, else two seconds', () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-settled-');
  writeFileSync(join(folder.path, 'f'), '');
  const found = openLocalContext({ folder: folder.path, ignore: [] }).entry(fromText('f'));
  assert.ok(found?.ctime !== undefined);
  const at = 1_800_000_000_000_000_000n;
  const millisecond = 1_000_000n;
  const exact = { ...found, mtime: at, ctime: at + 1n };
  // The file system counts, and its times: whole seconds are those of small inodes, whole milliseconds of a server.
  const coarse = [
    { ...exact, ctime: at },
    { ...exact, fileSystem: 0x7fff_ffffn, hostPath: fromText('/proc/self/status') },
    { ...exact, fileSystem: undefined as never },
  ];
  for (const entry of [exact, ...coarse]) assert.equal(isSettled(entry, at + 90n * millisecond), false);
  assert.equal(isSettled(exact, at + 110n * millisecond), true);
  for (const entry of coarse) {
    assert.equal(isSettled(entry, at + 1_900n * millisecond), false);
    assert.equal(isSettled(entry, at + 2_100n * millisecond), true);
  }
  // A modification time that was set to the future does not matter where every write sets the change time.
  assert.equal(isSettled({ ...exact, mtime: at + 3_600_000n * millisecond }, at + 110n * millisecond), true);
  assert.equal(isSettled(exact, at - 5_000n * millisecond), false);
});
