/** Copied trees against the kernel's own overlayfs: the same steps must leave the same snapshots and make the same layers. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
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
  rmdirSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { asByteString, fromText, type ByteString } from '#ground/base/byte-string.ts';
import { systemCode } from '#ground/base/errors.ts';
import { readAttributes, setAttribute } from '#ground/linux/attributes.ts';
import { AT_FDCWD, changeTimeAt } from '#ground/linux/syscall.ts';
import { sharedInode } from '#ground/linux/tree-digest.ts';
import { finishLayer } from '#execution/ops/exec/finish-layer.ts';
import { layerIdentity } from '#stores/layer/create.ts';
import { endThreads } from '#stores/layer/threads.ts';
import { openChainTree } from '#stores/snapshot/chain-tree.ts';
import type { SnapshotId, SnapshotStore } from '#stores/snapshot/contract.ts';
import { openSnapshotStore } from '#stores/snapshot/store.ts';
import { inOwnNamespaces } from '#test/kit/own-namespaces.ts';
import { seeds } from '#test/kit/random.ts';
import { randomNumbers, type Random } from '#test/kit/random-changes.ts';

const signal = new AbortController().signal;
const [ops, depths] = [30, 4];
/** Times that a step gave are this one afterwards: no two runs have the same clock. */
const newTime = 1_700_000_000_000_000_000n;

type Change = { readonly name: string; readonly words: readonly string[]; readonly run: (root: string) => void };

/** What may go wrong in a random step; both trees must answer the same. */
const usual = new Set(['EEXIST', 'ENOENT', 'ENOTDIR', 'EISDIR', 'ENOTEMPTY', 'ELOOP', 'EINVAL', 'EPERM', 'EBUSY', 'ERR_FS_EISDIR']);

function randomChange(next: Random): Change {
  const path = (): string => Array.from({ length: 1 + next(3) }, () => 'abc'[next(3)] ?? 'a').join('/');
  const [one, two] = [path(), path()];
  const text = `text ${next(1000)}`.repeat(1 + next(300));
  const number = next(1000);
  const make = (name: string, run: (at: (path: string) => string) => void): Change => ({
    name,
    words: [one, two],
    run: (root) => run((inner) => join(root, inner)),
  });
  const kinds: readonly (() => Change)[] = [
    () => make('write', (at) => writeFileSync(at(one), text)),
    () => make('write anew', (at) => (rmSync(at(one), { force: true }), writeFileSync(at(one), text, { flag: 'wx' }))),
    () => make('append', (at) => appendFileSync(at(one), 'more')),
    () => make('truncate', (at) => truncateSync(at(one), number)),
    () => make('mkdir', (at) => void mkdirSync(at(one), { recursive: true })),
    () => make('mkdir', (at) => mkdirSync(at(one))),
    () => make('rmdir', (at) => rmdirSync(at(one))),
    () => make('unlink', (at) => unlinkSync(at(one))),
    () => make('rm', (at) => rmSync(at(one), { recursive: true, force: true })),
    () =>
      make('opaque', (at) => (rmSync(at(one), { recursive: true, force: true }), mkdirSync(at(one)), writeFileSync(at(`${one}/n`), text))),
    () => make('symlink', (at) => symlinkSync(['a', '../b', '/c', 'nowhere'][number % 4] ?? 'a', at(one))),
    () => make('link', (at) => linkSync(at(one), at(two))),
    () => make('rename', (at) => renameFile(at(one), at(two))),
    () => make('move', (at) => moveFolder(at(one), at(two))),
    () => make('move aside', (at) => (rmSync(at(two), { recursive: true, force: true }), moveFolder(at(one), at(two)))),
    () => make('chmod', (at) => chmodSync(noLink(at(one)), 0o700 + (number % 0o77))),
    () => make('chown', (at) => chownSync(noLink(at(one)), number % 3, 1000 + (number % 3))),
    () => make('chown same', (at) => chownSame(at(one))),
    () => make('xattr', (at) => setAttribute(fromText(noLink(at(one))), 'user.note', new Uint8Array([number % 256, 0, 255]))),
    () => make('mtime', (at) => utimesSync(noLink(at(one)), 1_500_000_000, 1_500_000_000.25 + number)),
    () => make('fifo', (at) => void (lstatSync(at(one), { throwIfNoEntry: false }) ?? spawnSync('mkfifo', [at(one)]))),
    () => make('secret change', (at) => changeSecretly(at(one))),
    () => make('same again', (at) => makeAgain(at(one))),
  ];
  return (kinds[next(kinds.length)] ?? kinds[0] ?? assert.fail())();
}

