/** When a worker is started, and that nothing of it is left however early a build ends. */
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { assertNothingLeft, assertOneError, assertTidySnapshots } from '#test/kit/aftermath.ts';
import { imageOf, tarOf } from '#test/kit/archives.ts';
import { addImage, startRegistry } from '#test/kit/registry.ts';
import { openSandbox } from '#test/kit/sandbox.ts';

const environment = { NODE_DEBUG: 'jettison:worker' };
const hasWorker = (text: string) => /WORKER \d+: starting/u.test(text);

test('a worker is started for a step that must run, and for nothing else', async () => {
  await using sandbox = await openSandbox();
  await sandbox.base('busybox');
  const build = async (dockerfile: string) => {
    const context = sandbox.files({ Dockerfile: dockerfile, file: 'x' });
    return await sandbox.jettison(['build', '-t', 'app', context], { environment });
  };
  const text = 'FROM busybox\nCOPY file /file\nRUN cat /file > /copy\n';
  const first = await build(text);
  assert.equal(first.status, 0, first.stderr);
  assert.ok(hasWorker(first.stderr), first.stderr);
  for (const [what, dockerfile] of [
    ['nothing changed', text],
    ['only the image changed', `${text}ENV A=1\nLABEL b=2\n`],
    ['an unused stage changed', `FROM busybox AS unused\nRUN echo new\n${text}`],
  ] as const) {
    const done = await build(dockerfile);
    assert.equal(done.status, 0, done.stderr);
    assert.equal(hasWorker(done.stderr), false, `${what}:\n${done.stderr}`);
  }
  for (const [what, dockerfile, error] of [
    ['a line that is none', `${text}NOPE\n`, /Unknown instruction/u],
    ['a stage that is none', `${text}COPY --from=nope /a /b\n`, /nope/u],
    ['a file that is not there', `${text}COPY nope /b\nRUN true\n`, /nope/u],
    ['a secret that is not given', 'FROM busybox\nRUN echo new\nRUN --mount=type=secret,id=s,required=true true\n', /secret/u],
  ] as const) {
    const done = await build(dockerfile);
    assertOneError(done, error);
    assert.equal(hasWorker(done.stderr), false, `${what}:\n${done.stderr}`);
  }
  await assertNothingLeft(sandbox);
});

test('a build that fails while its worker is starting leaves nothing', async () => {
  await using registry = await startRegistry('wrong-blob');
  addImage(
    registry,
    'base:v1',
    imageOf({ layers: [tarOf([['large', 'file', 'lorem ipsum '.repeat(10_000)]]), tarOf([['other', 'file', 'dolor '.repeat(5000)]])] }),
  );
  await using sandbox = await openSandbox();
  const context = sandbox.files({ Dockerfile: `FROM ${registry.host}/base:v1\nRUN true\n` });
  const done = await sandbox.jettison(['build', '-t', 'app', context], { environment });
  assertOneError(done, /wrong bytes/u);
  assert.ok(hasWorker(done.stderr), done.stderr);
  await assertNothingLeft(sandbox, ['app']);
});

test('a worker that cannot open its part of the store says why, and nobody waits for it', async () => {
  await using sandbox = await openSandbox();
  mkdirSync(join(sandbox.store, 'snapshots'), { recursive: true });
  using later = new DatabaseSync(join(sandbox.store, 'snapshots/snapshots.db'), { timeout: 10_000 });
  later.exec('PRAGMA user_version = 9999');
  const context = sandbox.files({ Dockerfile: 'FROM scratch\nCOPY Dockerfile /\n' });
  assertOneError(await sandbox.jettison(['build', '-t', 'app', context], { environment }), /later version of jettison/u);
});

test('K4: Ctrl-C at any moment around the start of a worker leaves nothing', async () => {
  await using sandbox = await openSandbox();
  await sandbox.base('busybox');
  const build = async (number: number, after?: number) => {
    const context = sandbox.files({ Dockerfile: `FROM busybox\nRUN echo ${number} > /file\n` });
    return await sandbox.jettison(['build', '-t', 'app', context], {
      onStart: (child) => after !== undefined && void setTimeout(() => child.kill('SIGINT'), after),
    });
  };
  let { took } = await build(0);
  const codes = new Set<number | null>();
  for (let round = 1; round <= 10 || !codes.has(130); round++) {
    assert.ok(round <= 100, 'none was cancelled');
    const done = await build(round, took * (0.15 + 0.08 * (round % 11)));
    codes.add(done.status);
    // The machine may be quicker now.
    if (done.status === 0) took = Math.min(took, done.took);
    if (done.status === 130) assertOneError(done, /Cancelled by SIGINT/u, 130);
  }
  await assertNothingLeft(sandbox);
  await assertTidySnapshots(sandbox.store);
});
