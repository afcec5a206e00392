import assert from 'node:assert/strict';
import {
  closeSync,
  ftruncateSync,
  mkdtempDisposableSync,
  openSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fromText } from '#ground/base/byte-string.ts';
import { copyFileInto } from './copy-file.ts';
import { openRoot } from './rooted-path.ts';

function copyIn(folder: string, from: string, to: string): number {
  using root = openRoot(folder);
  using at = root.openFolder(fromText(''));
  return copyFileInto({ from: fromText(join(folder, from)), folder: at.file, name: fromText(to) });
}

for (const size of [0, 1, 4096, 128 << 10, (128 << 10) + 1, (1 << 20) + 12345, 3 << 20]) {
  test(`a file of ${size} bytes is copied`, () => {
    using folder = mkdtempDisposableSync('/tmp/jettison-copy-');
    const bytes = Uint8Array.from({ length: size }, (_, index) => (index * 31 + (index >> 8)) & 255);
    writeFileSync(join(folder.path, 'a'), bytes);
    assert.equal(copyIn(folder.path, 'a', 'b'), size);
    assert.ok(readFileSync(join(folder.path, 'b')).equals(bytes));
    assert.equal(statSync(join(folder.path, 'b')).mode & 0o777, 0o600);
  });
}

test('holes stay holes, at the start, inside and at the end', () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-copy-');
  const size = 64 << 20;
  const file = openSync(join(folder.path, 'a'), 'w');
  writeSync(file, 'middle', 5 << 20);
  writeSync(file, 'later', (40 << 20) + 7);
  ftruncateSync(file, size);
  closeSync(file);
  assert.equal(copyIn(folder.path, 'a', 'b'), size);
  const copy = statSync(join(folder.path, 'b'));
  assert.equal(copy.size, size);
  assert.ok(copy.blocks * 512 < 1 << 20);
  assert.ok(readFileSync(join(folder.path, 'b')).equals(readFileSync(join(folder.path, 'a'))));
});

test('nothing is overwritten and no link is followed', () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-copy-');
  writeFileSync(join(folder.path, 'a'), 'a');
  writeFileSync(join(folder.path, 'b'), 'b');
  symlinkSync('missing', join(folder.path, 'l'));
  symlinkSync('a', join(folder.path, 's'));
  assert.throws(() => copyIn(folder.path, 'a', 'b'), { code: 'EEXIST' });
  assert.throws(() => copyIn(folder.path, 'a', 'l'), { code: 'EEXIST' });
  assert.throws(() => copyIn(folder.path, 's', 'c'), { code: 'ELOOP' });
});
