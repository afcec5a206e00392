/** A folder of the client with other file systems mounted in it: one number may be that of several inodes, and numbers of an overlay over several may take all 64 bits. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { linkSync, lstatSync, mkdirSync, mkdtempDisposableSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openFileThread, runFile } from '#execution/ops/file.ts';
import { copyFolder } from '#formats/graph/copy.ts';
import { fromText } from '#ground/base/byte-string.ts';
import { digestOf, type Digest } from '#ground/base/digest.ts';
import { nodeFolderReader } from '#ground/linux/folder-reader.ts';
import { openNativeFolderReader } from '#ground/linux/native-folder-reader.ts';
import { readEntryFile } from '#ground/linux/tree-read.ts';
import type { TreeEntry } from '#ground/linux/tree.ts';
import { openLocalContext } from '#stores/context/local.ts';
import { selectForCopy, takeSelection } from '#stores/context/select.ts';
import { openSnapshotStore } from '#stores/snapshot/store.ts';
import { inOwnNamespaces } from '#test/kit/own-namespaces.ts';

const { signal } = new AbortController();
const everything = copyFolder('/');
const digestFile = (entry: TreeEntry): Digest => digestOf(readEntryFile(entry, 100));
const readers = [nodeFolderReader, openNativeFolderReader() ?? assert.fail('there is no statx')];

inOwnNamespaces(import.meta.filename, () => {
  test('files with several names in several file systems stay what they are', async () => {
    await using stack = new AsyncDisposableStack();
    const folder = stack.use(mkdtempDisposableSync('/tmp/jettison-mounts-')).path;
    const context = join(folder, 'context');
    for (const name of ['one', 'other']) {
      mountNew(stack, join(context, name));
      plantTwice(join(context, name), 'f', `in ${name}`);
    }
    const inodes = ['one/f', 'other/f'].map((path) => lstatSync(join(context, path)).ino);
    assert.equal(inodes[0], inodes[1], 'two files, one number');
    const lower = join(folder, 'lower');
    mountNew(stack, lower);
    for (const name of ['p', 'q']) plantTwice(lower, name, `is ${name}`);
    const over = join(context, 'over');
    mountOverlay(stack, { folder, lower, over });
    const isWide = (name: string): boolean => lstatSync(join(over, name), { bigint: true }).ino < 0n;
    assert.ok(['p', 'q'].every(isWide), 'beyond 2^63, which Node shows as negative');

    const seen = readers.map((reader) => {
      const selection = selectForCopy(openLocalContext({ folder: context, ignore: [], reader }), everything);
      return takeSelection(selection, { digestFile, owners: 'root' }).lines;
    });
    assert.deepEqual(seen[1], seen[0]);
    for (const path of ['one/f', 'other/f', 'over/p', 'over/p too', 'over/q', 'over/q too']) {
      const digest = digestOf(readFileSync(join(context, path)));
      assert.ok(
        seen[0]?.some((line) => line.startsWith(`entry\0${path}\0`) && line.includes(digest)),
        path,
      );
    }

    const store = stack.use(await openSnapshotStore({ folder: join(folder, 'store'), now: Date.now }));
    const tools = { snapshots: store, thread: stack.use(openFileThread()) };
    const op = { kind: 'file', base: null, actions: [{ ...everything, input: 0, destination: '/' }] } as const;
    const made = await runFile({ op, inputs: [{ kind: 'folder', path: context, ignore: [] }] }, tools, () => undefined, signal);
    await using view = await store.view(made, signal);
    for (const path of ['one/f', 'one/f too', 'other/f', 'other/f too', 'over/p', 'over/p too', 'over/q', 'over/q too']) {
      assert.equal(readFileSync(join(view.path, path), 'utf8'), readFileSync(join(context, path), 'utf8'), path);
    }
    assert.equal(lstatSync(join(view.path, 'other/f')).ino, lstatSync(join(view.path, 'other/f too')).ino);
  });

  test('a folder whose number takes all 64 bits is read, whatever reads it', () => {
    using stack = new DisposableStack();
    const folder = stack.use(mkdtempDisposableSync('/tmp/jettison-mounts-')).path;
    const lower = join(folder, 'lower');
    mountNew(stack, lower);
    mkdirSync(join(lower, 'inside'));
    writeFileSync(join(lower, 'inside/f'), 'text');
    const over = join(folder, 'over');
    mountOverlay(stack, { folder, lower, over });
    for (const reader of readers) {
      const found = openLocalContext({ folder: over, ignore: [], reader }).list(fromText('inside'));
      assert.deepEqual(
        found.map((entry) => entry.path),
        ['inside/f'],
      );
    }
  });
});

type Stack = { defer(work: () => void): void };

function mountNew(stack: Stack, path: string): void {
  mkdirSync(path, { recursive: true });
  execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', path]);
  stack.defer(() => void execFileSync('umount', ['-l', path]));
}

/** Over two file systems: the number of the file system is in the upper bits of inodes (https://docs.kernel.org/filesystems/overlayfs.html, "Inode properties"). */
function mountOverlay(
  stack: Stack,
  { folder, lower, over }: { readonly folder: string; readonly lower: string; readonly over: string },
): void {
  const upper = join(folder, 'upper');
  mountNew(stack, upper);
  for (const path of [join(upper, 'data'), join(upper, 'work'), over]) mkdirSync(path);
  const options = `xino=on,lowerdir=${lower},upperdir=${join(upper, 'data')},workdir=${join(upper, 'work')}`;
  execFileSync('mount', ['-t', 'overlay', '-o', options, 'overlay', over]);
  stack.defer(() => void execFileSync('umount', ['-l', over]));
}

function plantTwice(folder: string, name: string, text: string): void {
  writeFileSync(join(folder, name), text);
  linkSync(join(folder, name), join(folder, `${name} too`));
}
