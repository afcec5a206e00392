/** What a container may be told about rights, devices, the kernel's settings and namespaces, over each runtime, as root and as root of a user namespace. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fromText } from '#ground/base/byte-string.ts';
import { isCode } from '#ground/base/errors.ts';
import { ownRights } from '#ground/linux/own-rights.ts';
import { mountFileSystem, mountFlags } from '#ground/linux/mount.ts';
import { AT_FDCWD, fileTypes, makeNodeAt } from '#ground/linux/syscall.ts';
import { openRuntime } from '#execution/runtime/choose.ts';
import type { Confinement, ProcessMount, ProcessRequest, Runtime } from '#execution/runtime/contract.ts';
import { mountDevice } from '#execution/runtime/host-devices.ts';
import { runInRoot, type RootProcess } from '#execution/ops/exec/process.ts';
import { makeBusyboxRoot } from '#test/kit/busybox.ts';
import { inOwnNamespaces, removeWithMounts } from '#test/kit/own-namespaces.ts';
import { runStep, stepRequest, type Said } from '#test/kit/step.ts';

const never = new AbortController().signal;

inOwnNamespaces(
  import.meta.filename,
  () => {
    // An old runc does not work for root of a user namespace that shares the network.
    for (const only of ownRights().isInitialNamespace ? (['crun', 'runc'] as const) : (['crun'] as const))
      describe(only, () => contract(only));
  },
  { users: true },
);

function contract(only: 'crun' | 'runc'): void {
  let folder = '';
  let rootfs = '';
  let runtime: Runtime;
  let count = 0;
  /** Root of a user namespace makes no devices. */
  const isMachineRoot = ownRights().isInitialNamespace;

  const request = (words: readonly string[], more: Partial<ProcessRequest> = {}): ProcessRequest =>
    stepRequest({ id: `c${process.pid}-${count++}`, rootfs, arguments: words, ...more });
  const run = async (words: readonly string[], more: Partial<ProcessRequest> = {}): Promise<Said> =>
    await runStep(runtime, request(words, more), never);
  const shell = async (script: string, confinement: Confinement = {}, more: Partial<ProcessRequest> = {}) =>
    await run(['sh', '-c', script], { confinement, ...more });

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), `jettison-confinement-${only}-`));
    rootfs = join(folder, 'root');
    mkdirSync(rootfs);
    makeBusyboxRoot(rootfs);
    runtime = await openRuntime(
      { folder: join(folder, 'run'), memory: join(folder, 'runtime.json'), cgroupRecords: join(folder, 'cgroups'), only },
      () => undefined,
      never,
    );
    if (isMachineRoot) makeNodeAt(AT_FDCWD, fromText(join(rootfs, 'null')), { type: fileTypes.character, mode: 0o666, major: 1, minor: 3 });
  });
  after(() => {
    removeWithMounts(folder);
  });

  const capabilities = async (confinement: Confinement) =>
    (await shell('grep -E "^Cap(Eff|Bnd|Inh|Amb)" /proc/self/status | tr -d "\\t\\n"', confinement)).out;

  test('capabilities are added and dropped as in Docker, inheritable and ambient ones stay empty', async () => {
    const zero = '0'.repeat(16);
    const sets = (mask: string): string => `CapInh:${zero}CapEff:${mask}CapBnd:${mask}CapAmb:${zero}`;
    assert.equal(await capabilities({ capabilities: { add: [], drop: ['ALL'] } }), sets(zero));
    assert.equal(await capabilities({ capabilities: { add: ['CAP_SYS_PTRACE'], drop: ['ALL'] } }), sets('0000000000080000'));
    assert.equal(await capabilities({ capabilities: { add: ['CAP_SYS_ADMIN'], drop: ['CAP_CHOWN'] } }), sets('00000000a82425fa'));
    const all = await capabilities({ capabilities: { add: ['ALL'], drop: ['CAP_SYS_ADMIN'] } });
    const [, mask = ''] = /CapEff:([0-9a-f]{16})/u.exec(all) ?? [];
    assert.equal(BigInt(`0x${mask}`) & (1n << 21n), 0n);
    assert.notEqual(BigInt(`0x${mask}`) & (1n << 12n), 0n);
    await assert.rejects(capabilities({ capabilities: { add: ['CAP_FLY'], drop: [] } }), (error) =>
      isCode(error, 'runtime/unknown-capability'),
    );
  });

  test('no new privileges; seccomp by a profile, and without one', async () => {
    const status = 'grep -E "^(NoNewPrivs|Seccomp):" /proc/self/status | tr -d "\\t\\n"';
    assert.equal((await shell(status, { noNewPrivileges: true })).out, 'NoNewPrivs:1Seccomp:2');
    assert.equal((await shell(status, { seccomp: null })).out, 'NoNewPrivs:0Seccomp:0');
    const profile = JSON.stringify({
      defaultAction: 'SCMP_ACT_ALLOW',
      archMap: [{ architecture: 'SCMP_ARCH_X86_64', subArchitectures: ['SCMP_ARCH_X86'] }, { architecture: 'SCMP_ARCH_AARCH64' }],
      syscalls: [
        { names: ['mkdir', 'mkdirat'], action: 'SCMP_ACT_ERRNO', errnoRet: 28 },
        { name: 'chmod', action: 'SCMP_ACT_ERRNO', includes: { caps: ['CAP_SYS_ADMIN'] } },
      ],
    });
    const made = await shell('mkdir /tmp/x; touch /tmp/y && chmod 600 /tmp/y && echo changed', { seccomp: profile });
    assert.match(made.err, /No space left/);
    assert.equal(made.out, 'changed\n');
    await assert.rejects(shell('true', { seccomp: '{"defaultAction": "SCMP_ACT_WISH"}' }), (error) =>
      isCode(error, 'runtime/bad-seccomp-profile'),
    );
  });

  test('a read-only root cannot be written to, what is mounted in it can, and no device of the image opens', async () => {
    const mounts: readonly ProcessMount[] = [{ kind: 'tmpfs', target: '/tmp', size: null, mode: 0o1777 }];
    const script =
      'touch /x; touch /tmp/y && echo tmp; touch /dev/shm/z && echo shm; [ -e /null ] && cat /null && echo opened; mount -o remount,rw / && echo again';
    const said = await shell(script, { hasReadOnlyRoot: true }, { mounts });
    assert.match(said.err, /\/x: Read-only file system/);
    assert.equal(said.out, 'tmp\nshm\n');
  });

  test('system paths are hidden unless they are to be seen', async () => {
    const script = 'ls /sys/firmware | wc -l; grep -c " /proc/sys " /proc/mounts';
    assert.equal((await shell(script)).out, '0\n1\n');
    assert.match((await shell(script, { opensSystemPaths: true })).out, /\n0\n$/);
  });

  test('settings of the kernel: those of its own namespaces, and never those of shared ones', async () => {
    const own = await shell(
      'cat /proc/sys/kernel/msgmax /proc/sys/net/ipv4/ip_unprivileged_port_start',
      {
        sysctls: { 'kernel.msgmax': '12345', 'net.ipv4.ip_unprivileged_port_start': '80' },
      },
      { network: 'none' },
    );
    assert.equal(own.out, '12345\n80\n');
    const shared = shell('true', { sysctls: { 'net.ipv4.ip_forward': '1' } });
    await assert.rejects(shared, (error) => isCode(error, 'runtime/shared-sysctl'));
    const ipc = shell('true', { shares: ['ipc'], sysctls: { 'kernel.msgmax': '12345' } });
    await assert.rejects(ipc, (error) => isCode(error, 'runtime/shared-sysctl'));
  });

  test('namespaces that are shared are those of the host', async () => {
    const script = 'readlink /proc/self/ns/ipc; readlink /proc/self/ns/uts';
    const host = ['ipc', 'uts'].map((name) => `${readlinkSync(`/proc/self/ns/${name}`)}\n`).join('');
    const shared = await shell(script, { shares: ['ipc', 'uts'] });
    assert.equal(shared.out, host, shared.err);
    assert.notEqual((await shell(script)).out, host);
  });

  test('a device is shown at its place and opens; others do not', async () => {
    const mounts = mountDevice('/dev/zero', '/dev/my/zero');
    const said = await shell('head -c 3 /dev/my/zero | wc -c; [ -e /null ] && cat /null && echo opened', {}, { mounts });
    assert.equal(said.out, '3\n', said.err);
    assert.throws(() => mountDevice('/dev/none', '/dev/none'), /no such file or directory/);
    assert.throws(() => mountDevice('/etc/passwd', '/dev/none'), /not a device node/);
  });

  test('a privileged container has the capabilities and devices that there are, and may mount', async () => {
    const said = await shell(
      'grep ^Seccomp: /proc/self/status | tr -d "\\t"; grep CapAmb /proc/self/status | tr -d "\\t"; ls -d /dev/loop-control /dev/kmsg /dev/full; mount -t tmpfs t /tmp && echo mounted; ls /sys/fs/cgroup | head -1 | wc -l',
      { hasHostDevices: true },
      { security: 'insecure' },
    );
    assert.match(said.out, /^Seccomp:0\nCapAmb:0{16}\n/, said.err);
    assert.match(said.out, /\/dev\/full\n[^]*mounted\n/);
  });

  // Others make no cgroups.
  if (isMachineRoot)
    test('memory, processes and more are limited by a cgroup', async () => {
      const limits = { memory: 64 << 20, memoryReservation: 32 << 20, pids: 20, cpuQuota: 50_000 };
      const script = ['pids.max', 'memory.low', 'memory.soft_limit_in_bytes']
        .map((name) => `cat /sys/fs/cgroup/${name} /sys/fs/cgroup/*/${name} 2>/dev/null`)
        .join('; ');
      assert.equal((await shell(script, {}, { limits })).out, `20\n${32 << 20}\n`);
      const bomb = await shell('i=0; while [ $i -lt 40 ]; do sleep 100 & i=$((i+1)); done; echo all', {}, { limits });
      assert.match(bomb.err, /can't fork|Resource temporarily unavailable/);
      assert.deepEqual(readdirSync(join(folder, 'cgroups')), []);
    });

  const inRoot = async (words: readonly string[], more: Partial<RootProcess>): Promise<Said> => {
    const chunks: Uint8Array[] = [];
    const take = (bytes: Uint8Array): void => void chunks.push(bytes.slice());
    const given = {
      id: `i${process.pid}-${count++}`,
      rootfs,
      arguments: words,
      environment: ['PATH=/nowhere:/bin'],
      workingDirectory: '/',
    };
    const fixed = { user: '', security: 'sandbox', network: 'host', hostname: 'h', extraHosts: [], ownNames: true } as const;
    const rest = { terminal: false, stopSignal: 'SIGTERM', shmSize: null, mounts: [] } as const;
    const { status } = await runInRoot(
      { ...given, ...fixed, ...rest, ...more },
      runtime,
      { kind: 'capture', stdout: take, stderr: take },
      never,
    );
    return { status, out: Buffer.concat(chunks).toString(), err: '' };
  };

  if (process.arch === 'x64')
    test('an init starts the program, reaps, hands on signals and ends as it does', async () => {
      const confinement = { hasInit: true };
      const orphans = await inRoot(
        [
          'sh',
          '-c',
          'sh -c "sleep 0.1 & exit"; for i in $(seq 600); do set -- /proc/[0-9]*; test $# -gt 2 || break; sleep 0.1; done; echo $#; cat /proc/1/comm; exit 7',
        ],
        { confinement },
      );
      assert.equal(orphans.out, '2\ndocker-init\n');
      assert.equal(orphans.status.code, 7);
      assert.equal((await inRoot(['sh', '-c', 'kill -9 $$'], { confinement })).status.code, 137);
      const signalled = await inRoot(['sh', '-c', 'trap "exit 3" TERM; kill -TERM 1; sleep 100 & wait'], { confinement });
      assert.equal(signalled.status.code, 3);
      const { status } = await inRoot(['env', '-i', '/bin/cat', '/etc/hosts'], { confinement });
      assert.equal(status.code, 0);
    });

  test('groups of the image, name servers', async () => {
    const said = await inRoot(['sh', '-c', 'id -G; cat /etc/resolv.conf'], {
      user: 'app',
      groups: ['users', '4711'],
      dns: { servers: ['192.0.2.7'], search: ['.'], options: ['ndots:2'] },
    });
    assert.equal(said.out, '700 100 701 4711\nnameserver 192.0.2.7\noptions ndots:2\n');
    await assert.rejects(inRoot(['true'], { groups: ['nobody-knows'] }), (error) => isCode(error, 'runtime/unknown-group'));
  });

  test('a bind shows what is mounted below its source, and is read-only to its depths', async () => {
    const source = join(folder, 'source');
    mkdirSync(join(source, 'below'), { recursive: true });
    mountFileSystem({ source: 'tmpfs', target: join(source, 'below'), type: 'tmpfs', flags: mountFlags.noSuid, options: '' });
    writeFileSync(join(source, 'below/file'), 'deep');
    const bind = { kind: 'bind', source, target: '/mnt', readOnly: true, isRecursive: true } as const;
    mkdirSync(join(rootfs, 'mnt'), { recursive: true });
    const script = 'cat /mnt/below/file; touch /mnt/x; touch /mnt/below/x && echo wrote';
    const deep = await shell(script, {}, { mounts: [bind] });
    assert.equal(deep.out, 'deep', deep.err);
    assert.equal((await shell(script, {}, { mounts: [{ ...bind, isShallow: true }] })).out, 'deepwrote\n');
  });
}
