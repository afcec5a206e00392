import assert from 'node:assert/strict';
import { mkdtempDisposableSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { readAtMost } from './read-at-most.ts';

test('a file up to the limit, and what has no end', () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'jettison-read-'));
  const file = join(folder.path, 'file');
  const bytes = new Uint8Array(200_000).map((_, index) => index % 251);
  writeFileSync(file, bytes);
  assert.deepEqual(Buffer.from(readAtMost(file, 200_000) ?? []), Buffer.from(bytes));
  assert.equal(readAtMost(file, 199_999), undefined);
  assert.equal(readAtMost('/dev/zero', 1 << 20), undefined);
  assert.equal(readAtMost('/dev/null', 0)?.length, 0);
  assert.throws(() => readAtMost(join(folder.path, 'missing'), 1), { code: 'ENOENT' });
  assert.throws(() => readAtMost(folder.path, 1), { code: 'EISDIR' });
});
