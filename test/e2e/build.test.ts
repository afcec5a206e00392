/** The main path as a stranger types it: build, look, run, rebuild. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { cpSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openSandbox } from '#test/kit/sandbox.ts';

const launchpad = fileURLToPath(new URL('../../examples/launchpad', import.meta.url));

test('the launchpad: thick and thin, an unused stage, a rebuild that runs nothing', async () => {
  await using sandbox = await openSandbox();
  await sandbox.base('busybox');
  await sandbox.base('debian-gcc');
  const context = join(sandbox.folder, 'launchpad');
  cpSync(launchpad, context, { recursive: true });
  const args = ['--build-arg', 'BUILDER=debian-gcc'];

  await sandbox.succeed(['build', ...args, '-t', 'launchpad:thick', '-f', join(context, 'Dockerfile.thick'), context]);
  const idFile = join(sandbox.folder, 'id');
  const first = await sandbox.jettison(['build', context, ...args, '-t', 'launchpad:thin', '--iidfile', idFile, '--progress', 'plain']);
  assert.equal(first.status, 0, first.stderr);
  assert.doesNotMatch(first.stderr, /sleep 60|telemetry: 4 lines/u, 'stages nobody needs do not show up');
  assert.equal(
    await sandbox.succeed(['run', '--rm', 'launchpad:thin']),
    'T minus 3\nT minus 2\nT minus 1\nlift-off\nOnly the payload ships.\ntelemetry: 5 lines, 63 bytes\n',
  );

  const sizes = (await sandbox.succeed(['images', 'launchpad', '--format', '{{.Tag}} {{.Size}}'])).trim().split('\n').toSorted();
  assert.match(sizes[0] ?? '', /^thick \d+MB$/u);
  assert.match(sizes[1] ?? '', /^thin [\d.]+MB$/u);

  const id = readFileSync(idFile, 'utf8').trim();
  const again = await sandbox.jettison(['build', ...args, '-t', 'launchpad:thin', '--progress', 'plain', context]);
  assert.equal(again.stderr.match(/ DONE /gu)?.length ?? 0, 2, `only the context is looked at and the image written:\n${again.stderr}`);
  assert.match(again.stderr, /CACHED/u);
  assert.equal((await sandbox.succeed(['images', '-q', '--no-trunc', 'launchpad:thin'])).trim(), id, 'the same image ID when nothing ran');
  await sandbox.succeed(['build', ...args, '--target', 'test', context]);
});

test('run passes environment, working folder, user, entrypoint, arguments and the exit code', async () => {
  await using sandbox = await openSandbox();
  await sandbox.base('busybox');
  const context = sandbox.files({
    Dockerfile: 'FROM busybox\nENV A=1 B=2\nWORKDIR /here\nUSER www-data\nENTRYPOINT ["sh", "-c"]\nCMD ["echo default"]\n',
  });
  await sandbox.succeed(['build', '-q', '-t', 'runner', context]);
  assert.equal(await sandbox.succeed(['run', '--rm', 'runner']), 'default\n');
  assert.equal(await sandbox.succeed(['run', '--rm', '-e', 'B=3', 'runner', 'echo $A $B; pwd; id -un']), '1 3\n/here\nwww-data\n');
  assert.equal(await sandbox.succeed(['run', '--rm', '-w', '/tmp', '-u', '0', '--entrypoint', 'pwd', 'runner']), '/tmp\n');
  assert.equal((await sandbox.jettison(['run', '--rm', 'runner', 'exit 42'])).status, 42);
  assert.equal((await sandbox.jettison(['run', '--rm', '--entrypoint', '/missing', 'runner'])).status, 127);
});

test('one image under several tags; untagging keeps it while a name is left', async () => {
  await using sandbox = await openSandbox();
  const context = sandbox.files({ Dockerfile: 'FROM scratch\nCOPY a /\n', a: 'a' });
  await sandbox.succeed(['build', '-t', 'one', '-t', 'two:2', context]);
  await sandbox.succeed(['tag', 'one', 'three']);
  const ids = (await sandbox.succeed(['images', '-q'])).trim().split('\n');
  assert.equal(new Set(ids).size, 1);
  assert.match(await sandbox.succeed(['rmi', 'one', 'two:2']), /Untagged: one:latest/u);
  assert.match(await sandbox.succeed(['rmi', 'three']), /Deleted: sha256:/u);
  assert.equal((await sandbox.succeed(['images', '-q'])).trim(), '');
});

test('a chain of 300 layers builds and runs', async () => {
  await using sandbox = await openSandbox();
  await sandbox.base('busybox');
  const lines = Array.from({ length: 300 }, (_, index) => `COPY a /d${index}/`);
  const context = sandbox.files({
    Dockerfile: ['FROM busybox', ...lines, 'RUN ls -d /d* | wc -l', 'CMD ["sh", "-c", "ls -d /d* | wc -l"]'].join('\n'),
    a: 'a',
  });
  await sandbox.succeed(['build', '-t', 'tall', context]);
  assert.equal(await sandbox.succeed(['run', '--rm', 'tall']), '301\n');
});
