/** A step that two builds need at once is run by one of them; when that one fails or is killed, by the other. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
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
  for (const until = Date.now() + 20_000; runsOf(sandbox, number) === 0 && Date.now() < until;) await sleep(10);
}

/** A build takes its lease when it asks for its first claim: a moment later it waits. */
async function untilTwoAtWork({ store }: Sandbox): Promise<void> {
  const leases = (): number => readdirSync(join(store, 'leases')).filter((name) => !name.startsWith('.')).length;
  for (const until = Date.now() + 20_000; leases() < 2 && Date.now() < until;) await sleep(10);
  await sleep(500);
}

test('T1: the steps of two equal builds run once, and both say which image it is', async () => {
  await using sandbox = await openSandbox();
  await sandbox.base('busybox');
  const context = contextOf(sandbox, 'sleep 0.2; date +%s%N > /made');
  let waited = 0;
  for (let round = 0; round < rounds; round++) {
    const done = await Promise.all([1, 2, 3].map(async () => await build(sandbox, context, round)));
    for (const { status, stderr } of done) assert.equal(status, 0, stderr);
    assert.equal(runsOf(sandbox, round), 1);
    waited += done.filter(({ stderr }) => waits.test(stderr)).length;
  }
  assert.ok(waited > 0, 'none waited for another one');
  await assertNothingLeft(sandbox);
  await assertTidySnapshots(sandbox.store);
});

test('who waited runs the step itself when it fails elsewhere', async () => {
  await using sandbox = await openSandbox();
  await sandbox.base('busybox');
  const context = contextOf(sandbox, 'sleep 0.5; [ $(grep -cx $N /c/runs) -gt 1 ]');
  const first = build(sandbox, context, 0);
  await untilRunning(sandbox, 0);
  const second = await build(sandbox, context, 0);
  assert.equal((await first).status, 1);
  assert.equal(second.status, 0, second.stderr);
  assert.match(second.stderr, waits);
  assert.equal(runsOf(sandbox, 0), 2);
});

test('T6: who waited runs the step itself when the other build is killed', async () => {
  await using sandbox = await openSandbox();
  await sandbox.base('busybox');
  const context = contextOf(sandbox, '[ $(grep -cx $N /c/runs) -gt 1 ] || sleep 60');
  for (let round = 0; round < rounds; round++) {
    const killed = Promise.withResolvers<void>();
    const first = build(sandbox, context, round, {
      onStart: (child) => void killed.promise.then(() => child.kill('SIGKILL')),
    });
    await untilRunning(sandbox, round);
    const second = build(sandbox, context, round);
    await untilTwoAtWork(sandbox);
    assert.equal(runsOf(sandbox, round), 1);
    killed.resolve();
    assert.equal((await first).signal, 'SIGKILL');
    const { status, stderr } = await second;
    assert.equal(status, 0, stderr);
    assert.match(stderr, waits);
    assert.equal(runsOf(sandbox, round), 2);
  }
  await assertNothingLeft(sandbox);
});

test('a build that waits ends at once on Ctrl-C, and --no-cache waits for nobody', async () => {
  await using sandbox = await openSandbox();
  await sandbox.base('busybox');
  const context = contextOf(sandbox, '[ $(grep -cx $N /c/runs) -gt 1 ] || sleep 3');
  const first = build(sandbox, context, 0);
  await untilRunning(sandbox, 0);
  const second = build(sandbox, context, 0, { onStart: (child) => setTimeout(() => child.kill('SIGINT'), 1500) });
  assert.equal((await second).status, 130);
  await sandbox.succeed(['build', '-q', '--no-cache', '--build-arg', 'N=0', context]);
  assert.equal(runsOf(sandbox, 0), 2);
  assert.equal((await first).status, 0);
});

test('a build that waits for a locked cache says for which build, and ends at once on Ctrl-C', async () => {
  await using sandbox = await openSandbox();
  await sandbox.base('busybox');
  const step = 'RUN --mount=type=cache,id=tools,target=/c,sharing=locked echo $N >> /c/runs; [ $N -gt 0 ] || sleep 3';
  const context = sandbox.files({ Dockerfile: `FROM busybox\nARG N\n${step}\n` });
  let first = 0;
  const building = build(sandbox, context, 0, { onStart: ({ pid }) => (first = pid) });
  await untilRunning(sandbox, 0);
  const second = build(sandbox, context, 1);
  const third = await build(sandbox, context, 2, { onStart: (child) => setTimeout(() => child.kill('SIGINT'), 1700) });
  assert.equal(third.status, 130);
  assert.equal((await building).status, 0);
  const { status, stderr } = await second;
  assert.equal(status, 0, stderr);
  assert.match(stderr, new RegExp(`^Waiting for another build \\(process ${first}\\) that has locked the cache mount "tools"$`, 'mu'));
  assert.deepEqual(
    [0, 1, 2].map((number) => runsOf(sandbox, number)),
    [1, 1, 0],
  );
});
