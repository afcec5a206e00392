import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { removeTree } from '#ground/linux/remove-tree.ts';
import { volumeBytes } from './size.ts';

test('a container that makes folders deeper than a path can say does not keep its volume from being measured', () => {
  const folder = mkdtempSync(join(tmpdir(), 'jettison-volume-'));
  try {
    const data = join(folder, '_data');
    mkdirSync(data);
    writeFileSync(join(data, 'file'), 'text');
    const name = 'n'.repeat(200);
    execFileSync('sh', ['-c', `for i in $(seq 30); do mkdir ${name} && cd ${name} || exit 0; done`], { cwd: data, stdio: 'ignore' });
    assert.equal(volumeBytes(folder), 4);
  } finally {
    removeTree(folder);
  }
});
