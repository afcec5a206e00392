/** Bad input, typed as people type it: exit code 1, one clear error, and nothing left behind. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { assertNothingLeft, assertOneError } from '#test/kit/aftermath.ts';
import { openSandbox, runCommand, type Finished } from '#test/kit/sandbox.ts';
import { mainFile } from '#test/kit/main-file.ts';

async function failingBuild(dockerfile: string, pattern: RegExp, files: Readonly<Record<string, string>> = {}): Promise<Finished> {
  await using sandbox = await openSandbox();
  await sandbox.base('busybox');
  const context = sandbox.files({ Dockerfile: dockerfile, ...files });
  const done = await sandbox.jettison(['build', '-t', 'broken', context]);
  assertOneError(done, pattern);
  await assertNothingLeft(sandbox, ['broken']);
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
  const done = await failingBuild('FROM busybox\nRUNN true\n', /unknown instruction: "RUNN"/iu);
  assert.match(done.stderr, /Dockerfile:2/u);
  assert.match(done.stderr, />>> RUNN true/u);
  assert.match(done.stderr, /did you mean "?RUN/iu);
});

test('an unknown stage in COPY --from gets a suggestion', async () => {
  const done = await failingBuild('FROM busybox AS build\nFROM busybox\nCOPY --from=bulid /a /a\n', /bulid/u);
  assert.match(done.stderr, /did you mean the stage "build"/iu);
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

test('K2: a RUN that a signal ends names the signal', async () => {
  await failingBuild("FROM busybox\nRUN sh -c 'kill -KILL $$'; exit $?\n", /killed by signal SIGKILL \(exit code 137\)/u);
});

test('what is not built yet is refused by name with its line', async () => {
  const done = await failingBuild('FROM busybox\nRUN --device=x true\n', /--device is not built yet/u);
  assert.match(done.stderr, />>> RUN --device/u);
});

test('of stages in parallel, the one that fails is told; those it ends are no errors', async () => {
  const cache = '--mount=type=cache,target=/c';
  const stages = `FROM busybox AS a\nRUN ${cache} until [ -e /c/begun ]; do sleep 0.1; done; echo nearly; exit 9\nFROM busybox AS b\nRUN ${cache} touch /c/begun; sleep 600\n`;
  const done = await failingBuild(`${stages}FROM busybox\nCOPY --from=a /etc /a\nCOPY --from=b /etc /b\n`, /exit code: 9/u);
  assert.match(done.stderr, />>> RUN .* exit 9/u);
  assert.doesNotMatch(done.stderr, />>> RUN .* sleep 600/u);
  assert.match(done.stderr, /^#\d+ CANCELED$/mu);
  assert.ok(done.took < 600_000);
});

test('what goes wrong is said in every kind of progress', async () => {
  await using sandbox = await openSandbox();
  await sandbox.base('busybox');
  const context = sandbox.files({ Dockerfile: 'FROM busybox\nRUN echo last words; exit 4\n' });
  for (const progress of ['plain', 'quiet', 'auto']) {
    const done = await sandbox.jettison(['build', '--progress', progress, context]);
    assertOneError(done, /last words\n[^]*Dockerfile:2\n[^]*>>> RUN echo last words[^]*^ERROR: .*exit code: 4/mu);
    assert.equal(done.stdout, '');
  }
  const terminal = execFileSync(
    'script',
    ['-qec', `${process.execPath} ${mainFile} build --progress tty ${context}; echo "status $?"`, '/dev/null'],
    { encoding: 'utf8', env: { ...process.env, JETTISON_STORE: sandbox.store, TERM: 'xterm' }, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  assert.match(terminal, /last words[^]*>>> RUN echo last words[^]*ERROR: .*exit code: 4[^]*status 1/u);
  assert.equal(terminal.match(/ERROR: /gu)?.length, 1, terminal);
});

test('bad options are refused before anything is looked at', async () => {
  await using sandbox = await openSandbox();
  for (const [words, pattern] of [
    [['build', '-t', 'Bad:Tag', '.'], /Bad:Tag.*lowercase/u],
    [['build', '--target', 'nope', sandbox.files({ Dockerfile: 'FROM scratch AS one\n' })], /nope[^]*"one"/u],
  ] as const)
    assertOneError(await sandbox.jettison(words), pattern);
  const unknown = await sandbox.jettison(['build', '--frob', '.']);
  assert.deepEqual([unknown.status, unknown.stdout], [125, '']);
  assert.match(unknown.stderr, /^unknown flag: --frob\n[^]*\nRun 'jettison build --help' for more information\n$/u);
});

test('output that cannot be written is an error, however late the command hears of it', async () => {
  await using sandbox = await openSandbox();
  for (const words of ['version', '--help', 'images']) {
    const script = `exec '${process.execPath}' '${mainFile}' ${words} > /dev/full`;
    assertOneError(
      await runCommand('sh', ['-c', script], { environment: sandbox.environment }),
      /^ERROR: Cannot write the output: ENOSPC$/mu,
    );
  }
});
