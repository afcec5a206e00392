/** Copies of many files: versions of one copy share what did not change, and the layer told while it is written is the layer that is there. */
import assert from 'node:assert/strict';
import {
  appendFileSync,
  chmodSync,
  chownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempDisposableSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openFileThread, runFile, type FileTools, type TreeSource } from '#execution/ops/file.ts';
import { copyFolder } from '#formats/graph/copy.ts';
import type { CopyAction, FileOp } from '#formats/graph/op.ts';
import { setAttribute } from '#ground/linux/attributes.ts';
import { fromText } from '#ground/base/byte-string.ts';
import { layerIdentity, type LayerIdentity } from '#stores/layer/create.ts';
import { endThreads } from '#stores/layer/threads.ts';
import type { SnapshotId } from '#stores/snapshot/contract.ts';
import { openSnapshotStore, type OpenSnapshotStore } from '#stores/snapshot/store.ts';
import { writeSnapshotFolder } from '#test/kit/snapshots.ts';

const { signal } = new AbortController();
const copyAll: CopyAction = { ...copyFolder('/'), input: 1, destination: '/app/files' };

type Copy = { readonly id: SnapshotId; readonly folder: string; readonly told: LayerIdentity | undefined };
type Scene = AsyncDisposable & {
  readonly context: string;
  readonly store: OpenSnapshotStore;
  copy(action?: Partial<CopyAction>, from?: { readonly source?: TreeSource; readonly base?: SnapshotId }): Promise<Copy>;
  write(work: (root: string) => void): Promise<SnapshotId>;
};

/** A context of 100 files that are old enough to be trusted. */
async function openScene(): Promise<Scene> {
  await using stack = new AsyncDisposableStack();
  stack.defer(endThreads);
  const folder = stack.use(mkdtempDisposableSync('/tmp/jettison-versions-')).path;
  const context = join(folder, 'context');
  for (let d = 0; d < 10; d++) {
    mkdirSync(join(context, `d${d}`), { recursive: true });
    for (let f = 0; f < 10; f++) writeFileSync(join(context, `d${d}/f${f}`), `file ${d} ${f}`);
  }
  const store = stack.use(await openSnapshotStore({ folder: join(folder, 'store'), now: Date.now }));
  const tools: FileTools = { snapshots: store, thread: stack.use(openFileThread()) };
  const wholeContext: TreeSource = { kind: 'folder', path: context, ignore: [] };
  const owned = stack.move();
  return {
    context,
    store,
    async copy(action = {}, { source = wholeContext, base } = {}) {
      const op: FileOp = { kind: 'file', base: base === undefined ? null : 0, actions: [{ ...copyAll, ...action }] };
      let told: LayerIdentity | undefined;
      const inputs = [base === undefined ? undefined : { kind: 'snapshot' as const, snapshot: base }, source];
      const id = await runFile({ op, inputs, onLayer: (_, layer) => (told = layer) }, tools, () => undefined, signal);
      return { id, folder: store.get(id)?.folder ?? '', told };
    },
    write: (work) => writeSnapshotFolder(store, work),
    [Symbol.asyncDispose]: async () => await owned.disposeAsync(),
  };
}

/** Long enough for the change time to be trusted, on a file system with exact times. */
const settle = async (): Promise<void> => {
  await new Promise((resolve) => {
    setTimeout(resolve, 150);
  });
};

const inodeOf = (copy: Copy, path: string): number => lstatSync(join(copy.folder, 'app/files', path)).ino;
const textOf = (copy: Copy, path: string): string => readFileSync(join(copy.folder, 'app/files', path), 'utf8');

