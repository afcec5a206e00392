import assert from 'node:assert/strict';
import {
  chmodSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempDisposableSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { asByteString, bytesOf, fromText, toText, type ByteString } from '#ground/base/byte-string.ts';
import { isCode } from '#ground/base/errors.ts';
import { nodeFolderReader, type FolderReader } from '#ground/linux/folder-reader.ts';
import { AT_FDCWD, fileTypes, makeNodeAt } from '#ground/linux/syscall.ts';
import { statField, statLength } from '#ground/linux/stat-rows.ts';
import type { Tree } from '#ground/linux/tree.ts';
import { fingerprint } from './fingerprint.ts';
import { openLocalContext } from './local.ts';

const root = fromText('');

function isChange(error: unknown): boolean {
  return isCode(error, 'linux/changed');
}

/** Makes files under `folder`: `path` with its text, `path/` for a folder, `path -> target` for a link. */
function plant(folder: string, paths: readonly string[]): void {
  for (const path of paths) {
    const [name = '', target] = path.split(' -> ');
    mkdirSync(join(folder, name.endsWith('/') ? name : dirname(name)), { recursive: true });
    if (target !== undefined) symlinkSync(target, join(folder, name));
    else if (!name.endsWith('/')) writeFileSync(join(folder, name), name);
  }
}

function pathsOf(tree: Tree, below: ByteString = root): readonly string[] {
  return tree.list(below).flatMap((entry) => [toText(entry.path), ...(entry.kind === 'folder' ? pathsOf(tree, entry.path) : [])]);
}

const shop = [
  '.env',
  'README.md',
  'a.txt',
  'b.md',
  'dir/a.txt',
  'dir/b.md',
  'dir/sub/a.txt',
  'dir/sub/c.log',
  'keep.md',
  'node_modules/m/i.js',
  'other/node_modules/n.js',
  'tmp/x',
];

test('a context shows what its patterns leave', () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-context-');
  plant(folder.path, shop);
  const left = (...ignore: readonly string[]) => pathsOf(openLocalContext({ folder: folder.path, ignore }));
  const gone = (...ignore: readonly string[]) => left().filter((path) => !left(...ignore).includes(path));
  assert.equal(left().length, 19);
  assert.deepEqual(left(), left().toSorted());
  assert.deepEqual(left('*', '!a.txt', '!dir/sub'), ['a.txt', 'dir', 'dir/sub', 'dir/sub/a.txt', 'dir/sub/c.log']);
  assert.deepEqual(left('*', '!**/*.log', '!tmp'), ['dir', 'dir/sub', 'dir/sub/c.log', 'tmp', 'tmp/x']);
  assert.deepEqual(left('*', '!dir/none'), []);
  assert.deepEqual(gone('dir/sub/*', 'tmp/*'), ['dir/sub/a.txt', 'dir/sub/c.log', 'tmp/x']);
  assert.deepEqual(gone('./a.txt', 'dir//sub', 'other/../tmp'), ['a.txt', 'dir/sub', 'dir/sub/a.txt', 'dir/sub/c.log', 'tmp', 'tmp/x']);
  assert.deepEqual(gone('*.md', '!keep.md', '!README.md', 'README.md'), ['README.md', 'b.md']);
  assert.deepEqual(gone('**/node_modules'), [
    'node_modules',
    'node_modules/m',
    'node_modules/m/i.js',
    'other/node_modules',
    'other/node_modules/n.js',
  ]);
});

test('single paths and listings agree, in any order', () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-context-');
  plant(folder.path, shop);
  const options = { folder: folder.path, ignore: ['*', '!dir/sub', '!**/n.js', 'dir/sub/a.txt'] };
  const shown = new Set(pathsOf(openLocalContext(options)));
  for (const path of pathsOf(openLocalContext({ ...options, ignore: [] }))) {
    const context = openLocalContext(options);
    assert.equal(context.entry(fromText(path)) !== undefined, shown.has(path), path);
    assert.deepEqual(new Set(pathsOf(context)), shown);
  }
});

