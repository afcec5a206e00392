import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempDisposableSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  linkSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fromText } from '#ground/base/byte-string.ts';
import { isCode } from '#ground/base/errors.ts';
import { tryLockFile } from '#ground/linux/lock-file.ts';
import { lookAt } from '#ground/linux/tree-read.ts';
import { setAttribute } from '#ground/linux/attributes.ts';
import { openChainTree } from '#stores/snapshot/chain-tree.ts';
import type { SnapshotId } from '#stores/snapshot/contract.ts';
import { openSnapshotStore } from '#stores/snapshot/store.ts';
import { startTending } from '#stores/snapshot/start-tending.ts';
import { tendStore } from '#stores/snapshot/tend.ts';
import { writeSnapshot } from '#test/kit/snapshots.ts';
import { seeds } from '#test/kit/random.ts';

const signal = new AbortController().signal;
const now = () => 1_790_000_000_000;
const temporary = () => mkdtempDisposableSync('/tmp/jettison-snapshot-');

function countMounts(folder: string): number {
  return readFileSync('/proc/self/mounts', 'latin1')
    .split('\n')
    .filter((line) => line.includes(folder)).length;
}

/** Every path below `root` with what matters of it, as the kernel shows it. */
function readKernelView(root: string): Map<string, string> {
  const view = new Map<string, string>();
  const walk = (path: string): void => {
    for (const name of readdirSync(join(root, path)).toSorted()) {
      const inner = path === '' ? name : `${path}/${name}`;
      const stats = lookAt(fromText(join(root, inner)));
      assert.ok(stats);
      view.set(inner, `${stats.mode.toString(8)} ${stats.uid}:${stats.gid} ${stats.mtimeNs} ${stats.isDirectory() ? '' : stats.size}`);
      if (stats.isDirectory()) walk(inner);
    }
  };
  walk('');
  return view;
}

function readChainView(folders: readonly string[]): Map<string, string> {
  const tree = openChainTree(folders);
  const types = { file: 0o100000, folder: 0o40000, symlink: 0o120000, fifo: 0o10000, socket: 0o140000 } as const;
  const view = new Map<string, string>();
  const walk = (path: string): void => {
    for (const entry of tree.list(fromText(path))) {
      assert.ok(entry.kind in types, entry.kind);
      const type = types[entry.kind as keyof typeof types];
      view.set(
        entry.path,
        `${(type | entry.mode).toString(8)} ${entry.uid}:${entry.gid} ${entry.mtime} ${entry.kind === 'folder' ? '' : entry.size}`,
      );
      assert.deepEqual(tree.entry(entry.path), entry);
      if (entry.kind === 'folder') walk(entry.path);
    }
  };
  walk('');
  return view;
}

test('a snapshot is prepared, mounted, committed, stacked and viewed', async () => {
  using folder = temporary();
  await using store = await openSnapshotStore({ folder: folder.path, now });
  const first = await writeSnapshot(store, undefined, (root) => {
    writeFileSync(join(root, 'a'), 'one');
    mkdirSync(join(root, 'd'));
    writeFileSync(join(root, 'd/gone'), '');
    chmodSync(root, 0o1711);
    chownSync(root, 5, 6);
  });
  const second = await writeSnapshot(store, first, (root) => {
    assert.equal(readFileSync(join(root, 'a'), 'utf8'), 'one');
    writeFileSync(join(root, 'a'), 'two');
    rmSync(join(root, 'd'), { recursive: true });
  });
  const top = store.get(second);
  assert.deepEqual([top?.parent, top?.createdAt, top?.folder], [first, now(), join(folder.path, 's', second)]);
  const root = statSync(top!.folder);
  assert.deepEqual([root.mode & 0o7777, root.uid, root.gid], [0o1711, 5, 6]);
  assert.deepEqual(
    store.chain(second).map((snapshot) => snapshot.id),
    [first, second],
  );
  {
    await using mount = await store.view(second, signal);
    assert.deepEqual(readdirSync(mount.path), ['a']);
    assert.throws(() => writeFileSync(join(mount.path, 'x'), ''), /EROFS/u);
    await using one = await store.view(first, signal);
    assert.deepEqual(readdirSync(one.path), ['a', 'd']);
    await using none = await store.view(undefined, signal);
    assert.deepEqual(readdirSync(none.path), []);
    assert.equal(countMounts(folder.path), 3);
  }
  assert.equal(countMounts(folder.path), 0);
  assert.equal(readdirSync(join(folder.path, 'w')).length, 0);
  assert.ok(store.usage(first) >= 4096);
});

