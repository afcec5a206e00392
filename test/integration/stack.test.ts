/** Snapshots stacked over other chains than the one they were made on (COPY --link): what the kernel shows, and what stays on disk. */
import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempDisposableSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { runMerge } from '#execution/ops/merge.ts';
import { createLayers } from '#execution/worker/layers.ts';
import { fromText } from '#ground/base/byte-string.ts';
import { isCode } from '#ground/base/errors.ts';
import { openChainTree } from '#stores/snapshot/chain-tree.ts';
import type { SnapshotId, SnapshotStore } from '#stores/snapshot/contract.ts';
import { migrations } from '#stores/snapshot/store/records.ts';
import { openDatabase } from '#stores/db/open.ts';
import { openSnapshotStore } from '#stores/snapshot/store.ts';
import { writeSnapshot, writeSnapshotFolder } from '#test/kit/snapshots.ts';
import { seeds } from '#test/kit/random.ts';

const signal = new AbortController().signal;
const now = () => 1_790_000_000_000;
const temporary = () => mkdtempDisposableSync('/tmp/jettison-stack-');

const foldersOf = (store: SnapshotStore, id: SnapshotId) =>
  store
    .chain(id)
    .toReversed()
    .map((snapshot) => snapshot.folder);

/** Paths with kind, mode and text, as the kernel shows them. */
function readKernel(root: string): Record<string, string> {
  const view: Record<string, string> = {};
  const walk = (path: string): void => {
    for (const found of readdirSync(join(root, path), { withFileTypes: true })) {
      const inner = join(path, found.name);
      const host = join(root, inner);
      if (found.isSymbolicLink()) view[inner] = `-> ${readlinkSync(host)}`;
      else view[inner] = `${(statSync(host).mode & 0o7777).toString(8)} ${found.isFile() ? readFileSync(host, 'utf8') : '/'}`;
      if (found.isDirectory()) walk(inner);
    }
  };
  walk('');
  return view;
}

/** The same, as `openChainTree` shows them. */
function readChain(folders: readonly string[]): Record<string, string> {
  const tree = openChainTree(folders);
  const view: Record<string, string> = {};
  const walk = (path: string): void => {
    for (const entry of tree.list(fromText(path))) {
      const text = entry.kind === 'file' ? new TextDecoder().decode(tree.readFile(entry, 1000)) : '/';
      view[entry.path] = entry.kind === 'symlink' ? `-> ${entry.target}` : `${entry.mode.toString(8)} ${text}`;
      if (entry.kind === 'folder') walk(entry.path);
    }
  };
  walk('');
  return view;
}

async function show(store: SnapshotStore, id: SnapshotId): Promise<Record<string, string>> {
  await using mount = await store.view(id, signal);
  const view = readKernel(mount.path);
  assert.deepEqual(readChain(foldersOf(store, id)), view);
  return view;
}

test('what is stacked covers files, links and folders of another base, and shares its folder', async () => {
  using folder = temporary();
  await using store = await openSnapshotStore({ folder: folder.path, now });
  const base = await writeSnapshot(store, undefined, (root) => {
    chmodSync(root, 0o711);
    mkdirSync(join(root, 'kept'));
    writeFileSync(join(root, 'kept/base'), 'base');
    mkdirSync(join(root, 'open'));
    chmodSync(join(root, 'open'), 0o1777);
    writeFileSync(join(root, 'file'), 'base');
    mkdirSync(join(root, 'folder'));
    writeFileSync(join(root, 'folder/gone'), 'base');
    symlinkSync('kept', join(root, 'link'));
  });
  const content = await writeSnapshotFolder(store, (root) => {
    for (const name of ['kept', 'open', 'file', 'link']) mkdirSync(join(root, name));
    for (const name of ['kept/new', 'open/new', 'file/new', 'link/new', 'folder']) writeFileSync(join(root, name), 'linked');
  });
  const top = await store.stack(content, base, signal);
  assert.deepEqual(await show(store, top.id), {
    file: '755 /',
    'file/new': '644 linked',
    folder: '644 linked',
    kept: '755 /',
    'kept/base': '644 base',
    'kept/new': '644 linked',
    link: '755 /',
    'link/new': '644 linked',
    open: '755 /',
    'open/new': '644 linked',
  });
  assert.deepEqual([top.parent, top.content, top.folder], [base, content, join(folder.path, 's', content)]);
  assert.deepEqual(readdirSync(join(folder.path, 's')).toSorted(), [base, content].toSorted());
  assert.equal(store.usage(top.id), 0);

  const next = await writeSnapshot(store, top.id, (root) => {
    rmSync(join(root, 'link'), { recursive: true });
    writeFileSync(join(root, 'kept/new'), 'run');
  });
  assert.equal(statSync(store.get(next)!.folder).mode & 0o7777, 0o711, 'the root is the base');
  const view = await show(store, next);
  assert.deepEqual([view['link'], view['link/new'], view['kept/new'], view['kept/base']], [undefined, undefined, '644 run', '644 base']);
  assert.equal(readFileSync(join(store.get(content)!.folder, 'kept/new'), 'utf8'), 'linked');
});

test('one content stacked several times mounts, whatever random steps do between', async () => {
  for (const seed of seeds(10)) {
    using folder = temporary();
    await using store = await openSnapshotStore({ folder: folder.path, now });
    const random = createRandom(seed);
    const contents: SnapshotId[] = [];
    for (let count = 0; count < 3; count++) {
      contents.push(
        await writeSnapshotFolder(store, (root) => {
          for (let act = 0; act < 8; act++) actAtRandom(root, random);
        }),
      );
    }
    let top = await writeSnapshot(store, undefined, (root) => {
      for (let act = 0; act < 14; act++) actAtRandom(root, random);
    });
    for (let layer = 0; layer < 8; layer++) {
      if (random(3) > 0) top = (await store.stack(contents[random(3)]!, top, signal)).id;
      else
        top = await writeSnapshot(store, top, (root) => {
          for (let act = 0; act < 8; act++) actAtRandom(root, random);
        });
    }
    await show(store, top);
  }
});

