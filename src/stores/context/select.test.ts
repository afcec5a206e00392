import assert from 'node:assert/strict';
import { chmodSync, linkSync, mkdirSync, mkdtempDisposableSync, readdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { asByteString, fromText, toText, type ByteString } from '#ground/base/byte-string.ts';
import { digestOf } from '#ground/base/digest.ts';
import { isCode } from '#ground/base/errors.ts';
import { describeEntry, lookAt, readEntryFile, resolveLinks } from '#ground/linux/tree-read.ts';
import type { Tree, TreeEntry } from '#ground/linux/tree.ts';
import { selectForCopy, selectionDigest, selectionLines, type CopySources, type SelectOptions } from './select.ts';

/** A plain folder; names in `hidden` are left out, as an ignore file would. */
function openTree(folder: string, hidden: readonly string[] = []): Tree {
  const entry = (path: ByteString): TreeEntry | undefined => {
    const hostPath = path === '' ? fromText(folder) : asByteString(`${fromText(folder)}/${path}`);
    if (path.split('/').some((name) => hidden.includes(name))) return undefined;
    const parent = path === '' ? undefined : entry(asByteString(path.slice(0, Math.max(path.lastIndexOf('/'), 0))));
    const stats = path === '' || parent?.kind === 'folder' ? lookAt(hostPath) : undefined;
    return stats && describeEntry({ path, hostPath, layer: 0, stats });
  };
  return {
    entry,
    resolve: (path, followLast) => resolveLinks(entry, path, followLast),
    list: (path) =>
      readdirSync(Buffer.from(entry(path)?.hostPath ?? '', 'latin1'), 'latin1')
        .toSorted()
        .flatMap((name) => entry(asByteString(path === '' ? name : `${path}/${name}`)) ?? []),
    readFile: readEntryFile,
    xattrs: () => new Map(),
  };
}

function makeFolder(files: readonly string[]) {
  const temporary = mkdtempDisposableSync('/tmp/jettison-select-');
  for (const file of files) {
    mkdirSync(join(temporary.path, dirname(file)), { recursive: true });
    writeFileSync(join(temporary.path, file), file);
  }
  return temporary;
}

type Ask = Partial<CopySources> & { readonly hidden?: readonly string[]; readonly options?: SelectOptions };

/** `top -> names below` of each source, folders with a slash, those only on the way in brackets. */
function select(folder: string, sources: readonly string[], ask: Ask = {}): readonly string[] {
  const tree = openTree(folder, ask.hidden);
  const copy = { sources, wildcards: true, exclude: [], parents: false, ...ask };
  return selectForCopy(tree, copy, ask.options).sources.map(({ name, top, below }) => {
    const names = [...below].map(({ path, entry, onTheWay }) => {
      const shown = toText(path) + (entry.kind === 'folder' ? '/' : entry.kind === 'symlink' ? '@' : '');
      return onTheWay ? `(${shown})` : shown;
    });
    return [`${toText(name)}=${toText(top.path)}`, ...names].join(' ');
  });
}

const common = ['a.txt', 'b.txt', 'c.md', 'd/e.txt', 'd/f/g.txt', 'd/f.x/h'];

test('files by name, folders by their contents, in byte order and folders first', () => {
  using folder = makeFolder(common);
  assert.deepEqual(select(folder.path, ['/a.txt', '/d', '/']), [
    'a.txt=a.txt',
    'd=d e.txt f/ f/g.txt f.x/ f.x/h',
    '= a.txt b.txt c.md d/ d/e.txt d/f/ d/f/g.txt d/f.x/ d/f.x/h',
  ]);
});

test('wildcards match name by name and never cross a folder; each match is a source', () => {
  using folder = makeFolder([...common, '[x].txt', 'é.txt']);
  assert.deepEqual(select(folder.path, ['/[ab].txt']), ['a.txt=a.txt', 'b.txt=b.txt']);
  assert.deepEqual(select(folder.path, ['/?.txt']), ['a.txt=a.txt', 'b.txt=b.txt', 'é.txt=é.txt']);
  assert.deepEqual(select(folder.path, ['/d/*/g.txt']), ['g.txt=d/f/g.txt']);
  assert.deepEqual(select(folder.path, ['/d/*']), ['e.txt=d/e.txt', 'f=d/f g.txt', 'f.x=d/f.x h']);
  assert.deepEqual(select(folder.path, ['/[[]x].txt']), ['[x].txt=[x].txt']);
  assert.deepEqual(select(folder.path, ['/[x].txt'], { wildcards: false }), ['[x].txt=[x].txt']);
});

test('a pattern without a match takes nothing and is told', () => {
  using folder = makeFolder(common);
  const copy = { sources: ['/zzz*', '/d/x*', '/a.txt'], wildcards: true, exclude: [], parents: false };
  const selection = selectForCopy(openTree(folder.path), copy);
  assert.deepEqual(selection.unmatched, ['/zzz*', '/d/x*']);
  assert.equal(selection.sources.length, 1);
});

test('a pattern below a folder that is not there is an error', () => {
  using folder = makeFolder(common);
  const copy = { sources: ['/no/x*'], wildcards: true, exclude: [], parents: false };
  assert.throws(() => selectForCopy(openTree(folder.path), copy), { code: 'context/missing-source', message: /"\/no": not found/u });
});

test('--parents: ** stands for any folders, also none', () => {
  using folder = makeFolder(['p/x.json', 'p/a/package.json', 'p/a/src/i.js', 'top.js', 'p/b/c/y.json']);
  const taken = (source: string): readonly string[] =>
    selectForCopy(openTree(folder.path), { sources: [source], wildcards: true, exclude: [], parents: true }).sources.flatMap(({ below }) =>
      [...below].filter(({ entry }) => entry.kind === 'file').map(({ path }) => path),
    );
  assert.deepEqual(taken('/p/**/*.json'), ['p/a/package.json', 'p/b/c/y.json', 'p/x.json']);
  assert.deepEqual(taken('/**/*.js'), ['p/a/src/i.js', 'top.js']);
  assert.deepEqual(taken('/p/./**/src'), ['a/src/i.js']);
  assert.deepEqual(taken('/p/a/**'), ['p/a/package.json', 'p/a/src/i.js']);
  assert.deepEqual(taken('/p/*'), ['p/a/package.json', 'p/a/src/i.js', 'p/b/c/y.json', 'p/x.json']);
  assert.deepEqual(taken('/p/*.json'), ['p/x.json']);
});

test('links are followed to the end of a source, inside the root; links inside a folder stay links', () => {
  using folder = makeFolder(['real/e', 'x2/b', 'y/f', 'etc/passwd']);
  const link = (target: string, path: string) => symlinkSync(target, join(folder.path, path));
  link('real', 'ld');
  link('/real/e', 'abs');
  link('../../../etc/passwd', 'up');
  link('x2', 'a');
  link('../y', 'x2/c');
  link('/etc/shadow', 'evil');
  link('e', 'real/inside');
  link('loop', 'loop');
  assert.deepEqual(select(folder.path, ['/ld', '/ld/e', '/abs', '/up', '/a/c/f']), [
    'ld=real e inside@',
    'e=real/e',
    'abs=real/e',
    'up=etc/passwd',
    'f=y/f',
  ]);
  assert.deepEqual(select(folder.path, ['/l[d]', '/ld/*']), ['ld=real e inside@', 'e=real/e', 'inside=real/e']);
  assert.deepEqual(select(folder.path, ['/?d/e']), [], 'a wildcard does not look behind links');
  assert.throws(() => select(folder.path, ['/evil']), /"\/evil": not found/u);
  assert.throws(
    () => select(folder.path, ['/loop']),
    (error) => isCode(error, 'linux/symlink-loop'),
  );
});

test('a missing source says what may have been meant', () => {
  using folder = makeFolder([...common, 'secret/key']);
  symlinkSync('/proc/self/root', join(folder.path, 'd/out'));
  const hintOf = (source: string): string | undefined => {
    try {
      select(folder.path, [source], { hidden: ['secret', 'c.md'] });
    } catch (error) {
      assert.ok(isCode(error, 'context/missing-source'));
      assert.equal(error.message, `Cannot copy "${source}": not found`);
      return error.hint;
    }
    return assert.fail('nothing was missing');
  };
  assert.equal(hintOf('/a.tx'), 'Did you mean "/a.txt"?');
  assert.equal(hintOf('/d/e.txt2'), 'Did you mean "/d/e.txt"?');
  assert.equal(hintOf('/c.md'), 'It is there, but .dockerignore leaves it out of the build context');
  assert.equal(hintOf('/secret/key'), 'It is there, but .dockerignore leaves it out of the build context');
  assert.equal(hintOf('/no/such/thing'), '"/" holds a.txt, b.txt, d');
  assert.equal(hintOf('/a.txt/x'), undefined);
  const link = '"/d/out" is a symbolic link to what is not there; none leads out of where it lies';
  assert.equal(hintOf('/d/out'), link);
  assert.equal(hintOf('/d/out/etc/passwd'), link);
});

test('--exclude is relative to each source, takes whole folders, and knows exceptions', () => {
  using folder = makeFolder(['d/a.o', 'd/a.c', 'd/e/b.o', 'd/e/b.c', 'd/e/deep/k.c', 'o.o']);
  assert.deepEqual(select(folder.path, ['/d'], { exclude: ['**/*.o'] }), ['d=d a.c e/ e/b.c e/deep/ e/deep/k.c']);
  assert.deepEqual(select(folder.path, ['/d'], { exclude: ['e'] }), ['d=d a.c a.o']);
  assert.deepEqual(select(folder.path, ['/d'], { exclude: ['*', '!e/deep/k.c'] }), ['d=d (e/) (e/deep/) e/deep/k.c']);
  assert.deepEqual(select(folder.path, ['/o*'], { exclude: ['*.o'] }), []);
  assert.deepEqual(select(folder.path, ['/o.o'], { exclude: ['*.o'] }), ['o.o=o.o']);
});

test('--parents keeps the folders above, from the pivot on', () => {
  using folder = makeFolder(common);
  assert.deepEqual(select(folder.path, ['/d/f/g.txt'], { parents: true }), ['d/f/g.txt= (d/) (d/f/) d/f/g.txt']);
  assert.deepEqual(select(folder.path, ['/d/./f/g.txt'], { parents: true }), ['f/g.txt=d (f/) f/g.txt']);
  assert.deepEqual(select(folder.path, ['/d/./*'], { parents: true, exclude: ['f/g.txt'] }), ['*=d e.txt', '*=d f/', '*=d f.x/ f.x/h']);
  assert.throws(() => select(folder.path, ['/d/x'], { parents: true }), /"\/d\/x": not found/u);
  symlinkSync('d', join(folder.path, 'linked'));
  assert.throws(() => select(folder.path, ['/linked/f/g.txt'], { parents: true }), { hint: /write "\/d\/f\/g\.txt"$/u });
});

test('a walk stops at a limit or when it is told to', () => {
  using folder = makeFolder(common);
  assert.throws(
    () => select(folder.path, ['/d'], { options: { maximum: 3 } }),
    (error) => isCode(error, 'context/too-many-files'),
  );
  assert.equal(select(folder.path, ['/d'], { options: { maximum: 6 } }).length, 1);
  assert.throws(() => select(folder.path, ['/d'], { options: { checkpoint: () => assert.fail('stop') } }), /stop/u);
});

test('the digest stands for the files taken, not for where they were or how the named folder looks', () => {
  using folder = makeFolder([...common, 'copy/e.txt', 'copy/f/g.txt', 'copy/f.x/h']);
  for (const name of ['e.txt', 'f/g.txt', 'f.x/h']) writeFileSync(join(folder.path, 'copy', name), `d/${name}`);
  chmodSync(join(folder.path, 'copy'), 0o700);
  utimesSync(join(folder.path, 'copy/e.txt'), 1, 1);
  const tree = openTree(folder.path);
  const options = { digestFile: (entry: TreeEntry) => digestOf(readEntryFile(entry, 1000)), owners: 'root' } as const;
  const selectionOf = (...sources: string[]) => selectForCopy(tree, { sources, wildcards: true, exclude: [], parents: false });
  const digest = (...sources: string[]) => selectionDigest(selectionOf(...sources), options);
  assert.equal(digest('/copy'), digest('/d'));
  assert.notEqual(digest('/a.txt'), digest('/b.txt'));
  assert.notEqual(digest('/a.txt', '/b.txt'), digest('/b.txt', '/a.txt'));
  assert.notEqual(digest('/d'), digest('/d', '/d'));
  linkSync(join(folder.path, 'copy/e.txt'), join(folder.path, 'copy/f/e2'));
  writeFileSync(join(folder.path, 'd/f/e2'), 'd/e.txt');
  assert.notEqual(digest('/copy'), digest('/d'), 'two names of one file are not two files');
  assert.equal([...selectionLines(selectionOf('/d', '/a.txt'), options)].length, 8);
});
