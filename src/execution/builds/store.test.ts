import assert from 'node:assert/strict';
import { appendFileSync, existsSync, mkdtempDisposableSync, readdirSync, readFileSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { cacheKey, contentKeyOf } from '#execution/cache/key.ts';
import { digestOf } from '#ground/base/digest.ts';
import { openDatabase } from '#stores/db/open.ts';
import { buildKeeper, buildTables } from './keep.ts';
import { createRecorder } from './recorder.ts';
import { logPath, openLog, type LogPiece } from './logs.ts';
import type { BuildStep, PastBuildDetails } from './past-build.ts';
import { thisProcess } from './process.ts';
import { readLog } from './read-log.ts';
import type { StepKey } from './step-key.ts';
import { openBuildStore } from './store.ts';
import { timingOf } from './timing.ts';

const key = (text: string) => cacheKey({ base: digestOf(text), inputs: [] });
const content = (text: string) => contentKeyOf(digestOf(text));

function step(name: string, more: Partial<BuildStep> = {}): BuildStep {
  return {
    vertex: digestOf(name),
    text: name,
    written: name,
    stage: null,
    step: 1,
    steps: 1,
    line: 1,
    state: 'ran',
    key: key(name),
    startedAt: 0,
    finishedAt: 0,
    inputs: [],
    ...more,
  };
}

function pastBuild(id: string, more: Partial<PastBuildDetails> = {}): PastBuildDetails {
  return {
    id,
    project: '/p Dockerfile',
    status: 'done',
    startedAt: 1000,
    finishedAt: 2000,
    total: 1,
    cached: 0,
    names: [],
    imageId: null,
    dockerfile: 'Dockerfile',
    context: '/p',
    target: null,
    platform: null,
    error: null,
    warnings: 0,
    readBytes: 0,
    pulledBytes: 0,
    asked: null,
    steps: [step(id)],
    why: undefined,
    ...more,
  };
}

function stepKey(name: string, contents: StepKey['contents'], log: string | null = null): StepKey {
  const base = digestOf(name);
  const shared = {
    text: name,
    written: name,
    stage: null,
    step: 1,
    op: { kind: 'file' },
    argumentNames: [],
    variables: {},
    platform: null,
  };
  return { ...shared, key: key(name), recordKey: key(name), base, inputs: [], contents, cost: 3, log };
}

function openAt(folder: string) {
  const database = openDatabase({ file: join(folder, 'x.db'), migrations: [buildTables] });
  return { database, keep: buildKeeper(database), store: openBuildStore(database, join(folder, 'builds')) };
}

test('builds are listed newest first and found by the beginning of their id', () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-builds-');
  const { database, keep, store } = openAt(folder.path);
  using _ = database;
  for (const id of ['aa1', 'ab2', 'ab3']) keep(pastBuild(id));
  keep(pastBuild('ab2', { status: 'failed', error: { code: 'x/y', message: 'no' } }));
  assert.deepEqual(
    store.list().map(({ id, status }) => [id, status]),
    [
      ['ab3', 'done'],
      ['ab2', 'failed'],
      ['aa1', 'done'],
    ],
  );
  assert.equal(store.get('aa').id, 'aa1');
  assert.deepEqual(store.get('ab2').error, { code: 'x/y', message: 'no' });
  assert.throws(() => store.get('ab'), { code: 'builds/ambiguous' });
  for (const id of ['b', '', '%', "a'"]) assert.throws(() => store.get(id), { code: 'builds/not-found' });
  assert.equal(store.remove(['ab2', 'zz']), 1);
  assert.deepEqual(store.list().length, 2);
});

test('a running build whose process is gone was interrupted', () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-builds-');
  const { database, keep, store } = openAt(folder.path);
  using _ = database;
  keep(pastBuild('a', { status: 'running' }), thisProcess());
  keep(pastBuild('b', { status: 'running' }), `${process.pid} 1`);
  assert.deepEqual(
    store.list().map(({ status }) => status),
    ['interrupted', 'running'],
  );
});