test('entries carry what the inode says', () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-context-');
  plant(folder.path, ['f', 'l -> f', 'd/']);
  linkSync(join(folder.path, 'f'), join(folder.path, 'd/same'));
  chmodSync(join(folder.path, 'f'), 0o4711);
  utimesSync(join(folder.path, 'f'), 1, 1_000_000_000.5);
  const context = openLocalContext({ folder: folder.path, ignore: [] });
  const file = context.entry(fromText('f'));
  const stats = lstatSync(join(folder.path, 'f'), { bigint: true });
  assert.deepEqual(
    [file?.kind, file?.mode, file?.size, file?.mtime, file?.links, file?.inode, file?.ctime, file?.fileSystem, file?.hostPath],
    ['file', 0o4711, 1, 1_000_000_000_500_000_000n, 2, Number(stats.ino), stats.ctimeNs, stats.dev, join(folder.path, 'f')],
  );
  assert.equal(context.entry(fromText('d/same'))?.inode, file?.inode);
  assert.equal(context.entry(fromText('l'))?.target, 'f');
  assert.equal(context.entry(root)?.kind, 'folder');
  for (const path of ['none', 'f/x', 'l/x', '..', 'd/../f', '.', 'd/', '/f', 'd\0'])
    assert.equal(context.entry(fromText(path)), undefined, path);
  assert.equal(toText(asByteString(String.fromCharCode(...context.readFile(context.entry(fromText('f'))!, 10)))), 'f');
});

test('special files are told apart and never opened; names are bytes', async () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-context-');
  makeNodeAt(AT_FDCWD, fromText(join(folder.path, 'fifo')), { type: fileTypes.fifo, mode: 0o644 });
  const odd = asByteString(`${folder.path}/\u00ff\u00e9`);
  symlinkSync(Buffer.from('\u00fe', 'latin1'), Buffer.from(bytesOf(odd)));
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(join(folder.path, 'socket'), resolve));
  const context = openLocalContext({ folder: folder.path, ignore: [] });
  assert.deepEqual(
    context.list(root).map(({ path, kind, target }) => [path, kind, target]),
    [
      ['fifo', 'fifo', undefined],
      ['socket', 'socket', undefined],
      ['\u00ff\u00e9', 'symlink', '\u00fe'],
    ],
  );
  assert.throws(() => context.readFile(context.entry(fromText('fifo'))!, 10), /not a regular file/u);
  await new Promise((resolve) => server.close(resolve));
});

test('links are resolved inside the context only', () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-context-');
  const inner = join(folder.path, 'in');
  plant(folder.path, [
    'secret',
    'in/real/f',
    'in/hidden/f',
    'in/link -> real',
    'in/out -> ../secret',
    'in/absolute -> /real/f',
    'in/up -> ../../../../real',
    'in/loop -> loop',
    'in/to-hidden -> hidden/f',
    'in/away -> ..',
  ]);
  const context = openLocalContext({ folder: inner, ignore: ['hidden'] });
  const resolve = (path: string, last = true) => {
    const { path: real, entry } = context.resolve(fromText(path), last);
    return [real, entry?.kind];
  };
  assert.deepEqual(resolve('link/f'), ['real/f', 'file']);
  assert.deepEqual(resolve('link', false), ['link', 'symlink']);
  assert.deepEqual(resolve('out'), ['secret', undefined]);
  assert.deepEqual(resolve('absolute'), ['real/f', 'file']);
  assert.deepEqual(resolve('up/f'), ['real/f', 'file']);
  assert.deepEqual(resolve('away/secret'), ['secret', undefined]);
  assert.deepEqual(resolve('to-hidden'), ['hidden/f', undefined]);
  assert.deepEqual(resolve('../../secret'), ['secret', undefined]);
  assert.equal(context.entry(fromText('link/f')), undefined);
  assert.deepEqual(context.list(fromText('away')), []);
  assert.throws(
    () => resolve('loop'),
    (error) => isCode(error, 'linux/symlink-loop'),
  );
});

test('a folder that is replaced by a link while it is read gives nothing of the other place', () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-context-');
  plant(folder.path, ['secret/f', 'secret/deep/f', 'in/d/f', 'in/d/deep/f', 'in/e/f']);
  const swap = (name: string) => {
    renameSync(join(folder.path, name), join(folder.path, `${name}-was`));
    symlinkSync(join(folder.path, 'secret'), join(folder.path, name));
  };
  const context = openLocalContext({ folder: join(folder.path, 'in'), ignore: [] });
  const file = context.entry(fromText('d/f'));
  context.entry(fromText('e'));
  context.entry(fromText('d/deep'));
  swap('in/d');
  swap('in/e');
  assert.throws(() => context.list(fromText('d')), isChange);
  assert.throws(() => context.list(fromText('d/deep')), isChange);
  assert.throws(() => context.list(fromText('e')), isChange);
  assert.throws(() => context.readFile(file!, 100), isChange);
});

test('only what is asked for is read', () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-context-');
  plant(folder.path, ['a/f', 'b/f', 'ignored/f']);
  const context = openLocalContext({ folder: folder.path, ignore: ['ignored'] });
  assert.equal(context.entry(fromText('a/f'))?.kind, 'file');
  // Folders that were not looked at may change unnoticed; an ignored one is not even opened.
  rmSync(join(folder.path, 'b'), { recursive: true });
  rmSync(join(folder.path, 'ignored'), { recursive: true });
  assert.deepEqual(pathsOf(context), ['a', 'a/f']);
});

