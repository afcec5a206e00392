import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempDisposableSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { joinOwners } from './owners.ts';
import { emptyTrash, moveToTrash, openBatch } from './trash.ts';

function makeStore(folder: string): string {
  for (const name of ['s', 'owners', 'trash']) mkdirSync(join(folder, name));
  return folder;
}

test('what goes to the trash while another thread empties it without a pause is moved, and stays while its owner lives', async () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'jettison-trash-'));
  const store = makeStore(folder.path);
  {
    using _ = joinOwners(store);
    const emptying = `
      const { parentPort, workerData } = require('node:worker_threads');
      const done = new Int32Array(workerData.done);
      import(workerData.trash).then(({ emptyTrash }) => {
        parentPort.postMessage('ready');
        while (Atomics.load(done, 0) === 0) emptyTrash(workerData.store);
      });`;
    const done = new Int32Array(new SharedArrayBuffer(4));
    const trash = new URL('trash.ts', import.meta.url).href;
    const worker = new Worker(emptying, { eval: true, workerData: { store, trash, done: done.buffer } });
    const ended = new Promise((resolve) => worker.once('exit', resolve));
    await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
    for (let round = 0; round < 800; round++) {
      mkdirSync(join(store, 's/1'));
      moveToTrash(store, ['s/1']);
      assert.equal(existsSync(join(store, 's/1')), false, `round ${round}`);
    }
    Atomics.store(done, 0, 1);
    await ended;
    mkdirSync(join(store, 's/2'));
    moveToTrash(store, ['s/2']);
    assert.equal(emptyTrash(store), 0);
  }
  assert.ok(emptyTrash(store) > 0);
  assert.deepEqual(readdirSync(join(store, 'trash')), []);
});

test('what goes to a batch that somebody has deleted goes to a new one; what was never made goes nowhere', () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'jettison-trash-'));
  const store = makeStore(folder.path);
  const batch = openBatch(store);
  batch.add('s/never');
  for (const id of ['1', '2']) {
    mkdirSync(join(store, 's', id));
    assert.equal(emptyTrash(store), 1);
    batch.add(`s/${id}`);
    assert.deepEqual(readdirSync(join(store, 's')), []);
    assert.deepEqual(readdirSync(join(store, 'trash')).length, 1);
  }
});