test('what a log is given comes back whole; a cut line ends it, and one that is gone is empty', async () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-builds-');
  const pieces: LogPiece[] = [{ after: 0, stream: 'stdout', text: 'a\u2028b\r\nc\u2029"\\\u0000' }];
  for (let index = 0; index < 5000; index++)
    pieces.push({ after: index, stream: index % 2 ? 'stdout' : 'stderr', text: `line ${index}\n` });
  {
    using log = openLog(folder.path, 'build/1');
    for (const piece of pieces) log.write(piece);
  }
  const read = async (name: string) => await Array.fromAsync(readLog(folder.path, name));
  assert.deepEqual(await read('build/1'), pieces);
  appendFileSync(logPath(folder.path, 'build/1'), '[7,1,"half');
  assert.equal((await read('build/1')).length, pieces.length);
  assert.deepEqual(await read('build/2'), []);
});

test('a sweep keeps what recent builds are compared with, and what logs they name', () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-builds-');
  const { database, keep, store } = openAt(folder.path);
  using _ = database;
  for (let index = 0; index < 40; index++) {
    const id = `b${index}`;
    openLog(join(folder.path, 'builds'), `${id}/1`)[Symbol.dispose]();
    store.saveFiles(content(id), [`${id}\0file`]);
    store.saveKeys([stepKey(id, [content(id), null], index === 20 ? 'b2/1' : null)]);
    keep(pastBuild(id));
  }
  const lists = join(folder.path, 'builds/files');
  const logs = join(folder.path, 'builds/logs');
  store.sweep(35, Date.now());
  assert.equal(readdirSync(lists).length, 40, 'young files may belong to a build that goes on');
  for (const name of readdirSync(lists)) utimesSync(join(lists, name), 1, 1);
  for (const name of readdirSync(logs)) utimesSync(join(logs, name), 1, 1);
  store.sweep(35, Date.now());
  assert.equal(store.count(), 35);
  assert.deepEqual([store.keyOf(key('b9')), store.keyOf(key('b10'))?.cost], [undefined, 3]);
  assert.deepEqual([store.filesOf(content('b9')), store.filesOf(content('b10'))], [undefined, ['b10\0file']]);
  assert.equal(readdirSync(lists).length, 30);
  assert.ok(existsSync(join(logs, 'b39')) && !existsSync(join(logs, 'b4')));
  assert.ok(existsSync(join(logs, 'b2')), 'the build is gone, but a step of a recent one was run by it');
  assert.ok(!readFileSync(join(folder.path, 'x.db'), 'latin1').includes('nothing'));
});

test('builds in which nothing runs do not pile up either', async () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-builds-');
  const { database, keep, store } = openAt(folder.path);
  using _ = database;
  for (let index = 0; index < 240; index++) keep(pastBuild(`b${index}`));
  const facts = pastBuild('x');
  for (let index = 0; index < 32; index++) {
    const recorder = createRecorder(
      {
        id: `n${index}`,
        project: 'p',
        startedAt: 1,
        facts,
        asked: () => null,
        forcedBy: '--no-cache',
        folder: join(folder.path, 'builds'),
        keep,
        store: async () => await Promise.resolve(store),
        evicted: () => undefined,
        filesOf: () => undefined,
        listFiles: () => undefined,
        caches: { isElsewhere: () => false, told: async () => await Promise.resolve([]) },
        mask: (text) => text,
        now: Date.now,
      },
      () => undefined,
    );
    await recorder.finish({ status: 'done', imageId: null, error: null, readBytes: 0 });
  }
  assert.ok(store.count() <= 232, String(store.count()));
});

test('the longest chain goes through the steps that waited for each other', () => {
  const timed = (name: string, from: number, to: number, ...inputs: number[]) => step(name, { startedAt: from, finishedAt: to, inputs });
  const steps = [
    timed('a', 100, 200),
    timed('b', 100, 150),
    timed('c', 200, 260, 0),
    timed('d', 150, 400, 1),
    timed('e', 400, 410, 2, 3),
    step('cached'),
  ];
  const { chain, wall } = timingOf(steps, 500);
  assert.deepEqual([wall, chain.duration, chain.steps.map(({ text }) => text)], [500, 310, ['b', 'd', 'e']]);
  assert.deepEqual(timingOf([], 5).chain, { duration: 0, steps: [] });
});
