/** Registries that go wrong, at the command line: exit code 1, one error that names host and reason, nothing left, and the same command works once the registry does. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { assertNothingLeft, assertOneError, assertTidySnapshots } from '#test/kit/aftermath.ts';
import { dockerArchiveOf, imageOf, tarOf } from '#test/kit/archives.ts';
import { addImage, startRegistry, type Fault, type TestRegistry } from '#test/kit/registry.ts';
import { openSandbox, type Finished, type Sandbox } from '#test/kit/sandbox.ts';

const show = process.env['SHOW'] !== undefined;
const image = imageOf({
  layers: [
    tarOf([
      ['data/', 'folder'],
      ['data/large', 'file', 'lorem ipsum '.repeat(10_000)],
    ]),
    tarOf([['data/other', 'file', 'dolor '.repeat(5000)]]),
  ],
  config: { Cmd: ['/none'] },
});

/** What each fault's error must say beside the host. */
const pullFaults: readonly (readonly [Fault, RegExp])[] = [
  ['refused', /connection refused/u],
  ['401-basic', /401 Unauthorized.*\n.*log in/u],
  ['403', /403 Forbidden.*DENIED/u],
  ['404', /404 Not Found.*MANIFEST_UNKNOWN/u],
  ['wrong-manifest', /other bytes than the digest says/u],
  ['wrong-digest-header', /sha256:0000/u],
  ['wrong-blob', /wrong bytes for sha256:/u],
  ['short-blob', /sha256:|bytes/u],
  ['long-blob', /bytes/u],
  ['empty-blob', /bytes/u],
  ['endless-blob', /bytes/u],
  ['endless-manifest', /bytes|large/u],
  ['redirect-loop', /redirect/u],
  ['redirect-file', /redirect/u],
  ['html', /manifest|text\/html/iu],
  ['http09', /HTTP/u],
  ['stall', /sent nothing more|almost nothing/u],
  ['stall-headers', /answer/u],
  ['no-answer', /answer/u],
  ['trickle', /almost nothing/u],
  ['drop-always', /broke|connection/u],
  ['500-always', /503/u],
  ['429-long', /429.*3600 seconds/u],
  ['token-never', /401/u],
  ['token-evil-realm', /file:|realm/u],
];

/** Seconds; only of those that keep a command waiting, as on a busy machine any answer may take some time. */
const limits: Readonly<Partial<Record<Fault, object>>> = {
  stall: { idleTimeout: 0.5 },
  'stall-headers': { answerTimeout: 0.5 },
  'no-answer': { answerTimeout: 0.5 },
  // Long enough for some bytes to arrive in it.
  trickle: { idleTimeout: 3 },
  'push-stall': { answerTimeout: 0.5, commitTimeout: 0.5, idleTimeout: 0.5 },
};

async function openFor(registry: TestRegistry): Promise<Sandbox> {
  const sandbox = await openSandbox();
  sandbox.configure({
    registries: { [registry.host]: { plainHttp: true } },
    network: { tries: 2, ...limits[registry.fault] },
  });
  return sandbox;
}

function look(what: string, done: Finished): Finished {
  if (show) console.log(`--- ${what} [${done.status ?? done.signal ?? ''}] ${Math.round(done.took)} ms\n${done.stdout}${done.stderr}`);
  return done;
}

for (const [fault, reason] of pullFaults) {
  test(`F: ${fault} (pull)`, async () => {
    await using registry = await startRegistry(fault);
    await using good = await startRegistry();
    for (const one of [registry, good]) addImage(one, 'app:v1', image);
    await using sandbox = await openFor(registry);
    const name = `${registry.host}/app:v1`;
    const done = look(fault, await sandbox.jettison(['pull', name]));
    assertOneError(done, reason);
    assert.ok(done.stderr.includes(registry.host), `names the host:\n${done.stderr}`);
    assert.ok(done.took < 50_000, `took ${done.took} ms`);
    await assertNothingLeft(sandbox, [name]);
    // The same image from a good server: nothing that came before is in the way.
    sandbox.configure({ registries: { [registry.host]: { mirrors: [`http://${good.host}`] } } });
    await sandbox.succeed(['pull', name]);
    assert.notEqual((await sandbox.succeed(['images', '-q', name])).trim(), '');
    await assertTidySnapshots(sandbox.store);
  });
}