function noLink(path: string): string {
  if (lstatSync(path).isSymbolicLink()) throw Object.assign(new Error('a link'), { code: 'EINVAL' });
  return path;
}

function chownSame(path: string): void {
  const { uid, gid } = lstatSync(noLink(path));
  chownSync(path, uid, gid);
}

/** Overlayfs renames no folder of a lower layer; `mv` copies it then. */
function renameFile(from: string, to: string): void {
  if (lstatSync(from).isDirectory() || lstatSync(to, { throwIfNoEntry: false })?.isDirectory() === true) return;
  renameSync(from, to);
}

function moveFolder(from: string, to: string): void {
  if (`${to}/`.startsWith(`${from}/`) || `${from}/`.startsWith(`${to}/`)) return;
  if (!lstatSync(from).isDirectory() || lstatSync(to, { throwIfNoEntry: false }) !== undefined) return;
  const { status } = spawnSync('mv', ['-T', from, to], { stdio: 'ignore' });
  if (status !== 0) throw Object.assign(new Error('mv'), { code: 'EINVAL' });
}

/** Other bytes, the same size and mtime. */
function changeSecretly(path: string): void {
  const { size, mtimeNs } = lstatSync(noLink(path), { bigint: true });
  if (!lstatSync(path).isFile()) return;
  writeFileSync(path, 'x'.repeat(Number(size)), { flag: 'r+' });
  changeTimeAt(AT_FDCWD, fromText(path), mtimeNs);
}

/** Another file, perhaps with the inode of the old one, of the same size and mtime. */
function makeAgain(path: string): void {
  const { size, mtimeNs } = lstatSync(noLink(path), { bigint: true });
  if (!lstatSync(path).isFile()) return;
  unlinkSync(path);
  writeFileSync(path, 'y'.repeat(Number(size)), { mode: 0o600 });
  changeTimeAt(AT_FDCWD, fromText(path), mtimeNs);
}

/** Runs the change; gives what went wrong. */
function attempt(change: Change, root: string): string {
  try {
    change.run(root);
    return 'done';
  } catch (error) {
    const code = systemCode(error) ?? (/symbolic links/u.test(String(error)) ? 'ELOOP' : '');
    if (!usual.has(code)) throw error;
    return code;
  }
}

/** Overlayfs gives names of one file below files of their own as soon as one of them is written to; copies keep one file. So such files are not written to here. */
function mayRun({ name, words: [one = '', two = ''] }: Change, root: string): boolean {
  const look = (path: string) => lstatSync(join(root, path), { throwIfNoEntry: false });
  const inPlace = ['write', 'append', 'truncate', 'chmod', 'chown', 'chown same', 'xattr', 'mtime', 'secret change'].includes(name);
  try {
    const [first, second] = [look(one), look(two)];
    if ((first?.isSymbolicLink() === true || first?.isFIFO() === true) && inPlace) return false;
    if (inPlace && first?.isFile() === true && first.nlink > 1) return false;
    return !(name === 'rename' && first !== undefined && first.ino === second?.ino);
  } catch {
    return false;
  }
}

