/** Disks that are full, read-only or broken under a store, and bytes in it that are not what was written: one error that names the place, nothing left, and the same command works once the disk does. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, rmSync, statfsSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemCode } from '#ground/base/errors.ts';
import { assertNothingLeft, assertOneError, assertTidySnapshots } from '#test/kit/aftermath.ts';
import { startRegistry } from '#test/kit/registry.ts';
import { openSandbox, type CommandOptions, type Finished, type Sandbox } from '#test/kit/sandbox.ts';

const show = process.env['SHOW'] !== undefined;

function look(what: string, done: Finished): Finished {
  if (show) console.log(`--- ${what}: ${done.status}\n${done.stderr.split('\n').slice(-6).join('\n')}`);
  return done;
}

type Disk = Disposable & { readonly path: string; mount(options: string): void; remount(options: string): void };

/** A place for a tmpfs, which goes with the test. */
function diskIn(sandbox: Sandbox, name: string): Disk {
  const path = join(sandbox.folder, name);
  mkdirSync(path, { recursive: true });
  let isMounted = false;
  const unmount = (): void => {
    if (isMounted) execFileSync('umount', ['-l', path]);
    isMounted = false;
  };
  return {
    path,
    mount: (options) => {
      unmount();
      execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', path]);
      isMounted = true;
    },
    remount: (options) => void execFileSync('mount', ['-o', `remount,${options}`, path]),
    [Symbol.dispose]: unmount,
  };
}

/** The files of an image as `run` sees them, with modes and sums. */
async function contentOf(sandbox: Sandbox, image: string, options: CommandOptions): Promise<string> {
  const script =
    'find / -xdev -type f -not -path "/proc/*" -not -path "/sys/*" | sort | xargs md5sum; find /made /large | sort | xargs stat -c "%n %a %u"';
  return await sandbox.succeed(['run', '--rm', '--hostname', 'h', image, 'sh', '-c', script], options);
}

const ballast = 60_000;

/** So many KiB, or inodes, are too few for each in turn: the blobs, a database, an unpacked layer, what RUN writes, COPY, COPY --from. */
for (const [name, option, unit, sizes] of [
  ['D1', 'size', 'k', [300, 2385, 3000, 4760, 7545]],
  ['D2', 'nr_inodes', '', [12, 13, 26, 382]],
] as const) {
  test(`${name}: pull, database, unpack, RUN, COPY, commit on disks with a little more ${option} each time`, async () => {
    await using sandbox = await openSandbox();
    await using registry = await startRegistry();
    sandbox.configure({ registries: { [registry.host]: { plainHttp: true } } });
    await sandbox.base('busybox');
    await sandbox.succeed(['tag', 'busybox', `${registry.host}/busybox`]);
    await sandbox.succeed(['push', `${registry.host}/busybox`]);
    const context = sandbox.files({
      Dockerfile: [
        `FROM ${registry.host}/busybox AS one`,
        'RUN mkdir /made && for i in 1 2 3 4 5 6 7 8 9 10; do echo $i > /made/$i; done && head -c 1000000 /dev/zero > /made/zeros',
        'COPY large small /large/',
        `FROM ${registry.host}/busybox`,
        'COPY --from=one --chown=7:7 /large /large',
        'COPY --from=one /made /made',
      ].join('\n'),
      large: randomBytes(1_000_000),
      ...Object.fromEntries(Array.from({ length: 12 }, (_, index) => [`small/${index}`, `${index}`])),
    });
    using disk = diskIn(sandbox, 'disk');
    const options = { environment: { JETTISON_STORE: join(disk.path, 'store') } };
    const build = ['build', '-t', 'app', context];
    await sandbox.succeed(build);
    const good = await contentOf(sandbox, 'app', {});
    for (const size of sizes) {
      disk.mount(`${option}=${size}${unit}`);
      const done = look(`${size}${unit}`, await sandbox.jettison(build, options));
      assertOneError(done, /no space left on device[^]*Free some space/u);
      assert.ok(done.stderr.includes(disk.path), `${size}: ${done.stderr}`);
      disk.remount(`${option}=${size + ballast}${unit}`);
      await assertNothingLeft(sandbox, ['app'], options.environment.JETTISON_STORE);
      await sandbox.succeed(build, options);
      assert.equal(await contentOf(sandbox, 'app', options), good, `${size}`);
      await assertTidySnapshots(options.environment.JETTISON_STORE);
    }
  });
}