test('a mounted snapshot is not committed, one without commit goes', async () => {
  using folder = temporary();
  await using store = await openSnapshotStore({ folder: folder.path, now });
  let id: SnapshotId;
  {
    await using active = await store.prepare(undefined, signal);
    id = active.id;
    await active.mount(signal);
    await assert.rejects(active.commit(signal), (error) => isCode(error, 'snapshot/still-mounted'));
    assert.equal(store.get(id), undefined);
  }
  assert.equal(existsSync(join(folder.path, 's', id)), false);
  assert.equal(countMounts(folder.path), 0);
  await assert.rejects(store.prepare(id, signal), (error) => isCode(error, 'snapshot/not-found'));
  assert.throws(
    () => store.chain(id),
    (error) => isCode(error, 'snapshot/not-found'),
  );
});

test('remove waits for those that stand on a snapshot', async () => {
  using folder = temporary();
  await using store = await openSnapshotStore({ folder: folder.path, now });
  const first = await writeSnapshot(store, undefined, () => {});
  const second = await writeSnapshot(store, first, () => {});
  const third = await writeSnapshot(store, second, () => {});
  store.remove([first]);
  assert.ok(store.get(first));
  store.remove([third]);
  assert.equal(store.get(third), undefined);
  assert.ok(store.get(second));
  {
    await using active = await store.prepare(second, signal);
    store.remove([second]);
    assert.ok(store.get(active.parent!));
  }
  assert.equal(store.get(second), undefined);
  assert.equal(store.get(first), undefined);
  assert.deepEqual(readdirSync(join(folder.path, 's')), []);
});

test('facts are remembered, found and forgotten with their snapshot', async () => {
  using folder = temporary();
  await using store = await openSnapshotStore({ folder: folder.path, now });
  const first = await writeSnapshot(store, undefined, () => {});
  const second = await writeSnapshot(store, undefined, () => {});
  store.setFact(first, 'diffId', 'x');
  store.setFact(first, 'diffId', 'y');
  store.setFact(second, 'diffId', 'y');
  assert.equal(store.getFact(first, 'diffId'), 'y');
  assert.deepEqual(store.findByFact('diffId', 'y'), [first, second]);
  store.remove([first]);
  assert.deepEqual(store.findByFact('diffId', 'y'), [second]);
  assert.throws(
    () => store.setFact(first, 'diffId', 'y'),
    (error) => isCode(error, 'snapshot/not-found'),
  );
});

test('chains of 300 and 500 layers mount, 501 are refused', async () => {
  using folder = temporary();
  await using store = await openSnapshotStore({ folder: folder.path, now });
  let top: SnapshotId | undefined;
  const chain: SnapshotId[] = [];
  for (let count = 0; count < 501; count++) {
    await using active = await store.prepare(top, signal);
    writeFileSync(join(active.folder, `f${count}`), '');
    top = (await active.commit(signal)).id;
    chain.push(top);
  }
  for (const length of [300, 500]) {
    await using mount = await store.view(chain[length - 1], signal);
    assert.equal(readdirSync(mount.path).length, length);
    const next = await writeSnapshot(store, chain[length - 1], (root) => writeFileSync(join(root, 'f0'), 'changed'));
    assert.deepEqual(readdirSync(store.get(next)!.folder), ['f0']);
  }
  await assert.rejects(store.view(top, signal), (error) => isCode(error, 'snapshot/too-many-layers'));
  assert.equal(
    openChainTree(
      store
        .chain(top!)
        .toReversed()
        .map((snapshot) => snapshot.folder),
    ).list(fromText('')).length,
    501,
  );
});

