/** Snapshots whose trees are copied: what a copy keeps, who gets which tree, and what happens when something goes wrong. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  ftruncateSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempDisposableSync,
  openSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { fromText } from '#ground/base/byte-string.ts';
import { fullDisk } from '#ground/base/errors.ts';
import { listAttributes, readAttributes, setAttribute } from '#ground/linux/attributes.ts';
import { koffi } from '#ground/linux/foreign.ts';
import { libc } from '#ground/linux/libc.ts';
import { mountFileSystem, unmount } from '#ground/linux/mount.ts';
import { AT_FDCWD, changeTimeAt, fileTypes, makeNodeAt } from '#ground/linux/syscall.ts';
import { layerIdentity } from '#stores/layer/create.ts';
import { openChainTree } from '#stores/snapshot/chain-tree.ts';
import type { SnapshotId, SnapshotStore } from '#stores/snapshot/contract.ts';
import { openSnapshotStore, type OpenSnapshotStore } from '#stores/snapshot/store.ts';
import { inOwnNamespaces } from '#test/kit/own-namespaces.ts';
import { writeSnapshot, writeSnapshotFolder } from '#test/kit/snapshots.ts';

const { signal } = new AbortController();
const temporary = () => mkdtempDisposableSync('/tmp/jettison-copies-');
const open = async (folder: string): Promise<OpenSnapshotStore> =>
  await openSnapshotStore({ folder: join(folder, 'store'), now: Date.now, tree: 'copies' });

/** Paths of the copied trees that are there. */
function treesOf(folder: string): readonly string[] {
  const owners = join(folder, 'store/t');
  return readdirSync(owners).flatMap((owner) =>
    readdirSync(join(owners, owner))
      .filter((name) => name !== 'tick')
      .map((name) => join(owners, owner, name)),
  );
}

function foldersOf(store: SnapshotStore, id: SnapshotId): readonly string[] {
  return store
    .chain(id)
    .map((each) => each.folder)
    .toReversed();
}

/** Mounts a small file system for as long as `work` takes. */
async function onTmpfs(folder: string, options: string, work: () => Promise<void>): Promise<void> {
  mountFileSystem({ source: 'tmpfs', target: folder, type: 'tmpfs', flags: 0, options });
  try {
    await work();
  } finally {
    unmount(folder);
  }
}

const native = {
  mmap: libc.func('void* mmap(void*, size_t, int, int, int, long)'),
  munmap: libc.func('int munmap(void*, size_t)'),
};

/** Reads a byte through a mapping that may be written to, and then writes another. */
function writeMapped(path: string, text: string): void {
  const file = openSync(path, 'r+');
  const at: unknown = native.mmap(null, 4096, 3, 1, file, 0);
  koffi.decode(at, 'uint8_t');
  for (const [index, byte] of new TextEncoder().encode(text).entries()) koffi.encode(at, index, 'uint8_t', byte);
  native.munmap(at, 4096);
  closeSync(file);
}

/** The DiffID of a layer that deletes a file and a folder, made in a store at `place`. */
async function makeDeletions(place: string): Promise<string> {
  await using store = await open(place);
  const base = await writeSnapshotFolder(store, (root) => {
    mkdirSync(join(root, 'd'));
    for (const name of ['a', 'b', 'd/c']) writeFileSync(join(root, name), 'text');
  });
  const top = await writeSnapshot(store, base, (root) => {
    rmSync(join(root, 'a'));
    rmSync(join(root, 'd'), { recursive: true });
  });
  const [upper = '', ...below] = foldersOf(store, top);
  const entries = openChainTree([upper, ...below]).list(fromText(''));
  await using view = await store.view(top, signal);
  assert.deepEqual([entries.map(({ path }) => path), readdirSync(view.path)], [['b'], ['b']]);
  return (await layerIdentity({ folder: upper, below }, signal)).diffId;
}

