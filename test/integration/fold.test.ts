/** Folded layers against the ones that they were made of: the same tree, through the kernel's overlayfs and through layers, and nothing in them that nobody sees. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { foldLayers, findHidden } from '#execution/ops/fold.ts';
import { fromText, type ByteString } from '#ground/base/byte-string.ts';
import { getAttribute, readAttributes, setAttribute } from '#ground/linux/attributes.ts';
import { AT_FDCWD, fileTypes, makeNodeAt } from '#ground/linux/syscall.ts';
import { mountFileSystem } from '#ground/linux/mount.ts';
import type { Tree } from '#ground/linux/tree.ts';
import { isMachineRoot } from '#ground/linux/user-namespace.ts';
import { applyLayer } from '#stores/layer/apply.ts';
import { layerIdentity, writeLayer, type LayerSource } from '#stores/layer/create.ts';
import { endThreads } from '#stores/layer/threads.ts';
import { openChainTree } from '#stores/snapshot/chain-tree.ts';
import type { SnapshotId, SnapshotStore } from '#stores/snapshot/contract.ts';
import { openSnapshotStore } from '#stores/snapshot/store.ts';
import { inOwnNamespaces, removeWithMounts } from '#test/kit/own-namespaces.ts';
import { writeSnapshot, writeSnapshotFolder } from '#test/kit/snapshots.ts';
import { seeds } from '#test/kit/random.ts';
import { isUsualFailure, randomNumbers, tryChanges, type Random } from '#test/kit/random-changes.ts';

const signal = new AbortController().signal;
const quiet = (): void => undefined;
const mediaType = 'application/vnd.oci.image.layer.v1.tar';
/** Beside the usual: pipes have no attributes. */
const more = ['ENOTSUP', 'EOPNOTSUPP'];
const times = [1_700_000_000, 1_700_000_100, 1_700_000_200];

/** One change of the tree, with few names, contents and times, so that changes meet. */
function change(root: string, next: Random): void {
  const name = (): string => join(root, ...Array.from({ length: 1 + next(3) }, () => 'abcd'[next(4)] ?? 'a'));
  const [path, other] = [name(), name()];
  const waits = [path, other].some((one) => statSync(one, { throwIfNoEntry: false })?.isFIFO() === true);
  const text = (): string => `text ${next(4)} `.repeat(1 + next(3));
  const kind = next(17);
  // Whoever opens one waits for somebody at its other end.
  if (waits && [0, 1, 2, 11, 12].includes(kind)) return undefined;
  switch (kind) {
    case 0:
    case 1:
    case 2:
      return writeFileSync(path, text());
    case 3:
    case 4:
      return void mkdirSync(path, { recursive: true });
    case 5:
    case 6:
      return rmSync(path, { recursive: true, force: true });
    case 7:
      return symlinkSync(['a', '../b', '/c', 'nowhere'][next(4)] ?? 'a', path);
    case 8:
      return linkSync(path, other);
    case 9:
      return renameSync(path, other);
    case 10:
      return makeNodeAt(AT_FDCWD, fromText(path), { type: fileTypes.fifo, mode: 0o600 + next(0o77) });
    case 11:
      // As it was, in a new file.
      return rewrite(path);
    case 12:
      return copyFileSync(path, other);
    case 13:
      return lstatSync(path).isSymbolicLink() ? undefined : utimesSync(path, 0, times[next(3)] ?? 0);
    case 14:
      for (const inner of below(path)) if (!lstatSync(inner).isSymbolicLink()) chmodSync(inner, 0o700 + next(0o77));
      return undefined;
    case 15:
      if (lstatSync(path).isSymbolicLink() || lstatSync(path).isFIFO()) return undefined;
      return setAttribute(fromText(path), 'user.note', Buffer.from([next(4), 0, 255]));
    default:
      if (lstatSync(path).isSymbolicLink()) return undefined;
      chownSync(path, next(3), 60_000 + next(3));
      return chmodSync(path, 0o700 + next(0o77));
  }
}

function rewrite(path: string): void {
  const bytes = readFileSync(path);
  rmSync(path);
  writeFileSync(path, bytes);
}

function below(path: string): readonly string[] {
  const inner = lstatSync(path).isDirectory() ? readdirSync(path).flatMap((name) => below(join(path, name))) : [];
  return [path, ...inner];
}

