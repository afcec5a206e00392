/** The store's functions in another program's process, out of the package: each scene of test/fixtures/library/scenes.mjs is a program of its own. */
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startActionsService } from '#test/kit/actions-service.ts';
import { assertNothingLeft, assertTidySnapshots } from '#test/kit/aftermath.ts';
import { startDockerRegistry } from '#test/kit/docker-registry.ts';
import { normalUser } from '#test/kit/normal-user.ts';
import { installPacked, packedEnvironment } from '#test/kit/packed.ts';
import { startS3 } from '#test/kit/s3-service.ts';
import { openSandbox, runCommand, type Sandbox } from '#test/kit/sandbox.ts';

const scenes = fileURLToPath(new URL('../fixtures/library/scenes.mjs', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'jettison-library-'));
let prefix = '';

before(async () => {
  ({ prefix } = await installPacked(folder));
  writeFileSync(join(prefix, 'scenes.mjs'), readFileSync(scenes));
});
after(() => rmSync(folder, { recursive: true, force: true }));

const clean = { left: [], children: [], untouched: true, temporary: [] };

/** What the scene said. */
async function play(
  scene: string,
  sandbox: Sandbox,
  given: object = {},
  environment: Readonly<Record<string, string>> = {},
): Promise<unknown> {
  await sandbox.base('busybox');
  const context = sandbox.files({ given: 'given' });
  const temporary = join(sandbox.folder, 'temporary');
  sandbox.files({ '.keep': '' }, 'temporary');
  const words = ['scenes.mjs', scene, sandbox.store, context, JSON.stringify(given)];
  const around = { ...packedEnvironment, ...sandbox.environment, TMPDIR: temporary, ...environment };
  const done = await runCommand(process.execPath, words, { cwd: prefix, environment: around });
  assert.deepEqual([done.status, done.stderr], [0, ''], done.stdout);
  return JSON.parse(done.stdout);
}

/** No process, mount or half of a file in either store. */
async function assertTidy(sandbox: Sandbox): Promise<void> {
  const tidying = sandbox.files({ Dockerfile: 'FROM busybox\nRUN true # tidy\n' }, 'tidying');
  for (const store of [sandbox.store, `${sandbox.store}-other`]) {
    await assertNothingLeft(sandbox, [], store);
    // A worker clears up after those that were killed.
    await sandbox.succeed(['build', '-q', tidying], { environment: { JETTISON_STORE: store } });
    await assertTidySnapshots(store);
  }
}

test('what a failed step left is looked into, run again, carried elsewhere and gone on with', async () => {
  await using sandbox = await openSandbox();
  assert.partialDeepStrictEqual(await play('failure', sandbox), {
    ...clean,
    failed: 'ops/process-failed',
    command: ['two\ny zz\nnobody\n/tmp\nfrom stdin\n', 'E\n', 9],
    shell: ['root\n/\n', '', 3],
    stage: ['one\n', '', 0],
    terminal: ['33 77\nhello\n11 22\ngot hello\n', 0],
    large: [3_000_000],
    none: ['', '', 'runtime/command-not-found'],
    refused: ['runtime/command-not-found', 'engine/no-such-place', 'engine/not-in-cache', 'engine/no-failed-step'],
    ended: ['base/cancelled', 'base/cancelled', 'base/cancelled', 'library/closed'],
    again: [7, 'one\n'],
    tar: true,
    copied: 'two\n',
    bundle: [7, null, 7, 'two\n'],
    badBundle: ['tar/truncated', 'image/cannot-write'],
    otherFile: 'engine/cannot-resume',
    stillFails: 'ops/process-failed',
    exitCode: 8,
    resumed: [{ total: 4, cached: 3 }, true],
    noMore: [null, 'engine/no-failed-step'],
  });
  await assertTidy(sandbox);
});

function wrote(word: string): readonly string[] {
  return ['stdout', `said ${word}\n`, 'stderr', 'err\n'];
}

