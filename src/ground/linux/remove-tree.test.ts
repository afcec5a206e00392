import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempDisposableSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { asByteString, fromText } from '#ground/base/byte-string.ts';
import { removeTree } from './remove-tree.ts';
import { AT_FDCWD, closeFile, makeFolderAt, openAt, openFlags } from './syscall.ts';

test('BuildKit 4ed7a2ff3: a tree goes with odd names, closed folders and links, but not what the links show', () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-remove-');
  mkdirSync(join(folder.path, 'outside'));
  writeFileSync(join(folder.path, 'outside/kept'), '');
  const tree = join(folder.path, 'tree');
  mkdirSync(join(tree, 'a/closed'), { recursive: true });
  writeFileSync(join(tree, 'a/closed/file'), '');
  symlinkSync('../outside', join(tree, 'link'));
  writeFileSync(Buffer.from(`${tree}/caf\u00e9`, 'latin1'), '');
  removeTree(tree);
  assert.deepEqual(readdirSync(folder.path), ['outside']);
  assert.ok(existsSync(join(folder.path, 'outside/kept')));
  removeTree(tree);
});

test('a link is removed itself', () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-remove-');
  writeFileSync(join(folder.path, 'kept'), '');
  symlinkSync('.', join(folder.path, 'link'));
  removeTree(join(folder.path, 'link'));
  assert.deepEqual(readdirSync(folder.path), ['kept']);
});

test('a tree may be deeper than paths reach', () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-remove-');
  const name = asByteString('n'.repeat(200));
  let at = openAt(AT_FDCWD, fromText(folder.path), { flags: openFlags.directory, resolve: 0 });
  for (let depth = 0; depth < 450; depth++) {
    makeFolderAt(at, name, 0o755);
    const next = openAt(at, name, { flags: openFlags.directory, resolve: 0 });
    closeFile(at);
    at = next;
  }
  closeFile(at);
  removeTree(join(folder.path, name));
  assert.deepEqual(readdirSync(folder.path), []);
});
