import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempDisposableSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { cancelled } from '#ground/base/abort.ts';
import { isCode, systemCode } from '#ground/base/errors.ts';
import { runProcess, startAfterwards } from './spawn.ts';

const never = new AbortController().signal;
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const shell = (script: string, ...more: readonly string[]) => ({ command: 'sh', arguments: ['-c', script, 'sh', ...more] });

test('the exit and the output of a process are values', async () => {
  const exit = await runProcess({ ...shell('cat; echo "$1" >&2; exit 3', 'a b; $(c)'), input: new TextEncoder().encode('in') }, never);
  assert.deepEqual([exit.code, exit.signal, text(exit.stdout), text(exit.stderr)], [3, undefined, 'in', 'a b; $(c)\n']);
  assert.equal((await runProcess(shell('kill -9 $$'), never)).signal, 'SIGKILL');
});

test('only the end of long output is kept, streams get all of it', async () => {
  const print = 'i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done';
  const kept = await runProcess({ ...shell(print), captureLimit: 20 }, never);
  assert.equal(text(kept.stdout), '\nline 19998\nline 19999\n'.slice(-20));
  let length = 0;
  const streamed = await runProcess({ ...shell(print), onStdout: (chunk) => void (length += chunk.length) }, never);
  assert.equal(streamed.stdout.length, 0);
  assert.ok(length > 200_000);
});

test('the environment and the folder are the given ones', async () => {
  const exit = await runProcess({ ...shell('echo "$A:$HOME"; pwd'), environment: { A: '1', PATH: '/usr/bin:/bin' }, cwd: '/' }, never);
  assert.equal(text(exit.stdout), '1:\n/\n');
});

test('a program that is not there is said clearly', async () => {
  await assert.rejects(runProcess({ command: 'no-such-program', arguments: [] }, never), (error) => isCode(error, 'linux/no-such-command'));
  await assert.rejects(runProcess({ command: '/', arguments: [] }, never), (error) => isCode(error, 'linux/cannot-start'));
});

test('aborting ends the process, though a grandchild holds its output open', async () => {
  const controller = new AbortController();
  const reason = cancelled('enough');
  const running = runProcess({ ...shell('sleep 60 & echo ready; wait'), onStdout: () => controller.abort(reason) }, controller.signal);
  const before = performance.now();
  await assert.rejects(running, reason);
  assert.ok(performance.now() - before < 50_000);
  await assert.rejects(runProcess(shell('true'), controller.signal), reason);
});

test('aborting ends what a program has started, too, where that is asked for', async () => {
  const controller = new AbortController();
  let grandchild = 0;
  const onStdout = (chunk: Uint8Array): void => {
    grandchild = Number(text(chunk));
    controller.abort(cancelled('enough'));
  };
  await assert.rejects(runProcess({ ...shell('(trap "" TERM; sleep 30) & echo $!; wait'), onStdout, endsAll: true }, controller.signal));
  for (let tries = 0; isRunning(grandchild) && tries < 6000; tries++) await sleep(10);
  assert.equal(isRunning(grandchild), false);
});

/** One that has ended may wait for whoever has adopted it. */
function isRunning(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) Z/u.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch (error) {
    if (!['ENOENT', 'ESRCH'].includes(systemCode(error) ?? '')) throw error;
    return false;
  }
}

/** Waits for a file, minutes if need be. */
async function appears(file: string): Promise<boolean> {
  for (let round = 0; round < 6000 && !existsSync(file); round++) await sleep(10);
  return existsSync(file);
}

test('what is to start afterwards starts when its process is killed, and only where the mark is', async () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-spawn-');
  const file = (name: string) => join(folder.path, name);
  const program = `
    import { startAfterwards } from ${JSON.stringify(import.meta.resolve('./spawn.ts'))};
    for (const name of ['a', 'b']) startAfterwards({ command: 'touch', arguments: [${JSON.stringify(folder.path)} + '/' + name], mark: ${JSON.stringify(folder.path)} + '/mark ' + name });
    console.log('started');
    setInterval(() => {}, 1000);`;
  using child = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  writeFileSync(file('mark b'), '');
  await sleep(50);
  assert.deepEqual([existsSync(file('a')), existsSync(file('b'))], [false, false]);
  child.kill('SIGKILL');
  assert.equal(await appears(file('b')), true);
  await sleep(50);
  assert.equal(existsSync(file('a')), false);
});

test('what is to start afterwards starts when told, and does not keep this process', async () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-spawn-');
  const file = join(folder.path, 'done');
  const environment = { PATH: process.env['PATH'], FILE: file };
  const waiting = startAfterwards({ command: 'sh', arguments: ['-c', 'touch "$FILE"'], environment, mark: folder.path });
  await sleep(50);
  assert.equal(existsSync(file), false);
  waiting.begin();
  assert.equal(await appears(file), true);
  const program = `
    import { startAfterwards } from ${JSON.stringify(import.meta.resolve('./spawn.ts'))};
    startAfterwards({ command: 'true', arguments: [], mark: '/' });`;
  const ended = await runProcess(
    { command: process.execPath, arguments: ['--input-type=module', '-e', program] },
    AbortSignal.timeout(100_000),
  );
  assert.equal(ended.code, 0);
});
