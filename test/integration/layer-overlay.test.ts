/** Layers against the kernel's own overlayfs: what a step does through a mount must be there again when its layer is unpacked elsewhere. */
import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempDisposableSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fromText } from '#ground/base/byte-string.ts';
import { getAttribute, setAttribute } from '#ground/linux/attributes.ts';
import { applyLayer } from '#stores/layer/apply.ts';
import { layerIdentity, writeLayer, type LayerSource } from '#stores/layer/create.ts';
import { endThreads } from '#stores/layer/threads.ts';
import type { SnapshotId, SnapshotStore } from '#stores/snapshot/contract.ts';
import { openSnapshotStore } from '#stores/snapshot/store.ts';
import { writeSnapshot } from '#test/kit/snapshots.ts';
import { seeds } from '#test/kit/random.ts';
import { randomNumbers, tryChanges, type Random } from '#test/kit/random-changes.ts';

const signal = new AbortController().signal;
const quiet = (): void => undefined;
const mediaType = 'application/vnd.oci.image.layer.v1.tar+gzip';
/** One change of the tree, with few names so that changes meet. */
function change(root: string, next: Random): void {
  const name = (): string => join(root, ...Array.from({ length: 1 + next(3) }, () => 'abc'[next(3)] ?? 'a'));
  const [path, other] = [name(), name()];
  switch (next(10)) {
    case 0:
    case 1:
      return writeFileSync(path, `text ${next(1000)}`.repeat(1 + next(500)));
    case 2:
    case 3:
      return void mkdirSync(path, { recursive: true });
    case 4:
    case 5:
      return rmSync(path, { recursive: true, force: true });
    case 6:
      return symlinkSync(['a', '../b', '/c', 'nowhere'][next(4)] ?? 'a', path);
    case 7:
      return linkSync(path, other);
    case 8:
      return renameSync(path, other);
    default:
      if (lstatSync(path).isSymbolicLink()) return undefined;
      chmodSync(path, 0o700 + next(0o77));
      chownSync(path, next(3), 70_000 + next(3));
      return setAttribute(fromText(path), 'user.note', Buffer.from([next(256), 0, 255]));
  }
}

async function step(store: SnapshotStore, parent: SnapshotId | undefined, next: Random): Promise<SnapshotId> {
  return await writeSnapshot(store, parent, (root) => tryChanges(25, () => change(root, next)));
}

/** Everything that a program sees in a mounted tree; times in the seconds that layers keep. */
function describe(root: string, path = ''): readonly string[] {
  return readdirSync(join(root, path))
    .toSorted()
    .flatMap((name) => {
      const inner = join(path, name);
      const host = join(root, inner);
      const stats = lstatSync(host, { bigint: true });
      const note = stats.isSymbolicLink() ? undefined : getAttribute(fromText(host), 'user.note');
      const content = stats.isFile() ? readFileSync(host, 'utf8') : stats.isSymbolicLink() ? readlinkSync(host) : '';
      const line = [inner, stats.mode.toString(8), stats.uid, stats.gid, stats.mtimeNs / 1_000_000_000n, note?.join(','), content].join(
        ' ',
      );
      return stats.isDirectory() ? [line, ...describe(root, inner)] : [line];
    });
}

/** Folders of a chain, topmost first. */
function foldersOf(store: SnapshotStore, top: SnapshotId | undefined): readonly string[] {
  return top === undefined
    ? []
    : store
        .chain(top)
        .map((each) => each.folder)
        .toReversed();
}

function sourceOf(store: SnapshotStore, id: SnapshotId): LayerSource {
  const [folder = '', ...below] = foldersOf(store, id);
  return { folder, below };
}

test('random steps through overlay mounts look the same after a way through layers', async () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-layers-');
  await using store = await openSnapshotStore({ folder: join(folder.path, 'store'), now: Date.now });
  for (const seed of seeds(12)) {
    const next = randomNumbers(seed);
    let made: SnapshotId | undefined;
    let unpacked: SnapshotId | undefined;
    for (let depth = 0; depth < 5; depth++) {
      made = await step(store, made, next);
      const file = join(folder.path, `layer-${seed}-${depth}`);
      const { diffId } = await writeLayer({ ...sourceOf(store, made), format: 'gzip', file }, quiet, signal);
      await using active = await store.prepare(unpacked, signal);
      const below = foldersOf(store, unpacked);
      await applyLayer({ file, mediaType, diffId, folder: active.folder, below }, quiet, signal);
      unpacked = (await active.commit(signal)).id;
      await using left = await store.view(made, signal);
      await using right = await store.view(unpacked, signal);
      assert.deepEqual(describe(right.path), describe(left.path), `seed ${seed}, step ${depth}`);
      assert.equal((await layerIdentity(sourceOf(store, unpacked), signal)).diffId, diffId, 'and make the same layer again');
    }
  }
});

test.after(async () => await endThreads());
