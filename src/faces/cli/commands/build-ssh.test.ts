import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readAllow } from './build-allow.ts';
import { readSsh } from './build-ssh.ts';

function read(...given: readonly string[]): object {
  return Object.fromEntries(readSsh(given, '/here'));
}

test('--ssh: an id, with a socket or keys or without', () => {
  assert.deepEqual(read('default', 'git=/run/agent', 'keys=a,b/c'), { default: [], git: ['/run/agent'], keys: ['/here/a', '/here/b/c'] });
  assert.deepEqual(read('=key'), { default: ['/here/key'] });
  assert.deepEqual(read('x=a=b'), { x: ['/here/a=b'] });
  assert.deepEqual(read('x='), { x: [] });
  for (const bad of [['default', 'default=x'], ['default', ''], ['x=a,']]) assert.throws(() => read(...bad), { code: 'cli/bad-value' });
});

test('--allow: BuildKit’s entitlements', () => {
  assert.deepEqual(readAllow(['network.host', '', 'security.insecure']), ['network.host', 'security.insecure']);
  for (const bad of ['network', 'SECURITY.INSECURE', 'all']) assert.throws(() => readAllow([bad]), { code: 'cli/bad-value' });
  for (const device of ['device', 'device=vendor.com/x=y']) assert.throws(() => readAllow([device]), { code: 'cli/not-built' });
});
