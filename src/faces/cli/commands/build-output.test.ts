import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readOutput } from './build-output.ts';

test('an output is an archive of one of two kinds', () => {
  assert.deepEqual(readOutput('type=oci,dest=a.tar', '/w'), { kind: 'oci', destination: '/w/a.tar', compression: undefined });
  assert.deepEqual(readOutput('type=docker,"dest=/x/a,b",compression=uncompressed', '/w'), {
    kind: 'docker',
    destination: '/x/a,b',
    compression: 'tar',
  });
});

test('other outputs are refused by name', () => {
  for (const [text, named] of [
    ['.', 'type=local'],
    ['type=local,dest=x', 'type=local'],
    ['type=registry', 'type=registry'],
    ['type=oci,dest=-', 'dest=-'],
    ['type=oci,dest=x,name=y', 'name'],
    ['type=oci,dest=x,compression=estargz', 'estargz'],
  ] as const) {
    assert.throws(() => readOutput(text, '/w'), { code: 'cli/not-built', message: new RegExp(named, 'u') }, text);
  }
  for (const text of ['type=oci', 'type=zip,dest=x', 'dest=x', 'type=oci,dest=x,compression=lz4']) {
    assert.throws(() => readOutput(text, '/w'), { code: 'cli/bad-value' }, text);
  }
});
