/** Several commands on one store, interrupted ones, killed ones: the others succeed, results are equal, nothing is left. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { assertNothingLeft, assertTidySnapshots, processesOf } from '#test/kit/aftermath.ts';
import { imageOf, tarOf } from '#test/kit/archives.ts';
import { addImage, startRegistry } from '#test/kit/registry.ts';
import { openSandbox, type CommandOptions, type Finished, type Sandbox } from '#test/kit/sandbox.ts';
import { startStopwatch } from '#test/kit/stopwatch.ts';

const show = process.env['SHOW'] !== undefined;
const rounds = Number(process.env['ROUNDS'] ?? 4);

async function build(sandbox: Sandbox, words: readonly string[], options: CommandOptions = {}): Promise<string> {
  return (await sandbox.succeed(['build', '-q', ...words], options)).trim();
}

test('T1: two equal builds at once on one store give one image', async () => {
  await using sandbox = await openSandbox();
  await sandbox.base('busybox');
  for (let round = 0; round < rounds; round++) {
    const context = sandbox.files({
      Dockerfile:
        'FROM busybox AS a\nCOPY seed /seed\nRUN cat /seed > /a; sleep 0.1\nFROM busybox\nCOPY seed /seed\nRUN cat /seed > /b\nCOPY --from=a /a /a\n',
      seed: `${round}`,
    });
    const [one, other] = await Promise.all([build(sandbox, ['-t', 'one', context]), build(sandbox, ['-t', 'other', context])]);
    assert.match(one ?? '', /^sha256:/u);
    assert.equal(one, other, 'what was kept first counts for both');
    assert.equal(await sandbox.succeed(['run', '--rm', 'one', 'cat', '/a', '/b']), `${round}${round}`);
    assert.equal(await sandbox.succeed(['run', '--rm', 'other', 'cat', '/a', '/b']), `${round}${round}`);
  }
  await assertNothingLeft(sandbox);
  await assertTidySnapshots(sandbox.store);
});

test('T2: eight builds at once on a base that is not there yet fetch each blob once', async () => {
  await using sandbox = await openSandbox();
  await using registry = await startRegistry('slow');
  const base = imageOf({
    layers: [tarOf([['large', 'file', 'lorem '.repeat(30_000)]]), tarOf([['other', 'file', 'ipsum '.repeat(20_000)]])],
  });
  addImage(registry, 'base:v1', base);
  const contexts = [1, 2, 3, 4, 5, 6, 7, 8].map((number) =>
    sandbox.files({ Dockerfile: `FROM ${registry.host}/base:v1\nCOPY file /file\n`, file: `${number}` }, `context-${number}`),
  );
  const ids = await Promise.all(contexts.map(async (context, index) => await build(sandbox, ['-t', `app${index}`, context])));
  assert.equal(new Set(ids).size, 8);
  const blobs = registry.seen.filter(({ method, url }) => method === 'GET' && url.includes('/blobs/')).map(({ url }) => url);
  assert.deepEqual(blobs.toSorted(), [...new Set(blobs)].toSorted(), 'no blob twice');
  await assertNothingLeft(sandbox);
  await assertTidySnapshots(sandbox.store);
});

test('T4: builds beside rmi of their base and of what they build', async () => {
  await using sandbox = await openSandbox();
  await sandbox.base('busybox');
  const context = sandbox.files({ Dockerfile: 'FROM kept\nARG N\nRUN echo $N > /n\nRUN cat /n > /m\n' });
  await sandbox.succeed(['tag', 'busybox', 'kept']);
  for (let round = 0; round < rounds; round++) {
    const [, removed] = await Promise.all([
      build(sandbox, ['--build-arg', `N=${round}`, '-t', 'app', context]),
      sandbox.jettison(['rmi', '-f', 'busybox', 'app']),
    ]);
    if (show) console.log(removed.status, removed.stdout, removed.stderr);
    assert.equal(
      await sandbox.succeed(['run', '--rm', await build(sandbox, ['--build-arg', `N=${round}`, context]), 'cat', '/m']),
      `${round}\n`,
    );
    await sandbox.succeed(['tag', 'kept', 'busybox']);
  }
  await assertNothingLeft(sandbox);
});

/** Seconds that no other test of this machine sleeps. */
const sleep = (number: number): string => `sleep ${100_000_000 + process.pid * 10 + number}`;
const sleeper = `FROM busybox\nCOPY file /file\nRUN echo sleeping; (setsid ${sleep(1)} &); (nohup ${sleep(4)} >/dev/null 2>&1 &); (trap "" TERM INT HUP; ${sleep(2)}) & ${sleep(3)}\n`;

