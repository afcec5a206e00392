/** Snapshots that outlive their process, and are written on: what a container wrote. Each in both forms of trees. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempDisposableSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { isCode } from '#ground/base/errors.ts';
import type { TreeForm } from '#ground/linux/isolation.ts';
import type { SnapshotId, SnapshotStore } from '#stores/snapshot/contract.ts';
import { openSnapshotStore } from '#stores/snapshot/store.ts';
import { writeSnapshot } from '#test/kit/snapshots.ts';

const signal = new AbortController().signal;
const now = () => 1_790_000_000_000;
const temporary = () => mkdtempDisposableSync('/tmp/jettison-kept-');
const forms: readonly TreeForm[] = ['overlay', 'copies'];

async function read(store: SnapshotStore, id: SnapshotId): Promise<Record<string, string>> {
  await using mount = await store.view(id, signal);
  const files = readdirSync(mount.path, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return Object.fromEntries(
    files
      .map((entry) => join(entry.parentPath, entry.name))
      .toSorted()
      .map((path) => [path.slice(mount.path.length + 1), readFileSync(path, 'utf8')]),
  );
}

function fillImage(root: string): void {
  for (const name of ['a', 'b', 'c']) writeFileSync(join(root, name), name);
  mkdirSync(join(root, 'd'));
  writeFileSync(join(root, 'd/inner'), 'inner');
}

for (const tree of forms) {
  test(`${tree}: a committed snapshot is written on under its id, and what was remembered of it is forgotten`, async () => {
    using folder = temporary();
    await using store = await openSnapshotStore({ folder: folder.path, now, tree });
    const image = await writeSnapshot(store, undefined, fillImage);
    const own = await writeSnapshot(store, image, (root) => writeFileSync(join(root, 'a'), 'first'));
    assert.equal((await read(store, own))['a'], 'first');
    store.setFact(own, 'diffId', 'x');
    store.measure();
    for (const round of ['second', 'third']) {
      await using active = await store.reopen(own, signal);
      assert.deepEqual([active.id, active.parent], [own, image]);
      assert.equal(store.get(own), undefined, 'it is not committed');
      await using mount = await active.mount(signal);
      writeFileSync(join(mount.path, 'a'), round);
      writeFileSync(join(mount.path, round), '');
      rmSync(join(mount.path, 'b'), { force: true });
    }
    assert.equal(store.getFact(own, 'diffId'), undefined);
    assert.equal(store.list().find(({ id }) => id === own)?.size, undefined);
    assert.deepEqual(await read(store, own), { a: 'third', c: 'c', 'd/inner': 'inner', second: '', third: '' });
    assert.deepEqual(await read(store, image), { a: 'a', b: 'b', c: 'c', 'd/inner': 'inner' });
    assert.equal(store.chain(own).length, 2, 'no chain grows');
  });

  test(`${tree}: what is kept outlives a failure and the end of its process in good order`, async () => {
    using folder = temporary();
    let own: SnapshotId;
    {
      await using store = await openSnapshotStore({ folder: folder.path, now, tree });
      const image = await writeSnapshot(store, undefined, fillImage);
      const stopped = new AbortController();
      await using active = await store.prepare(image, signal);
      active.keep();
      own = active.id;
      const mount = await active.mount(stopped.signal);
      writeFileSync(join(mount.path, 'a'), 'kept');
      stopped.abort();
      await mount[Symbol.asyncDispose]();
    }
    await using store = await openSnapshotStore({ folder: folder.path, now, tree });
    assert.equal((await read(store, own))['a'], 'kept');
    store.remove([own]);
    assert.equal(store.get(own), undefined, 'it is removed like any other');
  });

  test(`${tree}: what is kept outlives kill -9 of its process, also when it was written on`, async () => {
    using folder = temporary();
    const { image, own } = await (async () => {
      await using store = await openSnapshotStore({ folder: folder.path, now, tree });
      const made = await writeSnapshot(store, undefined, fillImage);
      return { image: made, own: await writeSnapshot(store, made, () => undefined) };
    })();
    const steps = [
      `write('a', 'one'); write('new', 'one'); rm('b'); mkdir('e'); write('e/f', 'f'); link('new', 'other'); rename('d', 'moved');`,
      `write('a', 'two'); rm('new'); write('b', 'again'); rename('e', 'e2');`,
    ];
    for (const words of steps) await killed(folder.path, { tree, own }, words);
    await using store = await openSnapshotStore({ folder: folder.path, now, tree });
    assert.deepEqual(await read(store, own), { a: 'two', b: 'again', c: 'c', 'e2/f': 'f', 'moved/inner': 'inner', other: 'one' });
    assert.deepEqual(await read(store, image), { a: 'a', b: 'b', c: 'c', 'd/inner': 'inner' });
    assert.deepEqual(readdirSync(join(folder.path, 'w')), []);
    assert.equal(readdirSync(join(folder.path, 'owners')).length, 1);
    // It can go on from there.
    await using active = await store.reopen(own, signal);
    await using mount = await active.mount(signal);
    writeFileSync(join(mount.path, 'c'), 'three');
  });
}

test('copies: clearing up after the dead that was broken off is done again', async () => {
  using folder = temporary();
  const own = await (async () => {
    await using store = await openSnapshotStore({ folder: folder.path, now, tree: 'copies' });
    return await writeSnapshot(store, await writeSnapshot(store, undefined, fillImage), () => undefined);
  })();
  await killed(folder.path, { tree: 'copies', own }, `write('a', 'one'); write('z', 'last'); rm('b'); link('a', 'a2');`, async (trees) => {
    // What one that cleared up and was killed leaves: some files written, the note still there.
    const [departed = ''] = readdirSync(trees);
    const file = join(trees, departed, `kept-${own}`);
    const note = readFileSync(file);
    const { recoverTree } = await import('#stores/snapshot/copies/kept.ts');
    const lower = readdirSync(join(folder.path, 's')).filter((id) => id !== own);
    const lowers = () => lower.map((id) => join(folder.path, 's', id));
    await recoverTree({ id: own, folder: join(folder.path, 's', own), lowers, trees: join(trees, departed) });
    assert.equal(existsSync(file), false);
    rmSync(join(folder.path, 's', own, 'z'));
    writeFileSync(file, note);
  });
  await using store = await openSnapshotStore({ folder: folder.path, now, tree: 'copies' });
  assert.deepEqual(await read(store, own), { a: 'one', a2: 'one', c: 'c', 'd/inner': 'inner', z: 'last' });
});

const inUse = (error: unknown): boolean => isCode(error, 'snapshot/in-use');

test('what something stands on, or shares, or is not there, is not reopened', async () => {
  using folder = temporary();
  await using store = await openSnapshotStore({ folder: folder.path, now });
  const image = await writeSnapshot(store, undefined, fillImage);
  const linked = await writeSnapshot(store, undefined, () => undefined);
  const stacked = await store.stack(linked, image, signal);
  const own = await writeSnapshot(store, image, () => undefined);
  for (const id of [image, linked, stacked.id]) await assert.rejects(store.reopen(id, signal), inUse);
  {
    await using reading = await store.prepare(own, signal);
    await assert.rejects(store.reopen(own, signal), inUse, reading.id);
  }
  await using active = await store.reopen(own, signal);
  await assert.rejects(store.reopen(own, signal), (error) => isCode(error, 'snapshot/not-found'), 'once at a time');
  assert.deepEqual(store.chain(image).length, 1);
  store.remove([image]);
  assert.ok(store.get(active.parent ?? own), 'what it stands on stays');
});

/** A process that writes on `own` in a mount namespace of its own until it is killed. */
async function killed(
  folder: string,
  { tree, own }: { readonly tree: TreeForm; readonly own: SnapshotId },
  words: string,
  afterwards: (trees: string) => Promise<void> = async () => {},
): Promise<void> {
  const program = `
    const fs = await import('node:fs');
    const { openSnapshotStore } = await import(${JSON.stringify(import.meta.resolve('#stores/snapshot/store.ts'))});
    const signal = new AbortController().signal;
    const store = await openSnapshotStore({ folder: process.argv[1], now: Date.now, tree: '${tree}' });
    const active = await store.reopen('${own}', signal);
    const { path } = await active.mount(signal);
    const at = (name) => path + '/' + name;
    const write = (name, text) => fs.writeFileSync(at(name), text);
    const rm = (name) => fs.rmSync(at(name), { recursive: true });
    const mkdir = (name) => fs.mkdirSync(at(name));
    const link = (one, other) => fs.linkSync(at(one), at(other));
    // Overlayfs leaves moving a folder of a lower layer to the program.
    const copy = (one, other) => { fs.cpSync(at(one), at(other), { recursive: true }); fs.rmSync(at(one), { recursive: true }); };
    const rename = (one, other) => { try { fs.renameSync(at(one), at(other)); } catch { copy(one, other); } };
    ${words}
    console.log('written');
    setInterval(() => {}, 1000);`;
  const unshare = ['--mount', '--propagation', 'private', process.execPath, '--input-type=module', '-e', program, folder];
  const child = spawn('unshare', unshare, { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data', { signal: AbortSignal.timeout(600_000) });
  child.kill('SIGKILL');
  await once(child, 'exit');
  await afterwards(join(folder, 't'));
}
