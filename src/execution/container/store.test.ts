import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseDigest } from '#ground/base/digest.ts';
import { isCode } from '#ground/base/errors.ts';
import { openDatabase } from '#stores/db/open.ts';
import { containerSpecs, containerTables, openContainerStore } from './store.ts';
import { decodeSpec, type ContainerSpec } from './spec.ts';

const imageId = parseDigest(`sha256:${'1'.repeat(64)}`);
const spec: ContainerSpec = decodeSpec(JSON.stringify({ image: 'web', imageId, arguments: ['/bin/sh', '-c', 'true'] }));
const idOf = (letter: string): string => letter.repeat(64);

function openStore() {
  const folder = mkdtempSync(join(tmpdir(), 'jettison-containers-'));
  const database = openDatabase({ file: join(folder, 'engine.db'), migrations: [containerTables, containerSpecs] });
  const store = openContainerStore(database, join(folder, 'containers'));
  return {
    folder,
    store,
    [Symbol.dispose]() {
      database[Symbol.dispose]();
      rmSync(folder, { recursive: true });
    },
  };
}

test('a container goes through its states, and is lost when nobody holds it', () => {
  using kit = openStore();
  const { store } = kit;
  const id = idOf('a');
  assert.equal(store.create({ id, name: 'web', spec, created: 1000 }), 'web');
  assert.deepEqual(store.find('web')?.spec, spec);
  assert.equal(store.find('/web')?.state.kind, 'created');
  {
    using lock = store.lock(id);
    assert.ok(lock);
    assert.equal(store.lock(id), undefined, 'one holds it');
    store.noteStart(id, 2000);
    assert.deepEqual(store.find('aaa')?.state, {
      kind: 'running',
      started: 2000,
      ended: undefined,
      code: 0,
      error: undefined,
      isOutOfMemory: false,
    });
    store.notePause(id, true);
    assert.equal(store.find('web')?.state.kind, 'paused');
    store.notePause(id, false);
    store.noteEnd(id, { code: 3, at: 3000, restarts: true });
    assert.equal(store.find('web')?.state.kind, 'restarting');
    store.noteStart(id, 4000, true);
    assert.equal(store.find('web')?.restarts, 1);
  }
  const { state } = store.find('web') ?? assert.fail();
  assert.deepEqual([state.kind, state.code, state.ended], ['exited', 137, 4000], 'whose monitor was killed');
  store.noteEnd(id, { code: 5, at: 5000 });
  assert.deepEqual([store.find('web')?.state.kind, store.find('web')?.state.code], ['exited', 5]);
  store.noteRemoval(id);
  assert.equal(store.find('web')?.state.kind, 'dead');
  store.remove(id);
  assert.equal(store.find('web'), undefined);
});

test('names are unique, may change, and are made up where none is given', () => {
  using kit = openStore();
  const { store } = kit;
  store.create({ id: idOf('a'), name: 'one', spec, created: 1 });
  assert.throws(
    () => store.create({ id: idOf('b'), name: 'one', spec, created: 2 }),
    (error) => isCode(error, 'container/name-taken'),
  );
  const made = store.create({ id: idOf('b'), name: undefined, spec, created: 2 });
  assert.match(made, /^[a-z]+_[a-z]+$/u);
  assert.throws(
    () => store.rename(idOf('b'), 'one'),
    (error) => isCode(error, 'container/name-taken'),
  );
  assert.throws(
    () => store.rename(idOf('b'), '../x'),
    (error) => isCode(error, 'container/bad-name'),
  );
  store.rename(idOf('b'), 'two');
  assert.deepEqual(
    store.list().map(({ name }) => name),
    ['two', 'one'],
  );
});

test('a container of an older version keeps its image, its command and its end', () => {
  const folder = mkdtempSync(join(tmpdir(), 'jettison-containers-'));
  const file = join(folder, 'engine.db');
  try {
    {
      using old = openDatabase({ file, migrations: [containerTables] });
      old
        .prepare(
          'INSERT INTO containers (id, name, image, image_id, command, created, process, code, ended, snapshot) VALUES (?,?,?,?,?,?,?,?,?,?)',
        )
        .run(idOf('c'), 'old', 'web:1', imageId, '["sh","-c","a \\"b\\""]', 10, '1:2', 7, 20, 'abc1');
    }
    using database = openDatabase({ file, migrations: [containerTables, containerSpecs] });
    const found = openContainerStore(database, join(folder, 'containers')).find('old') ?? assert.fail();
    assert.deepEqual([found.spec.image, found.spec.imageId, found.spec.arguments], ['web:1', imageId, ['sh', '-c', 'a "b"']]);
    assert.deepEqual([found.state.kind, found.state.code, found.state.ended, found.snapshot], ['exited', 7, 20, 'abc1']);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
