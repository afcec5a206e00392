import assert from 'node:assert/strict';
import { mkdtempDisposableSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { tryLockFile } from './lock-file.ts';

const exclusive = { exclusive: true, wait: false };
const shared = { exclusive: false, wait: false };

test('one exclusive holder or many shared ones', () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-lock-');
  const path = join(folder.path, 'lock');
  {
    using held = tryLockFile(path, exclusive);
    assert.ok(held);
    assert.equal(tryLockFile(path, shared), undefined);
    assert.equal(tryLockFile(path, exclusive), undefined);
  }
  using one = tryLockFile(path, shared);
  using two = tryLockFile(path, shared);
  assert.ok(one && two);
  assert.equal(tryLockFile(path, exclusive), undefined);
});

test('a lock follows its file, not its name', () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-lock-');
  const path = join(folder.path, 'lock');
  using held = tryLockFile(path, exclusive);
  renameSync(path, `${path}2`);
  assert.equal(tryLockFile(`${path}2`, exclusive), undefined);
  rmSync(`${path}2`);
  using fresh = tryLockFile(path, exclusive);
  assert.ok(held && fresh);
});
