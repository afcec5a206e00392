/** `jettison logs`: what containers wrote, each stream to its own, to the end and on from there. */
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { appendFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { openSandbox, type Sandbox } from '#test/kit/sandbox.ts';
import { mainFile } from '#test/kit/main-file.ts';

let sandbox: Sandbox;

before(async () => {
  sandbox = await openSandbox();
  await sandbox.base('busybox');
});
after(async () => await sandbox[Symbol.asyncDispose]());

test('of one that has ended: both streams, the last lines, times, and only some times', async () => {
  const script = 'echo one; echo two >&2; until [ -e /go ]; do sleep 0.1; done; printf "three\\nfour"';
  await sandbox.succeed(['run', '-d', '--name', 'done', 'busybox', 'sh', '-c', script]);
  for (let said = ''; said !== 'one\ntwo\n';) {
    const { stdout, stderr } = await sandbox.jettison(['logs', 'done']);
    said = stdout + stderr;
  }
  const between = new Date().toISOString();
  await sandbox.succeed(['exec', 'done', 'touch', '/go']);
  await sandbox.succeed(['wait', 'done']);
  const all = await sandbox.jettison(['logs', 'done']);
  assert.deepEqual([all.status, all.stdout, all.stderr], [0, 'one\nthree\nfour', 'two\n']);
  assert.equal(await sandbox.succeed(['logs', '-n', '2', 'done']), 'three\nfour');
  assert.equal(await sandbox.succeed(['logs', '--tail', '0', 'done']), '');
  assert.equal(await sandbox.succeed(['container', 'logs', '--tail', 'all', 'done']), 'one\nthree\nfour');
  const timed = (await sandbox.succeed(['logs', '-t', 'done'])).split('\n');
  assert.match(timed[0] ?? '', /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z one$/u);
  assert.equal(await sandbox.succeed(['logs', '--since', between, 'done']), 'three\nfour');
  assert.equal(await sandbox.succeed(['logs', '--until', between, 'done']), 'one\n');
  assert.equal(await sandbox.succeed(['logs', '-f', 'done']), 'one\nthree\nfour', 'nothing to wait for');
  const log = join(sandbox.store, 'containers', (await sandbox.succeed(['ps', '-aq', '--no-trunc'])).trim(), 'log.json');
  appendFileSync(log, (readFileSync(log, 'utf8').split('\n')[0] ?? '').concat('\n').repeat(20_000));
  const cut = spawnSync('bash', ['-c', '"$0" "$1" logs done | head -1; echo "${PIPESTATUS[0]}"', process.execPath, mainFile], {
    env: { ...process.env, ...sandbox.environment },
    encoding: 'utf8',
  });
  assert.deepEqual([cut.stdout, cut.stderr], ['one\n141\n', 'two\n'], 'nobody reads on: nothing to tell');
});

test('of one that runs: on and on until it ends, no line lost or twice', async () => {
  const script = 'i=0; while [ $i -lt 300 ]; do echo line $i; i=$((i+1)); [ $((i % 50)) = 0 ] && sleep 0.1; done; printf end';
  await sandbox.succeed(['run', '-d', '--name', 'busy', 'busybox', 'sh', '-c', script]);
  const expected = `${Array.from({ length: 300 }, (_, index) => `line ${index}\n`).join('')}end`;
  assert.equal(await sandbox.succeed(['logs', '--follow', 'busy']), expected);
  assert.equal(await sandbox.succeed(['logs', 'busy']), expected);
  assert.equal(await sandbox.succeed(['logs', '--tail', '2', 'busy']), 'line 299\nend');
});

test('a line that was cut off is left out, and the others are there', async () => {
  const id = (await sandbox.succeed(['create', '--name', 'cut', 'busybox', 'echo', 'whole'])).trim();
  const file = join(sandbox.store, 'containers', id, 'log.json');
  await sandbox.succeed(['start', '-a', 'cut']);
  appendFileSync(file, '{"log":"half\n');
  appendFileSync(file, readFileSync(file, 'utf8').split('\n').slice(0, 1).join('') + '\n');
  assert.equal(await sandbox.succeed(['logs', 'cut']), 'whole\nwhole\n');
});

test('of one that waits, that was never started, and that is not there', async () => {
  await sandbox.succeed(['run', '-d', '--name', 'quiet', 'busybox', 'sh', '-c', 'echo here; sleep 1000']);
  const started = Promise.withResolvers<{ kill(signal: NodeJS.Signals): void }>();
  const followed = await sandbox.jettison(['logs', '-f', 'quiet'], {
    onStart: started.resolve,
    // It goes on waiting when all that there is has been shown.
    onStdout: () => void Promise.all([started.promise, delay(1000)]).then(([command]) => command.kill('SIGINT')),
  });
  assert.deepEqual([followed.status, followed.stdout], [130, 'here\n']);
  await sandbox.succeed(['rm', '-f', 'quiet']);
  await sandbox.succeed(['create', '--name', 'new', 'busybox']);
  assert.equal(await sandbox.succeed(['logs', 'new']), '');
  const nobody = await sandbox.jettison(['logs', 'nobody']);
  assert.equal(nobody.status, 1);
  assert.match(nobody.stderr, /No such container: nobody/u);
  assert.equal((await sandbox.jettison(['logs', '--tail', 'x', 'new'])).status, 125);
});

test('log drivers: details, files that are full while somebody follows, none, and services', async () => {
  const details = [
    '--label',
    'tier=front end',
    '-e',
    'A=1',
    '--log-opt',
    'labels=tier',
    '--log-opt',
    'env=A',
    '--log-opt',
    'tag={{.Name}}',
  ];
  await sandbox.succeed(['run', '--name', 'told', ...details, 'busybox', 'echo', 'hi']);
  assert.equal(await sandbox.succeed(['logs', '--details', 'told']), 'A=1,tag=told,tier=front+end hi\n');
  assert.equal(await sandbox.succeed(['logs', 'told']), 'hi\n');
  // More files than are filled: nothing goes, and the follower has to find its way from each to the next.
  const script = 'i=0; while [ $i -lt 200 ]; do echo line $i; i=$((i+1)); [ $((i % 10)) = 0 ] && sleep 0.05; done';
  const kept = ['--log-driver', 'local', '--log-opt', 'max-size=600', '--log-opt', 'max-file=100'];
  await sandbox.succeed(['run', '-d', '--name', 'turning', ...kept, 'busybox', 'sh', '-c', script]);
  const lines = Array.from({ length: 200 }, (_, index) => `line ${index}\n`);
  assert.equal(await sandbox.succeed(['logs', '-f', 'turning']), lines.join(''));
  assert.equal(await sandbox.succeed(['logs', 'turning']), lines.join(''));
  assert.equal(await sandbox.succeed(['logs', '--tail', '12', 'turning']), lines.slice(-12).join(''), 'from two files');

  await sandbox.succeed(['run', '--name', 'unkept', '--log-driver', 'none', 'busybox', 'echo', 'hi']);
  const refused = await sandbox.jettison(['logs', 'unkept']);
  assert.deepEqual([refused.status, /configured logging driver does not support reading/u.test(refused.stderr)], [1, true]);
  assert.equal(await sandbox.succeed(['inspect', '-f', '{{.HostConfig.LogConfig.Type}}{{.LogPath}}', 'unkept']), 'none\n');
  const service = await sandbox.jettison(['run', '--rm', '--log-driver', 'syslog', 'busybox', 'true']);
  assert.deepEqual(
    [service.status, /log driver "syslog", which hands lines to a service, is not built/u.test(service.stderr)],
    [125, true],
  );
});