test('an opaque root hides what is below it, mounted too', async () => {
  using folder = temporary();
  await using store = await openSnapshotStore({ folder: folder.path, now });
  const first = await writeSnapshot(store, undefined, (root) => writeFileSync(join(root, 'old'), ''));
  await using active = await store.prepare(first, signal);
  setAttribute(fromText(active.folder), 'trusted.overlay.opaque', new TextEncoder().encode('y'));
  writeFileSync(join(active.folder, 'new'), '');
  const second = (await active.commit(signal)).id;
  await using mount = await store.view(second, signal);
  assert.deepEqual(readdirSync(mount.path), ['new']);
});

test('what a killed process was writing is cleared up, what it committed stays', async () => {
  using folder = temporary();
  const program = `
    const { openSnapshotStore } = await import(${JSON.stringify(import.meta.resolve('#stores/snapshot/store.ts'))});
    const signal = new AbortController().signal;
    const store = await openSnapshotStore({ folder: process.argv[1], now: Date.now });
    const done = await store.prepare(undefined, signal);
    const committed = await done.commit(signal);
    const active = await store.prepare(committed.id, signal);
    await active.mount(signal);
    console.log(committed.id, active.id);
    setInterval(() => {}, 1000);`;
  const child = spawn(
    'unshare',
    ['--mount', '--propagation', 'private', process.execPath, '--input-type=module', '-e', program, folder.path],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  const [line] = await once(child.stdout.setEncoding('utf8'), 'data', { signal: AbortSignal.timeout(600_000) });
  const [committed, active] = String(line).trim().split(' ') as [SnapshotId, SnapshotId];
  {
    await using beside = await openSnapshotStore({ folder: folder.path, now });
    assert.ok(beside.get(committed));
    assert.ok(existsSync(join(folder.path, 's', active)), 'the living are left alone');
  }
  child.kill('SIGKILL');
  await once(child, 'exit');
  await using store = await openSnapshotStore({ folder: folder.path, now });
  assert.ok(store.get(committed));
  assert.deepEqual(readdirSync(join(folder.path, 's')), [committed]);
  assert.deepEqual(readdirSync(join(folder.path, 'w')), []);
  assert.equal(readdirSync(join(folder.path, 'owners')).length, 1);
  assert.deepEqual(readdirSync(join(folder.path, 'm')), []);
});

test('trash stays while somebody from that time lives, and goes afterwards', async () => {
  using folder = temporary();
  const trashed = () =>
    readdirSync(join(folder.path, 'trash')).filter((batch) => existsSync(join(folder.path, 'trash', batch, '0/a'))).length;
  {
    await using other = await openSnapshotStore({ folder: folder.path, now });
    {
      await using store = await openSnapshotStore({ folder: folder.path, now });
      const id = await writeSnapshot(store, undefined, (root) => writeFileSync(join(root, 'a'), ''));
      await using view = await other.view(id, signal);
      store.remove([id]);
      await tendStore(folder.path);
      assert.equal(trashed(), 1);
      assert.equal(readFileSync(join(view.path, 'a'), 'utf8'), '');
    }
    await tendStore(folder.path);
    assert.equal(trashed(), 1);
  }
  await tendStore(folder.path);
  assert.deepEqual(readdirSync(join(folder.path, 'trash')), []);
});

test('a snapshot that is wanted stays for the prune that began before; a time in the future can be ended', async () => {
  using folder = temporary();
  let clock = 5000;
  await using store = await openSnapshotStore({ folder: folder.path, now: () => clock });
  const id = await writeSnapshot(store, undefined, () => {});
  assert.ok(store.touch(id));
  assert.deepEqual(store.reclaim([id], 5000).ids, []);
  clock = 1000;
  assert.ok(store.touch(id));
  assert.deepEqual(store.reclaim([id], 1000).ids, [], 'the later time stands');
  store.endFuture(1000);
  assert.deepEqual(store.reclaim([id], 1000).ids, [id]);
});

test('what is reclaimed is what is free afterwards: a file that lives on elsewhere is not', async () => {
  using folder = temporary();
  await using store = await openSnapshotStore({ folder: folder.path, now });
  const block = new Uint8Array(256 * 1024);
  const [below, image] = [await writeSnapshot(store, undefined, () => {}), await writeSnapshot(store, undefined, () => {})];
  const stage = await writeSnapshot(store, below, (root) => {
    writeFileSync(join(root, 'own'), block);
    writeFileSync(join(root, 'twice'), block);
    linkSync(join(root, 'twice'), join(root, 'again'));
    writeFileSync(join(root, 'taken'), block);
  });
  linkSync(join(folder.path, 's', stage, 'taken'), join(folder.path, 's', image, 'taken'));
  assert.deepEqual(store.reclaim([below], Infinity), { ids: [], bytes: 0 }, 'something stands on it');
  const { ids, bytes } = store.reclaim([stage], Infinity);
  assert.deepEqual([...ids].toSorted(), [below, stage].toSorted());
  assert.equal(Math.floor(bytes / block.length), 2);
});

test('tending runs in a process of its own, and only when there is a need', async () => {
  using folder = temporary();
  {
    await using store = await openSnapshotStore({ folder: folder.path, now });
    const id = await writeSnapshot(store, undefined, () => {});
    store.remove([id]);
  }
  assert.ok(existsSync(join(folder.path, 'untended')));
  const program = `const { tendStore } = await import(${JSON.stringify(import.meta.resolve('#stores/snapshot/tend.ts'))});
    await tendStore(${JSON.stringify(folder.path)});`;
  startTending(folder.path, { words: ['--input-type=module', '-e', program] });
  const isTended = (): boolean => readdirSync(join(folder.path, 'trash')).length === 0 && !existsSync(join(folder.path, 'untended'));
  for (let count = 0; count < 30_000 && !isTended(); count++) await new Promise((done) => setTimeout(done, 10));
  assert.deepEqual(readdirSync(join(folder.path, 'trash')), []);
  assert.equal(existsSync(join(folder.path, 'untended')), false);
  // It may still be at work with what comes after.
  using _ = tryLockFile(join(folder.path, 'tending'), { exclusive: true, wait: true });
});

test('who comes to tend a store that somebody removes, holding the lock, makes no file in it', async () => {
  using folder = temporary();
  const mark = join(folder.path, 'untended');
  {
    await using store = await openSnapshotStore({ folder: folder.path, now });
    void store;
  }
  writeFileSync(mark, '');
  const before = readdirSync(folder.path).toSorted();
  const program = `const { tendStore } = await import(${JSON.stringify(import.meta.resolve('#stores/snapshot/tend.ts'))});
    console.log('here');
    await tendStore(${JSON.stringify(folder.path)});`;
  for (const gone of [[], [mark], [mark, join(folder.path, 'tending')]]) {
    using _ = tryLockFile(join(folder.path, 'tending'), { exclusive: true, wait: true });
    for (const path of gone) rmSync(path, { force: true });
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(child.stdout, 'data');
    const ended = once(child, 'close');
    // One that has nothing to wait for ends.
    await Promise.race([ended, sleep(gone.length === 0 ? 300 : 20_000)]);
    assert.deepEqual(
      readdirSync(folder.path).toSorted(),
      before.filter((name) => !gone.includes(join(folder.path, name))),
    );
    child.kill('SIGKILL');
    await ended;
  }
});

test('little that is given up waits in the trash, whatever its names are; what has many files or bytes is a reason to tend', async () => {
  using folder = temporary();
  const mark = join(folder.path, 'untended');
  await using store = await openSnapshotStore({ folder: folder.path, now, leavesSmall: true });
  const giveUp = async (work: (root: string) => void): Promise<boolean> => {
    rmSync(mark, { force: true });
    await using active = await store.prepare(undefined, signal);
    work(active.folder);
    await active[Symbol.asyncDispose]();
    return existsSync(mark);
  };
  const isReason = await giveUp((root) => {
    mkdirSync(join(root, 'ä'));
    writeFileSync(join(root, 'ä/ü'), 'x');
  });
  assert.equal(isReason, false);
  assert.equal(await giveUp((root) => writeFileSync(join(root, 'large'), Buffer.alloc(2_000_000, 1))), true);
  assert.equal(
    await giveUp((root) => {
      for (let at = 0; at < 40; at++) writeFileSync(join(root, String(at)), '');
    }),
    true,
  );
});

test('a lost database: the folders go to the trash and no id comes back', async () => {
  using folder = temporary();
  let old: SnapshotId;
  {
    await using store = await openSnapshotStore({ folder: folder.path, now });
    for (let count = 0; count < 20; count++) await writeSnapshot(store, undefined, () => {});
    old = await writeSnapshot(store, undefined, () => {});
  }
  for (const name of readdirSync(folder.path)) if (name.startsWith('snapshots.db')) rmSync(join(folder.path, name));
  writeFileSync(join(folder.path, 'snapshots.db'), 'garbage '.repeat(1000));
  await using store = await openSnapshotStore({ folder: folder.path, now });
  assert.match(store.notes.join(), /put aside/u);
  assert.deepEqual(readdirSync(join(folder.path, 's')), []);
  assert.ok(Number.parseInt(await writeSnapshot(store, undefined, () => {}), 36) > Number.parseInt(old, 36));
});

test('several processes share one store', async () => {
  using folder = temporary();
  const program = `
    const { openSnapshotStore } = await import(${JSON.stringify(import.meta.resolve('#stores/snapshot/store.ts'))});
    const signal = new AbortController().signal;
    for (let round = 0; round < 5; round++) {
      await using store = await openSnapshotStore({ folder: process.argv[1], now: Date.now });
      let top;
      for (let count = 0; count < 10; count++) {
        await using active = await store.prepare(top, signal);
        { await using mount = await active.mount(signal); }
        top = (await active.commit(signal)).id;
        if (count % 3 === 0) await store.prepare(top, signal).then((other) => other[Symbol.asyncDispose]());
      }
      store.remove(store.chain(top).map((s) => s.id));
    }`;
  const exits = Array.from({ length: 4 }, async () => {
    const child = spawn('unshare', ['--mount', process.execPath, '--input-type=module', '-e', program, folder.path], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    return (await once(child, 'exit'))[0];
  });
  assert.deepEqual(await Promise.all(exits), [0, 0, 0, 0]);
  await tendStore(folder.path);
  assert.deepEqual([readdirSync(join(folder.path, 's')), readdirSync(join(folder.path, 'trash'))], [[], []]);
});

test('the chain tree shows what the kernel shows, after random work in random layers', async () => {
  for (const seed of seeds(25)) {
    using folder = temporary();
    await using store = await openSnapshotStore({ folder: folder.path, now });
    const random = createRandom(seed);
    let top: SnapshotId | undefined;
    for (let layer = 0; layer < 4; layer++) {
      top = await writeSnapshot(store, top, (root) => {
        for (let count = 0; count < 14; count++) actAtRandom(root, random);
      });
    }
    await using mount = await store.view(top, signal);
    const expected = readKernelView(mount.path);
    assert.deepEqual(
      readChainView(
        store
          .chain(top!)
          .toReversed()
          .map((snapshot) => snapshot.folder),
      ),
      expected,
      `seed ${seed}`,
    );
  }
});

function createRandom(seed: number): (below: number) => number {
  let state = seed * 2654435761;
  return (below) => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) | 0;
    return ((state ^ (state >>> 13)) >>> 0) % below;
  };
}

