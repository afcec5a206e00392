import assert from 'node:assert/strict';
import {
  chmodSync,
  closeSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  mkdtempDisposableSync,
  openSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { asByteString, bytesOf, fromText } from '#ground/base/byte-string.ts';
import { systemCode } from '#ground/base/errors.ts';
import { nodeFolderReader } from './folder-reader.ts';
import { openNativeFolderReader } from './native-folder-reader.ts';
import { statField, statLength, timeAt } from './stat-rows.ts';
import { AT_FDCWD, changeTimeAt, fileTypes, makeNodeAt } from './syscall.ts';

const native = openNativeFolderReader() ?? assert.fail('there is no statx');
const readers = [nodeFolderReader, native];

function inFolder<T>(path: string, work: (folder: number) => T): T {
  const folder = openSync(path, 'r');
  try {
    return work(folder);
  } finally {
    closeSync(folder);
  }
}

test('both readers see the same, whatever lies there', () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-reader-');
  const at = (name: string): string => join(folder.path, name);
  writeFileSync(at('f'), 'text');
  linkSync(at('f'), at('g'));
  chmodSync(at('f'), 0o4711);
  mkdirSync(at('d'), { mode: 0o1777 });
  symlinkSync('f', at('l'));
  writeFileSync(at('large'), '');
  truncateSync(at('large'), 5 * 2 ** 32 + 7);
  for (const [name, time] of Object.entries({ old: -1_500_000_001n, early: -1n, late: 2n ** 33n * 1_000_000_000n + 999_999_999n })) {
    writeFileSync(at(name), '');
    changeTimeAt(AT_FDCWD, fromText(at(name)), time);
  }
  lutimesSync(at('l'), 1, 2);
  makeNodeAt(AT_FDCWD, fromText(at('fifo')), { type: fileTypes.fifo, mode: 0o600 });
  makeNodeAt(AT_FDCWD, fromText(at('null')), { type: fileTypes.character, mode: 0o666, major: 1, minor: 3 });
  makeNodeAt(AT_FDCWD, fromText(at('wide')), { type: fileTypes.block, mode: 0o600, major: 259, minor: 70_000 });
  writeFileSync(Buffer.from(bytesOf(asByteString(`${folder.path}/\u00ff\u00e9`))), 'x');
  writeFileSync(at('\u{e9}'.repeat(100)), 'x');
  for (let index = 0; index < 3000; index++) writeFileSync(at(`many-${index}-${'x'.repeat(index % 200)}`), '');

  for (const path of [folder.path, at('d'), '/usr/lib', '/proc/self']) {
    const [names, others] = readers.map((reader) => inFolder(path, (open) => reader.names(open)));
    assert.ok(names);
    assert.deepEqual(others, names);
    assert.deepEqual(names, names.toSorted());
    if (path.startsWith('/proc')) continue;
    const asked = [...names, fromText('not there')];
    const [rows, otherRows] = readers.map((reader) => inFolder(path, (open) => reader.stats(open, asked)));
    assert.deepEqual(otherRows, rows);
    assert.ok(rows?.subarray(-statLength).every((field) => field === 0));
  }
  inFolder(folder.path, (open): void => {
    const rowOf = (name: string): Float64Array => native.stats(open, [fromText(name)]);
    assert.equal(timeAt(rowOf('old'), statField.mtime), -1_500_000_001n);
    assert.equal(timeAt(rowOf('late'), statField.mtime), 2n ** 33n * 1_000_000_000n + 999_999_999n);
    assert.equal(rowOf('wide')[statField.device], 259 * 0x100 + (70_000 % 0x100) + Math.floor(70_000 / 0x100) * 0x10_0000);
    for (const reader of readers) {
      assert.equal(reader.target(open, fromText('l')), 'f');
      assert.throws(
        () => reader.target(open, fromText('f')),
        (error) => systemCode(error) === 'EINVAL',
      );
    }
  });
});

test('what is no folder is not read', () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-reader-');
  writeFileSync(join(folder.path, 'f'), '');
  for (const reader of readers) {
    assert.throws(
      () => inFolder(join(folder.path, 'f'), (open) => reader.names(open)),
      (error) => systemCode(error) === 'ENOTDIR',
    );
  }
});
