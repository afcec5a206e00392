/** A copy that runs before its key is known: what the worker says that it has read must give the very key that reading the files beforehand gives. */
import assert from 'node:assert/strict';
import {
  appendFileSync,
  chmodSync,
  linkSync,
  mkdirSync,
  mkdtempDisposableSync,
  renameSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { createBuildContexts, type BuildContexts } from '#engine/build-contexts.ts';
import { openFileThread, runFile, type FilesRead, type FileTools } from '#execution/ops/file.ts';
import { copyFolder } from '#formats/graph/copy.ts';
import type { CopyAction, FileOp } from '#formats/graph/op.ts';
import { isCode } from '#ground/base/errors.ts';
import { copyMemoryTables } from '#stores/context/copy-memory.ts';
import { openStatCache, packedStatTables, statCacheTables, type StatCache } from '#stores/context/stat-cache.ts';
import { openDatabase, type Database } from '#stores/db/open.ts';
import { endThreads } from '#stores/layer/threads.ts';
import { openSnapshotStore } from '#stores/snapshot/store.ts';
import { writeSnapshotFolder } from '#test/kit/snapshots.ts';

const { signal } = new AbortController();
const everything: CopyAction = { ...copyFolder('/'), input: 1, destination: '/app' };

const contextTables = [statCacheTables, packedStatTables, copyMemoryTables];

type Scene = AsyncDisposable & {
  readonly context: string;
  readonly statCache: StatCache;
  contexts(ignore?: readonly string[]): Promise<BuildContexts>;
  /** Copies as a step does whose key is not known; gives what was read. */
  copy(action: CopyAction, ignore?: readonly string[]): Promise<readonly FilesRead[]>;
};

/** A folder with all that a folder can hold. `large`: more than is copied without a thread. */
async function openScene(large: boolean): Promise<Scene> {
  await using stack = new AsyncDisposableStack();
  stack.defer(endThreads);
  const folder = stack.use(mkdtempDisposableSync('/tmp/jettison-unkeyed-')).path;
  const context = join(folder, 'context');
  const at = (path: string): string => join(context, path);
  for (const path of ['a/deep/er', 'b', 'empty', 'out', 'd0.d']) mkdirSync(at(path), { recursive: true });
  for (const path of ['a/one.txt', 'a/two.md', 'a/deep/three.txt', 'a/deep/er/four', 'b/five.txt', 'out/six', 'd0.d/seven', 'd0'])
    writeFileSync(at(path), `this is ${path}`);
  writeFileSync(at('nothing'), '');
  linkSync(at('a/one.txt'), at('b/same as one'));
  linkSync(at('a/one.txt'), at('d0.d/and again'));
  symlinkSync('one.txt', at('a/link'));
  symlinkSync('nowhere', at('b/broken'));
  symlinkSync('a', at('to a'));
  chmodSync(at('a/two.md'), 0o4751);
  chmodSync(at('b'), 0o2770);
  execFileSync('mkfifo', [at('b/fifo')]);
  execFileSync('tar', ['-cf', at('archive.tar'), '-C', context, 'b/five.txt']);
  if (large) {
    mkdirSync(at('many'));
    for (let f = 0; f < 100; f++) writeFileSync(at(`many/f${f}`), `${f}`.repeat(f));
    writeFileSync(
      at('big'),
      Uint8Array.from({ length: 5_000_001 }, (_, index) => (index * 7) >> 3),
    );
    writeFileSync(at('sparse'), 'start');
    truncateSync(at('sparse'), 3_000_000);
  }
  await settle();
  const store = stack.use(await openSnapshotStore({ folder: join(folder, 'store'), now: Date.now }));
  const base = writeSnapshotFolder(store, (root) => {
    mkdirSync(join(root, 'app/a/deep'), { recursive: true, mode: 0o2755 });
    writeFileSync(join(root, 'app/a/one.txt'), 'of the base');
  });
  const tools: FileTools = { snapshots: store, thread: stack.use(openFileThread()) };
  const database = stack.use(openDatabase({ file: join(folder, 'engine.db'), migrations: contextTables }));
  const statCache = openStatCache({ database });
  const parent = await base;
  const owned = stack.move();
  return {
    context,
    statCache,
    contexts: async (ignore = []) => await createBuildContexts(new Map([['context', { path: context, ignore }]]), statCache),
    async copy(action, ignore = []) {
      const op: FileOp = { kind: 'file', base: 0, actions: [action] };
      const inputs = [{ kind: 'snapshot', snapshot: parent } as const, { kind: 'folder', path: context, ignore } as const];
      let told: readonly FilesRead[] = [];
      await runFile({ op, inputs, onRead: (read) => (told = read), onLayer: () => undefined }, tools, () => undefined, signal);
      return told;
    },
    [Symbol.asyncDispose]: async () => await owned.disposeAsync(),
  };
}

/** One that has seen no file yet. */
function freshDatabase(): Disposable & { readonly database: Database } {
  const folder = mkdtempDisposableSync('/tmp/jettison-unkeyed-');
  const database = openDatabase({ file: join(folder.path, 'context.db'), migrations: contextTables });
  return {
    database,
    [Symbol.dispose]() {
      database[Symbol.dispose]();
      folder.remove();
    },
  };
}

/** Long enough for the change time to be trusted, on a file system with exact times. */
async function settle(): Promise<void> {
  await new Promise((resolve) => {
    setTimeout(resolve, 150);
  });
}

const copies: Readonly<Record<string, Partial<CopyAction>>> = {
  'a whole folder': {},
  'into the root, over nothing': { destination: '/' },
  'into a folder that is merged': { sources: ['/a'], destination: '/app/a' },
  'several sources': { sources: ['/a', '/b', '/nothing', '/a/one.txt', '/d0'], destination: '/app/', destinationIsFolder: true },
  'one file': { sources: ['/a/one.txt'], destination: '/app/file' },
  'through a link': { sources: ['/to a'] },
  wildcards: { sources: ['/a/*.txt', '/*/five*', '/d?'], wildcards: true, destination: '/app/', destinationIsFolder: true },
  'a pattern that matches nothing': { sources: ['/no*', '/nope*'], wildcards: true, destination: '/app/', destinationIsFolder: true },
  exclude: { exclude: ['**/*.txt', 'b', '!a/deep/three.txt'] },
  parents: { sources: ['/a/./deep', '/./b/five.txt', '/a/deep/er/'], parents: true, destination: '/app/', destinationIsFolder: true },
  chmod: { mode: 0o600 },
  'symbolic chmod and chown': { mode: 'go-rwx', owner: '12:34' },
  'an archive that is unpacked': { sources: ['/archive.tar', '/nothing'], unpack: true, destination: '/app/', destinationIsFolder: true },
};

for (const large of [false, true]) {
  for (const [name, how] of Object.entries(copies)) {
    test(`${name}, ${large ? 'many files' : 'few files'}: the key is the one that reading beforehand gives`, async () => {
      await using scene = await openScene(large);
      const action = { ...everything, ...how };
      for (const ignore of [[], ['out', 'a/deep/*', '!a/deep/er']]) {
        const [read, ...more] = await scene.copy(action, ignore);
        assert.deepEqual(more, []);
        const contexts = await scene.contexts(ignore);
        const digest = await contexts.take('context', action, read);
        using fresh = freshDatabase();
        const hashed = openStatCache(fresh);
        const before = await createBuildContexts(new Map([['context', { path: scene.context, ignore }]]), hashed);
        assert.equal(digest, before.digest('context', action));
        assert.deepEqual(contexts.filesOf(digest), before.filesOf(digest));
        assert.equal(contexts.digest('context', action), digest);
      }
      // All of it was learned: nothing is read again.
      const learned = scene.statCache.readBytes();
      (await scene.contexts()).digest('context', action);
      assert.equal(scene.statCache.readBytes(), learned);
    });
  }
}

const changes: Readonly<Record<string, (context: string) => void>> = {
  'a file': (context) => appendFileSync(join(context, 'b/five.txt'), '!'),
  'a file, size and time kept': (context) => {
    writeFileSync(join(context, 'b/five.txt'), 'THIS IS b/five.txt');
    utimesSync(join(context, 'b/five.txt'), 1, 1);
  },
  'a new file': (context) => writeFileSync(join(context, 'b/new'), 'new'),
  'a file that is gone': (context) => renameSync(join(context, 'b/five.txt'), join(context, 'b/six.txt')),
  'the mode of a folder': (context) => chmodSync(join(context, 'empty'), 0o700),
};

for (const [what, change] of Object.entries(changes)) {
  test(`${what} that changes after it was copied ends the step`, async () => {
    await using scene = await openScene(true);
    utimesSync(join(scene.context, 'b/five.txt'), 1, 1);
    const [read] = await scene.copy(everything);
    change(scene.context);
    const contexts = await scene.contexts();
    await assert.rejects(
      async () => await contexts.take('context', everything, read),
      (error) => isCode(error, 'context/changed'),
    );
  });
}

test('a file that was young when it was copied is read again by the next build', async () => {
  await using scene = await openScene(true);
  writeFileSync(join(scene.context, 'b/young'), 'young');
  const [read] = await scene.copy(everything);
  assert.ok(read);
  assert.ok(read.startedAt <= BigInt(Date.now()) * 1_000_000n);
  const startedAt = statSync(join(scene.context, 'b/young'), { bigint: true }).ctimeNs;
  await (await scene.contexts()).take('context', everything, { ...read, startedAt });
  const learned = scene.statCache.readBytes();
  (await scene.contexts()).digest('context', everything);
  assert.equal(scene.statCache.readBytes(), learned + 'young'.length);
});

test('a file that is linked from the version before, and then replaced by one of another source, counts with its own bytes', async () => {
  await using scene = await openScene(true);
  const several = { ...everything, sources: ['/many', '/a', '/b'], destination: '/app/' };
  await scene.copy(several);
  writeFileSync(join(scene.context, 'b/two.md'), 'this is b/two.md, which takes the place of a/two.md');
  await settle();
  const [read] = await scene.copy(several);
  const digest = await (await scene.contexts()).take('context', several, read);
  using fresh = freshDatabase();
  const hashed = await createBuildContexts(new Map([['context', { path: scene.context, ignore: [] }]]), openStatCache(fresh));
  assert.equal(digest, hashed.digest('context', several));
});
