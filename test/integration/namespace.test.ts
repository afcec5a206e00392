import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempDisposableSync, readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { test } from 'node:test';
import { cancelled } from '#ground/base/abort.ts';
import { isCode } from '#ground/base/errors.ts';
import { startInNamespaces, type NamespaceProcess } from '#ground/linux/namespace.ts';

const never = new AbortController().signal;
const entry = new URL('programs/mounter.ts', import.meta.url).pathname;
const environment = { PATH: process.env['PATH'] ?? '/usr/bin:/bin' };
let counter = 0;

/** A folder to mount on and a number of seconds to sleep that no other process has. */
function createCase() {
  const folder = mkdtempDisposableSync('/tmp/jettison-namespace-');
  const marker = `${3000 + process.pid}.${counter++}7`;
  return { path: folder.path, marker, [Symbol.dispose]: () => folder.remove() };
}

function start(at: { path: string; marker: string }, signal = never): Promise<NamespaceProcess> {
  return startInNamespaces(
    { isolation: 'oci', entry, arguments: [at.path, at.marker], stdio: ['ignore', 'inherit', 'inherit'], environment },
    signal,
  );
}

async function nextMessage(running: NamespaceProcess): Promise<unknown> {
  const message = Promise.withResolvers<unknown>();
  running.onMessage(message.resolve);
  return await message.promise;
}

function readProcess(pid: string, file: string): string {
  try {
    return file === 'ns/mnt' ? readlinkSync(`/proc/${pid}/${file}`) : readFileSync(`/proc/${pid}/${file}`, 'latin1');
  } catch {
    return '';
  }
}

/** Processes that carry `word` in their command line, by the program's name. */
function find(word: string): { pid: number; line: string }[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/u.test(name))
    .map((pid) => ({ pid: Number(pid), line: readProcess(pid, 'cmdline').split('\0').join(' ') }))
    .filter(({ line }) => line.includes(word));
}

/** Mounts at `path` that any process can see. */
function countMounts(path: string): number {
  return readdirSync('/proc').filter((name) => /^\d+$/u.test(name) && readProcess(name, 'mountinfo').includes(path)).length;
}

async function assertNothingLeft(at: { path: string; marker: string }): Promise<void> {
  const left = () => [...find(at.marker), ...(countMounts(at.path) > 0 ? [{ pid: 0, line: 'a mount' }] : [])];
  for (let count = 0; count < 6000 && left().length > 0; count++) await new Promise((done) => setTimeout(done, 20));
  assert.deepEqual(left(), []);
}

async function grandchildRuns(at: { marker: string }): Promise<void> {
  for (let count = 0; count < 12_000; count++) {
    if (find(`sleep ${at.marker}`).some(({ line }) => line.startsWith('sleep'))) return;
    await new Promise((done) => setTimeout(done, 10));
  }
  assert.fail('the grandchild did not start');
}

test('a program runs as process 1 with mounts of its own and a channel for values', async () => {
  using at = createCase();
  {
    await using running = await start(at);
    assert.deepEqual(await nextMessage(running), { kind: 'ready', pid: 1 });
    assert.ok(!readFileSync('/proc/self/mountinfo', 'latin1').includes(at.path));
    assert.ok(countMounts(at.path) > 0);
    const value = new Map<string, unknown>([
      ['bytes', new Uint8Array([0, 255])],
      ['big', 1n << 60n],
    ]);
    const echoed = nextMessage(running);
    running.send(value);
    assert.deepEqual(await echoed, value);
    await grandchildRuns(at);
  }
  await assertNothingLeft(at);
});

function trySend(running: NamespaceProcess): unknown {
  try {
    running.send('more');
    return undefined;
  } catch (error) {
    return error;
  }
}

for (const [who, pick] of [
  ['unshare', (line: string) => line.startsWith('unshare ')],
  ['the program', (line: string) => line.includes('mounter.ts') && !line.startsWith('unshare ')],
] as const) {
  test(`killing ${who} leaves no process and no mount`, async () => {
    using at = createCase();
    await using running = await start(at);
    await nextMessage(running);
    await grandchildRuns(at);
    const victim = find(at.marker).find(({ line }) => pick(line));
    assert.ok(victim);
    process.kill(victim.pid, 'SIGKILL');
    const exit = await running.exit;
    assert.ok(exit.signal === 'SIGKILL' || exit.code !== 0);
    await assertNothingLeft(at);
    // The end of the process and the end of the channel reach us one after the other.
    for (let tries = 0; tries < 6000 && trySend(running) === undefined; tries++) await new Promise((done) => setTimeout(done, 10));
    assert.ok(isCode(trySend(running), 'linux/channel-closed'));
  });
}

test('killing the process that started it leaves no process and no mount', async () => {
  using at = createCase();
  const program = `
    const { startInNamespaces } = await import(${JSON.stringify(import.meta.resolve('#ground/linux/namespace.ts'))});
    const running = await startInNamespaces({ isolation: 'oci', entry: process.argv[1], arguments: process.argv.slice(2), stdio: ['ignore', 'ignore', 'ignore'],
      environment: { PATH: process.env.PATH } }, new AbortController().signal);
    running.onMessage(() => console.log('ready'));`;
  const parent = spawn(process.execPath, ['--input-type=module', '-e', program, entry, at.path, at.marker, 'deaf'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(parent.stdout, 'data', { signal: AbortSignal.timeout(600_000) });
  await grandchildRuns(at);
  parent.kill('SIGKILL');
  await once(parent, 'exit');
  await assertNothingLeft(at);
});

test('aborting kills it', async () => {
  using at = createCase();
  const controller = new AbortController();
  await using running = await start(at, controller.signal);
  await nextMessage(running);
  controller.abort(cancelled('enough'));
  assert.equal((await running.exit).signal, 'SIGKILL');
  await assertNothingLeft(at);
});
