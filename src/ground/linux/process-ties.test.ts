import { test } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';

const program = `
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
const { reapInherited } = await import(process.env.MODULE);
const dead = () => readFileSync('/proc/self/task/1/children', 'latin1').trim().split(' ').filter((one) => one !== '').length;
await once(spawn('sh', ['-c', 'sleep 0.1 & exit']), 'close');
for (let tries = 0; tries < 100 && !/Z/.test(readFileSync('/proc/' + readFileSync('/proc/self/task/1/children', 'latin1').trim() + '/stat', 'latin1')); tries++) await sleep(20);
const first = reapInherited(new Set());
const between = dead();
reapInherited(first);
console.log(first.size, between, dead());
`;

test('what the first process of a namespace inherited is taken at the second look', { skip: process.getuid?.() !== 0 }, () => {
  const words = ['--mount', '--pid', '--fork', '--mount-proc', process.execPath, '--input-type=module', '-e', program];
  const env = { ...process.env, NODE_TEST_CONTEXT: '', MODULE: import.meta.resolve('./process-ties.ts') };
  const { stdout, stderr } = spawnSync('unshare', words, { encoding: 'utf8', env, cwd: import.meta.dirname });
  assert.equal(stdout, '1 1 0\n', stderr);
});

const threads = `
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
const { reapInherited } = await import(process.env.MODULE);
const thread = new Worker(\`
  import { spawn } from 'node:child_process';
  import { parentPort } from 'node:worker_threads';
  const child = spawn('true');
  child.on('exit', (code) => { parentPort.postMessage(code); });
  parentPort.postMessage(child.pid);
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 500);
\`, { eval: true });
const [pid] = await once(thread, 'message');
while (!/^State:\\tZ/m.test(readFileSync('/proc/' + pid + '/status', 'latin1'))) await sleep(5);
reapInherited(reapInherited(new Set()));
console.log(await Promise.race([once(thread, 'message').then(String), sleep(5000, 'never')]));
process.exit();
`;

test('what another thread has started is left to it, however busy it is', () => {
  const env = { ...process.env, NODE_TEST_CONTEXT: '', MODULE: import.meta.resolve('./process-ties.ts') };
  const words = ['--input-type=module', '-e', threads];
  const { stdout, stderr } = spawnSync(process.execPath, words, { encoding: 'utf8', env, cwd: import.meta.dirname });
  assert.equal(stdout, '0\n', stderr);
});