test('builds that were are told of: their list, why a step ran, what it wrote', async () => {
  await using sandbox = await openSandbox();
  const told = await play('records', sandbox);
  assert.partialDeepStrictEqual(told, {
    ...clean,
    why: [1, [3], 2],
    noStep: 'engine/no-such-step',
    logs: [
      [['vertex', 'vertex-started', 'vertex-finished'], wrote('2')],
      [['vertex', 'vertex-started', 'vertex-finished'], wrote('1')],
      'builds/not-found',
    ],
    builds: [
      [true, 'done', 1, null],
      [true, 'done', 0, null],
    ],
    hidden: [[true, 2_000_000, [['RUN rm /big', 3]]]],
  });
  assert.ok(isRecord(told) && String(told['replayed']).includes('said 1\n') && String(told['replayed']).includes('last\n'));
  await assertTidy(sandbox);
});

test('images go to registries and archives and come from them; what is said beside them goes along', async () => {
  await using sandbox = await openSandbox();
  await using registry = await startDockerRegistry();
  const both = [
    ['linux/amd64', 'https://spdx.dev/Document'],
    ['linux/amd64', 'https://slsa.dev/provenance/v1'],
  ];
  assert.partialDeepStrictEqual(await play('images', sandbox, { registry: registry.host }), {
    ...clean,
    attestations: both,
    builder: 'https://example.org/b',
    none: [[], 'image/not-found'],
    packages: [{ name: 'debian/tool', version: '1.2', type: 'deb', foundIn: '/var/lib/dpkg/status' }],
    pushed: [true, true, true, true],
    pulled: [true, true, false, true],
    came: both,
    removed: 'deleted',
    gone: ['image/not-found', 'image/not-found', 'image/not-found', 'registry/not-found'],
    loaded: [[true, ['app:latest']]],
    fromFile: 1,
    brokenOff: [1, 'base/cancelled', 'image/not-found'],
    badWords: ['library/bad-option', 'library/bad-option'],
    file: 'ID=debian\nVERSION_ID=13\n',
    noFile: 'engine/no-such-path',
    stream: [false, [true]],
    stuck: 'base/cancelled',
    silent: 'base/cancelled',
    thrown: 'Error: full',
  });
  await assertTidy(sandbox);
});

test('results of steps go through caches elsewhere', async () => {
  await using sandbox = await openSandbox();
  await using bucket = await startS3();
  await using actions = await startActionsService({ version: 2 });
  const s3 = { bucket: 'caches', endpoint: bucket.url, usePathStyle: true, prefix: 'team/', name: 'app' };
  const gha = { url: actions.url, token: actions.token, version: 2, scope: 'mine' };
  assert.partialDeepStrictEqual(await play('caches', sandbox, { s3, gha }, bucket.environment), {
    ...clean,
    cached: [
      { total: 3, cached: 3 },
      { total: 3, cached: 3 },
      { total: 3, cached: 3 },
    ],
    lacking: ['library/bad-option', 'no error', 'library/bad-option'],
  });
  assert.ok(bucket.objects.has('team/manifests/app'));
  assert.ok(actions.keys().some((key) => key.startsWith('index-mine')));
  assert.deepEqual([bucket.complaints, actions.complaints], [[], []]);
});

test('containers are run, looked into, copied from and to, and ended', async () => {
  await using sandbox = await openSandbox();
  const told = await play('containers', sandbox, { limits: process.getuid?.() === 0 ? { memory: 64 << 20, cpus: 0.5, pids: 50 } : {} });
  assert.partialDeepStrictEqual(told, {
    ...clean,
    ran: ['typed\na 7 /tmp\n', 'E\n', 4],
    large: [3_000_000],
    terminal: ['11 22', '', '0'],
    refused: [
      'runtime/command-not-found',
      'runtime/command-not-found',
      'image/not-found',
      'library/bad-option',
      'library/bad-option',
      'engine/no-such-container',
      'engine/no-such-container',
    ],
    nothing: [],
    created: [0, [['web', 'created']]],
    logged: ['stdout', 'own\n'],
    listed: [['web', 'busybox', 'running', { role: 'web' }]],
    inspected: [true, 'busybox'],
    screen: ['33 77\nhello\n11 22\ngot hello\n', 3, 'base/cancelled'],
    exec: [['b\n/tmp\n', 'E\n', 5], 'sent\n1\nread-only\n', 'runtime/command-not-found', 'engine/no-such-container', 3_000_000],
    copied: [true, true],
    ended: ['base/cancelled', 'base/cancelled', 1],
    stopped: [3, 'engine/container-not-running', 'engine/container-not-running'],
    killed: ['base/cancelled', 137],
    aborted: ['base/cancelled'],
    closed: 'library/closed',
    rest: ['web'],
  });
  assert.deepEqual(readdirSync(join(sandbox.store, 'containers')), []);
  await assertTidy(sandbox);
});