test('a shared folder stays until the last that shares it is gone', async () => {
  using folder = temporary();
  await using store = await openSnapshotStore({ folder: folder.path, now });
  const base = await writeSnapshotFolder(store, () => {});
  const other = await writeSnapshotFolder(store, () => {});
  const content = await writeSnapshotFolder(store, (root) => writeFileSync(join(root, 'f'), 'linked'));
  const shared = join(folder.path, 's', content);
  const one = (await store.stack(content, base, signal)).id;
  const two = (await store.stack(one, other, signal)).id;
  assert.equal(store.get(two)?.content, content, 'stacked from a stacked one');
  assert.deepEqual(
    store.chain(two).map(({ id }) => id),
    [other, two],
  );

  store.remove([content, base]);
  assert.ok(store.get(content) && store.get(base) && existsSync(shared));
  store.remove([one]);
  assert.deepEqual([store.get(one), store.get(base)], [undefined, undefined]);
  assert.equal(readFileSync(join(shared, 'f'), 'utf8'), 'linked');
  assert.deepEqual(await show(store, two), { f: '644 linked' });
  store.remove([two]);
  assert.deepEqual([store.get(content), existsSync(shared)], [undefined, false]);
  await assert.rejects(store.stack(content, other, signal), (error) => isCode(error, 'snapshot/not-found'));
  await assert.rejects(store.stack(other, content, signal), (error) => isCode(error, 'snapshot/not-found'));
});

test('the content outlives those that were stacked from it', async () => {
  using folder = temporary();
  await using store = await openSnapshotStore({ folder: folder.path, now });
  const base = await writeSnapshotFolder(store, () => {});
  const content = await writeSnapshotFolder(store, (root) => writeFileSync(join(root, 'f'), 'linked'));
  store.remove([(await store.stack(content, base, signal)).id]);
  assert.deepEqual(await show(store, content), { f: '644 linked' });
});

test('a store of an earlier version takes stacked snapshots', async () => {
  using folder = temporary();
  mkdirSync(join(folder.path, 's/1'), { recursive: true });
  {
    using database = openDatabase({ file: join(folder.path, 'snapshots.db'), migrations: migrations.slice(0, 1) });
    database.prepare(`INSERT INTO snapshot (id, created, state) VALUES (1, 5, 'committed')`).run();
  }
  await using store = await openSnapshotStore({ folder: folder.path, now });
  const [old] = ['1' as SnapshotId];
  assert.equal(store.get(old)?.content, old);
  const content = await writeSnapshotFolder(store, (root) => writeFileSync(join(root, 'f'), ''));
  assert.deepEqual(await show(store, (await store.stack(content, old, signal)).id), { f: '644 ' });
});

test('chains of 500 stacked layers mount', async () => {
  using folder = temporary();
  await using store = await openSnapshotStore({ folder: folder.path, now });
  let top = await writeSnapshotFolder(store, () => {});
  for (let count = 1; count < 500; count++) {
    const content = await writeSnapshotFolder(store, (root) => writeFileSync(join(root, `f${count}`), ''));
    top = (await store.stack(content, top, signal)).id;
  }
  await using mount = await store.view(top, signal);
  assert.equal(readdirSync(mount.path).length, 499);
});

test('a layer has one identity over every base, and the same bytes', async () => {
  using folder = temporary();
  await using store = await openSnapshotStore({ folder: folder.path, now });
  const layers = createLayers(store);
  const content = await writeSnapshotFolder(store, (root) => {
    mkdirSync(join(root, 'd'));
    writeFileSync(join(root, 'd/f'), 'linked');
  });
  const tops: SnapshotId[] = [];
  for (const text of ['one', 'two']) {
    const base = await writeSnapshot(store, undefined, (root) => writeFileSync(join(root, 'd'), text));
    const inputs = [base, content].map((snapshot) => ({ kind: 'snapshot', snapshot }) as const);
    tops.push(await runMerge({ op: { kind: 'merge' }, inputs }, store, signal));
  }
  const identities = await Promise.all(tops.map(async (top) => await layers.identities(top, signal)));
  const [one, two] = identities.map((chain) => chain.at(-1));
  const alone = (await layers.identities(content, signal))[0];
  assert.deepEqual([one?.diffId, two?.diffId], [alone?.diffId, alone?.diffId]);
  assert.deepEqual([one?.snapshot, two?.snapshot], tops);
  assert.deepEqual(store.findByFact('diff-id', alone?.diffId ?? ''), [content], 'read once');
  const blobs = await Promise.all(
    tops.map(async (snapshot) => {
      const file = join(folder.path, `${snapshot}.tar`);
      return await layers.write({ snapshot, format: 'tar', file }, () => {}, signal);
    }),
  );
  assert.deepEqual(
    blobs.map(({ digest }) => digest),
    [alone?.diffId, alone?.diffId],
  );
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
  const path = join(root, Array.from({ length: 1 + random(3) }, () => 'abc'[random(3)]).join('/'));
  try {
    switch (random(6)) {
      case 0:
      case 1:
        mkdirSync(path, { recursive: true });
        return;
      case 2:
      case 3:
        writeFileSync(path, 'x'.repeat(random(9)));
        return;
      case 4:
        symlinkSync('a/b', path);
        return;
      default:
        rmSync(path, { recursive: true, force: true });
    }
  } catch (error) {
    if (!(error instanceof Error && 'syscall' in error)) throw error;
  }
}
