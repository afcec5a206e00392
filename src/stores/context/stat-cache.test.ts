import assert from 'node:assert/strict';
import { appendFileSync, mkdirSync, mkdtempDisposableSync, renameSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fromText } from '#ground/base/byte-string.ts';
import { digestOf } from '#ground/base/digest.ts';
import { isCode } from '#ground/base/errors.ts';
import type { TreeEntry } from '#ground/linux/tree.ts';
import { openDatabase } from '#stores/db/open.ts';
import { openLocalContext } from './local.ts';
import { copyMemoryTables } from './copy-memory.ts';
import { openStatCache, packedStatTables, statCacheTables } from './stat-cache.ts';

const migrations = [statCacheTables, packedStatTables, copyMemoryTables];

type Scene = ReturnType<typeof createScene>;

/** A context with files that are an hour old on the cache's clock. */
function createScene(folder: string) {
  const context = join(folder, 'context');
  mkdirSync(join(context, 'd'), { recursive: true });
  let clock = Date.now() + 3_600_000;
  return {
    context,
    setClock: (time: number) => void (clock = time),
    entry: (path: string): TreeEntry => openLocalContext({ folder: context, ignore: [] }).entry(fromText(path))!,
    open: () => {
      const database = openDatabase({ file: join(folder, 'cache.db'), migrations });
      const cache = openStatCache({ database, now: () => clock });
      return {
        ...cache,
        [Symbol.dispose]() {
          cache[Symbol.dispose]();
          database[Symbol.dispose]();
        },
      };
    },
  };
}

/** With its folder put away a file can be known from memory only. (Its change time stays, which renaming the file itself would set.) */
function isRemembered(scene: Scene, path: string): boolean {
  using cache = scene.open();
  const entry = scene.entry(path);
  renameSync(join(scene.context, 'd'), join(scene.context, 'away'));
  try {
    cache.digestFile(entry);
    return true;
  } catch (error) {
    assert.ok(isCode(error, 'linux/changed'));
    return false;
  } finally {
    renameSync(join(scene.context, 'away'), join(scene.context, 'd'));
  }
}

test('digests are those of the bytes, for small and large files', () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-stat-cache-');
  const scene = createScene(folder.path);
  using cache = scene.open();
  for (const size of [0, 1, 1024 * 1024, 1024 * 1024 + 1, 3_000_000]) {
    const bytes = new Uint8Array(size).map((_, index) => index * 7);
    writeFileSync(join(scene.context, `f${size}`), bytes);
    assert.equal(cache.digestFile(scene.entry(`f${size}`)), digestOf(bytes));
    assert.equal(cache.digestFile(scene.entry(`f${size}`)), digestOf(bytes));
  }
});

test('a file that is as it was is not read again, in this process or the next', () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-stat-cache-');
  const scene = createScene(folder.path);
  writeFileSync(join(scene.context, 'd/\u{e9}__proto__'), 'text');
  writeFileSync(join(scene.context, 'd/g'), 'text');
  {
    using cache = scene.open();
    const digest = cache.digestFile(scene.entry('d/\u{e9}__proto__'));
    assert.equal(digest, digestOf('text'));
    assert.equal(cache.digestFile(scene.entry('d/g')), digest);
  }
  assert.equal(isRemembered(scene, 'd/g'), true);
  assert.equal(isRemembered(scene, 'd/\u{e9}__proto__'), true);
  {
    using cache = scene.open();
    cache.forgetUnused(Date.now() + 90 * 24 * 3_600_000);
  }
  assert.equal(isRemembered(scene, 'd/\u{e9}__proto__'), false);
});

test('a change that keeps size and modification time is seen', () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-stat-cache-');
  const scene = createScene(folder.path);
  const file = join(scene.context, 'd/f');
  writeFileSync(file, 'old');
  utimesSync(file, 1, 1);
  using cache = scene.open();
  assert.equal(cache.digestFile(scene.entry('d/f')), digestOf('old'));
  writeFileSync(file, 'new');
  utimesSync(file, 1, 1);
  assert.equal(statSync(file).mtimeMs, 1000);
  assert.equal(cache.digestFile(scene.entry('d/f')), digestOf('new'));
});

