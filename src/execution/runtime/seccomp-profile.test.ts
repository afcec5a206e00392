import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isCode } from '#ground/base/errors.ts';
import { readSeccompProfile } from './seccomp-profile.ts';

const place = { architecture: 'x64', capabilities: ['CAP_CHOWN'], kernel: '6.1.0-18-amd64' };
const read = (profile: object) => readSeccompProfile(JSON.stringify(profile), place);
const allow = (names: readonly string[], more: object = {}): object => ({ names, action: 'SCMP_ACT_ALLOW', ...more });
const kept = (rules: readonly object[]) =>
  read({ defaultAction: 'SCMP_ACT_ERRNO', syscalls: rules }).syscalls.flatMap(({ names }) => names);

test('rules count by architecture, capability and kernel', () => {
  assert.deepEqual(
    kept([
      allow(['a'], { includes: { caps: ['CAP_CHOWN'] } }),
      allow(['b'], { includes: { caps: ['CAP_CHOWN', 'CAP_SYS_ADMIN'] } }),
      allow(['c'], { excludes: { caps: ['CAP_CHOWN'] } }),
      allow(['d'], { excludes: { caps: ['CAP_SYS_ADMIN'] } }),
      allow(['e'], { includes: { arches: ['amd64', 'x32'] } }),
      allow(['f'], { excludes: { arches: ['amd64'] } }),
      allow(['g'], { includes: { minKernel: '4.8' } }),
      allow(['h'], { includes: { minKernel: '6.2' } }),
      { name: 'i', action: 'SCMP_ACT_ALLOW' },
    ]),
    ['a', 'd', 'e', 'g', 'i'],
  );
});

test('architectures are those of the map that has ours', () => {
  const archMap = [
    { architecture: 'SCMP_ARCH_X86_64', subArchitectures: ['SCMP_ARCH_X86'] },
    { architecture: 'SCMP_ARCH_AARCH64', subArchitectures: null },
  ];
  assert.deepEqual(read({ defaultAction: 'SCMP_ACT_ALLOW', archMap }).architectures, ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86']);
  const both = { defaultAction: 'SCMP_ACT_ALLOW', archMap, architectures: ['SCMP_ARCH_X86'] };
  assert.throws(
    () => read(both),
    (error) => isCode(error, 'runtime/bad-seccomp-profile'),
  );
});

test('what is no profile is refused, and says where', () => {
  for (const text of ['', '[]', '{}', '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["a"],"action":"NO"}]}']) {
    assert.throws(
      () => readSeccompProfile(text, place),
      (error) => isCode(error, 'runtime/bad-seccomp-profile'),
      text,
    );
  }
  assert.throws(() => kept([{ name: 'a', names: ['b'], action: 'SCMP_ACT_ALLOW' }]), /"name" and "names"/);
  assert.throws(() => kept([allow(['a'], { includes: { minKernel: 'x' } })]), /minKernel/);
});