/** Every entry of a tree, with all that a layer keeps of it. */
function describeTree(folders: readonly string[]): readonly string[] {
  const tree = openChainTree(folders);
  const first = new Map<string, ByteString>();
  const walk = (path: ByteString): readonly string[] =>
    tree.list(path).flatMap((entry) => {
      const inode = sharedInode(entry);
      const same = inode === undefined ? undefined : first.get(inode);
      if (inode !== undefined && same === undefined) first.set(inode, entry.path);
      const bytes = entry.kind === 'file' ? readFileSync(entry.hostPath, 'latin1') : (entry.target ?? '');
      const notes = [...readAttributes(entry.hostPath)].map(([name, value]) => `${name}=${value.join(',')}`).toSorted();
      const line = `${entry.path} ${entry.kind} ${entry.mode.toString(8)} ${entry.uid}:${entry.gid} ${entry.mtime} =${same ?? ''} ${notes.join(' ')} ${bytes.slice(0, 20)} ${bytes.length}`;
      return entry.kind === 'folder' ? [line, ...walk(entry.path)] : [line];
    });
  return walk(asByteString(''));
}

function foldersOf(store: SnapshotStore, top: SnapshotId | undefined): readonly string[] {
  const chain = top === undefined ? [] : store.chain(top);
  return chain.map((each) => each.folder).toReversed();
}

/** What `work` makes of a snapshot, committed as a step of a build is. */
async function runStep(store: SnapshotStore, parent: SnapshotId | undefined, work: (root: string) => void): Promise<SnapshotId> {
  const since = BigInt(Date.now() - 1000) * 1_000_000n;
  await using active = await store.prepare(parent, signal);
  {
    await using mounted = await active.mount(signal);
    work(mounted.path);
  }
  finishLayer(active.folder, () => foldersOf(store, parent), { began: since, epoch: newTime / 1_000_000_000n });
  return (await active.commit(signal)).id;
}

async function identity(store: SnapshotStore, id: SnapshotId): Promise<string> {
  const [folder = '', ...below] = foldersOf(store, id);
  return (await layerIdentity({ folder, below }, signal)).diffId;
}

const file = import.meta.filename;
const tests = (): void => {
  test('random steps leave the same snapshots in copied trees as in overlay mounts', async () => {
    using folder = mkdtempDisposableSync('/tmp/jettison-copied-');
    for (const seed of seeds(25)) {
      const next = randomNumbers(seed);
      await using copies = await openSnapshotStore({ folder: join(folder.path, `c${seed}`), now: Date.now, tree: 'copies' });
      await using overlays = await openSnapshotStore({ folder: join(folder.path, `o${seed}`), now: Date.now, tree: 'overlay' });
      let [copied, overlaid]: (SnapshotId | undefined)[] = [];
      const log: string[] = [];
      for (let depth = 0; depth < depths; depth++) {
        const done: { readonly change: Change; readonly answer: string }[] = [];
        log.push(`-- step ${depth}`);
        const before = copied;
        copied = await runStep(copies, copied, (root) => {
          for (let count = 0; count < ops; count++) {
            const change = randomChange(next);
            if (!mayRun(change, root)) continue;
            const answer = attempt(change, root);
            log.push(`${change.name} ${change.words.join(' ')}: ${answer}`);
            done.push({ change, answer });
          }
        });
        overlaid = await runStep(overlays, overlaid, (root) => {
          for (const { change, answer } of done)
            assert.equal(attempt(change, root), answer, `seed ${seed}: ${change.name} ${change.words.join(' ')}`);
        });
        const about = (): string => `seed ${seed}, step ${depth}\n${log.join('\n')}\n${String(before)}`;
        assert.deepEqual(describeTree(foldersOf(copies, copied)), describeTree(foldersOf(overlays, overlaid)), about());
        const [mine = '', theirs = ''] = [copies.get(copied)?.folder, overlays.get(overlaid)?.folder];
        assert.deepEqual(describeTree([mine]), describeTree([theirs]), about());
        assert.equal(await identity(copies, copied), await identity(overlays, overlaid), about());
        // What the next step is handed is what the chain says.
        await using view = await copies.view(copied, signal);
        const sameTime = (line: string): string =>
          line.replace(/ (\d{19}) =/u, (_, time: string) => ` ${BigInt(time) > newTime ? newTime : time} =`);
        assert.deepEqual(describeTree([view.path]).map(sameTime), describeTree(foldersOf(copies, copied)), about());
      }
    }
  });

  test.after(async () => await endThreads());
};

inOwnNamespaces(file, tests, { users: true });