const measured = {
  measured: [true, [['ended', false]], true],
  badWords: 'library/bad-option',
  early: [[], []],
  pruned: [true, true],
  kept: true,
  all: true,
  empty: [0, 0],
};

test('what takes up space is measured and pruned', async () => {
  await using sandbox = await openSandbox();
  assert.partialDeepStrictEqual(await play('space', sandbox), { ...clean, ...measured });
  await sandbox.base('busybox');
  await assertTidy(sandbox);
});

test('a normal user measures and prunes what has the ids of its steps', async () => {
  await using sandbox = await openSandbox();
  const user = normalUser(sandbox.folder);
  for (const each of [sandbox.folder, folder]) chmodSync(each, 0o755);
  const home = sandbox.files({ 'context/given': '', 'temporary/.keep': '' }, 'home');
  for (const each of ['', 'context', 'temporary']) user.owns(join(home, each));
  await sandbox.base('busybox');
  const base = join(sandbox.folder, 'base.tar');
  await sandbox.succeed(['save', '-o', base, 'busybox']);
  user.owns(base);
  const own = { JETTISON_STORE: join(home, 'store'), HOME: home, TMPDIR: join(home, 'temporary'), XDG_CACHE_HOME: join(home, 'cache') };
  const environment = { ...packedEnvironment, ...sandbox.environment, ...own };
  const perform = async (...words: readonly string[]): Promise<string> => {
    const [command, ...rest] = [...user.words, process.execPath, ...words];
    const done = await runCommand(command ?? '', rest, { cwd: prefix, environment });
    assert.deepEqual([done.status, done.stderr], [0, ''], done.stdout);
    return done.stdout;
  };
  writeFileSync(
    join(prefix, 'load.mjs'),
    "import { openStore } from 'jettison/store';\nawait (await openStore()).loadImages(process.argv[2]);\n",
  );
  await perform('load.mjs', base);
  const told = JSON.parse(await perform('scenes.mjs', 'space', own.JETTISON_STORE, join(home, 'context'), '{}')) as unknown;
  assert.partialDeepStrictEqual(told, { ...clean, ...measured });
});

test('many calls at once on one store and two; what is aborted leaves nothing', async () => {
  await using sandbox = await openSandbox();
  assert.partialDeepStrictEqual(await play('crowd', sandbox), {
    ...clean,
    built: ['a', 'b', 'c', 'a', 'b', 'c'].map((word) => `docker.io/library/crowd-${word}:latest`),
    looks: Array.from({ length: 6 }, (_, index) => ['two\n', '', index]),
    read: Array.from({ length: 6 }, () => true),
    aborted: ['base/cancelled'],
  });
  assert.deepEqual(
    readdirSync(sandbox.folder).filter((entry) => entry.includes('slow')),
    [],
  );
  await assertTidy(sandbox);
});

test('the program of docs/library.md prints what stands there', async () => {
  await using sandbox = await openSandbox();
  await sandbox.base('busybox');
  const page = readFileSync(fileURLToPath(new URL('../../docs/library.md', import.meta.url)), 'utf8');
  const [, dockerfile = '', program = '', printed = ''] =
    /```dockerfile\n([\s\S]*?)```\n\nthe program\n\n```js\n([\s\S]*?)```\n\nprints\n\n```text\n([\s\S]*?)```/u.exec(page) ?? [];
  writeFileSync(join(prefix, 'documented.mjs'), program.replace('/tmp/my-store', sandbox.store));
  const context = sandbox.files({ Dockerfile: dockerfile });
  const environment = { ...packedEnvironment, ...sandbox.environment };
  const done = await runCommand(process.execPath, [join(prefix, 'documented.mjs')], { cwd: context, environment });
  assert.equal(done.stdout, printed, done.stderr);
});

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}
