import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempDisposableSync, readFileSync, readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fromText } from '#ground/base/byte-string.ts';
import { isCode } from '#ground/base/errors.ts';
import { openRoot, type Root } from './rooted-path.ts';

const isRoot = process.getuid?.() === 0;

/** `root` is the root; `outside` lies beside it. */
function make(): Disposable & { path: string; root: Root } {
  const folder = mkdtempDisposableSync('/tmp/jettison-rooted-');
  mkdirSync(join(folder.path, 'outside'));
  mkdirSync(join(folder.path, 'root/a/b'), { recursive: true });
  writeFileSync(join(folder.path, 'outside/secret'), 'outside');
  writeFileSync(join(folder.path, 'root/a/b/file'), 'inside');
  symlinkSync('../outside', join(folder.path, 'root/climb'));
  symlinkSync(join(folder.path, 'outside'), join(folder.path, 'root/absolute'));
  symlinkSync('/a/b', join(folder.path, 'root/inner'));
  const root = openRoot(join(folder.path, 'root'));
  return {
    path: folder.path,
    root,
    [Symbol.dispose]() {
      root[Symbol.dispose]();
      folder.remove();
    },
  };
}

const create = () => ({ mode: 0o755, uid: 0, gid: 0 });
const names = (file: number) => readdirSync(`/proc/self/fd/${file}`);

test('folders are opened and made inside the root, as asked', { skip: !isRoot }, () => {
  using place = make();
  using found = place.root.openFolder(fromText('a/b'));
  assert.deepEqual(names(found.file), ['file']);
  const asked: string[] = [];
  using made = place.root.openFolder(fromText('a/n1//n2/'), (path) => {
    asked.push(path);
    return { mode: 0o1773, uid: 7, gid: 8 };
  });
  assert.deepEqual(names(made.file), []);
  assert.deepEqual(asked, ['a/n1', 'a/n1/n2']);
  const stats = statSync(join(place.path, 'root/a/n1/n2'));
  assert.deepEqual([stats.mode & 0o7777, stats.uid, stats.gid], [0o1773, 7, 8]);
  assert.throws(
    () => place.root.openFolder(fromText('x')),
    (error) => isCode(error, 'linux/not-found'),
  );
  using itself = place.root.openFolder(fromText(''));
  assert.ok(names(itself.file).includes('a'));
});

test('no way leads out of the root', () => {
  using place = make();
  for (const path of ['climb', 'climb/x', 'absolute/x', 'inner/x', 'a/../climb/x']) {
    assert.throws(
      () => place.root.openFolder(fromText(path), create),
      (error) => isCode(error, 'linux/link-on-the-way') || isCode(error, 'linux/not-a-folder') || isCode(error, 'linux/leaves-root'),
      path,
    );
  }
  assert.throws(
    () => place.root.openFolder(fromText('../outside'), create),
    (error) => isCode(error, 'linux/leaves-root'),
  );
  assert.throws(
    () => place.root.openFolder(fromText('/etc')),
    (error) => isCode(error, 'linux/leaves-root'),
  );
  assert.throws(
    () => place.root.openFolder(fromText('a/b/file/x'), create),
    (error) => isCode(error, 'linux/not-a-folder'),
  );
  assert.deepEqual(readdirSync(join(place.path, 'outside')), ['secret']);
});

test('followed links stay inside the root', () => {
  using place = make();
  using file = place.root.openFollowing(fromText('inner/file'));
  assert.equal(readFileSync(file.file, 'utf8'), 'inside');
  assert.throws(() => place.root.openFollowing(fromText('climb/secret')), { code: 'ENOENT' });
  assert.throws(() => place.root.openFollowing(fromText('absolute/secret')), { code: 'ENOENT' });
  using up = place.root.openFollowing(fromText('../../a/b/file'));
  assert.equal(readFileSync(up.file, 'utf8'), 'inside');
  assert.ok(existsSync(join(place.path, 'outside/secret')));
});