for (const [how, signals, status] of [
  ['Ctrl-C', ['SIGINT'], 130],
  ['Ctrl-C twice', ['SIGINT', 'SIGINT'], 130],
  ['SIGTERM', ['SIGTERM'], 143],
] as const) {
  test(`K4: ${how} in the middle of a RUN ends everything within five seconds`, async () => {
    await using sandbox = await openSandbox();
    await sandbox.base('busybox');
    const context = sandbox.files({ Dockerfile: sleeper, file: 'x' });
    let sinceSent: (() => number) | undefined;
    const done = await sandbox.jettison(['build', '--progress', 'plain', '-t', 'broken', context], {
      onStart: (child) =>
        void (async () => {
          await whenRunning(sandbox, sleep(3));
          sinceSent = startStopwatch();
          for (const name of signals) child.kill(name);
        })(),
    });
    const took = sinceSent?.() ?? Infinity;
    assert.equal(done.status, status, done.stderr);
    assert.ok(took < 5000, `took ${took} ms`);
    if (signals.length === 1) assert.match(done.stderr, new RegExp(`^ERROR: Cancelled by ${signals[0]}$`, 'mu'));
    assert.equal(done.stderr.match(/ERROR/gu)?.length ?? 0, signals.length === 1 ? 1 : (done.stderr.match(/ERROR/gu)?.length ?? 0));
    await assertNothingLeft(sandbox, ['broken']);
    const left = execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' });
    for (const number of [1, 2, 3, 4]) assert.ok(!left.includes(sleep(number)), left);
    await build(sandbox, [sandbox.files({ Dockerfile: 'FROM busybox\nRUN true\n' }, 'next')]);
    await assertTidySnapshots(sandbox.store);
  });
}

test('K4: Ctrl-C during a pull leaves nothing, and the next pull works', async () => {
  await using sandbox = await openSandbox();
  await using registry = await startRegistry('stall');
  addImage(registry, 'base:v1', imageOf({ layers: [tarOf([['large', 'file', 'lorem '.repeat(30_000)]])] }));
  const name = `${registry.host}/base:v1`;
  const done = await sandbox.jettison(['pull', name], {
    onStart: (child) =>
      void until(() => registry.seen.some(({ url }) => url.includes('/blobs/'))).then(() => setTimeout(() => child.kill('SIGINT'), 300)),
  });
  assert.equal(done.status, 130, done.stderr);
  assert.match(done.stderr, /^ERROR: Cancelled by SIGINT$/mu);
  await assertNothingLeft(sandbox, [name]);
  registry.fault = 'good';
  await sandbox.succeed(['pull', name]);
  await assertTidySnapshots(sandbox.store);
});

test('T6: who waits for a blob that a killed pull was fetching goes on within five seconds', async () => {
  await using sandbox = await openSandbox();
  await using registry = await startRegistry('stall');
  addImage(registry, 'base:v1', imageOf({ layers: [tarOf([['large', 'file', 'lorem '.repeat(30_000)]])] }));
  const name = `${registry.host}/base:v1`;
  const kill = Promise.withResolvers<void>();
  const first = sandbox.jettison(['pull', name], { onStart: (child) => void kill.promise.then(() => child.kill('SIGKILL')) });
  await until(() => registry.seen.some(({ url }) => url.includes('/blobs/')));
  const before = registry.seen.length;
  const second = sandbox.jettison(['pull', name]);
  await until(() => registry.seen.slice(before).some(({ url }) => url.includes('/manifests/')));
  await new Promise((resolve) => setTimeout(resolve, 2000));
  registry.fault = 'good';
  const asked = registry.seen.length;
  kill.resolve();
  assert.equal((await first).signal, 'SIGKILL');
  await assertGoesOn(second);
  assert.ok(registry.seen.length > asked, 'it fetched the blob itself');
  await assertNothingLeft(sandbox);
});

test('T6: who waits for a cache that a killed build had locked goes on within five seconds', async () => {
  await using sandbox = await openSandbox();
  await sandbox.base('busybox');
  const step = `RUN --mount=type=cache,id=tools,target=/c,sharing=locked [ $N -gt 0 ] || ${sleep(5)}`;
  const context = sandbox.files({ Dockerfile: `FROM busybox\nARG N\n${step}\n` });
  const kill = Promise.withResolvers<void>();
  const words = ['build', '--progress', 'plain', '--build-arg'];
  const first = sandbox.jettison([...words, 'N=0', context], { onStart: (child) => void kill.promise.then(() => child.kill('SIGKILL')) });
  await whenRunning(sandbox, sleep(5));
  const waits = Promise.withResolvers<void>();
  const second = sandbox.jettison([...words, 'N=1', context], {
    onStderr: (text) => void (/^Waiting for another build/mu.test(text) && waits.resolve()),
  });
  // Who does not wait ends, and is seen by what it says.
  await Promise.race([waits.promise, second]);
  kill.resolve();
  assert.equal((await first).signal, 'SIGKILL');
  await assertGoesOn(second);
  await assertNothingLeft(sandbox);
});

/** The lock ends with its holder. */
async function assertGoesOn(waiting: Promise<Finished>): Promise<void> {
  const sinceKilled = startStopwatch();
  const done = await waiting;
  const took = sinceKilled();
  assert.equal(done.status, 0, done.stderr);
  assert.ok(took < 5000, `took ${took} ms`);
}

async function whenRunning(sandbox: Sandbox, words: string): Promise<void> {
  await until(() => processesOf(sandbox.store).length > 0 && execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' }).includes(words));
}

async function until(seen: () => boolean): Promise<void> {
  for (let round = 0; !seen(); round++) {
    assert.ok(round < 6000, 'it never came to that');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
