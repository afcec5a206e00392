import assert from 'node:assert/strict';
import { test } from 'node:test';
import { probeHost } from '#ground/linux/probe.ts';

test('what this host is', () => {
  const facts = probeHost('/tmp');
  assert.match(facts.kernel, /^\d+\.\d+/u);
  assert.notEqual(facts.cgroup, 'none');
  assert.equal(probeHost('/dev/shm').fileSystem, 'tmpfs');
});
