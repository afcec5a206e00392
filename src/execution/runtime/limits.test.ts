import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ResourceLimits } from './contract.ts';
import { controllersOf, limitFiles } from './limits.ts';

const mebibyte = 2 ** 20;

/** `file=value` of every controller; `?` behind those the kernel may lack. */
function written(limits: ResourceLimits, version: 1 | 2): readonly string[] {
  return controllersOf(limits).flatMap((controller) =>
    limitFiles(limits, controller, version).map(({ file, value, optional }) => `${file}=${value}${optional ? '?' : ''}`),
  );
}

test('memory: swap is as much again unless it is asked for', () => {
  const memory = 64 * mebibyte;
  assert.deepEqual(written({ memory }, 1), ['memory.limit_in_bytes=67108864', 'memory.memsw.limit_in_bytes=134217728?']);
  assert.deepEqual(written({ memory }, 2), ['memory.max=67108864', 'memory.swap.max=67108864?']);
  assert.deepEqual(written({ memory, memorySwap: memory }, 2), ['memory.max=67108864', 'memory.swap.max=0']);
  assert.deepEqual(written({ memory, memorySwap: -1 }, 2), ['memory.max=67108864', 'memory.swap.max=max']);
  assert.deepEqual(written({ memory, memorySwap: -1 }, 1), ['memory.limit_in_bytes=67108864', 'memory.memsw.limit_in_bytes=-1']);
});

test('processor time: shares become a weight, quota and period one line', () => {
  assert.deepEqual(written({ cpuShares: 1024, cpuQuota: 50_000 }, 1), ['cpu.shares=1024', 'cpu.cfs_quota_us=50000']);
  assert.deepEqual(written({ cpuShares: 1024, cpuQuota: 50_000 }, 2), ['cpu.weight=39', 'cpu.max=50000 100000']);
  assert.deepEqual(written({ cpuPeriod: 20_000 }, 2), ['cpu.max=max 20000']);
  assert.deepEqual(
    [2, 262_144, 999_999].map((cpuShares) => written({ cpuShares }, 2)),
    [['cpu.weight=1'], ['cpu.weight=10000'], ['cpu.weight=10000']],
  );
  assert.deepEqual(written({ cpusetCpus: '0-1', cpusetMems: '0' }, 2), ['cpuset.cpus=0-1', 'cpuset.mems=0']);
  assert.deepEqual(written({ cgroupParent: '/a' }, 1), []);
});
