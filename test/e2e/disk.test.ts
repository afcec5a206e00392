/** Disks that are full, read-only or broken under a store, and bytes in it that are not what was written: one error that names the place, nothing left, and the same command works once the disk does. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { assertNothingLeft, assertOneError, assertTidySnapshots } from '#test/kit/aftermath.ts';
import { startRegistry } from '#test/kit/registry.ts';
import { openSandbox, type CommandOptions, type Sandbox } from '#test/kit/sandbox.ts';

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
  const script = 'find / -xdev -type f -not -path "/proc/*" -not -path "/sys/*" | sort | xargs md5sum; find /made /large | sort | xargs stat -c "%n %a %u"';
  return await sandbox.succeed(['run', '--rm', '--hostname', 'h', image, 'sh', '-c', script], options);
}

const steps = Number(process.env['STEPS'] ?? 10);

for (const [name, what, from, to] of [
  ['D1', 'bytes', Number(process.env['FROM'] ?? 300), Number(process.env['TO'] ?? 9500)],
  ['D2', 'inodes', Number(process.env['FROM'] ?? 12), Number(process.env['TO'] ?? 110)],
] as const) {
  test(`${name}: pull, unpack, RUN, COPY, commit, database, push on disks of ever more ${what}`, async () => {
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
    const build = ['build', '-t', 'app', '-t', `${registry.host}/app`, context];
    await sandbox.succeed(build);
    const good = await contentOf(sandbox, 'app', {});
    const push = ['push', `${registry.host}/app`];
    const option = what === 'bytes' ? 'size' : 'nr_inodes';
    const unit = what === 'bytes' ? 'k' : '';
    const seen = new Set<string>();
    for (let step = 0; step < steps; step++) {
      const size = Math.round(from * (to / from) ** (step / Math.max(1, steps - 1)));
      disk.mount(`${option}=${size}${unit}`);
      let failed = false;
      for (const words of [build, push]) {
        const done = await sandbox.jettison(words, options);
        if (done.status === 0) continue;
        if (process.env['SHOW'] !== undefined) console.log(size, words[0], done.stderr.split('\n').filter((line) => /ERROR|FAILED|free|note/iu.test(line)).join('\n   '));
        assertOneError(done, /no space left on device|disk is full/iu);
        assert.ok(done.stderr.includes(disk.path), `${size}: ${done.stderr}`);
        seen.add(/code|ERROR: ([^"]*)"/u.exec(done.stderr)?.[1] ?? '');
        failed = true;
        disk.remount(`${option}=${100_000}${unit}`);
        await assertNothingLeft(sandbox, words === build ? ['app'] : [], options.environment.JETTISON_STORE);
        await sandbox.succeed(words, options);
        disk.remount(`${option}=${what === 'bytes' ? size + 60_000 : size + 1000}${unit}`);
      }
      if (process.env['SHOW'] !== undefined && !failed) console.log(size, 'worked');
      assert.equal(await contentOf(sandbox, 'app', options), good, `${size}`);
      await assertTidySnapshots(options.environment.JETTISON_STORE);
    }
    if (process.env['SHOW'] !== undefined) console.log(seen);
  });
}