test('what was written just before it was hashed is not trusted', () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-stat-cache-');
  const scene = createScene(folder.path);
  writeFileSync(join(scene.context, 'd/f'), 'text');
  const written = statSync(join(scene.context, 'd/f')).ctimeMs;
  // A negative age: the clock was set back.
  for (const age of [-5000, 0, 90, 110]) {
    scene.setClock(written + age);
    {
      using cache = scene.open();
      cache.digestFile(scene.entry('d/f'));
    }
    assert.equal(isRemembered(scene, 'd/f'), age === 110, `${age} ms`);
  }
});

test('a row that cannot be read counts for nothing', () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-stat-cache-');
  const scene = createScene(folder.path);
  writeFileSync(join(scene.context, 'd/f'), 'text');
  {
    using cache = scene.open();
    cache.digestFile(scene.entry('d/f'));
  }
  assert.equal(isRemembered(scene, 'd/f'), true);
  const good = ((): Uint8Array => {
    using database = openDatabase({ file: join(folder.path, 'cache.db'), migrations });
    const entries = database.prepare('SELECT entries FROM folder_digests').get()?.['entries'];
    assert.ok(entries instanceof Uint8Array);
    return entries;
  })();
  const badHex = good.with(good.length - 5, 0x78);
  const tooMany = good.with(0, 2);
  for (const entries of [new Uint8Array(0), good.subarray(0, 15), good.subarray(1), tooMany, badHex]) {
    {
      using database = openDatabase({ file: join(folder.path, 'cache.db'), migrations });
      database.prepare('INSERT OR REPLACE INTO folder_digests VALUES (?, ?, 0)').run(join(scene.context, 'd'), entries);
    }
    using cache = scene.open();
    assert.equal(cache.digestFile(scene.entry('d/f')), digestOf('text'));
  }
});

test('a file that is not the one that was listed is refused', () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-stat-cache-');
  const scene = createScene(folder.path);
  const file = join(scene.context, 'd/f');
  using cache = scene.open();
  writeFileSync(file, 'text');
  const entry = scene.entry('d/f');
  appendFileSync(file, 'more');
  assert.throws(
    () => cache.digestFile(entry),
    (error) => isCode(error, 'linux/changed'),
  );
  const second = scene.entry('d/f');
  writeFileSync(join(scene.context, 'd/other'), 'textmore');
  renameSync(join(scene.context, 'd/other'), file);
  assert.throws(
    () => cache.digestFile(second),
    (error) => isCode(error, 'linux/changed'),
  );
  assert.throws(
    () => cache.digestFile(scene.entry('d')),
    (error) => isCode(error, 'linux/not-a-file'),
  );
});

test('files of a committed snapshot are known by their place, whatever links are made to them', () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-stat-cache-');
  const scene = createScene(folder.path);
  writeFileSync(join(scene.context, 'd/f'), 'text');
  const { ctime: _ctime, fileSystem: _fileSystem, ...entry } = scene.entry('d/f');
  scene.setClock(Date.now());
  using cache = scene.open();
  assert.equal(cache.digestFile(entry), digestOf('text'));
  renameSync(join(scene.context, 'd/f'), join(scene.context, 'd/g'));
  assert.equal(cache.digestFile(entry), digestOf('text'));
});

test('what somebody else has read is remembered, unless the file was too young to be sure of', () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-stat-cache-');
  const scene = createScene(folder.path);
  for (const name of ['old', 'young']) writeFileSync(join(scene.context, 'd', name), name);
  {
    using cache = scene.open();
    const old = scene.entry('d/old');
    const young = scene.entry('d/young');
    cache.learn(old, digestOf('old'), (old.ctime ?? 0n) + 3_600_000_000_000n);
    cache.learn(young, digestOf('not what it says any more'), (young.ctime ?? 0n) + 1_000_000n);
  }
  assert.equal(isRemembered(scene, 'd/old'), true);
  assert.equal(isRemembered(scene, 'd/young'), false);
  using cache = scene.open();
  assert.equal(cache.digestFile(scene.entry('d/old')), digestOf('old'));
  assert.equal(cache.digestFile(scene.entry('d/young')), digestOf('young'));
});
