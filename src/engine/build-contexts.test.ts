import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  cpSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  mkdtempDisposableSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { copyFolder } from '#formats/graph/copy.ts';
import type { CopyAction } from '#formats/graph/op.ts';
import { isCode } from '#ground/base/errors.ts';
import { copyMemoryTables } from '#stores/context/copy-memory.ts';
import { openStatCache, packedStatTables, statCacheTables } from '#stores/context/stat-cache.ts';
import { openDatabase } from '#stores/db/open.ts';
import { createBuildContexts, type BuildContexts } from './build-contexts.ts';

const migrations = [statCacheTables, packedStatTables, copyMemoryTables];
const anHour = 3_600_000;

type Scene = {
  readonly folder: string;
  readonly ignore: readonly string[];
  readonly action: CopyAction;
  readonly clock: number;
  readonly memory: string;
};

/** A context whose files are an hour old on the clock of the builds. */
function plant(folder: string): Scene {
  const context = join(folder, 'context');
  mkdirSync(join(context, 'src/deep'), { recursive: true });
  mkdirSync(join(context, 'away'), { recursive: true });
  for (const name of ['src/a', 'src/b', 'src/deep/c', 'src/deep/d.log', 'away/x']) writeFileSync(join(context, name), `text of ${name}`);
  symlinkSync('a', join(context, 'src/link'));
  utimesSync(join(context, 'src/a'), 1, 1);
  return { folder: context, ignore: ['away'], action: copyFolder('/'), clock: Date.now() + anHour, memory: join(folder, 'memory.db') };
}

/** What one build says of the copy, and whether it knew that from an earlier one. */
async function lookUp<T = undefined>(
  scene: Scene,
  more?: (contexts: BuildContexts) => T,
): Promise<{ readonly digest: string; readonly isKnown: boolean; readonly more: T | undefined }> {
  using database = openDatabase({ file: scene.memory, migrations });
  using cache = openStatCache({ database, now: () => scene.clock });
  const contexts = await createBuildContexts(new Map([['context', { path: scene.folder, ignore: scene.ignore }]]), cache);
  const digest = contexts.digest('context', scene.action);
  return { digest, isKnown: contexts.filesOf(digest) === undefined, more: more?.(contexts) };
}

/** The digest as a build finds it that remembers nothing. */
async function truth(scene: Scene): Promise<string> {
  using folder = mkdtempDisposableSync('/tmp/jettison-contexts-');
  return (await lookUp({ ...scene, memory: join(folder.path, 'memory.db') })).digest;
}

/** Keeps what `touch -r` would keep. */
function keepingTimes(path: string, change: () => void): void {
  const { atime, mtime } = lstatSync(path);
  change();
  lutimesSync(path, atime, mtime);
}

/** Each gets the folder; `same`: the copy's digest does not change by it. */
const changes: readonly { readonly what: string; readonly same?: true; readonly change: (at: (name: string) => string) => void }[] = [
  {
    what: 'an edit that keeps size and time',
    change: (at) => keepingTimes(at('src/a'), () => writeFileSync(at('src/a'), 'TEXT of src/a')),
  },
  {
    what: 'the same deep below',
    change: (at) => keepingTimes(at('src/deep/c'), () => writeFileSync(at('src/deep/c'), 'TEXT of src/deep/c')),
  },
  { what: 'the mode of a file', change: (at) => chmodSync(at('src/b'), 0o755) },
  { what: 'the mode of a folder', change: (at) => chmodSync(at('src/deep'), 0o711) },
  { what: 'the owner of a file', same: true, change: (at) => chownSync(at('src/b'), 7, 8) },
  { what: 'the owner of a folder', same: true, change: (at) => chownSync(at('src/deep'), 7, 8) },
  {
    what: 'a link in the place of a file',
    change: (at) => {
      rmSync(at('src/b'));
      symlinkSync('deep/c', at('src/b'));
    },
  },
  {
    what: 'a file in the place of a link',
    change: (at) => {
      rmSync(at('src/link'));
      writeFileSync(at('src/link'), 'a');
    },
  },
  {
    what: 'a link to another place, as long and as old',
    change: (at) =>
      keepingTimes(at('src/link'), () => {
        rmSync(at('src/link'));
        symlinkSync('b', at('src/link'));
      }),
  },
  {
    what: 'another file of this size and time',
    change: (at) => {
      writeFileSync(at('away/new'), 'TEXT of src/a');
      utimesSync(at('away/new'), 1, 1);
      renameSync(at('away/new'), at('src/a'));
    },
  },
  {
    what: 'two files that change places',
    change: (at) => {
      renameSync(at('src/a'), at('src/t'));
      renameSync(at('src/b'), at('src/a'));
      renameSync(at('src/t'), at('src/b'));
    },
  },
  {
    what: 'another folder with the same names',
    change: (at) => {
      cpSync(at('src/deep'), at('away/deep'), { recursive: true, preserveTimestamps: true });
      keepingTimes(at('away/deep/c'), () => writeFileSync(at('away/deep/c'), 'TEXT of src/deep/c'));
      rmSync(at('src/deep'), { recursive: true });
      renameSync(at('away/deep'), at('src/deep'));
    },
  },
  {
    what: 'a link in the place of a folder',
    change: (at) => {
      renameSync(at('src/deep'), at('away/deep'));
      symlinkSync('../away/deep', at('src/deep'));
    },
  },
  { what: 'one more file', change: (at) => writeFileSync(at('src/e'), '') },
  { what: 'one more empty folder', change: (at) => mkdirSync(at('src/e')) },
  { what: 'a file less', change: (at) => rmSync(at('src/deep/d.log')) },
  { what: 'another name', change: (at) => renameSync(at('src/b'), at('src/c')) },
  { what: 'another name of a link', change: (at) => renameSync(at('src/link'), at('src/lynx')) },
  { what: 'a file in another folder', change: (at) => renameSync(at('src/b'), at('src/deep/b')) },
  { what: 'a second name of a file', change: (at) => linkSync(at('src/b'), at('src/c')) },
  { what: 'a second name elsewhere', same: true, change: (at) => linkSync(at('src/b'), at('away/c')) },
];

