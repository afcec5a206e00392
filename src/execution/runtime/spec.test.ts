import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ProcessRequest } from './contract.ts';
import { readCapabilities } from './capabilities.ts';
import { nameFiles } from './dns.ts';
import { seccompProfile } from './seccomp.ts';
import { dockerCapabilities } from './rights.ts';
import { usualDevices } from './spec-mounts.ts';
import { createSpec, type HostFacts } from './spec.ts';

const host: HostFacts = {
  capabilities: [...dockerCapabilities, 'CAP_SYS_ADMIN'],
  architecture: 'x64',
  devices: usualDevices,
  compiledFilter: 'QUJD',
  rootDevices: { kind: 'hook', readOnlyProgram: '/run/ro', program: '/run/forbid-devices' },
};
const paths = { rootfs: '/b/rootfs' };
const request: ProcessRequest = {
  id: 'x',
  rootfs: '/r',
  arguments: ['true'],
  environment: ['A=1'],
  workingDirectory: '/w',
  user: { uid: 1, gid: 2, additionalGids: [3] },
  security: 'sandbox',
  network: 'host',
  hostname: 'h',
  terminal: false,
  stopSignal: 'SIGTERM',
  shmSize: null,
  mounts: [
    { kind: 'bind', source: '/deep', target: '/a/b', readOnly: true },
    { kind: 'tmpfs', target: '/dev/shm', size: 10, mode: 0o1777 },
  ],
  names: nameFiles({ hostname: 'h', extraHosts: [], hostResolvConf: '', isStep: true }),
};

test('a sandbox has no mount on which devices work, but the devices themselves and the pseudo terminals', () => {
  const { mounts, hooks, linux } = createSpec(request, paths, host);
  const open = mounts.filter(({ options }) => !options.includes('nodev')).map(({ destination }) => destination);
  assert.deepEqual(open, ['/dev/pts', ...usualDevices]);
  assert.deepEqual(hooks?.createContainer, [{ path: '/run/forbid-devices', args: ['/run/forbid-devices', '/b/rootfs'] }]);
  const again = createSpec(request, paths, { ...host, rootDevices: { kind: 'remount' } });
  assert.deepEqual([again.hooks, again.mounts[0]?.destination, again.mounts[0]?.options], [undefined, '/.', ['bind', 'remount', 'nodev']]);
  assert.equal(linux.seccomp?.defaultAction, 'SCMP_ACT_ERRNO');
  assert.ok(linux.maskedPaths.includes('/proc/kcore') && linux.readonlyPaths.includes('/proc/sys'));
});

test('the runtime mounts on folders that it makes itself and on no others', () => {
  const targets = createSpec(request, paths, host).mounts.map(({ destination }) => destination);
  assert.deepEqual(
    targets.filter((target) => !/^\/(?:proc|sys|dev)(?:\/|$)/u.test(target)),
    [],
  );
  assert.ok(targets.includes('/dev/shm'));
});

test('only what this process has is handed on; insecure is all of it, and nothing hidden', () => {
  const poor = createSpec(request, paths, { ...host, capabilities: ['CAP_CHOWN', 'CAP_SYS_ADMIN'] });
  assert.deepEqual(poor.process.capabilities.bounding, ['CAP_CHOWN']);
  const insecure = createSpec({ ...request, security: 'insecure' }, paths, host);
  assert.deepEqual(insecure.process.capabilities.effective, host.capabilities);
  assert.deepEqual(
    [insecure.linux.seccomp, insecure.linux.maskedPaths, insecure.hooks, insecure.annotations],
    [undefined, [], undefined, undefined],
  );
});

test('other users than root start without capabilities, and may get them from programs that have some', () => {
  const { bounding, effective, permitted } = createSpec({ ...request, user: { ...request.user, uid: 1000 } }, paths, host).process
    .capabilities;
  assert.deepEqual([bounding, effective, permitted], [dockerCapabilities, [], []]);
});

