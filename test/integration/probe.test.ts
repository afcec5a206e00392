import assert from 'node:assert/strict';
import { mkdtempDisposableSync, readdirSync } from 'node:fs';
import { test } from 'node:test';
import { probeHost } from '#ground/linux/probe.ts';

const signal = new AbortController().signal;

test('this host can mount overlays, and looking leaves nothing behind', async () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-probe-');
  const facts = await probeHost(folder.path, signal);
  assert.deepEqual(facts.overlay, { usable: true });
  assert.match(facts.kernel, /^\d+\.\d+/u);
  assert.notEqual(facts.cgroup, 'none');
  assert.deepEqual(readdirSync(folder.path), []);
});

test('where an overlay cannot be, it says why', async () => {
  const facts = await probeHost('/dev/shm', signal);
  assert.ok(facts.overlay.usable || facts.overlay.why.length > 0);
  assert.equal(facts.fileSystem, 'tmpfs');
});
