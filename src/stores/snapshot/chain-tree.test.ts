import assert from 'node:assert/strict';
import { chmodSync, linkSync, mkdirSync, mkdtempDisposableSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { asByteString, fromText } from '#ground/base/byte-string.ts';
import { isCode } from '#ground/base/errors.ts';
import { AT_FDCWD, changeTimeAt, fileTypes, makeNodeAt } from '#ground/linux/syscall.ts';
import { setAttribute } from '#ground/linux/attributes.ts';
import type { Tree } from '#ground/linux/tree.ts';
import { markOpaque, openChainTree } from './chain-tree.ts';

const isRoot = process.getuid?.() === 0;

/** Folders `0` (topmost) and up; each path ends in `/` for a folder, `-` for a whiteout, `!` for an opaque folder. */
function makeLayers(at: string, layers: readonly (readonly string[])[]): string[] {
  return layers.map((paths, index) => {
    const top = join(at, String(index));
    mkdirSync(top);
    for (const path of paths) {
      const host = join(top, path.replace(/[/!-]$/u, ''));
      mkdirSync(join(host, '..'), { recursive: true });
      if (path.endsWith('-')) makeNodeAt(AT_FDCWD, fromText(host), { type: fileTypes.character, mode: 0 });
      else if (/[/!]$/u.test(path)) mkdirSync(host, { recursive: true });
      else writeFileSync(host, `${index}`);
      if (path.endsWith('!')) markOpaque(fromText(host));
    }
    return top;
  });
}

const names = (tree: Tree, path: string) => tree.list(fromText(path)).map((entry) => `${entry.path}@${entry.layer}`);

test('layers merge, whiteouts and opaque folders hide, a file ends merging', { skip: !isRoot }, () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-chain-');
  const tree = openChainTree(
    makeLayers(folder.path, [
      ['d/top', 'd/gone-', 'o!', 'o/new', 'w/x'],
      ['d/middle', 'f', 'w-', 's/'],
      ['d/low', 'd/gone', 'o/old', 'f/below', 'w/old', 's/kept'],
    ]),
  );
  assert.deepEqual(names(tree, ''), ['d@0', 'f@1', 'o@0', 's@1', 'w@0']);
  assert.deepEqual(names(tree, 'd'), ['d/low@2', 'd/middle@1', 'd/top@0']);
  assert.deepEqual(names(tree, 'o'), ['o/new@0']);
  assert.deepEqual(names(tree, 'w'), ['w/x@0']);
  assert.deepEqual(names(tree, 's'), ['s/kept@2']);
  assert.equal(tree.entry(fromText('f'))?.kind, 'file');
  assert.equal(tree.entry(fromText('f/below')), undefined);
  assert.equal(tree.entry(fromText('d/gone')), undefined);
  assert.throws(
    () => tree.list(fromText('f')),
    (error) => isCode(error, 'linux/not-a-folder'),
  );
});

test('an opaque root hides all below it', { skip: !isRoot }, () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-chain-');
  const layers = makeLayers(folder.path, [['a'], ['b'], ['c']]);
  markOpaque(fromText(layers[1]!));
  assert.deepEqual(names(openChainTree(layers), ''), ['a@0', 'b@1']);
});

test('a mark that overlays mounted here do not have hides nothing: any step may set it', { skip: !isRoot }, () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-chain-');
  const layers = makeLayers(folder.path, [['d/a'], ['d/b']]);
  setAttribute(fromText(join(layers[0]!, 'd')), 'user.overlay.opaque', new TextEncoder().encode('y'));
  assert.deepEqual(names(openChainTree(layers), 'd'), ['d/a@0', 'd/b@1']);
});

test('entries tell mode, exact time, links, target and bytes of names', () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-chain-');
  const [top] = makeLayers(folder.path, [['a', 'b/']]);
  const name = asByteString('caf\u00e9'); // one byte, not UTF-8
  writeFileSync(Buffer.from(`${top}/${name}`, 'latin1'), 'bytes');
  linkSync(`${top}/a`, `${top}/b/link`);
  symlinkSync('/b/../a', `${top}/s`);
  chmodSync(`${top}/a`, 0o4751);
  changeTimeAt(AT_FDCWD, fromText(`${top}/a`), 1_234_567_890_123_456_789n);
  setAttribute(fromText(`${top}/a`), 'user.note', new Uint8Array([0, 255]));
  const tree = openChainTree([top!]);
  const entry = tree.entry(fromText('a'));
  assert.ok(entry);
  assert.equal(entry.mode, 0o4751);
  assert.equal(entry.mtime, 1_234_567_890_123_456_789n);
  assert.equal(entry.links, 2);
  assert.equal(tree.entry(fromText('b/link'))?.inode, entry.inode);
  assert.deepEqual(tree.xattrs(entry), new Map([['user.note', new Uint8Array([0, 255])]]));
  assert.equal(tree.entry(fromText('s'))?.target, '/b/../a');
  const odd = tree.entry(name);
  assert.ok(odd);
  assert.equal(new TextDecoder().decode(tree.readFile(odd, 5)), 'bytes');
  assert.throws(
    () => tree.readFile(odd, 4),
    (error) => isCode(error, 'linux/too-large'),
  );
});

test('links are followed inside the root only', () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-chain-');
  const [top] = makeLayers(folder.path, [['real/file', 'etc/passwd']]);
  symlinkSync('/real', `${top}/absolute`);
  symlinkSync('../../../../etc', `${top}/climb`);
  symlinkSync('loop', `${top}/loop`);
  symlinkSync('absolute/./file', `${top}/last`);
  const tree = openChainTree([top!]);
  const at = (path: string, follow = true) => tree.resolve(fromText(path), follow);
  assert.equal(at('absolute/file').path, 'real/file');
  assert.equal(at('/climb//passwd').path, 'etc/passwd');
  assert.equal(at('/climb/passwd').entry?.hostPath, `${top}/etc/passwd`);
  assert.equal(at('../../../etc/passwd').path, 'etc/passwd');
  assert.equal(at('last').path, 'real/file');
  assert.equal(at('last', false).entry?.kind, 'symlink');
  assert.equal(at('last/', false).entry?.kind, 'symlink');
  assert.equal(at('absolute/none/../file').path, 'real/file');
  assert.deepEqual(at('absolute/none/deeper'), { path: 'real/none/deeper', entry: undefined });
  assert.throws(
    () => at('loop'),
    (error) => isCode(error, 'linux/symlink-loop'),
  );
  assert.equal(tree.entry(fromText('absolute/file')), undefined);
  assert.equal(tree.entry(fromText('real/../real/file')), undefined);
  assert.equal(tree.entry(fromText('../etc')), undefined);
});

test('a chain of nothing is an empty root', () => {
  const tree = openChainTree([]);
  assert.deepEqual(tree.list(fromText('')), []);
  const root = tree.entry(fromText(''));
  assert.deepEqual([root?.kind, root?.mode, root?.uid], ['folder', 0o755, 0]);
  assert.equal(tree.resolve(fromText('a/b'), true).entry, undefined);
});