/** Fills a disk up but for so many bytes. Who tends a store may take some of them in the middle. */
async function fill(disk: Disk, left: number): Promise<void> {
  const file = join(disk.path, 'ballast');
  for (let tries = 0; ; tries++) {
    const { bavail, bsize } = statfsSync(disk.path);
    try {
      writeFileSync(file, new Uint8Array(Math.max(0, bavail * bsize - left)));
      return;
    } catch (error) {
      if (systemCode(error) !== 'ENOSPC' || tries > 100) throw error;
      rmSync(file);
      await sleep(50);
    }
  }
}

test('D1: push, save and --cache-to of a store that is full; D5: their destination, --iidfile and --metadata-file on a full disk', async () => {
  await using sandbox = await openSandbox();
  await using registry = await startRegistry();
  sandbox.configure({ registries: { [registry.host]: { plainHttp: true } } });
  using disk = diskIn(sandbox, 'disk');
  disk.mount('size=40m');
  const options = { environment: { JETTISON_STORE: join(disk.path, 'store') } };
  const context = sandbox.files({ Dockerfile: 'FROM scratch\nCOPY text /\n', text: 'lorem ipsum '.repeat(400_000) });
  const name = `${registry.host}/app`;
  await sandbox.succeed(['build', '-t', name, context], options);
  await fill(disk, 8192);
  for (const words of [
    ['push', name],
    ['save', '-o', 'save.tar', name],
    ['build', '-t', 'other', '--cache-to', 'type=local,dest=cache', context],
  ]) {
    const done = look(words.join(' '), await sandbox.jettison(words, options));
    if (done.status !== 0) {
      assertOneError(done, /no space left on device[^]*Free some space/u);
      assert.ok(done.stderr.includes(disk.path), done.stderr);
    }
  }
  await assertNothingLeft(sandbox, [], options.environment.JETTISON_STORE);
  rmSync(join(disk.path, 'ballast'));
  await sandbox.succeed(['push', name], options);

  await sandbox.succeed(['build', '-t', name, context]);
  rmSync(join(disk.path, 'store'), { recursive: true });
  await fill(disk, 0);
  const to = (file: string): string => join(disk.path, file);
  for (const words of [
    ['save', '-o', to('out.tar'), name],
    ['build', '-t', 'other', '-o', `type=oci,dest=${to('out.tar')}`, context],
    ['build', '-t', 'other', '--cache-to', `type=local,dest=${to('cache')}`, context],
    ['build', '-t', 'other', '--iidfile', to('id'), context],
    ['build', '-t', 'other', '--metadata-file', to('metadata'), context],
  ]) {
    const done = look(words.join(' '), await sandbox.jettison(words));
    assertOneError(done, /no space left on device/u);
    assert.ok(done.stderr.includes(disk.path), done.stderr);
    assert.deepEqual(filesBelow(disk.path), ['ballast'], words.join(' '));
  }
});

