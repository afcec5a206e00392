import assert from 'node:assert/strict';
import {
  chmodSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempDisposableSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fromText, toText } from '#ground/base/byte-string.ts';
import { AT_FDCWD, fileTypes, makeNodeAt } from '#ground/linux/syscall.ts';
import { isOpaque, markOpaque } from './chain-tree.ts';
import { planFold } from './fold.ts';
import { hiddenIn } from './hidden.ts';

const skip = process.getuid?.() !== 0;

/** Layers, the lowest first: paths with their content; `folder/` for a folder, `name-` for a deletion, `folder!` for an opaque folder. */
function makeLayers(at: string, layers: readonly Readonly<Record<string, string>>[]): string[] {
  return layers.map((files, index) => {
    const top = join(at, 's', String(index));
    mkdirSync(top, { recursive: true });
    for (const [path, text] of Object.entries(files)) {
      const host = join(top, path.replace(/[/!-]$/u, ''));
      mkdirSync(dirname(host), { recursive: true });
      if (path.endsWith('-')) makeNodeAt(AT_FDCWD, fromText(host), { type: fileTypes.character, mode: 0 });
      else if (/[/!]$/u.test(path)) mkdirSync(host, { recursive: true });
      else writeFileSync(host, text);
      if (path.endsWith('!')) markOpaque(fromText(host));
    }
    return top;
  });
}

/** What the folded layers have, each as paths with their content; undefined for one that is gone. */
function fold(at: string, folders: readonly string[], base: readonly string[] = []) {
  const { layers, hidden } = planFold(folders, base);
  const targets = layers.map((layer, index) => {
    const target = join(at, 'folded', String(index));
    mkdirSync(target, { recursive: true });
    if (layer.kind === 'empty') return undefined;
    layer.write(target);
    return target;
  });
  return { layers, hidden, targets, texts: targets.map((target) => target && read(target)) };
}

function read(root: string, path = ''): Record<string, string> {
  return Object.assign(
    {},
    ...readdirSync(join(root, path)).map((name) => {
      const inner = join(path, name);
      const stats = lstatSync(join(root, inner));
      if (stats.isCharacterDevice()) return { [`${inner}-`]: '' };
      if (!stats.isDirectory()) return { [inner]: readFileSync(join(root, inner), 'utf8') };
      const mark = isOpaque(fromText(join(root, inner))) ? '!' : '/';
      return { [inner + mark]: '', ...read(root, inner) };
    }),
  );
}

test(
  'a file whose content stays goes to the layer that has it, with its new looks; one with another content stays where that came',
  { skip },
  () => {
    using folder = mkdtempDisposableSync('/tmp/jettison-fold-');
    const folders = makeLayers(folder.path, [
      { 'opt/app': 'app', 'opt/conf': 'old' },
      { 'opt/app': 'app', 'opt/conf': 'new' },
    ]);
    chmodSync(join(folders[1] ?? '', 'opt/app'), 0o755);
    chmodSync(join(folders[1] ?? '', 'opt'), 0o711);
    const { texts, targets, hidden } = fold(folder.path, folders);
    assert.deepEqual(texts, [
      { 'opt/': '', 'opt/app': 'app' },
      { 'opt/': '', 'opt/conf': 'new' },
    ]);
    assert.equal(statSync(join(targets[0] ?? '', 'opt/app')).mode & 0o7777, 0o755);
    assert.equal(statSync(join(targets[1] ?? '', 'opt')).mode & 0o7777, 0o711, 'the folder as it looks in the end is the last one');
    assert.deepEqual(hidden, [{ layer: 0, by: 1, files: 2, bytes: 6, credentials: [] }]);
  },
);

test('a layer whose files all go back to others is gone, and the look of its folder goes with them', { skip }, () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-fold-');
  const folders = makeLayers(folder.path, [{ 'opt/app': 'app' }, { 'opt/app': 'app' }, { other: 'x' }]);
  chmodSync(join(folders[1] ?? '', 'opt'), 0o700);
  const { layers, texts, targets } = fold(folder.path, folders);
  assert.deepEqual(texts, [{ 'opt/': '', 'opt/app': 'app' }, undefined, { other: 'x' }]);
  assert.equal(statSync(join(targets[0] ?? '', 'opt')).mode & 0o7777, 0o700);
  assert.deepEqual(
    layers.map(({ kind }) => kind),
    ['other', 'empty', 'same'],
  );
});

