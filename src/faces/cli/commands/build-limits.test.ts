import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isCode } from '#ground/base/errors.ts';
import { readWords } from '../command.ts';
import { limitOptions, readLimits } from './build-limits.ts';

const definition = {
  name: 'build',
  summary: '',
  usage: '',
  options: limitOptions,
  arguments: [0, 0],
  run: async () => await Promise.resolve(0),
} as const;

function read(...words: readonly string[]): ReturnType<typeof readLimits> {
  const given = readWords(definition, words);
  assert.ok(given);
  return readLimits(given.options);
}

test("limits in docker's forms; 0 is no limit, the last of a name counts", () => {
  assert.deepEqual(read(), { ulimits: [], limits: undefined, cgroupParent: undefined });
  assert.deepEqual(read('-m', '64m', '--memory-swap=-1', '-c', '512', '--cpu-quota', '0', '--cpuset-cpus=0-1,3').limits, {
    memory: 67_108_864,
    memorySwap: -1,
    cpuShares: 512,
    cpusetCpus: '0-1,3',
  });
  assert.deepEqual(read('--ulimit', 'nofile=1:2', '--ulimit', 'core=infinity', '--ulimit', 'nofile=5').ulimits, [
    { name: 'core', soft: -1, hard: -1 },
    { name: 'nofile', soft: 5, hard: 5 },
  ]);
  assert.equal(read('--cgroup-parent', '/a/b').cgroupParent, '/a/b');
});

test('what docker refuses is refused', () => {
  const bad = [
    ['--ulimit', 'nofile'],
    ['--ulimit', 'files=3'],
    ['--ulimit', 'nofile=1:2:3'],
    ['--ulimit', 'nofile=2:1'],
    ['--ulimit', 'nofile=-1:5'],
    ['--ulimit', 'nofile='],
    ['-m', '5m'],
    ['-m', 'lots'],
    ['--memory-swap', '1g'],
    ['-m', '64m', '--memory-swap', '63m'],
    ['--cpu-period', '999'],
    ['--cpu-quota', '999'],
    ['--cpu-shares', '-1'],
    ['--cpuset-cpus', '3-1'],
    ['--cpuset-mems', 'a'],
    ['--cgroup-parent', '../up'],
  ];
  for (const words of bad)
    assert.throws(
      () => read(...words),
      (error) => isCode(error, 'cli/flag-value') || isCode(error, 'cli/bad-value'),
      words.join(' '),
    );
});
