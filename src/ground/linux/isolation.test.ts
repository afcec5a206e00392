import { test } from 'node:test';
import assert from 'node:assert/strict';
import { parseIsolation } from './isolation.ts';

test('an isolation is named with or without the form of its trees', () => {
  assert.deepEqual(parseIsolation('auto'), {});
  assert.deepEqual(parseIsolation('default'), {});
  assert.deepEqual(parseIsolation('rootless'), { isolation: 'rootless' });
  assert.deepEqual(parseIsolation('copies'), { tree: 'copies' });
  assert.deepEqual(parseIsolation('rootless-single,copies'), { isolation: 'rootless-single', tree: 'copies' });
  assert.deepEqual(parseIsolation('overlay,oci'), { isolation: 'oci', tree: 'overlay' });
});

test('what is no isolation is refused', () => {
  for (const text of ['', 'hyperv', 'oci,oci', 'oci,rootless', 'copies,overlay', 'oci,', 'auto,oci', 'chroot,overlay', 'OCI'])
    assert.throws(() => parseIsolation(text), { code: 'linux/bad-isolation' }, text);
});
