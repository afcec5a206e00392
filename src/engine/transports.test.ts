import assert from 'node:assert/strict';
import { mkdirSync, mkdtempDisposableSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseTransport } from './transports.ts';

test('places, and names of images that look like them', () => {
  using temporary = mkdtempDisposableSync(join(tmpdir(), 'jettison-transports-'));
  const folder = temporary.path;
  const image = (text: string) => parseTransport(text, { folder, hint: 'image' });
  const place = (text: string) => parseTransport(text, { folder, hint: 'place' });
  for (const text of ['busybox', 'docker:dind', 'docker', 'oci:1', 'dir:latest', 'localhost:5000/oci:1', 'dir:x@sha256:00'])
    assert.equal(image(text), undefined, text);
  assert.deepEqual(image('docker://busybox:1'), { kind: 'docker', reference: 'busybox:1' });
  assert.deepEqual(image('docker-archive:a.tar'), {
    kind: 'docker-archive',
    path: join(folder, 'a.tar'),
    name: undefined,
    index: undefined,
  });
  assert.deepEqual(image('docker-archive:/a.tar:host.test:5000/app:1'), {
    kind: 'docker-archive',
    path: '/a.tar',
    name: 'host.test:5000/app:1',
    index: undefined,
  });
  assert.deepEqual(image('docker-archive:/a.tar:@2'), { kind: 'docker-archive', path: '/a.tar', name: undefined, index: 2 });
  assert.deepEqual(image('oci:./out'), { kind: 'oci', path: join(folder, 'out'), name: undefined });
  assert.deepEqual(image('oci:out:1'), { kind: 'oci', path: join(folder, 'out'), name: '1' });
  assert.deepEqual(place('oci:1'), { kind: 'oci', path: join(folder, '1'), name: undefined });
  mkdirSync(join(folder, 'latest'));
  assert.deepEqual(image('dir:latest'), { kind: 'dir', path: join(folder, 'latest') });
  for (const text of ['oci:', 'dir:', 'docker-archive::x', 'oci:x:-y', 'docker:x'])
    assert.throws(() => place(text), { code: 'engine/bad-transport' }, text);
  for (const text of ['containers-storage:x', 'docker-daemon:x', 'ostree:x'])
    assert.throws(() => image(text), { code: 'engine/no-transport' }, text);
});
