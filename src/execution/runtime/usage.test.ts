import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { totalmem } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { measureRun } from './usage.ts';

const files = {
  1: {
    'cpuacct.usage': '5000000\n',
    'memory.usage_in_bytes': '9000\n',
    'memory.limit_in_bytes': '65536\n',
    'memory.stat': 'cache 1\ninactive_file 1\ntotal_inactive_file 2000\n',
    'blkio.throttle.io_service_bytes': '8:0 Read 100\n8:0 Write 20\n8:16 Read 1\nTotal 121\n',
  },
  2: {
    'cpu.stat': 'usage_usec 5000\nuser_usec 1\n',
    'memory.current': '9000\n',
    'memory.max': '65536\n',
    'memory.stat': 'anon 1\ninactive_file 2000\n',
    'io.stat': '8:0 rbytes=100 wbytes=20 rios=1 wios=1\n8:16 rbytes=1 wbytes=0 rios=1 wios=0\n',
  },
} as const;

test('a cgroup of either version is read; where it counts nothing, or not all, the processes are counted', () => {
  const folder = mkdtempSync('/tmp/jettison-usage-');
  try {
    for (const version of [1, 2] as const) {
      for (const [name, text] of Object.entries(files[version])) writeFileSync(join(folder, name), text);
      const { cpu, memory, memoryLimit, disk, countedBy } = measureRun(0, [{ version, folder, isWhole: true }]);
      assert.deepEqual([cpu, memory, memoryLimit, disk], [5_000_000, 7000, 65_536, { in: 101, out: 20 }], `version ${version}`);
      assert.deepEqual(countedBy, { cpu: 'cgroup', memory: 'cgroup', disk: 'cgroup' });
      const later = measureRun(0, [{ version, folder, isWhole: false }]);
      assert.deepEqual([later.memoryLimit, later.memory, later.countedBy.memory], [65_536, 0, 'processes']);
      writeFileSync(join(folder, version === 1 ? 'memory.limit_in_bytes' : 'memory.max'), 'max\n');
      assert.equal(measureRun(0, [{ version, folder, isWhole: true }]).memoryLimit, totalmem());
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});
