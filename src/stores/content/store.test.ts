import { test } from 'node:test';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempDisposableSync, readdirSync, readFileSync, statSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { digestOf } from '#ground/base/digest.ts';
import { isCode } from '#ground/base/errors.ts';
import { openContentStore } from './store.ts';

const signal = new AbortController().signal;
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const hello = bytes('hello, world');
const digest = digestOf(hello);
const blob = { digest, size: hello.length };
const code = (name: string) => (error: unknown) => isCode(error, name);

function temporary() {
  return mkdtempDisposableSync(join(tmpdir(), 'jettison-content-'));
}

function leftOvers(folder: string): string[] {
  return readdirSync(join(folder, 'ingest'));
}

async function readAll(source: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of source) chunks.push(chunk);
  return new TextDecoder().decode(Buffer.concat(chunks));
}

test('what is kept is found, read, listed and deleted; folders are private', async () => {
  using folder = temporary();
  const store = openContentStore({ folder: join(folder.path, 'content') });
  assert.equal(store.has(digest), false);
  assert.throws(() => store.path(digest), code('content/not-found'));
  assert.throws(() => store.read(digest, 100), code('content/not-found'));
  await assert.rejects(readAll(store.openStream(digest, 0, signal)), code('content/not-found'));
  assert.deepEqual(await store.put(hello, signal), blob);
  assert.deepEqual(store.read(digest, 100), Buffer.from(hello));
  assert.throws(() => store.read(digest, 3), code('content/too-large'));
  assert.equal(await readAll(store.openStream(digest, 0, signal)), 'hello, world');
  assert.equal(await readAll(store.openStream(digest, 7, signal)), 'world');
  assert.equal(store.has(digest, 12) && !store.has(digest, 11), true);
  assert.deepEqual([...store.list()], [blob]);
  assert.equal(statSync(store.folder).mode & 0o777, 0o700);
  assert.equal(readFileSync(store.path(digest), 'utf8'), 'hello, world');
  assert.deepEqual([store.delete(digest), store.delete(digest), store.has(digest)], [true, false, false]);
  assert.deepEqual(leftOvers(store.folder), []);
});

test('a blob of many blocks is read whole and from any offset', async () => {
  using folder = temporary();
  const store = openContentStore({ folder: folder.path });
  const data = new Uint8Array((2 << 20) + 5).map((_, index) => index % 251);
  const kept = await store.ingest([data.subarray(0, 1 << 19), data.subarray(1 << 19)], { durability: 'rebuildable' }, signal);
  for (const offset of [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 2 << 20, data.length - 1, data.length]) {
    const chunks: Uint8Array[] = [];
    for await (const chunk of store.openStream(kept.digest, offset, signal)) chunks.push(chunk);
    assert.deepEqual(Buffer.compare(Buffer.concat(chunks), data.subarray(offset)), 0, String(offset));
  }
});

test('wrong bytes, too few and too many are refused, and nothing stays', async () => {
  using folder = temporary();
  const store = openContentStore({ folder: folder.path });
  await assert.rejects(store.ingest([bytes('hello, wOrld')], blob, signal), code('content/wrong-digest'));
  await assert.rejects(store.ingest([bytes('hello')], blob, signal), code('content/wrong-size'));
  await assert.rejects(store.ingest([hello, hello], blob, signal), code('content/wrong-size'));
  const broken = async function* (): AsyncGenerator<Uint8Array> {
    yield hello;
    await Promise.resolve();
    throw new Error('source broke');
  };
  await assert.rejects(store.ingest(broken(), blob, signal), /source broke/u);
  await assert.rejects(store.ingest([hello], blob, AbortSignal.abort(new Error('stop'))), /stop/u);
  assert.deepEqual([leftOvers(folder.path), [...store.list()]], [[], []]);
});