function tests(): void {
  test('a copy keeps what a tree has', async () => {
    using folder = temporary();
    await using store = await open(folder.path);
    const socket = createServer();
    const base = await writeSnapshotFolder(store, (root) => {
      const at = (name: string): string => join(root, name);
      writeFileSync(at('plain'), 'text');
      writeFileSync(Buffer.from(`${root}/odd-\xff`, 'latin1'), 'odd');
      chownSync(at('plain'), 12, 34);
      chmodSync(at('plain'), 0o4751);
      changeTimeAt(AT_FDCWD, fromText(at('plain')), 1_234_567_890_123_456_789n);
      setAttribute(fromText(at('plain')), 'user.note', new Uint8Array([0, 255]));
      setAttribute(
        fromText(at('plain')),
        'security.capability',
        Uint8Array.from([1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
      );
      mkdirSync(at('folder/inner'), { recursive: true });
      linkSync(at('plain'), at('folder/inner/again'));
      chmodSync(at('folder'), 0o1777);
      setAttribute(fromText(at('folder')), 'user.note', new Uint8Array([1]));
      chownSync(at('folder'), 5, 6);
      utimesSync(at('folder'), 1, 1_400_000_000);
      symlinkSync('/elsewhere', at('symlink'));
      makeNodeAt(AT_FDCWD, fromText(at('fifo')), { type: fileTypes.fifo, mode: 0o640 });
      makeNodeAt(AT_FDCWD, fromText(at('socket')), { type: fileTypes.socket, mode: 0o755 });
      const sparse = openSync(at('sparse'), 'w');
      writeSync(sparse, 'x', 5_000_000);
      ftruncateSync(sparse, 9_000_000);
      closeSync(sparse);
    });
    socket.close();
    await using view = await store.view(base, signal);
    const [copy, original] = [openChainTree([view.path]), openChainTree(foldersOf(store, base))];
    const compare = (path: string): void => {
      const [left, right] = [copy.list(fromText(path)), original.list(fromText(path))];
      assert.equal(left.length, right.length);
      for (const [index, one] of left.entries()) {
        const other = right[index] ?? assert.fail();
        const look = (entry: typeof one) => ({ ...entry, hostPath: '', inode: 0, size: entry.kind === 'folder' ? 0 : entry.size });
        assert.deepEqual(look(one), look(other));
        assert.deepEqual(readAttributes(one.hostPath), readAttributes(other.hostPath));
        if (one.kind === 'file') assert.deepEqual(copy.readFile(one, 1e8), original.readFile(other, 1e8));
        if (one.kind === 'folder') compare(one.path);
      }
    };
    compare('');
    assert.equal(statSync(join(view.path, 'plain')).ino, statSync(join(view.path, 'folder/inner/again')).ino);
    assert.ok(statSync(join(view.path, 'sparse')).blocks * 512 < 1_000_000);
    assert.equal(statSync(join(view.path, 'plain')).nlink, 2, 'no link to a committed file');
  });

  test('a chain of steps copies its base once', async () => {
    using folder = temporary();
    await using store = await open(folder.path);
    let top = await writeSnapshotFolder(store, (root) => {
      for (let count = 0; count < 50; count++) writeFileSync(join(root, `f${count}`), 'text');
    });
    let inode: number | undefined;
    for (let step = 0; step < 6; step++) {
      top = await writeSnapshot(store, top, (root) => {
        inode ??= statSync(join(root, 'f49')).ino;
        assert.equal(statSync(join(root, 'f49')).ino, inode, 'the same copy');
        if (step > 0) assert.equal(readFileSync(join(root, 'log'), 'utf8'), 'line\n'.repeat(step));
        appendFileSync(join(root, 'log'), 'line\n');
        rmSync(join(root, `f${step}`));
      });
      assert.deepEqual(readdirSync(store.get(top)?.folder ?? '').toSorted(), [`f${step}`, 'log']);
      assert.equal(treesOf(folder.path).length, 1);
    }
    assert.ok(readdirSync(join(folder.path, 'store/m')).length === 0 && !readFileSync('/proc/self/mounts', 'utf8').includes(folder.path));
  });

  test('trees of many branches do not pile up', async () => {
    using folder = temporary();
    await using store = await open(folder.path);
    const base = await writeSnapshotFolder(store, (root) => writeFileSync(join(root, 'a'), ''));
    for (let step = 0; step < 8; step++) await writeSnapshot(store, base, (root) => writeFileSync(join(root, `b${step}`), ''));
    assert.equal(treesOf(folder.path).length, 4);
  });

  test('committed files are not written to by the step that comes next', async () => {
    using folder = temporary();
    await using store = await open(folder.path);
    const first = await writeSnapshot(store, undefined, (root) => writeFileSync(join(root, 'a'), 'one'));
    const second = await writeSnapshot(store, first, (root) => writeFileSync(join(root, 'a'), 'two', { flag: 'r+' }));
    const read = (id: SnapshotId): string => readFileSync(join(store.get(id)?.folder ?? '', 'a'), 'utf8');
    assert.deepEqual([read(first), read(second)], ['one', 'two']);
    // A name that stays in the tree keeps its file out of the snapshot.
    const third = await writeSnapshot(store, second, (root) => linkSync(join(root, 'a'), join(root, 'b')));
    await writeSnapshot(store, third, (root) => writeFileSync(join(root, 'a'), 'xxx', { flag: 'r+' }));
    const stats = statSync(join(store.get(third)?.folder ?? '', 'b'));
    assert.equal(readFileSync(join(store.get(third)?.folder ?? '', 'b'), 'utf8'), 'two');
    assert.ok(stats.nlink <= 2);
  });

  test('names of one file stay names of one file when a step writes to it, which overlayfs would part', async () => {
    using folder = temporary();
    await using store = await open(folder.path);
    const base = await writeSnapshotFolder(store, (root) => {
      writeFileSync(join(root, 'a'), 'one');
      linkSync(join(root, 'a'), join(root, 'b'));
      linkSync(join(root, 'a'), join(root, 'c'));
    });
    const top = await writeSnapshot(store, base, (root) => writeFileSync(join(root, 'a'), 'two'));
    const [a, b] = ['a', 'b'].map((name) => statSync(join(store.get(top)?.folder ?? '', name)));
    assert.deepEqual([a?.ino, a?.nlink], [b?.ino, 3]);
    const less = await writeSnapshot(store, base, (root) => rmSync(join(root, 'b')));
    assert.deepEqual(readdirSync(store.get(less)?.folder ?? ''), ['b'], 'a and c only lost a name');
  });

  test('views are shared, private ones are not and leave nothing', async () => {
    using folder = temporary();
    await using store = await open(folder.path);
    const base = await writeSnapshotFolder(store, (root) => writeFileSync(join(root, 'a'), 'one'));
    {
      await using one = await store.view(base, signal);
      await using two = await store.view(base, signal);
      await using own = await store.privateView(base, signal);
      assert.equal(one.path, two.path);
      assert.notEqual(own.path, one.path);
      writeFileSync(join(own.path, 'a'), 'bad');
    }
    {
      await using again = await store.privateView(base, signal);
      assert.equal(readFileSync(join(again.path, 'a'), 'utf8'), 'one');
      const { mtimeNs } = lstatSync(join(again.path, 'a'), { bigint: true });
      writeFileSync(join(again.path, 'a'), 'bad');
      changeTimeAt(AT_FDCWD, fromText(join(again.path, 'a')), mtimeNs);
    }
    await using last = await store.view(base, signal);
    assert.equal(readFileSync(join(last.path, 'a'), 'utf8'), 'one');
    await using nothing = await store.view(undefined, signal);
    assert.deepEqual(readdirSync(nothing.path), []);
  });

  test('what a step writes through a mapping is not missed', async () => {
    using folder = temporary();
    const work = async (): Promise<void> => {
      await using store = await open(folder.path);
      const base = await writeSnapshotFolder(store, (root) => writeFileSync(join(root, 'a'), 'x'.repeat(5000)));
      const top = await writeSnapshot(store, base, (root) => writeMapped(join(root, 'a'), 'mapped'));
      assert.match(readFileSync(join(store.get(top)?.folder ?? '', 'a'), 'utf8'), /^mappedxx/u);
    };
    await work();
    await onTmpfs(folder.path, 'size=10m', work);
  });

  test('marks of overlayfs that a step makes mean nothing', async () => {
    using folder = temporary();
    await using store = await open(folder.path);
    const base = await writeSnapshotFolder(store, (root) => {
      for (const name of ['a', 'b', 'd/e']) {
        mkdirSync(join(root, 'd'), { recursive: true });
        writeFileSync(join(root, name), 'text');
      }
    });
    const top = await writeSnapshot(store, base, (root) => {
      rmSync(join(root, 'a'));
      for (const name of ['a', 'new']) makeNodeAt(AT_FDCWD, fromText(join(root, name)), { type: fileTypes.character, mode: 0 });
      writeFileSync(join(root, 'b'), 'more');
      for (const [name, mark] of [
        ['b', 'redirect'],
        ['b', 'metacopy'],
        ['d', 'opaque'],
      ] as const)
        setAttribute(fromText(join(root, name)), `user.overlay.${mark}`, new TextEncoder().encode('y'));
      writeFileSync(join(root, 'd/f'), '');
    });
    const upper = store.get(top)?.folder ?? '';
    for (const name of ['b', 'd']) {
      assert.doesNotMatch(listAttributes(fromText(join(upper, name))).join(), /overlay/u);
    }
    assert.deepEqual(readdirSync(upper).toSorted(), ['a', 'b', 'd']);
    const tree = openChainTree(foldersOf(store, top));
    assert.deepEqual(
      tree.list(fromText('')).map(({ path }) => path),
      ['b', 'd'],
    );
    await using view = await store.view(top, signal);
    assert.deepEqual(readdirSync(view.path).toSorted(), ['b', 'd']);
    assert.deepEqual(readdirSync(join(view.path, 'd')).toSorted(), ['e', 'f']);
  });

  test('on an overlay, as in a container, files stand for deletions', async () => {
    using folder = temporary();
    const inside = (name: string): string => join(folder.path, name);
    for (const name of ['lower', 'upper', 'work', 'on']) mkdirSync(inside(name));
    const options = `lowerdir=${inside('lower')},upperdir=${inside('upper')},workdir=${inside('work')}`;
    mountFileSystem({ source: 'overlay', target: inside('on'), type: 'overlay', flags: 0, options });
    try {
      assert.equal(await makeDeletions(inside('on')), await makeDeletions(folder.path));
    } finally {
      unmount(inside('on'));
    }
  });

  test('a snapshot is mounted again, after something was written into its folder', async () => {
    using folder = temporary();
    await using store = await open(folder.path);
    const base = await writeSnapshotFolder(store, (root) => {
      mkdirSync(join(root, 'd'));
      writeFileSync(join(root, 'd/a'), 'one');
      writeFileSync(join(root, 'd/b'), 'one');
    });
    await using active = await store.prepare(base, signal);
    writeFileSync(join(active.folder, 'direct'), 'here');
    for (const text of ['two', 'three']) {
      await using mounted = await active.mount(signal);
      assert.equal(readFileSync(join(mounted.path, 'direct'), 'utf8'), 'here');
      writeFileSync(join(mounted.path, 'd/a'), text);
      rmSync(join(mounted.path, 'd/b'), { force: true });
      if (text === 'three') {
        rmSync(join(mounted.path, 'direct'));
        rmSync(join(mounted.path, 'd'), { recursive: true });
        mkdirSync(join(mounted.path, 'd'));
        writeFileSync(join(mounted.path, 'd/c'), text);
      }
    }
    const top = (await active.commit(signal)).id;
    const tree = openChainTree(foldersOf(store, top));
    const paths = ['', 'd'].flatMap((path) => tree.list(fromText(path)).map((entry) => entry.path));
    assert.deepEqual(paths, ['d', 'd/c']);
  });

  test('copying can be cancelled, and leaves nothing', async () => {
    using folder = temporary();
    await using store = await open(folder.path);
    const base = await writeSnapshotFolder(store, (root) => {
      for (let count = 0; count < 2000; count++) writeFileSync(join(root, `f${count}`), 'text');
    });
    await using active = await store.prepare(base, signal);
    const controller = new AbortController();
    const mounting = active.mount(controller.signal);
    setImmediate(() => controller.abort(new Error('enough')));
    await assert.rejects(mounting, /enough/u);
    assert.deepEqual(treesOf(folder.path), []);
    await using mounted = await active.mount(signal);
    assert.equal(readdirSync(mounted.path).length, 2000);
  });

  test('what is cancelled is not written down', async () => {
    using folder = temporary();
    await using store = await open(folder.path);
    await using active = await store.prepare(undefined, signal);
    const controller = new AbortController();
    {
      await using mounted = await active.mount(controller.signal);
      writeFileSync(join(mounted.path, 'a'), '');
      controller.abort(new Error('enough'));
    }
    assert.deepEqual([readdirSync(active.folder), treesOf(folder.path)], [[], []]);
  });

  test('a full disk stops copying and writing down, and nothing is left of both', async () => {
    using folder = temporary();
    await onTmpfs(folder.path, 'size=6m', async () => {
      await using store = await open(folder.path);
      const base = await writeSnapshotFolder(store, (root) => {
        writeFileSync(join(root, 'large'), Buffer.alloc(2_000_000, 'x'));
        linkSync(join(root, 'large'), join(root, 'second'));
      });
      writeFileSync(join(folder.path, 'ballast'), Buffer.alloc(2_500_000));
      {
        await using active = await store.prepare(base, signal);
        await assert.rejects(active.mount(signal), (error) => fullDisk(error) !== undefined);
        assert.deepEqual(treesOf(folder.path), []);
      }
      rmSync(join(folder.path, 'ballast'));
      const active = await store.prepare(base, signal);
      const mounted = await active.mount(signal);
      // Two other names stay in the tree: a copy goes into the snapshot.
      linkSync(join(mounted.path, 'large'), join(mounted.path, 'third'));
      spawnSync('sh', ['-c', `head -c 10000000 /dev/zero > ${folder.path}/ballast`], { stdio: 'ignore' });
      await assert.rejects(
        async () => await mounted[Symbol.asyncDispose](),
        (error) => fullDisk(error) !== undefined,
      );
      await active[Symbol.asyncDispose]();
      assert.equal(store.get(active.id), undefined);
      rmSync(join(folder.path, 'ballast'));
      assert.deepEqual([treesOf(folder.path), readdirSync(join(folder.path, 'store/s'))], [[], [base]]);
      await writeSnapshot(store, base, (root) => assert.equal(statSync(join(root, 'large')).size, 2_000_000));
    });
  });

  test('trees of a killed process are cleared up, those of a living one are left alone', async () => {
    using folder = temporary();
    const program = `
      const { openSnapshotStore } = await import(${JSON.stringify(import.meta.resolve('#stores/snapshot/store.ts'))});
      const store = await openSnapshotStore({ folder: process.argv[1], now: Date.now, tree: 'copies' });
      const active = await store.prepare(undefined, new AbortController().signal);
      const { path } = await active.mount(new AbortController().signal);
      console.log(path);
      setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', program, join(folder.path, 'store')], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [line] = await once(child.stdout.setEncoding('utf8'), 'data', { signal: AbortSignal.timeout(600_000) });
    const path = String(line).trim();
    {
      await using beside = await open(folder.path);
      await writeSnapshot(beside, undefined, (root) => assert.notEqual(root, path));
      assert.ok(existsSync(path));
    }
    child.kill('SIGKILL');
    await once(child, 'exit');
    await using store = await open(folder.path);
    assert.deepEqual([existsSync(path), treesOf(folder.path)], [false, []]);
    await writeSnapshot(store, undefined, () => {});
  });
}

inOwnNamespaces(import.meta.filename, tests, { users: true });
