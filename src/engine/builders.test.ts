import assert from 'node:assert/strict';
import { mkdtempDisposableSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { builderNames, checkBuilder, createBuilder, removeBuilder, selectBuilder } from './builders.ts';

test('names of the builder: made, used, removed', () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'jettison-builders-'));
  const environment = { JETTISON_STORE: join(folder.path, 'store') };
  assert.deepEqual(builderNames(environment), { names: [], current: 'default' });
  assert.equal(createBuilder('multi', environment), 'multi');
  const found = createBuilder(undefined, environment);
  selectBuilder('multi', environment);
  assert.deepEqual(builderNames(environment), { names: ['multi', found].toSorted(), current: 'multi' });
  assert.equal(builderNames({ ...environment, BUILDX_BUILDER: found }).current, found);
  assert.throws(() => createBuilder('multi', environment), { code: 'engine/builder-exists' });
  for (const name of ['default', '../x', '.current', '1st', 'a/b', 'x'.repeat(200)])
    assert.throws(() => createBuilder(name, environment), { code: 'engine/bad-builder-name' }, name);
  for (const name of ['other', '.current', '../engine.db']) {
    assert.throws(() => checkBuilder(name, environment), { code: 'engine/no-builder' }, name);
    assert.throws(() => removeBuilder(name, environment), { code: 'engine/no-builder' }, name);
  }
  removeBuilder('multi', environment);
  assert.equal(builderNames(environment).current, 'default');
  // A new one of its name is another one.
  createBuilder('multi', environment);
  assert.equal(builderNames(environment).current, 'default');
  selectBuilder('default', environment);
  assert.throws(() => removeBuilder('default', environment), { code: 'engine/default-builder' });
});
