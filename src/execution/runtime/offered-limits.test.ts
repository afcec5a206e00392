import { test } from 'node:test';
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempDisposableSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { noLimits, offeredLimits } from './offered-limits.ts';

/** A folder with these files, as the kernel shows its hierarchies. */
function hierarchies(files: Readonly<Record<string, string>>) {
  const folder = mkdtempDisposableSync(join(tmpdir(), 'jettison-cgroups-'));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(folder.path, dirname(name)), { recursive: true });
    writeFileSync(join(folder.path, name), text);
  }
  return { path: folder.path, [Symbol.dispose]: () => folder.remove() };
}

const all = { memory: true, swap: true, cpuShares: true, cpuPeriod: true, cpuQuota: true, cpuset: true, pids: true };

test('limits of version 1: by controller and by file', () => {
  const cpu = { 'cpu,cpuacct/cpu.shares': '', 'cpu,cpuacct/cpu.cfs_period_us': '', 'cpu,cpuacct/cpu.cfs_quota_us': '' };
  const memory = { 'memory/memory.limit_in_bytes': '', 'memory/memory.memsw.limit_in_bytes': '' };
  const own = '4:memory:/user\n3:cpu,cpuacct:/\n2:cpuset:/\n1:pids:/\n0::/\n';
  {
    using root = hierarchies({ ...cpu, ...memory, 'cpuset/cpuset.cpus': '', 'pids/cgroup.procs': '', 'unified/cgroup.controllers': '' });
    assert.deepEqual(offeredLimits(own, root.path), all);
    assert.deepEqual(offeredLimits('4:memory:/\n0::/\n', root.path), { ...noLimits, memory: true, swap: true });
  }
  using root = hierarchies({ 'cpu/cpu.shares': '', 'memory/memory.limit_in_bytes': '', 'pids/cgroup.procs': '' });
  assert.deepEqual(offeredLimits(own, root.path), { ...noLimits, memory: true, cpuShares: true, pids: true });
});

test('limits of version 2: by controller, swap by its file', () => {
  const controllers = 'cpuset cpu io memory pids\n';
  const own = '0::/user.slice/mine\n';
  {
    using root = hierarchies({ 'cgroup.controllers': controllers, 'user.slice/memory.swap.max': 'max' });
    assert.deepEqual(offeredLimits(own, root.path), all);
    assert.deepEqual(offeredLimits('0::/\n', root.path), all);
  }
  {
    using root = hierarchies({ 'cgroup.controllers': controllers, 'user.slice/memory.max': 'max' });
    assert.deepEqual(offeredLimits(own, root.path), { ...all, swap: false });
  }
  using root = hierarchies({ 'cgroup.controllers': 'pids\n' });
  assert.deepEqual(offeredLimits(own, root.path), { ...noLimits, pids: true });
  assert.deepEqual(offeredLimits('', root.path), noLimits);
});