function changes(root: string, count: number, next: Random): void {
  tryChanges(count, () => change(root, next), more);
}

/** A layer as a RUN makes it, as a COPY --link does, or one that takes files of the other layers by their inodes, as a COPY --from does. */
async function layer(store: SnapshotStore, parent: SnapshotId | undefined, next: Random): Promise<SnapshotId> {
  const kind = next(8);
  if (kind === 0 && parent !== undefined) {
    const made = await writeSnapshotFolder(store, (folder) => changes(folder, 6, next));
    return (await store.stack(made, parent, signal)).id;
  }
  if (kind === 1 && parent !== undefined) {
    const made = await writeSnapshotFolder(store, (folder) => {
      const from = store.chain(parent)[next(store.chain(parent).length)]?.folder ?? '';
      for (const file of below(from)
        .filter((path) => lstatSync(path).isFile() && lstatSync(path).mode & 0o7777)
        .slice(0, 4)) {
        const to = join(folder, next(3) === 0 ? 'abcd'[next(4)]! : file.slice(from.length + 1));
        mkdirSync(join(to, '..'), { recursive: true });
        if (lstatSync(to, { throwIfNoEntry: false }) === undefined) linkSync(file, to);
      }
    }).catch((error: unknown) => (isUsualFailure(error, more) ? undefined : Promise.reject(error)));
    if (made !== undefined) return (await store.stack(made, parent, signal)).id;
  }
  if (kind === 2) return await writeSnapshot(store, parent, quiet);
  return await writeSnapshot(store, parent, (root) => changes(root, 1 + next(14), next));
}

function foldersOf(store: SnapshotStore, top: SnapshotId | undefined): readonly string[] {
  if (top === undefined) return [];
  return store
    .chain(top)
    .map((each) => each.folder)
    .toReversed();
}

/** Everything that layers tell of a tree: which names are one file, too. */
function tell(tree: Tree, path: ByteString = fromText(''), files = new Map<string, string>()): readonly string[] {
  return tree.list(path).flatMap((entry) => {
    const key = `${entry.layer} ${entry.inode}`;
    const first = entry.kind === 'folder' ? entry.path : (files.get(key) ?? entry.path);
    files.set(key, first);
    const xattrs = [...readAttributes(entry.hostPath)]
      .filter(([name]) => name !== 'security.selinux')
      .toSorted(([a], [b]) => (a < b ? -1 : 1));
    const content = entry.kind === 'file' ? hash(readFileSync(entry.hostPath)) : (entry.target ?? '');
    const { mode, uid, gid, mtime } = entry;
    const line = [
      entry.path,
      entry.kind,
      mode.toString(8),
      uid,
      gid,
      mtime,
      JSON.stringify(xattrs.map(([name, value]) => [name, [...value]])),
      content,
      first,
    ];
    return [line.join(' '), ...(entry.kind === 'folder' ? tell(tree, entry.path, files) : [])];
  });
}

/** Everything that a program sees in a mounted tree. */
function see(root: string, path = ''): readonly string[] {
  return readdirSync(join(root, path))
    .toSorted()
    .flatMap((name) => {
      const inner = join(path, name);
      const host = join(root, inner);
      const stats = lstatSync(host, { bigint: true });
      const note = stats.isSymbolicLink() || stats.isFIFO() ? undefined : getAttribute(fromText(host), 'user.note');
      const content = stats.isFile() ? hash(readFileSync(host)) : stats.isSymbolicLink() ? readlinkSync(host) : '';
      const line = [inner, stats.mode.toString(8), stats.uid, stats.gid, stats.mtimeNs, note?.join(','), content].join(' ');
      return stats.isDirectory() ? [line, ...see(root, inner)] : [line];
    });
}

function hash(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex').slice(0, 12);
}

/** The same chain after a way through archives of its layers. */
async function unpacked(store: SnapshotStore, top: SnapshotId | undefined, file: string): Promise<SnapshotId | undefined> {
  let made: SnapshotId | undefined;
  for (const { id } of top === undefined ? [] : store.chain(top)) {
    const [folder = '', ...under] = foldersOf(store, id);
    const { diffId } = await writeLayer({ folder, below: under, format: 'tar', file }, quiet, signal);
    await using active = await store.prepare(made, signal);
    await applyLayer({ file, mediaType, diffId, folder: active.folder, below: foldersOf(store, made) }, quiet, signal);
    made = (await active.commit(signal)).id;
    rmSync(file);
  }
  return made;
}

