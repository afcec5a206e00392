import assert from 'node:assert/strict';
import { mkdtempDisposableSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { isCode } from '#ground/base/errors.ts';
import { makeStoreFolder } from './store-folder.ts';

test('a store is made for its owner alone; where none can be, that is said with the path', () => {
  using made = mkdtempDisposableSync(join(tmpdir(), 'jettison-store-'));
  const folder = join(made.path, 'a/b');
  makeStoreFolder(folder);
  makeStoreFolder(folder);
  assert.equal(statSync(folder).mode & 0o777, 0o700);
  writeFileSync(join(made.path, 'file'), '');
  for (const bad of [join(made.path, 'file'), join(made.path, 'file/below'), '/proc/jettison-nowhere/store', '/sys/jettison-nowhere'])
    assert.throws(
      () => makeStoreFolder(bad),
      (error) => isCode(error, 'engine/bad-store') && error.fault === 'environment' && error.message.includes(`"${bad}"`),
    );
});