test('the next version of a copy links what did not change', async () => {
  await using scene = await openScene();
  await settle();
  const first = await scene.copy();
  appendFileSync(join(scene.context, 'd3/f3'), '!');
  rmSync(join(scene.context, 'd4/f4'));
  writeFileSync(join(scene.context, 'd5/new'), 'new');
  await settle();
  const second = await scene.copy();
  assert.equal(inodeOf(second, 'd0/f0'), inodeOf(first, 'd0/f0'));
  assert.equal(inodeOf(second, 'd9/f9'), inodeOf(first, 'd9/f9'));
  assert.notEqual(inodeOf(second, 'd3/f3'), inodeOf(first, 'd3/f3'));
  assert.equal(textOf(first, 'd3/f3'), 'file 3 3');
  assert.equal(textOf(second, 'd3/f3'), 'file 3 3!');
  assert.throws(() => inodeOf(second, 'd4/f4'), /ENOENT/u);
  assert.equal(textOf(second, 'd5/new'), 'new');
  // And the one after, also when the one before is gone.
  scene.store.remove([first.id]);
  const third = await scene.copy();
  assert.equal(inodeOf(third, 'd3/f3'), inodeOf(second, 'd3/f3'));
  assert.equal(inodeOf(third, 'd0/f0'), inodeOf(second, 'd0/f0'));
  scene.store.remove([second.id, third.id]);
  assert.equal(textOf(await scene.copy(), 'd0/f0'), 'file 0 0');
});

test('nothing is linked that only looks the same', async () => {
  await using scene = await openScene();
  const { context } = scene;
  const at = (path: string): string => join(context, path);
  linkSync(at('d6/f0'), at('d6/twin'));
  await settle();
  const first = await scene.copy();
  const before = statSync(at('d0/f0'));
  writeFileSync(at('d0/f0'), 'FILE 0 0');
  utimesSync(at('d0/f0'), before.atime, before.mtime);
  chmodSync(at('d1/f1'), 0o600);
  rmSync(at('d2/f2'));
  symlinkSync('f3', at('d2/f2'));
  // Two files of the same size and time change places.
  for (const name of ['d3/f3', 'd3/f4']) utimesSync(at(name), before.atime, before.mtime);
  const middle = await scene.copy();
  renameSync(at('d3/f3'), at('d3/x'));
  renameSync(at('d3/f4'), at('d3/f3'));
  renameSync(at('d3/x'), at('d3/f4'));
  // Another file with the times and size of the one before it.
  const old = statSync(at('d5/f5'));
  writeFileSync(at('d5/other'), 'FILE 5 5');
  utimesSync(at('d5/other'), old.atime, old.mtime);
  renameSync(at('d5/other'), at('d5/f5'));
  // A name of its own instead of a second name.
  rmSync(at('d6/twin'));
  writeFileSync(at('d6/twin'), 'file 6 0');
  const second = await scene.copy();
  assert.equal(textOf(first, 'd0/f0'), 'file 0 0');
  assert.equal(textOf(second, 'd0/f0'), 'FILE 0 0');
  assert.equal(lstatSync(join(second.folder, 'app/files/d1/f1')).mode & 0o7777, 0o600);
  assert.equal(lstatSync(join(second.folder, 'app/files/d2/f2')).isSymbolicLink(), true);
  assert.deepEqual([textOf(middle, 'd3/f3'), textOf(second, 'd3/f3'), textOf(second, 'd3/f4')], ['file 3 3', 'file 3 4', 'file 3 3']);
  assert.equal(textOf(second, 'd5/f5'), 'FILE 5 5');
  assert.equal(inodeOf(first, 'd6/twin'), inodeOf(first, 'd6/f0'));
  assert.notEqual(inodeOf(second, 'd6/twin'), inodeOf(second, 'd6/f0'));
  assert.equal(inodeOf(second, 'd7/f7'), inodeOf(first, 'd7/f7'));
});

