import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempDisposableSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { digestOf } from '#ground/base/digest.ts';
import { compareFileLists, fileListOf, printFileList, readFileList, type FileList } from './file-list.ts';
import { openLocalContext } from './local.ts';
import { selectForCopy, takeSelection } from './select.ts';

function listOf(folder: string, ...sources: string[]): FileList {
  const tree = openLocalContext({ folder, ignore: [] });
  const selection = selectForCopy(tree, { sources, wildcards: true, exclude: [], parents: false });
  const { lines } = takeSelection(selection, { digestFile: (entry) => digestOf(tree.readFile(entry, 1000)), owners: 'root' });
  return fileListOf(selection, lines);
}

test('one change to a tree is named with its path, and what it was and is', () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-list-');
  const at = (name: string): string => join(folder.path, name);
  mkdirSync(at('src/deep'), { recursive: true });
  writeFileSync(at('src/a.c'), 'a');
  writeFileSync(at('src/deep/b.c'), 'b');
  symlinkSync('a.c', at('src/link'));
  const before = listOf(folder.path, '/src');
  const changes = (...change: (() => void)[]) => {
    for (const one of change) one();
    const found = compareFileLists(before, listOf(folder.path, '/src'));
    rmSync(at('src'), { recursive: true });
    mkdirSync(at('src/deep'), { recursive: true });
    writeFileSync(at('src/a.c'), 'a');
    writeFileSync(at('src/deep/b.c'), 'b');
    symlinkSync('a.c', at('src/link'));
    return found;
  };
  assert.deepEqual(changes(), []);
  assert.deepEqual(
    changes(() => writeFileSync(at('src/a.c'), 'abc')),
    [{ path: 'src/a.c', change: 'content', before: '1 bytes', after: '3 bytes' }],
  );
  assert.deepEqual(
    changes(() => writeFileSync(at('src/deep/b.c'), 'x')).map(({ path, change }) => [path, change]),
    [['src/deep/b.c', 'content']],
  );
  assert.deepEqual(
    changes(() => chmodSync(at('src/a.c'), 0o600)),
    [{ path: 'src/a.c', change: 'mode', before: '644', after: '600' }],
  );
  assert.deepEqual(
    changes(
      () => rmSync(at('src/link')),
      () => symlinkSync('deep', at('src/link')),
    ),
    [{ path: 'src/link', change: 'link target', before: 'a.c', after: 'deep' }],
  );
  // What is in a folder says that it came or went; an empty one says so itself.
  assert.deepEqual(
    changes(() => rmSync(at('src/deep'), { recursive: true })),
    [{ path: 'src/deep/b.c', change: 'removed' }],
  );
  assert.deepEqual(
    changes(() => mkdirSync(at('src/empty'))),
    [{ path: 'src/empty', change: 'added' }],
  );
  assert.deepEqual(
    changes(
      () => rmSync(at('src/a.c')),
      () => mkdirSync(at('src/a.c')),
    ).map(({ path, change, before: from, after: to }) => [path, change, from, to]),
    [['src/a.c', 'kind', 'file', 'folder']],
  );
});

test('a list survives being kept, whatever names are in it', () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-list-');
  writeFileSync(Buffer.concat([Buffer.from(`${folder.path}/`), Buffer.from([0xff, 0x0a, 0xc3])]), 'x');
  writeFileSync(join(folder.path, 'ä\n'), 'y');
  const list = listOf(folder.path, '/');
  assert.deepEqual(readFileList(printFileList(list)), list);
  assert.equal(list.length, 3);
  assert.deepEqual(
    compareFileLists(list.slice(0, 2), list).map(({ change }) => change),
    ['added'],
  );
  assert.deepEqual(readFileList(printFileList([])), []);
});