test('pull: a name that is no host, a tag and a name that are not there', async () => {
  await using registry = await startRegistry();
  addImage(registry, 'app:v1', image);
  await using sandbox = await openFor(registry);
  assertOneError(look('no such host', await sandbox.jettison(['pull', 'no-such-host.invalid/app:v1'])), /no-such-host\.invalid/u);
  assertOneError(look('no such tag', await sandbox.jettison(['pull', `${registry.host}/app:v9`])), /404[^]*v9/u);
  assertOneError(look('no such name', await sandbox.jettison(['pull', `${registry.host}/nope`])), /404[^]*nope/u);
  await assertNothingLeft(sandbox);
});

for (const [fault, reason] of pullFaults.filter(([one]) =>
  ['refused', '401-basic', '404', 'wrong-manifest', 'wrong-blob', 'short-blob'].includes(one),
)) {
  test(`F: ${fault} (build FROM)`, async () => {
    await using registry = await startRegistry(fault);
    await using good = await startRegistry();
    for (const one of [registry, good]) addImage(one, 'app:v1', image);
    await using sandbox = await openFor(registry);
    const context = sandbox.files({ Dockerfile: `FROM ${registry.host}/app:v1\nCOPY file /file\n`, file: 'x' });
    const done = look(`build ${fault}`, await sandbox.jettison(['build', '-t', 'broken', context]));
    assertOneError(done, reason);
    assert.match(done.stderr, /Dockerfile:1(?::\d+)?\n[^]*>>> FROM/u);
    assert.ok(done.stderr.includes(registry.host));
    await assertNothingLeft(sandbox, ['broken', `${registry.host}/app:v1`]);
    sandbox.configure({ registries: { [registry.host]: { mirrors: [`http://${good.host}`] } } });
    await sandbox.succeed(['build', '-t', 'mended', context]);
    await assertTidySnapshots(sandbox.store);
  });
}

const pushFaults: readonly (readonly [Fault, RegExp])[] = [
  ['refused', /connection refused/u],
  ['401-basic', /401/u],
  ['413', /413/u],
  ['digest-refused', /DIGEST_INVALID/u],
  ['push-403', /403/u],
  ['push-500-always', /500/u],
  ['manifest-refused', /MANIFEST_INVALID/u],
  ['push-no-location', /[Ll]ocation/u],
  ['push-stall', /answer|nothing|took no bytes/u],
];

test('push: what a registry refuses is said with host and reason, and a good one takes the same image', async () => {
  await using sandbox = await openSandbox();
  const context = sandbox.files({
    Dockerfile: 'FROM scratch\nCOPY file /file\nCOPY long /long\n',
    file: randomBytes(200_000),
    // Long enough to be sent while it is still compressed.
    long: randomBytes(10 << 20),
  });
  await sandbox.succeed(['build', '-t', 'app', context]);
  for (const [fault, reason] of pushFaults) {
    await using registry = await startRegistry(fault);
    sandbox.configure({ network: { tries: 2, ...limits[fault] } });
    const name = `${registry.host}/app:v1`;
    await sandbox.succeed(['tag', 'app', name]);
    const done = look(`push ${fault}`, await sandbox.jettison(['push', name]));
    assertOneError(done, reason);
    assert.ok(done.stderr.includes(registry.host), done.stderr);
    assert.equal(registry.manifests.size, 0);
    await assertNothingLeft(sandbox);
  }
  await using good = await startRegistry();
  await sandbox.succeed(['tag', 'app', `${good.host}/app:v1`]);
  await sandbox.succeed(['push', `${good.host}/app:v1`]);
  assert.ok(good.manifests.has('app:v1'));
  const before = good.seen.length;
  await sandbox.succeed(['push', `${good.host}/app:v1`]);
  assert.deepEqual([...new Set(good.seen.slice(before).map(({ method }) => method))].toSorted(), ['HEAD', 'PUT']);
  assert.equal(good.seen.slice(before).filter(({ method }) => method === 'PUT').length, 1, 'only the manifest is sent again');
});

/** A file system of so many MiB, gone with the test. */
function mountSmall(sandbox: Sandbox, megabytes: number): Disposable & { readonly path: string; resize(megabytes: number): void } {
  const path = join(sandbox.folder, 'disk');
  mkdirSync(path);
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', path]);
  return {
    path,
    resize: (size) => void execFileSync('mount', ['-o', `remount,rw,size=${size}m`, path]),
    [Symbol.dispose]: () => void execFileSync('umount', ['-l', path]),
  };
}

const large = randomBytes(6_000_000);
const fullDisks: readonly (readonly [what: string, megabytes: number, dockerfile: string])[] = [
  ['a small COPY', 1, 'FROM scratch\nCOPY large /large\n'],
  ['a RUN that writes', 6, 'FROM busybox\nRUN dd if=/dev/zero of=/zeros bs=1M count=8\n'],
  ['COPY --from', 10, 'FROM busybox AS one\nCOPY large /large\nFROM busybox\nRUN true\nCOPY --from=one --chown=7:7 /large /copy\n'],
];