test('a blob damaged on disk (a byte flipped, truncated, empty) is never given whole, and is thrown away', async () => {
  using folder = temporary();
  const store = openContentStore({ folder: folder.path });
  const damages: readonly ((path: string) => void)[] = [
    (path) => writeFileSync(path, 'hello, wOrld'),
    (path) => truncateSync(path, 5),
    (path) => truncateSync(path, 0),
  ];
  for (const damage of damages) {
    for (const read of [
      () => store.read(digest, 100),
      async () => await readAll(store.openStream(digest, 0, signal)),
      async () => await store.verify(digest, signal),
    ]) {
      await store.put(hello, signal);
      damage(store.path(digest));
      await assert.rejects(async () => await read(), code('content/corrupt'));
      assert.equal(store.has(digest), false);
    }
  }
});

test('two writers of one blob meet', async () => {
  using folder = temporary();
  const one = openContentStore({ folder: folder.path });
  const two = openContentStore({ folder: folder.path });
  await Promise.all([one.put(hello, signal), two.put(hello, signal)]);
  assert.deepEqual([...one.list()], [blob]);
  one.delete(digest);

  const first = await one.claim(blob, signal);
  assert.ok(first);
  const second = two.claim(blob, signal);
  first.write(hello);
  await first.commit(signal);
  first[Symbol.dispose]();
  assert.equal(await second, undefined);
  assert.deepEqual(leftOvers(folder.path), []);
});

test('of several that claim at once one gets it; the next has its turn when it gives up', async () => {
  using folder = temporary();
  const store = openContentStore({ folder: folder.path });
  let writing = 0;
  let most = 0;
  const write = async (fails: boolean): Promise<string> => {
    using claim = await store.claim(blob, signal);
    if (!claim) return 'there';
    most = Math.max(most, ++writing);
    claim.write(hello.subarray(0, 5));
    await new Promise(setImmediate);
    writing--;
    if (fails) return 'gave up';
    claim.write(hello.subarray(5));
    await claim.commit(signal);
    return 'written';
  };
  const ends = await Promise.all([write(true), write(false), write(false)]);
  assert.equal(most, 1);
  assert.deepEqual(ends.toSorted(), ['gave up', 'there', 'written']);
  assert.deepEqual(leftOvers(folder.path), []);
});

test('a writer killed in the middle: another takes its bytes over and goes on', async () => {
  using folder = temporary();
  const script = `import { openContentStore } from ${JSON.stringify(new URL('./store.ts', import.meta.url).href)};
    const store = openContentStore({ folder: ${JSON.stringify(folder.path)} });
    const claim = await store.claim({ digest: '${digest}', size: 12 }, new AbortController().signal);
    claim.write(new TextEncoder().encode('hello, '));
    console.log('half'); setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  const store = openContentStore({ folder: folder.path });
  const claiming = store.claim(blob, signal);
  assert.equal(await Promise.race([claiming, new Promise((done) => setTimeout(done, 60, 'waiting'))]), 'waiting');
  child.kill('SIGKILL');
  await once(child, 'exit');
  using claim = await claiming;
  assert.equal(claim?.offset, 7);
  claim.write(bytes('world'));
  await claim.commit(signal);
  assert.equal(await readAll(store.openStream(digest, 0, signal)), 'hello, world');
});

test('what dead writers left is cleared away: new blobs at once, resumable ones after a day', async () => {
  using folder = temporary();
  openContentStore({ folder: folder.path });
  const part = (name: string): string => join(folder.path, 'ingest', name);
  const dead = ['new-00.1.999999999-1-abc.part', `sha256-${'00'.repeat(32)}.1.999999999-1-abc.part`];
  for (const name of dead) writeFileSync(part(name), 'x');
  const store = openContentStore({ folder: folder.path });
  const own = store.temporaryPath();
  writeFileSync(own, hello);
  assert.equal(existsSync(part(dead[0] ?? '')), false);
  assert.equal(existsSync(part(dead[1] ?? '')), true);
  assert.equal(store.removeAbandoned(60_000), 0);
  utimesSync(part(dead[1] ?? ''), 1, 1);
  assert.equal(store.removeAbandoned(60_000), 1);
  assert.equal(existsSync(own), true);
  await assert.rejects(store.adopt(own, { digest, size: 3 }, signal), code('content/wrong-size'));
  await store.adopt(own, blob, signal);
  assert.deepEqual([store.has(digest), leftOvers(folder.path)], [true, []]);
});