/** Few names and little depth, so that layers meet. */
function actAtRandom(root: string, random: (below: number) => number): void {
  const pick = () => join(root, Array.from({ length: 1 + random(3) }, () => 'abc'[random(3)]).join('/'));
  const path = pick();
  try {
    switch (random(8)) {
      case 0:
      case 1:
        mkdirSync(path, { recursive: true });
        return;
      case 2:
      case 3:
        writeFileSync(path, 'x'.repeat(random(9)));
        return;
      case 4:
        rmSync(path, { recursive: true });
        return;
      case 5:
        renameSync(path, pick());
        return;
      case 6:
        symlinkSync('a/b', path);
        return;
      default:
        rmSync(path, { recursive: true, force: true });
        mkdirSync(path, { recursive: true });
    }
  } catch (error) {
    if (!(error instanceof Error && 'syscall' in error)) throw error;
  }
}

test('what a process was still writing when it closed the store is cleared up by the next one', async () => {
  using folder = temporary();
  {
    await using store = await openSnapshotStore({ folder: folder.path, now });
    await store.prepare(undefined, signal);
    assert.equal(readdirSync(join(folder.path, 's')).length, 1);
  }
  await using next = await openSnapshotStore({ folder: folder.path, now });
  assert.deepEqual(readdirSync(join(folder.path, 's')), []);
  await using active = await next.prepare(undefined, signal);
  assert.deepEqual(readdirSync(join(folder.path, 's')), [active.id]);
});

