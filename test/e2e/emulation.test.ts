/**
 * Programs of another processor. What stands for an emulator is busybox, which the kernel is told to hand programs of riscv64 to: in a user namespace of its own, so that
 * nothing outside changes (binfmt_misc is one a user namespace since Linux 6.7). The "program" has the header of one and nothing else; busybox goes by its name.
 */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { removeWithStore } from '#test/kit/remove-store.ts';
import { openSandbox, type Sandbox } from '#test/kit/sandbox.ts';
import { mainFile } from '#test/kit/main-file.ts';

const magic = '7f454c460201010000000000000000000200f300';
const escaped = (hex: string): string => hex.replaceAll(/../gu, String.raw`\x$&`);
const mask = 'ffffffffffffff00fffffffffffffffffeffffff';

/** The words run by a shell that is root of a user namespace, in which riscv64 is emulated by `interpreter`; undefined where the kernel does not let it. */
function emulating(sandbox: Sandbox, interpreter: string, flags: string, script: string) {
  const registration = `:t:M::${escaped(magic)}:${escaped(mask)}:${interpreter}:${flags}`;
  const inside = `mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc || exit 77
printf '%s' '${registration}' >/proc/sys/fs/binfmt_misc/register || exit 78
${script}`;
  const outside = `unshare --user --mount sleep 100 & p=$!
until [ "$(readlink /proc/$p/ns/user)" != "$(readlink /proc/self/ns/user)" ]; do sleep 0.05; done
echo "0 0 65536" >/proc/$p/uid_map; echo "0 0 65536" >/proc/$p/gid_map
nsenter --user --mount --wdns="$PWD" --target $p --setuid 0 --setgid 0 sh -c "$1"; code=$?; kill $p; exit $code`;
  const done = spawnSync('sh', ['-c', outside, 'sh', inside], {
    cwd: sandbox.folder,
    encoding: 'utf8',
    env: { ...process.env, ...sandbox.environment, JETTISON: `${process.execPath} ${mainFile}` },
  });
  return done.status === 77 ? undefined : done;
}

test('a RUN for a processor without an emulator fails before anything runs, and says what to install; with one it runs', async () => {
  await using sandbox = await openSandbox();
  await sandbox.base('busybox');
  const program = new Uint8Array(Buffer.concat([Buffer.from(magic, 'hex'), new Uint8Array(100)]));
  sandbox.files({ Dockerfile: 'FROM scratch\nCOPY --chmod=755 sh /bin/\n', sh: program }, 'base');
  await sandbox.succeed(['build', '-q', '--platform', 'riscv64', '-t', 'foreign', 'base']);
  sandbox.files({
    Dockerfile: `FROM --platform=$BUILDPLATFORM busybox AS first
RUN sleep 1
FROM foreign
COPY --from=first /bin/busybox /copy
RUN echo emulated
`,
  });
  const build = ['build', '--progress', 'plain', '--no-cache', '--platform', 'linux/riscv64', 'context'];
  const refused = await sandbox.jettison(build);
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, /5 \| >>> RUN echo emulated/u);
  assert.match(refused.stderr, /"RUN echo emulated" needs to run programs of linux\/riscv64/u);
  assert.match(refused.stderr, /apt-get install (?:--reinstall )?qemu-user-static binfmt-support/u);
  assert.doesNotMatch(refused.stderr, /DONE/u);
  const run = await sandbox.jettison(['run', '--rm', 'foreign', 'true']);
  assert.equal(run.status, 125);
  assert.match(
    run.stderr,
    /platform \(linux\/riscv64\) does not match the detected host platform \(linux\/\w+\) and no specific platform/u,
  );

  const busybox = ['/bin/busybox', '/usr/bin/busybox'].find((path) => existsSync(path)) ?? '';
  // Another user, so another store.
  await sandbox.succeed(['save', '-o', 'bases.tar', 'busybox', 'foreign']);
  const store = join(sandbox.folder, 'inside');
  const script = `export JETTISON_STORE=${store}; $JETTISON load -i bases.tar && $JETTISON info && $JETTISON ${build.join(' ')}`;
  const done = emulating(sandbox, busybox, 'F', script);
  removeWithStore(store, store);
  // Kernels before 6.7 have one binfmt_misc for all, which a test does not touch.
  if (done === undefined) return;
  assert.equal(done.status, 0, done.stderr);
  assert.match(done.stdout, /^ Platforms: .*linux\/riscv64$/mu);
  assert.match(done.stderr, /#\d+ [\d.]+ emulated/u);
});
