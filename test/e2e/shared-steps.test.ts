/** A step that two builds need at once is run by one of them; when that one fails or is killed, by the other. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { assertNothingLeft, assertTidySnapshots } from '#test/kit/aftermath.ts';
import { openSandbox, type CommandOptions, type Finished, type Sandbox } from '#test/kit/sandbox.ts';

const rounds = Number(process.env['ROUNDS'] ?? 3);
const waits = /Waiting for another build \(process \d+\) that is running the same step/u;

/** What the step at hand does after it has said that it runs. */
function contextOf(sandbox: Sandbox, script: string, folder = 'context'): string {
  const step = `RUN --mount=type=cache,target=/c echo $N >> /c/runs; ${script}`;
  return sandbox.files({ Dockerfile: `FROM busybox\nARG N\n${step}\nRUN echo after > /after\n` }, folder);
}

async function build(sandbox: Sandbox, context: string, number: number, options?: CommandOptions): Promise<Finished> {
  return await sandbox.jettison(['build', '--progress', 'plain', '--jobs', '1', '--build-arg', `N=${number}`, context], options);
}

/** How often the step of round `number` ran: what it wrote to its cache mount. */
function runsOf(sandbox: Sandbox, number: number): number {
  const folder = join(sandbox.store, 'cache-mounts');
  if (!existsSync(folder)) return 0;
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('/runs'));
  const lines = files.flatMap((name) => readFileSync(join(folder, name), 'utf8').split('\n'));
  return lines.filter((line) => line === String(number)).length;
}

async function untilRunning(sandbox: Sandbox, number: number): Promise<void> {
  for (let round = 0; runsOf(sandbox, number) === 0; round++) {
    assert.ok(round < 30_000, 'the step does not begin');
    await sleep(10);
  }
}

/** Beside what the steps wrote down: they wait for it. */
function letGo(sandbox: Sandbox, number: number): void {
  const folder = join(sandbox.store, 'cache-mounts');
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    if (name.endsWith('/runs')) writeFileSync(join(folder, dirname(name), `go${number}`), '');
  }
}

const untilLetGo = 'while [ ! -e /c/go$N ]; do sleep 0.05; done';

/** A build, and when it has said that it waits for another one. */
function buildThatWaits(
  sandbox: Sandbox,
  context: string,
  number: number,
  onStart?: CommandOptions['onStart'],
): { readonly done: Promise<Finished>; readonly waiting: Promise<void> } {
  const { promise: waiting, resolve } = Promise.withResolvers<void>();
  const onStderr = (text: string): void => void (/^Waiting for another build/mu.test(text) && resolve());
  const done = build(sandbox, context, number, { onStderr, ...(onStart === undefined ? {} : { onStart }) });
  // Who ends without having waited is seen by what it says.
  return { done, waiting: Promise.race([waiting, done.then(() => undefined)]) };
}

/** A build that is waiting ends on Ctrl-C. */
async function endWhenItWaits(sandbox: Sandbox, context: string, number: number): Promise<void> {
  const started = Promise.withResolvers<{ kill(signal: NodeJS.Signals): void }>();
  const { done, waiting } = buildThatWaits(sandbox, context, number, started.resolve);
  await waiting;
  (await started.promise).kill('SIGINT');
  assert.equal((await done).status, 130);
}

test('T1: the steps of two equal builds run once, and both say which image it is', async () => {
  await using sandbox = await openSandbox();
  await sandbox.base('busybox');
  const context = contextOf(sandbox, `${untilLetGo}; date +%s%N > /made`);
  for (let round = 0; round < rounds; round++) {
    const builds = [1, 2, 3].map(() => buildThatWaits(sandbox, context, round));
    const twoWait = Promise.withResolvers<void>();
    let count = 0;
    for (const { waiting } of builds) void waiting.then(() => ++count === 2 && twoWait.resolve());
    await twoWait.promise;
    await untilRunning(sandbox, round);
    assert.equal(count, 2);
    letGo(sandbox, round);
    const done = await Promise.all(builds.map(async (one) => await one.done));
    for (const { status, stderr } of done) assert.equal(status, 0, stderr);
    assert.equal(runsOf(sandbox, round), 1);
    // Who ran the first step may then wait for one that is quicker at the second.
    assert.ok(done.filter(({ stderr }) => waits.test(stderr)).length >= 2);
  }
  await assertNothingLeft(sandbox);
  await assertTidySnapshots(sandbox.store);
});

