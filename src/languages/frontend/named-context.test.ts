import assert from 'node:assert/strict';
import { test } from 'node:test';
import { contextName } from './named-context.ts';

test('a context has one name, however it is written', () => {
  const names = ['debian', 'docker.io/library/debian:latest', 'debian:12', 'ghcr.io/a/b', 'my-stage', 'scratch', 'No', ''];
  assert.deepEqual(names.map(contextName), ['debian', 'debian', 'debian:12', 'ghcr.io/a/b', 'my-stage', undefined, undefined, undefined]);
});
