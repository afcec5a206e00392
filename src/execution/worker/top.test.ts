import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isCode } from '#ground/base/errors.ts';
import { listProcesses } from './top.ts';

const { signal } = new AbortController();

test('without a ps on this machine the usual columns come from the kernel, and others cannot be had', async () => {
  const wish = { words: '', now: Date.now(), path: '/nonexistent' };
  const { titles, processes } = await listProcesses(process.pid, wish, signal);
  assert.deepEqual(titles, ['UID', 'PID', 'PPID', 'C', 'STIME', 'TTY', 'TIME', 'CMD']);
  const own = processes.find(([, pid]) => pid === String(process.pid));
  assert.equal(own?.[2], String(process.ppid));
  assert.match(own?.[3] ?? '', /^\d\d?$/u);
  assert.match(own?.[4] ?? '', /^\d\d:\d\d$|^[A-Z][a-z]{2}\d\d$|^\d{4}$/u);
  assert.match(own?.[6] ?? '', /^(?:\d\d-)?\d\d:\d\d:\d\d$/u);
  assert.match(own?.[7] ?? '', /node/u);
  await assert.rejects(listProcesses(process.pid, { ...wish, words: 'aux' }, signal), (error) => isCode(error, 'worker/no-ps'));
});
