import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SeenProcess } from './process-families.ts';
import { witnessedAccounts, type ProcessWitness } from './witnessed-processes.ts';

function seen(code: number, programs: number, more: Partial<SeenProcess> = {}): SeenProcess {
  return { name: undefined, laterName: undefined, programs, code, ...more };
}

async function endedOf(own: SeenProcess, ...children: readonly SeenProcess[]) {
  const witness: ProcessWitness = {
    follow: async () => await Promise.resolve(true),
    endedBelow: async () => await Promise.resolve({ own, children, isWhole: true }),
    leave: () => undefined,
  };
  using followed = await witnessedAccounts(witness).follow();
  return await followed?.endedBelow({ pid: undefined, program: '/usr/bin/a-shell-with-a-long-name', code: 1 });
}

test('a copy of the first process has its name; of what became more than one program no name is certain', async () => {
  const ended = await endedOf(
    seen(1, 1),
    seen(0, 0),
    seen(2, 0, { laterName: 'ls' }),
    seen(3, 1, { name: 'make' }),
    seen(4, 1),
    seen(5, 2, { name: 'node' }),
    seen(6, 1, { name: 'node', laterName: 'MainThread' }),
  );
  assert.equal(ended?.own, 'a-shell-with-a-');
  assert.deepEqual(
    ended.children.map(({ name, code }) => `${name ?? '?'} ${code}`),
    ['a-shell-with-a- 0', 'ls 2', 'make 3', '? 4', '? 5', 'node 6'],
  );
});

test('the first process is what it became, or says that it is', async () => {
  assert.equal((await endedOf(seen(1, 2)))?.own, undefined);
  assert.equal((await endedOf(seen(1, 2, { name: 'ls' })))?.own, 'ls');
  assert.equal((await endedOf(seen(1, 3, { name: 'ls' })))?.own, undefined);
  assert.equal((await endedOf(seen(1, 1, { laterName: 'ls' })))?.own, 'ls');
});

test('who is not told of processes is not asked again', async () => {
  const asked: string[] = [];
  const accounts = witnessedAccounts({
    follow: async (mark) => await Promise.resolve(asked.push(mark) === 0),
    endedBelow: async () => await Promise.resolve(undefined),
    leave: () => undefined,
  });
  assert.equal(await accounts.follow(), undefined);
  assert.equal(await accounts.follow(), undefined);
  assert.equal(asked.length, 1);
  assert.match(asked[0] ?? '', /^[0-9a-f]{14}$/u);
});