async function identities(store: SnapshotStore, top: SnapshotId | undefined): Promise<readonly string[]> {
  const ids: string[] = [];
  for (const { id } of top === undefined ? [] : store.chain(top)) {
    const [folder = '', ...under] = foldersOf(store, id);
    const source: LayerSource = { folder, below: under };
    ids.push((await layerIdentity(source, signal)).diffId);
  }
  return ids;
}

inOwnNamespaces(
  import.meta.filename,
  () => {
    const sequences = isMachineRoot() ? 1000 : 100;
    test(`${sequences} random sequences of layers are the same tree when they are folded, and hide nothing`, async () => {
      using cleanup = new DisposableStack();
      const folder = join(cleanup.adopt(mkdtempSync('/tmp/jettison-fold-'), removeWithMounts), 'memory');
      mkdirSync(folder);
      // Thousands of mounts wait for the disk otherwise.
      mountFileSystem({ source: 'tmpfs', target: fromText(folder), type: 'tmpfs', flags: 0, options: 'mode=0755' });
      await using store = await openSnapshotStore({ folder: join(folder, 'store'), now: Date.now });
      const counts = { changed: 0, emptied: 0, stacked: 0, hidden: 0, based: 0 };
      for (const seed of seeds(sequences)) {
        const next = randomNumbers(seed);
        const base = next(3);
        let top: SnapshotId | undefined;
        for (let depth = 0; depth < base; depth++) top = await writeSnapshot(store, top, (root) => changes(root, 20, next));
        const bottom = top;
        const own = 1 + next(5);
        for (let depth = 0; depth < own; depth++) top = await layer(store, top, next);
        assert.ok(top !== undefined);
        const folded = await foldLayers({ top, base }, store, signal);
        const at = `seed ${seed}`;
        const chain = folded.top === undefined ? [] : store.chain(folded.top);
        assert.equal(chain.length, base + folded.kept.length, at);
        assert.equal(chain[base - 1]?.id, bottom, `${at}: what is below stays`);
        assert.deepEqual(tell(openChainTree(foldersOf(store, folded.top))), tell(openChainTree(foldersOf(store, top))), at);
        const left = folded.top === undefined ? [] : findHidden({ top: folded.top, base }, store);
        assert.deepEqual(
          left.filter(({ bytes, files }) => bytes + files > 0),
          [],
          `${at}: nothing is hidden any more`,
        );
        for (const one of chain.slice(base)) assert.notDeepEqual(readdirSync(one.folder), [], `${at}: no layer is empty`);
        if (seed % 4 === 0) {
          await using built = await store.view(top, signal);
          await using seen = await store.view(folded.top, signal);
          assert.deepEqual(see(seen.path), see(built.path), `${at}, mounted`);
        }
        if (seed % 25 === 0) {
          const file = join(folder, 'layer.tar');
          const [one, other] = [await unpacked(store, top, file), await unpacked(store, folded.top, file)];
          const [built, seen] = [one, other].map((id) => tell(openChainTree(foldersOf(store, id))));
          assert.deepEqual(seen, built, `${at}, unpacked`);
          const again = await foldLayers({ top, base }, store, signal);
          assert.deepEqual(await identities(store, again.top), await identities(store, folded.top), `${at}: once more`);
          const twice = folded.top === undefined ? undefined : await foldLayers({ top: folded.top, base }, store, signal);
          assert.equal(twice?.top, folded.top, `${at}: what is folded stays as it is`);
        }
        if (folded.top !== top) counts.changed++;
        if (folded.kept.length < own) counts.emptied++;
        if (chain.some(({ id, content }) => id !== content)) counts.stacked++;
        if (folded.hidden.some(({ bytes }) => bytes > 0)) counts.hidden++;
        if (base > 0) counts.based++;
      }
      for (const [what, count] of Object.entries(counts)) assert.ok(count > sequences / 20, `${what}: ${count}`);
    });
  },
  { users: true },
);

test.after(async () => await endThreads());