test('a copy that was remembered is never taken for another one', async () => {
  for (const { what, change, same } of changes) {
    using folder = mkdtempDisposableSync('/tmp/jettison-contexts-');
    const scene = plant(folder.path);
    const before = await lookUp(scene);
    assert.deepEqual(await lookUp(scene), { ...before, isKnown: true }, what);
    change((name) => join(scene.folder, name));
    const after = await lookUp(scene);
    assert.equal(after.digest, await truth(scene), what);
    assert.equal(after.isKnown, false, what);
    assert.equal(after.digest === before.digest, same === true, what);
    assert.deepEqual(await lookUp(scene), { ...after, isKnown: true }, what);
  }
});

test('what a copy does not take does not count', async () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-contexts-');
  const scene = { ...plant(folder.path), action: { ...copyFolder('/src'), exclude: ['**/*.log'] } };
  const { digest } = await lookUp(scene);
  writeFileSync(join(scene.folder, 'away/y'), '');
  writeFileSync(join(scene.folder, 'src/deep/more.log'), '');
  rmSync(join(scene.folder, 'src/deep/d.log'));
  writeFileSync(join(scene.folder, 'beside'), '');
  assert.deepEqual(await lookUp(scene), { digest, isKnown: true, more: undefined });
});

test('other patterns, another exclude and another folder are another copy', async () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-contexts-');
  const scene = plant(folder.path);
  await lookUp(scene);
  const others: readonly Partial<Scene>[] = [
    { ignore: [] },
    { ignore: ['away', 'src/deep'] },
    { ignore: ['src', '!src/a'] },
    { action: { ...scene.action, exclude: ['**/*.log'] } },
    { action: { ...scene.action, exclude: ['src/deep', '!src/deep/c'] } },
    { action: copyFolder('/src') },
    { action: { ...scene.action, sources: ['/src/a'] } },
    { action: { ...scene.action, sources: ['/src/a', '/src/b'] } },
    { action: { ...scene.action, sources: ['/s*/b'], wildcards: true } },
    { action: { ...scene.action, sources: ['/src/deep'], parents: true } },
    { folder: join(scene.folder, 'src'), ignore: ['deep'] },
  ];
  const digests = new Set<string>();
  for (const other of others) {
    const first = await lookUp({ ...scene, ...other });
    assert.equal(first.isKnown, false, JSON.stringify(other));
    assert.equal(first.digest, await truth({ ...scene, ...other }));
    assert.deepEqual(await lookUp({ ...scene, ...other }), { ...first, isKnown: true }, JSON.stringify(other));
    digests.add(first.digest);
  }
  assert.equal(digests.size, others.length);
});

test('files that may change unseen are not trusted, nor is a clock that was set back', async () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-contexts-');
  const scene = plant(folder.path);
  writeFileSync(join(scene.folder, 'src/young'), 'text');
  const written = lstatSync(join(scene.folder, 'src/young')).ctimeMs;
  for (const age of [-5000, 0, 90, 150]) {
    for (const action of [scene.action, { ...scene.action, sources: ['/src/young'] }]) {
      const young = { ...scene, action, clock: written + age };
      await lookUp(young);
      assert.equal((await lookUp(young)).isKnown, age === 150, `${age} ms`);
    }
  }
});

test('the files of a remembered copy can be listed', async () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-contexts-');
  const scene = plant(folder.path);
  const list = await lookUp(scene, (contexts) => contexts.filesOf(contexts.digest('context', scene.action)));
  const again = await lookUp(scene, (contexts) => contexts.listFiles(contexts.digest('context', scene.action)));
  assert.equal(again.isKnown, true);
  assert.ok(list.more !== undefined && list.more.length > 5);
  assert.deepEqual(again.more, list.more);
});

test('a copy that is not what its digest was made of any more is refused, whether it was remembered or not', async () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-contexts-');
  // Something below "skipped" might not be left out: the folder is looked into.
  const scene = { ...plant(folder.path), ignore: ['away', 'skipped', '!skipped/*/kept'] };
  for (const isKnown of [false, true]) {
    const found = await lookUp(scene, (contexts) => {
      contexts.checkUnchanged(['context']);
      mkdirSync(join(scene.folder, `skipped/of no interest ${isKnown}`), { recursive: true });
      contexts.checkUnchanged(['context']);
      for (const text of ['TEXT of src/a', 'text of src/a']) {
        keepingTimes(join(scene.folder, 'src/a'), () => writeFileSync(join(scene.folder, 'src/a'), text));
        assert.throws(
          () => contexts.checkUnchanged(['context']),
          (error) => isCode(error, 'context/changed'),
        );
      }
    });
    assert.equal(found.isKnown, isKnown);
    if (!isKnown) await lookUp(scene);
  }
});