test('another owner, mode, folder or way of copying is no version of the same copy', async () => {
  await using scene = await openScene();
  await settle();
  const first = await scene.copy({ owner: 'app' }, { base: await scene.write((root) => users(root, 1000)) });
  const others = [
    await scene.copy({ mode: 0o600 }),
    await scene.copy({ owner: 'app' }, { base: await scene.write((root) => users(root, 2000)) }),
    await scene.copy({ destination: '/app/files/' }),
  ];
  for (const other of others) assert.notEqual(inodeOf(other, 'd0/f0'), inodeOf(first, 'd0/f0'));
  assert.equal(statSync(join(others[1]!.folder, 'app/files/d0/f0')).uid, 2000);
});

function users(root: string, id: number): void {
  mkdirSync(join(root, 'etc'));
  writeFileSync(join(root, 'etc/passwd'), `app:x:${id}:${id}::/:/bin/sh\n`);
}

test('the layer that was told is the layer that is there', async () => {
  await using scene = await openScene();
  const { context } = scene;
  const at = (path: string): string => join(context, path);
  mkdirSync(at('d0.d/deep'), { recursive: true });
  mkdirSync(at('d0 d'));
  writeFileSync(at('d0 d/before'), 'a blank sorts before a slash');
  writeFileSync(at('d0.d/deep/empty'), '');
  writeFileSync(at(`d0.d/${'long'.repeat(60)}`), 'long');
  writeFileSync(at('big'), new Uint8Array(700_001).fill(7));
  writeFileSync(at('block'), new Uint8Array(1024).fill(7));
  linkSync(at('d1/f1'), at('d0.d/second name'));
  linkSync(at('d1/f1'), at('z'));
  symlinkSync('nowhere', at('d2/link'));
  chmodSync(at('d3/f3'), 0o4751);
  chmodSync(at('d3'), 0o2770);
  chownSync(at('d4/f4'), 7, 8);
  setAttribute(fromText(at('d5/f5')), 'user.name', new Uint8Array([1]));
  mkdirSync(at('many/files'), { recursive: true });
  for (let f = 0; f < 70; f++) writeFileSync(at(`many/files/${f}`), '');
  await settle();
  const base = await scene.write((root) => {
    mkdirSync(join(root, 'app'), { mode: 0o750 });
    chownSync(join(root, 'app'), 5, 6);
    utimesSync(join(root, 'app'), 1, 1);
  });
  const check = async (copy: Copy, below: readonly SnapshotId[] = []): Promise<void> => {
    const folders = below.map((id) => scene.store.get(id)?.folder ?? '');
    assert.deepEqual(copy.told, await layerIdentity({ folder: copy.folder, below: folders }, signal));
  };
  const first = await scene.copy();
  await check(first);
  await check(await scene.copy());
  await check(await scene.copy({}, { base }), [base]);
  await check(await scene.copy({ destination: '/' }));
  await check(await scene.copy({ exclude: ['d1', '**/f3'], destination: '/opt/a/b/' }));
  await check(await scene.copy({ parents: true, sources: ['/./many/files'], destination: '/p/' }));
  await check(await scene.copy({ mode: 0o640 }));
  const source: TreeSource = { kind: 'snapshot', snapshot: first.id };
  await check(await scene.copy({ sources: ['/app/files'] }, { source }));
  await check(await scene.copy({ sources: ['/app'], owner: '9:9' }, { source }));
  assert.ok(first.told);
});

test('a layer that cannot be told is not told wrongly', async () => {
  await using scene = await openScene();
  await settle();
  const base = await scene.write((root) => {
    mkdirSync(join(root, 'app/files/d3'), { recursive: true });
    writeFileSync(join(root, 'app/files/d3/f3'), 'of the base');
  });
  const merged = await scene.copy({}, { base });
  assert.equal(merged.told, undefined);
  const several = await scene.copy({ sources: ['/d0', '/d1', '/d2', '/d3', '/d4', '/d5', '/d6', '/d7'] });
  assert.equal(several.told, undefined);
  const single = await scene.copy({ sources: ['/d0/f0'] });
  assert.equal(single.told, undefined);
});