for (const [what, megabytes, dockerfile] of fullDisks) {
  test(`D1: full disk: ${what}`, async () => {
    await using sandbox = await openSandbox();
    using disk = mountSmall(sandbox, 60);
    const environment = { JETTISON_STORE: join(disk.path, 'store') };
    if (dockerfile.includes('busybox')) await sandbox.base('busybox');
    const archive = join(sandbox.folder, 'busybox.tar');
    if (dockerfile.includes('busybox')) {
      await sandbox.succeed(['save', '-o', archive, 'busybox']);
      await sandbox.succeed(['load', '-i', archive], { environment });
    }
    const context = sandbox.files({ Dockerfile: dockerfile, large });
    disk.resize(megabytes);
    const done = look(`full disk: ${what}`, await sandbox.jettison(['build', '-t', 'broken', context], { environment }));
    assertOneError(done, /^ERROR: .*no space left on device/imu);
    assert.ok(done.stderr.includes(disk.path), done.stderr);
    await assertNothingLeft(sandbox, ['broken'], environment.JETTISON_STORE);
    disk.resize(60);
    await sandbox.succeed(['build', '-t', 'mended', context], { environment });
    await assertTidySnapshots(environment.JETTISON_STORE);
  });
}

test('D1: full disk: load, pull, save, -o', async () => {
  await using sandbox = await openSandbox();
  await using registry = await startRegistry();
  const heavy = imageOf({ layers: [tarOf([['large', 'file', large]])] });
  addImage(registry, 'heavy:v1', heavy);
  const name = `${registry.host}/heavy:v1`;
  using disk = mountSmall(sandbox, 3);
  const environment = { JETTISON_STORE: join(disk.path, 'store') };
  const archive = join(sandbox.folder, 'heavy.tar');
  writeFileSync(archive, dockerArchiveOf(heavy, 'heavy:latest'));
  for (const [megabytes, words] of [
    [3, ['pull', name]],
    [9, ['pull', name]],
    [3, ['load', '-i', archive]],
    [9, ['load', '-i', archive]],
  ] as const) {
    rmSync(join(disk.path, 'store'), { recursive: true, force: true });
    disk.resize(megabytes);
    const done = look(`${words[0]} on ${megabytes} MiB`, await sandbox.jettison(words, { environment }));
    assertOneError(done, /^ERROR: .*no space left on device/imu);
    assert.ok(done.stderr.includes(disk.path), done.stderr);
    disk.resize(60);
    await assertNothingLeft(sandbox, [name, 'heavy'], environment.JETTISON_STORE);
    await sandbox.succeed(words, { environment });
    await assertTidySnapshots(environment.JETTISON_STORE);
  }
  // The store has room now, the destination has none.
  await sandbox.succeed(['pull', name]);
  rmSync(join(disk.path, 'store'), { recursive: true, force: true });
  disk.resize(3);
  const out = join(disk.path, 'out.tar');
  const context = sandbox.files({ Dockerfile: `FROM ${name}\nCOPY file /\n`, file: 'x' });
  for (const words of [
    ['save', '-o', out, name],
    ['build', '-t', 'broken', '-o', `type=oci,dest=${out}`, context],
  ]) {
    const done = look(words.join(' '), await sandbox.jettison(words));
    assertOneError(done, /out\.tar": no space left on device/u);
    assert.deepEqual(readdirSync(disk.path), []);
    await assertNothingLeft(sandbox, ['broken']);
  }
  disk.resize(60);
  await sandbox.succeed(['save', '-o', out, name]);
});

test('a store where nothing can be kept is refused at once', async () => {
  await using sandbox = await openSandbox();
  using disk = mountSmall(sandbox, 3);
  const file = join(sandbox.folder, 'file');
  writeFileSync(file, '');
  execFileSync('mount', ['-o', 'remount,ro', disk.path]);
  const context = sandbox.files({ Dockerfile: 'FROM scratch\nCOPY Dockerfile /\n' });
  for (const [store, reason] of [
    [file, /file": it is no folder/u],
    [join(file, 'below'), /below": it is no folder/u],
    [join(disk.path, 'store'), /disk\/store": the file system is read-only/u],
    ['/proc/jettison-nowhere', /"\/proc\/jettison-nowhere": no folder can be made there/u],
  ] as const)
    assertOneError(look(store, await sandbox.jettison(['build', context], { environment: { JETTISON_STORE: store } })), reason);
});