test('a context that is no folder is refused', () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-context-');
  plant(folder.path, ['f', 'real/x', 'link -> real']);
  assert.throws(
    () => openLocalContext({ folder: join(folder.path, 'none'), ignore: [] }),
    (error) => isCode(error, 'context/not-found'),
  );
  assert.throws(
    () => openLocalContext({ folder: join(folder.path, 'f'), ignore: [] }),
    (error) => isCode(error, 'context/not-a-folder'),
  );
  assert.throws(
    () => openLocalContext({ folder: folder.path, ignore: ['['] }),
    (error) => isCode(error, 'base/bad-pattern'),
  );
  assert.deepEqual(pathsOf(openLocalContext({ folder: join(folder.path, 'link'), ignore: [] })), ['x']);
  const whole = openLocalContext({ folder: '/', ignore: [] });
  assert.equal(whole.entry(fromText('etc/passwd'))?.hostPath, '/etc/passwd');
  assert.equal(whole.list(root).length, readdirSync('/').length);
});

test('a fingerprint changes with any file, not with what else lies in a folder', () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-context-');
  plant(folder.path, ['d/f', 'd/log']);
  const take = () => {
    const context = openLocalContext({ folder: folder.path, ignore: ['**/log*'] });
    return fingerprint([...context.list(root), ...context.list(fromText('d'))]);
  };
  utimesSync(join(folder.path, 'd/f'), 1, 1);
  const first = take();
  writeFileSync(join(folder.path, 'd/log2'), '');
  assert.equal(take(), first);
  const seen = new Set([first]);
  for (const change of [
    () => chmodSync(join(folder.path, 'd/f'), 0o600),
    () => {
      writeFileSync(join(folder.path, 'd/f'), 'D/F');
      utimesSync(join(folder.path, 'd/f'), 1, 1);
    },
    () => renameSync(join(folder.path, 'd/f'), join(folder.path, 'd/g')),
    () => chmodSync(join(folder.path, 'd'), 0o700),
  ]) {
    change();
    seen.add(take());
  }
  assert.equal(seen.size, 5);
});

test('what was seen of an entry first is what is listed and scanned later', () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-context-');
  plant(folder.path, ['f', 'g', 'l -> f', 'gone', 'd/x']);
  const context = openLocalContext({ folder: folder.path, ignore: [] });
  const before = ['f', 'l', 'd/x'].map((name) => context.entry(fromText(name)));
  assert.ok(context.entry(fromText('gone')));
  for (const name of ['f', 'l', 'gone', 'd/x']) rmSync(join(folder.path, name));
  plant(folder.path, ['f -> g', 'l -> g', 'd/x', 'new']);
  const seen = new Map<string, ByteString | undefined>();
  context.scan(root, (path, { names, rows, targets }) => {
    assert.equal(rows.length, names.length * statLength);
    names.forEach((name, index) => {
      const at = path === '' ? name : `${path}/${name}`;
      const target = targets.get(index);
      seen.set(at, target);
      const known = before.find((entry) => entry?.path === at);
      if (known !== undefined) assert.equal(rows[index * statLength + statField.inode], known.inode);
    });
    return path === '' ? [names.indexOf(fromText('d'))] : [];
  });
  assert.deepEqual(Object.fromEntries(seen), { d: undefined, f: undefined, g: undefined, l: 'f', new: undefined, 'd/x': undefined });
  assert.deepEqual(
    context.list(root).map(({ path, target }) => [path, target]),
    [...seen].filter(([path]) => path !== 'd/x'),
  );
  assert.equal(context.entry(fromText('f')), before[0]);
});

test('a link that goes or becomes a file between two looks is a change, and one that is left out is not looked at twice', () => {
  for (const become of [(path: string): void => writeFileSync(path, ''), (): void => undefined]) {
    using folder = mkdtempDisposableSync('/tmp/jettison-context-');
    const link = join(folder.path, 'link');
    symlinkSync('a', link);
    const reader: FolderReader = {
      ...nodeFolderReader,
      target(inside, name) {
        rmSync(link, { force: true });
        become(link);
        return nodeFolderReader.target(inside, name);
      },
    };
    const open = (ignore: readonly string[]): Tree => openLocalContext({ folder: folder.path, ignore, reader });
    assert.deepEqual(open(['*', '!link/kept']).list(root), []);
    assert.throws(() => open([]).list(root), isChange);
  }
});