test('a network of its own is a namespace of its own', () => {
  const [shared, own] = (['host', 'none'] as const).map((network) => createSpec({ ...request, network }, paths, host).linux.namespaces);
  assert.deepEqual(own, [...(shared ?? []), { type: 'network' }]);
});

test('seccomp: the architectures whose programs run, no namespaces without CAP_SYS_ADMIN, nothing for a machine we do not know', () => {
  const plain = seccompProfile('x64', dockerCapabilities);
  assert.deepEqual(plain?.architectures, ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86']);
  const names = new Set(plain?.syscalls.filter(({ action, args }) => action === 'SCMP_ACT_ALLOW' && !args).flatMap((rule) => rule.names));
  for (const name of ['read', 'openat', 'chroot', 'arch_prctl', 'ptrace']) assert.ok(names.has(name), name);
  for (const name of [
    'mount',
    'unshare',
    'setns',
    'bpf',
    'keyctl',
    'add_key',
    'kexec_load',
    'init_module',
    'clone',
    'clone3',
    'socket',
    'personality',
    'io_uring_setup',
    'userfaultfd',
    'socketcall',
  ]) {
    assert.ok(!names.has(name), name);
  }
  assert.ok(plain?.syscalls.some((rule) => rule.names.includes('clone3') && rule.errnoRet === 38));
  const admin = seccompProfile('x64', [...dockerCapabilities, 'CAP_SYS_ADMIN']);
  assert.ok(
    admin?.syscalls[0]?.names.includes('unshare') && !admin.syscalls.some((rule) => rule.errnoRet === 38 && rule.names.includes('clone3')),
  );
  assert.equal(seccompProfile('pdp11', []), undefined);
});

test('capabilities are those both permitted and bounding', () => {
  assert.deepEqual(readCapabilities('CapPrm:\t00000000000000ff\nCapBnd:\t0000020000200001\n'), ['CAP_CHOWN']);
  assert.equal(readCapabilities('CapPrm:\t000001ffffffffff\nCapBnd:\t000001ffffffffff\n').length, 41);
  assert.deepEqual(readCapabilities(''), []);
});

test('hosts: localhost, the own name, extra lines in both notations', () => {
  const { hosts, hostname } = nameFiles({
    hostname: 'box',
    extraHosts: ['a:10.0.0.1', 'b=10.0.0.2', 'c:::1', 'd:[fd00::2]'],
    hostResolvConf: '',
    isStep: false,
  });
  const lines = hosts.split('\n');
  assert.ok(lines.includes('127.0.0.1\tlocalhost') && lines.includes('127.0.0.1\tbox'));
  assert.deepEqual(lines.slice(-5), ['10.0.0.1\ta', '10.0.0.2\tb', '::1\tc', 'fd00::2\td', '']);
  assert.equal(hostname, 'box\n');
});

test('a build step has the host file of BuildKit and sees the image’s own /etc/hostname', () => {
  const names = nameFiles({ hostname: 'box', extraHosts: ['c:::1'], hostResolvConf: 'r', isStep: true });
  const hosts = '127.0.0.1\tlocalhost box\n::1\tlocalhost ip6-localhost ip6-loopback\n::1\tc\n';
  assert.deepEqual(names, { hosts, hostname: null, resolvConf: 'r', readOnly: true });
});

test('where there is one id, files are given away in name only, and what needs other ids is left out', () => {
  const { linux, mounts, process } = createSpec(request, paths, { ...host, hasOneId: true });
  const rules = linux.seccomp?.syscalls ?? [];
  const about = rules.filter(({ names }) => names.includes('fchownat'));
  assert.deepEqual(
    about.map(({ action, errnoRet }) => [action, errnoRet]),
    [['SCMP_ACT_ERRNO', 0]],
  );
  assert.equal(rules.find(({ names }) => names.includes('setuid'))?.action, 'SCMP_ACT_ALLOW');
  assert.deepEqual(process.user.additionalGids, []);
  assert.ok(!mounts.some(({ options }) => options.includes('gid=5')));
});