test('who waited runs the step itself when it fails elsewhere', async () => {
  await using sandbox = await openSandbox();
  await sandbox.base('busybox');
  const context = contextOf(sandbox, `[ $(grep -cx $N /c/runs) -gt 1 ] || { ${untilLetGo}; exit 1; }`);
  const first = build(sandbox, context, 0);
  await untilRunning(sandbox, 0);
  const other = buildThatWaits(sandbox, context, 0);
  await other.waiting;
  letGo(sandbox, 0);
  const second = await other.done;
  assert.equal((await first).status, 1);
  assert.equal(second.status, 0, second.stderr);
  assert.match(second.stderr, waits);
  assert.equal(runsOf(sandbox, 0), 2);
});

test('T6: who waited runs the step itself when the other build is killed', async () => {
  await using sandbox = await openSandbox();
  await sandbox.base('busybox');
  const context = contextOf(sandbox, '[ $(grep -cx $N /c/runs) -gt 1 ] || sleep 1000');
  for (let round = 0; round < rounds; round++) {
    const killed = Promise.withResolvers<void>();
    const first = build(sandbox, context, round, {
      onStart: (child) => void killed.promise.then(() => child.kill('SIGKILL')),
    });
    await untilRunning(sandbox, round);
    const second = buildThatWaits(sandbox, context, round);
    await second.waiting;
    assert.equal(runsOf(sandbox, round), 1);
    killed.resolve();
    assert.equal((await first).signal, 'SIGKILL');
    const { status, stderr } = await second.done;
    assert.equal(status, 0, stderr);
    assert.match(stderr, waits);
    assert.equal(runsOf(sandbox, round), 2);
  }
  await assertNothingLeft(sandbox);
});

test('a build that waits ends at once on Ctrl-C, and --no-cache waits for nobody', async () => {
  await using sandbox = await openSandbox();
  await sandbox.base('busybox');
  const context = contextOf(sandbox, `[ $(grep -cx $N /c/runs) -gt 1 ] || ${untilLetGo}`);
  const first = build(sandbox, context, 0);
  await untilRunning(sandbox, 0);
  await endWhenItWaits(sandbox, context, 0);
  await sandbox.succeed(['build', '-q', '--no-cache', '--build-arg', 'N=0', context]);
  assert.equal(runsOf(sandbox, 0), 2);
  letGo(sandbox, 0);
  assert.equal((await first).status, 0);
});

test('a build that waits for a locked cache says for which build, and ends at once on Ctrl-C', async () => {
  await using sandbox = await openSandbox();
  await sandbox.base('busybox');
  const step = `RUN --mount=type=cache,id=tools,target=/c,sharing=locked echo $N >> /c/runs; [ $N -gt 0 ] || ${untilLetGo}`;
  const context = sandbox.files({ Dockerfile: `FROM busybox\nARG N\n${step}\n` });
  let first = 0;
  const building = build(sandbox, context, 0, { onStart: ({ pid }) => (first = pid) });
  await untilRunning(sandbox, 0);
  const second = buildThatWaits(sandbox, context, 1);
  await second.waiting;
  await endWhenItWaits(sandbox, context, 2);
  letGo(sandbox, 0);
  assert.equal((await building).status, 0);
  const { status, stderr } = await second.done;
  assert.equal(status, 0, stderr);
  assert.match(stderr, new RegExp(`^Waiting for another build \\(process ${first}\\) that has locked the cache mount "tools"$`, 'mu'));
  assert.deepEqual(
    [0, 1, 2].map((number) => runsOf(sandbox, number)),
    [1, 1, 0],
  );
});