test('what hides files of the base image stays, what hides only files of the build goes', { skip }, () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-fold-');
  const [base = '', ...folders] = makeLayers(folder.path, [
    { 'etc/passwd': 'p', 'etc/motd': 'm', 'srv/old': 'o' },
    { 'tmp/cache': 'c', 'etc/own': 'own', 'srv-': '' },
    { 'tmp/cache-': '', 'etc/own-': '', 'etc/motd-': '' },
    { 'srv/new': 'n' },
  ]);
  const { texts } = fold(folder.path, folders, [base]);
  assert.deepEqual(texts, [{ 'tmp/': '' }, { 'etc/': '', 'etc/motd-': '' }, { 'srv!': '', 'srv/new': 'n' }]);
});

test('each hidden byte counts once, for the layer that hides it first', { skip }, () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-fold-');
  const folders = makeLayers(folder.path, [
    { 'd/a': '1'.repeat(10), 'd/b': '1'.repeat(100), 'only/here': 'x' },
    { 'd/a': '1'.repeat(20), 'd/sub/c': 'cc' },
    { 'd-': '' },
    { 'd/a': 'back' },
    { d: 'a file now' },
  ]);
  const credentials: readonly [] = [];
  assert.deepEqual(hiddenIn(folders), [
    { layer: 0, by: 1, files: 1, bytes: 10, credentials },
    { layer: 0, by: 2, files: 1, bytes: 100, credentials },
    { layer: 1, by: 2, files: 2, bytes: 22, credentials },
    { layer: 3, by: 4, files: 1, bytes: 4, credentials },
  ]);
});

test('a hidden name of a file that another name still shows costs nothing; hidden under all its names it costs once', { skip }, () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-fold-');
  const folders = makeLayers(folder.path, [{ a: 'text', outside: 'elsewhere' }, { 'a-': '' }, { 'b-': '' }]);
  const [bottom = ''] = folders;
  linkSync(join(bottom, 'a'), join(bottom, 'b'));
  linkSync(join(bottom, 'a'), join(folder.path, 'in another snapshot'));
  assert.deepEqual(hiddenIn(folders.slice(0, 2)), [{ layer: 0, by: 1, files: 1, bytes: 0, credentials: [] }]);
  assert.deepEqual(hiddenIn(folders), [
    { layer: 0, by: 1, files: 1, bytes: 0, credentials: [] },
    { layer: 0, by: 2, files: 1, bytes: 4, credentials: [] },
  ]);
});

test('deleted files that are called like passwords and keys are named; those that are still there are not', { skip }, () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-fold-');
  const names = [
    'root/.npmrc',
    'root/.aws/credentials',
    'app/.env.production',
    'k/id_rsa',
    'k/tls.pem',
    'k/id_rsa.pub',
    'app/.environment',
    'empty/.env',
  ];
  const [keep] = ['app/.env'];
  const made = Object.fromEntries(names.map((name) => [name, name.startsWith('empty') ? '' : 's']));
  const folders = makeLayers(folder.path, [
    { ...made, [keep ?? '']: 'old' },
    { [keep ?? '']: 'new', ...Object.fromEntries(names.map((name) => [`${name}-`, ''])) },
  ]);
  const [found] = hiddenIn(folders);
  assert.deepEqual(found?.credentials.map(toText).toSorted(), names.slice(0, 5).toSorted());
});

test('what comes to a layer does not become a name of a file there that it is no name of', { skip }, () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-fold-');
  const folders = makeLayers(folder.path, [{ a: 'same' }, {}]);
  const [bottom = '', top = ''] = folders;
  // As COPY --from does: the layers link to one file of a stage.
  writeFileSync(join(folder.path, 'in a stage'), 'same');
  linkSync(join(folder.path, 'in a stage'), join(bottom, 'b'));
  linkSync(join(folder.path, 'in a stage'), join(top, 'a'));
  const { texts, targets } = fold(folder.path, folders);
  assert.deepEqual(texts, [{ a: 'same', b: 'same' }, undefined]);
  const [one, other] = ['a', 'b'].map((name) => lstatSync(join(targets[0] ?? '', name)).ino);
  assert.notEqual(one, other);
});