/** Makes what was written in this boot look as if it were of another one. */
function pretendReboot(folder: string): void {
  const database = new DatabaseSync(join(folder, 'snapshots.db'), { timeout: 10_000 });
  database.exec(`UPDATE snapshot SET boot = 'another' WHERE boot IS NOT NULL; UPDATE opened SET boot = 'another'`);
  database.close();
}

test('W2: after another boot, what was not yet safe on disk is dropped, and what was stays', async () => {
  using folder = temporary();
  let safe: SnapshotId;
  let unsafe: SnapshotId;
  {
    await using store = await openSnapshotStore({ folder: folder.path, now });
    safe = await writeSnapshot(store, undefined, () => {});
    await tendStore(folder.path);
    unsafe = await writeSnapshot(store, safe, () => {});
  }
  pretendReboot(folder.path);
  await using store = await openSnapshotStore({ folder: folder.path, now });
  assert.ok(store.get(safe));
  assert.equal(store.get(unsafe), undefined);
  assert.deepEqual(readdirSync(join(folder.path, 's')), [safe]);
});

test('W2: rows that a crash of the machine took: no id is given out twice, and the folders without rows go', async () => {
  using folder = temporary();
  const database = join(folder.path, 'snapshots.db');
  let safe: SnapshotId;
  const lost: SnapshotId[] = [];
  {
    await using store = await openSnapshotStore({ folder: folder.path, now });
    safe = await writeSnapshot(store, undefined, () => {});
  }
  await tendStore(folder.path);
  copyFileSync(database, join(folder.path, 'as-synced'));
  {
    await using store = await openSnapshotStore({ folder: folder.path, now });
    for (let count = 0; count < 30; count++) lost.push(await writeSnapshot(store, safe, () => {}));
    for (const place of ['m', 't']) mkdirSync(join(folder.path, place, 'departed/0'), { recursive: true });
  }
  for (const part of ['-wal', '-shm']) rmSync(database + part, { force: true });
  renameSync(join(folder.path, 'as-synced'), database);
  pretendReboot(folder.path);
  await using store = await openSnapshotStore({ folder: folder.path, now });
  assert.deepEqual(readdirSync(join(folder.path, 's')), [safe]);
  for (const place of ['m', 't']) assert.deepEqual(readdirSync(join(folder.path, place)), []);
  const next = await writeSnapshot(store, safe, () => {});
  for (const id of lost) assert.ok(Number.parseInt(next, 36) > Number.parseInt(id, 36), `${next} after ${id}`);
  await using beside = await openSnapshotStore({ folder: folder.path, now });
  assert.ok(beside.get(next), 'another process of this boot leaves it alone');
  assert.ok(existsSync(join(folder.path, 's', next)));
});