test('D3: nothing but the databases has no room', async () => {
  await using sandbox = await openSandbox();
  await sandbox.base('busybox');
  using disk = diskIn(sandbox, 'small');
  disk.mount('size=2m');
  const store = join(disk.path, 'store');
  const context = sandbox.files({ Dockerfile: 'FROM busybox\nRUN echo a > /a\nCOPY Dockerfile /\n' });
  await sandbox.succeed(['save', '-o', 'busybox.tar', 'busybox']);
  using mounts = new DisposableStack();
  for (const name of ['content', 'snapshots', 'builds', 'leases', 'bundles']) {
    mkdirSync(join(store, name), { recursive: true, mode: 0o700 });
    mkdirSync(join(sandbox.folder, 'roomy', name), { recursive: true, mode: 0o700 });
    execFileSync('mount', ['--bind', join(sandbox.folder, 'roomy', name), join(store, name)]);
    mounts.defer(() => void execFileSync('umount', ['-l', join(store, name)]));
  }
  const options = { environment: { JETTISON_STORE: store } };
  await sandbox.succeed(['load', '-i', 'busybox.tar'], options);
  await sandbox.succeed(['build', '-t', 'app', context], options);
  for (const left of [0, 4096, 20_480]) {
    await fill(disk, left);
    writeFileSync(join(context, 'Dockerfile'), `FROM busybox\nRUN echo ${left} > /a\nCOPY Dockerfile /\n`);
    const done = look(`${left} bytes`, await sandbox.jettison(['build', '-t', 'app', context], options));
    if (done.status !== 0) assertOneError(done, /engine\.db": no space left on device[^]*Free some space/u);
    rmSync(join(disk.path, 'ballast'));
    await sandbox.succeed(['build', '-t', 'app', context], options);
    assert.equal(await sandbox.succeed(['run', '--rm', 'app', 'cat', '/a'], options), `${left}\n`);
    assert.ok(!readdirSync(store).some((file) => file.includes('broken')), 'no database is damaged');
  }
});

test('D4: a store that became read-only is refused at once, by each command', async () => {
  await using sandbox = await openSandbox();
  using disk = diskIn(sandbox, 'disk');
  disk.mount('size=20m');
  const options = { environment: { JETTISON_STORE: join(disk.path, 'store') } };
  const context = sandbox.files({ Dockerfile: 'FROM scratch\nCOPY Dockerfile /\n' });
  await sandbox.succeed(['build', '-t', 'app', context], options);
  disk.remount('ro');
  for (const words of [['build', '-t', 'app', context], ['images'], ['prune', '-f'], ['tag', 'app', 'other'], ['builds']]) {
    assertOneError(look(words.join(' '), await sandbox.jettison(words, options)), /disk\/store": the file system is read-only/u);
  }
  disk.remount('rw');
  await sandbox.succeed(['build', '-t', 'app', context], options);
});

test('D1: /tmp is full', async () => {
  await using sandbox = await openSandbox();
  await sandbox.base('busybox');
  using disk = diskIn(sandbox, 'tmp');
  disk.mount('size=100k');
  await fill(disk, 0);
  const options = { environment: { TMPDIR: disk.path } };
  const context = sandbox.files({ Dockerfile: 'FROM busybox\nRUN echo a > /a\nCOPY Dockerfile /\n' });
  await sandbox.succeed(['build', '-t', 'app', context], options);
  const archive = execFileSync('tar', ['-c', '-C', context, 'Dockerfile']);
  const done = look('a context on standard input', await sandbox.jettison(['build', '-'], { ...options, input: archive }));
  if (done.status !== 0) assertOneError(done, /no space left on device/u);
  assert.deepEqual(filesBelow(disk.path), ['ballast']);
});

test('D7: a device that fails when what was written to it is synced', async () => {
  await using sandbox = await openSandbox();
  await sandbox.base('busybox');
  using disk = diskIn(sandbox, 'backing');
  disk.mount('size=14m');
  // A file with holes, which the disk below has no room for: what is written to it is lost when the kernel gets there.
  const file = join(disk.path, 'device');
  writeFileSync(file, '');
  truncateSync(file, 64 << 20);
  execFileSync('mkfs.ext4', ['-q', '-O', '^has_journal', file]);
  const path = join(sandbox.folder, 'device');
  mkdirSync(path);
  execFileSync('mount', ['-o', 'loop,errors=continue', file, path]);
  using mounted = new DisposableStack();
  mounted.defer(() => void execFileSync('umount', ['-l', path]));
  const options = { environment: { JETTISON_STORE: join(path, 'store') } };
  await sandbox.succeed(['save', '-o', 'busybox.tar', 'busybox']);
  await sandbox.succeed(['load', '-i', 'busybox.tar'], options);
  const context = sandbox.files({
    Dockerfile: 'FROM busybox\nCOPY large /\nRUN md5sum /large > /sum && sync\n',
    large: randomBytes(20_000_000),
  });
  const done = look(
    'a failing device',
    await sandbox.jettison(['build', '-t', 'app', '-o', `type=oci,dest=${join(path, 'out.tar')}`, context], options),
  );
  assertOneError(done, /(?:no space left on device|\bEIO\b|i\/o error)/iu);
  assert.ok(!readdirSync(path).includes('out.tar'), 'nothing is called complete that may not be');
});

function filesBelow(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => entry.name)
    .toSorted();
}
