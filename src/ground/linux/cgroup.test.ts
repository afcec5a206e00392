import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { readCount, readHierarchies, removeCgroup } from './cgroup.ts';

test('hierarchies of both versions, named ones left out, paths with colons whole', () => {
  const text = '9:name=systemd:/a\n4:memory:/b:c\n1:cpu,cpuacct:/\n0::/user.slice\n\n';
  assert.deepEqual(readHierarchies(text), [
    { version: 1, name: 'memory', own: '/b:c' },
    { version: 1, name: 'cpu,cpuacct', own: '/' },
    { version: 2, name: 'unified', own: '/user.slice' },
  ]);
});

test('counts are read by their whole name; a folder goes with those below it, but not with what is in it', () => {
  const folder = mkdtempSync(join(tmpdir(), 'jettison-cgroup-'));
  try {
    writeFileSync(join(folder, 'events'), 'oom_group_kill 7\noom_kill 3\n');
    assert.equal(readCount(join(folder, 'events'), 'oom_kill'), 3);
    assert.equal(readCount(join(folder, 'events'), 'oom'), 0);
    assert.equal(readCount(join(folder, 'missing'), 'oom_kill'), 0);
    mkdirSync(join(folder, 'a/b/c'), { recursive: true });
    assert.equal(removeCgroup(join(folder, 'a')), true);
    assert.equal(removeCgroup(join(folder, 'a')), true);
    assert.equal(removeCgroup(folder), false);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
