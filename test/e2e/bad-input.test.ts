/** Bad input, typed as people type it: exit code 1, one clear error, and nothing left behind. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { mountsWith, openSandbox, type Finished, type Sandbox } from '#test/kit/sandbox.ts';

/** What a failed build may not leave: a tag, a mount, a process, a file being written. */
async function assertNothingLeft(sandbox: Sandbox, tag: string): Promise<void> {
  const images = await sandbox.succeed(['images', '-q', tag]);
  assert.equal(images.trim(), '', 'no tag moved');
  assert.deepEqual(mountsWith(sandbox.store), []);
  const processes = execFileSync('ps', ['-eo', 'pid,args'], { encoding: 'utf8' });
  assert.ok(!processes.includes(sandbox.store), `no process left:\n${processes}`);
  const ingest = join(sandbox.store, 'content/ingest');
  if (existsSync(ingest)) assert.deepEqual(readdirSync(ingest), [], 'no half-written blob');
}

function assertOneError(done: Finished, pattern: RegExp): void {
  assert.equal(done.status, 1, `exit code 1, not ${done.status ?? done.signal}:\n${done.stderr}`);
  assert.match(done.stderr, pattern);
  assert.equal(done.stderr.match(/^ERROR: /gmu)?.length, 1, `one error:\n${done.stderr}`);
}

async function failingBuild(dockerfile: string, pattern: RegExp, files: Readonly<Record<string, string>> = {}): Promise<Finished> {
  await using sandbox = await openSandbox();
  await sandbox.base('busybox');
  const context = sandbox.files({ Dockerfile: dockerfile, ...files });
  const done = await sandbox.jettison(['build', '-t', 'broken', context]);
  assertOneError(done, pattern);
  await assertNothingLeft(sandbox, 'broken');
  return done;
}

test('a missing Dockerfile is named with the folder that was looked in', async () => {
  await using sandbox = await openSandbox();
  const empty = join(sandbox.folder, 'empty');
  mkdirSync(empty);
  assertOneError(await sandbox.jettison(['build', '-t', 'broken', empty]), /Dockerfile/u);
});

test('a missing context is named', async () => {
  await using sandbox = await openSandbox();
  assertOneError(await sandbox.jettison(['build', join(sandbox.folder, 'nowhere')]), /nowhere/u);
});

test('an unknown instruction shows its line and a near word', async () => {
  const done = await failingBuild('FROM busybox\nRUNN true\n', /unknown instruction: RUNN/iu);
  assert.match(done.stderr, /Dockerfile:2/u);
  assert.match(done.stderr, />>> RUNN true/u);
  assert.match(done.stderr, /did you mean "?RUN/iu);
});

test('an unknown stage in COPY --from gets a suggestion', async () => {
  const done = await failingBuild('FROM busybox AS build\nFROM busybox\nCOPY --from=bulid /a /a\n', /bulid/u);
  assert.match(done.stderr, /did you mean "?build/iu);
  assert.match(done.stderr, />>> COPY --from=bulid/u);
});

test('a missing source is named with its line', async () => {
  const done = await failingBuild('FROM busybox\nCOPY pakage.json /app/\n', /pakage\.json": not found/u, { 'package.json': '{}' });
  assert.match(done.stderr, />>> COPY pakage\.json/u);
  assert.match(done.stderr, /package\.json/u);
});

test('a RUN that exits 3 shows its lines, its code and its last output', async () => {
  const done = await failingBuild('FROM busybox\nRUN echo before the fall && \\\n    exit 3\n', /exit code: 3/u);
  assert.match(done.stderr, />>> RUN echo before the fall/u);
  assert.match(done.stderr, /before the fall$/mu);
});

test('a RUN that a signal ends names the signal', async () => {
  await failingBuild('FROM busybox\nRUN kill -KILL $$\n', /SIGKILL/u);
});

test('what is not built yet is refused by name with its line', async () => {
  const done = await failingBuild('FROM busybox\nADD https://example.com/x.git /\n', /ADD/u);
  assert.match(done.stderr, />>> ADD https/u);
});

test('Ctrl-C in the middle of a RUN ends everything within seconds', async () => {
  await using sandbox = await openSandbox();
  await sandbox.base('busybox');
  const context = sandbox.files({ Dockerfile: 'FROM busybox\nRUN echo sleeping && sleep 1000\n' });
  const done = await sandbox.jettison(['build', '--progress', 'plain', '-t', 'broken', context], {
    onStart: (child) => void setTimeout(() => child.kill('SIGINT'), 2500),
  });
  assert.equal(done.status, 130, done.stderr);
  assert.ok(done.took < 9000, `took ${done.took} ms`);
  await assertNothingLeft(sandbox, 'broken');
});

test('kill -9 in the middle of a RUN leaves no process and no mount, and the next build works', async () => {
  await using sandbox = await openSandbox();
  await sandbox.base('busybox');
  const context = sandbox.files({ Dockerfile: 'FROM busybox\nARG T=1000\nRUN echo sleeping && sleep $T\n' });
  const done = await sandbox.jettison(['build', '-t', 'broken', context], {
    onStart: (child) => void setTimeout(() => child.kill('SIGKILL'), 2500),
  });
  assert.equal(done.signal, 'SIGKILL');
  await new Promise((resolve) => setTimeout(resolve, 500));
  await assertNothingLeft(sandbox, 'broken');
  await sandbox.succeed(['build', '--build-arg', 'T=0', '-t', 'mended', context]);
});

test('a full disk is named, and the same build works when there is space', async () => {
  await using sandbox = await openSandbox();
  const disk = join(sandbox.folder, 'disk');
  mkdirSync(disk);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'tmpfs', disk]);
  try {
    const environment = { JETTISON_STORE: join(disk, 'store') };
    const context = sandbox.files({ Dockerfile: 'FROM scratch\nCOPY big /big\n', big: 'x'.repeat(40_000_000) });
    assertOneError(await sandbox.jettison(['build', '-t', 'broken', context], { environment }), /no space left/iu);
    assert.equal((await sandbox.succeed(['images', '-q'], { environment })).trim(), '');
    execFileSync('mount', ['-o', 'remount,size=200m', disk]);
    await sandbox.succeed(['build', '-t', 'mended', context], { environment });
  } finally {
    execFileSync('umount', ['-l', disk]);
  }
});
