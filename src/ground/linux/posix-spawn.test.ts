import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempDisposableSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { koffi } from './foreign.ts';
import { test } from 'node:test';
import { spawnProgram, type SpawnEnd } from './posix-spawn.ts';
import { startStopwatch } from '#test/kit/stopwatch.ts';

async function run(script: string, folder = '/'): Promise<SpawnEnd> {
  const streams = ['nothing', 'nothing', 'nothing'] as const;
  return await spawnProgram({ file: '/bin/sh', arguments: ['sh', '-c', script], environment: ['NAME=value'], folder, streams }).ended;
}

test('gives the exit code, or the signal, of each of many children that end at once', async () => {
  const ends = await Promise.all(Array.from({ length: 40 }, async (_, index) => await run(`exit ${index}`)));
  assert.deepEqual(
    ends,
    Array.from({ length: 40 }, (_, code) => ({ code })),
  );
  assert.deepEqual(await run('kill -9 $$'), { signal: 9 });
});

test('tells of the end at once, also of a child that ends before the call returns', async () => {
  const passed = startStopwatch();
  for (let round = 0; round < 20; round++) await run('exit 0');
  assert.ok(passed() < 10_000, 'each waits for the slow look instead of SIGCHLD');
});

test('the child has its environment, its folder, its streams and no signal ignored or blocked', async () => {
  using temporary = mkdtempDisposableSync('/tmp/jettison-spawn-');
  const folder = temporary.path;
  const file = join(folder, 'out');
  const output = openSync(file, 'w');
  const script = 'pwd; echo $NAME; echo error >&2; read line || echo nothing to read; exec grep -E "Sig(Blk|Ign)" /proc/self/status';
  const child = spawnProgram({
    file: '/bin/sh',
    arguments: ['sh', '-c', script],
    environment: ['NAME=value'],
    folder,
    streams: ['nothing', output, output],
  });
  closeSync(output);
  assert.deepEqual(await child.ended, { code: 0 });
  const zero = '0000000000000000';
  assert.equal(readFileSync(file, 'utf8'), `${folder}\nvalue\nerror\nnothing to read\nSigBlk:\t${zero}\nSigIgn:\t${zero}\n`);
});

test('children that Node started are left to Node', async () => {
  const theirs = spawn('/bin/sh', ['-c', 'sleep 0.05; exit 7'], { stdio: 'ignore' });
  const exited = once(theirs, 'exit');
  for (let round = 0; round < 10; round++) assert.deepEqual(await run('exit 3'), { code: 3 });
  assert.deepEqual(await exited, [7, null]);
});

test('a child that somebody else has waited for does not pass for one that ended well', async () => {
  const usual = { file: '/bin/true', arguments: ['true'], environment: [], folder: '/' };
  const child = spawnProgram({ ...usual, streams: ['nothing', 'nothing', 'nothing'] });
  koffi.load('libc.so.6').func('int waitpid(int, _Out_ int*, int)')(child.pid, new Int32Array(1), 0);
  assert.deepEqual(await child.ended, { code: 255 });
});

test('what cannot be started throws and leaves nothing behind', () => {
  const usual = { file: '/bin/sh', arguments: ['sh'], environment: [], folder: '/', streams: ['nothing', 'nothing', 'nothing'] } as const;
  assert.throws(() => spawnProgram({ ...usual, file: '/nowhere/program' }), { code: 'ENOENT', syscall: 'posix_spawn' });
  assert.throws(() => spawnProgram({ ...usual, file: '/etc/passwd' }), { code: 'EACCES' });
  assert.throws(() => spawnProgram({ ...usual, folder: '/etc/passwd' }), { code: 'ENOTDIR' });
});
