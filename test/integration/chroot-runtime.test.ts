/** Steps without namespaces and mounts, as root: what they are, what they may, and that nothing of them stays. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { isCode } from '#ground/base/errors.ts';
import { openChrootRuntime } from '#execution/runtime/chroot.ts';
import type { ProcessRequest, Runtime } from '#execution/runtime/contract.ts';
import { nameFiles } from '#execution/runtime/dns.ts';
import { makeBusyboxRoot } from '#test/kit/busybox.ts';
import { runStep, stepRequest, type Said } from '#test/kit/step.ts';

const never = new AbortController().signal;
const program = join(import.meta.dirname, 'programs/chroot-step.ts');

let folder = '';
let rootfs = '';
let runtime: Runtime;
let count = 0;
/** Seconds that no other test of this machine sleeps begin so. */
const long = 10_000_000 + process.pid;

before(() => {
  folder = mkdtempSync(join(tmpdir(), 'jettison-chroot-'));
  runtime = openChrootRuntime(join(folder, 'bundles'));
});
after(() => rmSync(folder, { recursive: true, force: true }));
beforeEach(() => {
  rootfs = join(folder, `root-${count++}`);
  mkdirSync(rootfs);
  makeBusyboxRoot(rootfs);
  for (const path of ['etc/hosts', 'etc/resolv.conf']) writeFileSync(join(rootfs, path), `${path} of the image\n`);
  for (const path of ['proc', 'sys']) mkdirSync(join(rootfs, path));
});
afterEach(() => rmSync(rootfs, { recursive: true, force: true }));

async function run(words: readonly string[], more: Partial<ProcessRequest> = {}, signal = never): Promise<Said> {
  return await runStep(runtime, stepRequest({ id: `t${count++}`, rootfs, arguments: words, ...more }), signal);
}

async function shell(script: string, more: Partial<ProcessRequest> = {}): Promise<string> {
  const { status, out, err } = await run(['sh', '-c', script], more);
  assert.equal(status.code, 0, err);
  return out;
}

/** A folder, or a file with this text, outside of the root. */
function made(name: string, text?: string): string {
  const path = join(folder, `${name}-${count++}`);
  if (text === undefined) mkdirSync(path);
  else writeFileSync(path, text);
  return path;
}

/** Command lines of all processes that hold `text`, zombies aside. */
function processesWith(text: string): readonly string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/u.test(name))
    .flatMap((pid) => {
      try {
        return [readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')];
      } catch {
        return [];
      }
    })
    .filter((line) => line.startsWith('sleep') && line.includes(text));
}

async function nothingWith(text: string): Promise<void> {
  for (let wait = 0; wait < 3000 && processesWith(text).length > 0; wait++) await sleep(20);
  assert.deepEqual(processesWith(text), []);
}

test('user, groups, folder, variables, umask and limits are those that were asked for; no file is open but three', async () => {
  const out = await shell('id; pwd; echo $HOME; umask; ulimit -n; ls -l /dev/null', {
    user: { uid: 700, gid: 701, additionalGids: [701, 100] },
    workingDirectory: '/tmp',
    ulimits: [{ name: 'nofile', soft: 100, hard: 200 }],
  });
  assert.match(out, /^uid=700\(app\) gid=701\(extra\) groups=100\(users\),701\(extra\)\n\/tmp\n\/root\n0022\n100\ncrw-rw-rw-/u);
});

test('codes and signals come out as with other runtimes', async () => {
  assert.deepEqual((await run(['sh', '-c', 'exit 7'])).status, { code: 7, signal: undefined });
  assert.deepEqual((await run(['sh', '-c', 'kill -9 $$'])).status, { code: 137, signal: 'SIGKILL' });
  await assert.rejects(run(['nothing']), (error) => isCode(error, 'runtime/command-not-found'));
  await assert.rejects(run(['/etc/hosts']), (error) => isCode(error, 'runtime/command-not-executable'));
  writeFileSync(join(rootfs, 'text'), 'no program\n', { mode: 0o755 });
  await assert.rejects(run(['/text']), (error) => isCode(error, 'runtime/not-a-program'));
  // Where nobody can say beforehand whether the kernel knows it.
  writeFileSync(join(rootfs, 'bytes'), Uint8Array.of(0xca, 0xfe, 0xba, 0xbe, 0), { mode: 0o755 });
  await assert.rejects(run(['/bytes']), (error) => isCode(error, 'runtime/not-a-program') || /ENOEXEC/u.test(String(error)));
});

test('what only namespaces and mounts can give is refused by name', async () => {
  for (const more of [{ network: 'none' }, { security: 'insecure' }, { terminal: true }, { limits: { memory: 1 } }] as const)
    await assert.rejects(run(['true'], more), (error) => isCode(error, 'runtime/not-in-chroot'), JSON.stringify(more));
});

test('root in there cannot change its root again, make devices, mount, or see processes', async () => {
  const out = await shell(
    'for c in "chroot /tmp true" "mknod /disk b 8 0" "mount -t tmpfs x /tmp" "ls /proc/1"; do $c 2>/dev/null && echo "$c"; done; chown 5:5 /tmp && echo may',
  );
  assert.equal(out, 'may\n');
});

test('a program that calls chroot stays in its root', async () => {
  writeFileSync(join(folder, 'outside'), '');
  const out = await shell('mkdir -p /a/b && cd /a/b && (chroot /a sh -c "cd ../../../../..; ls") 2>&1 | head -1; ls');
  assert.doesNotMatch(out, /outside/u);
});

test('devices work; the output can be opened by name', async () => {
  assert.equal(
    await shell('echo x > /dev/null; head -c 2 /dev/zero | wc -c; head -c 3 /dev/urandom | wc -c; cat /dev/stdin; echo out > /dev/stdout'),
    '2\n3\nout\n',
  );
  const { err } = await run(['sh', '-c', 'echo wrong > /dev/stderr'], { user: { uid: 700, gid: 700, additionalGids: [] } });
  assert.equal(err, 'wrong\n');
});

test('files of names and all that is mounted stand there for the time of the process, and leave no trace', async () => {
  const [secret, cache] = [made('secret', 'top'), made('cache')];
  mkdirSync(join(rootfs, 'cache'));
  writeFileSync(join(rootfs, 'cache/hidden'), 'h');
  writeFileSync(join(rootfs, 'secret'), '');
  for (const path of ['etc', 'cache', '.']) utimesSync(join(rootfs, path), 1000, 1000);
  const mounts = [
    { kind: 'bind', source: secret, target: '/secret', readOnly: true },
    { kind: 'tmpfs', target: '/cache/inner', size: null, mode: 0o1777 },
    { kind: 'bind', source: cache, target: '/cache', readOnly: false },
  ] as const;
  const script =
    'cat /etc/hosts /secret; ls /cache; echo kept > /cache/file; echo lost > /cache/inner/file; echo lost > /dev/file; echo lost > /proc/file; echo lost >> /etc/hosts';
  assert.match(await shell(script, { mounts }), /^127.0.0.1\tlocalhost inside\n.*\n10.0.0.7\tdb\ntopinner\n$/u);
  assert.equal(readFileSync(join(cache, 'file'), 'utf8'), 'kept\n');
  assert.equal(readFileSync(join(rootfs, 'etc/hosts'), 'utf8'), 'etc/hosts of the image\n');
  assert.deepEqual(readdirSync(join(rootfs, 'cache')), ['hidden']);
  for (const path of ['dev', 'proc', 'sys']) assert.deepEqual(readdirSync(join(rootfs, path)), [], path);
  for (const path of ['etc', 'cache', '.']) assert.equal(statSync(join(rootfs, path)).mtimeMs, 1_000_000, path);
  await shell('touch /etc/new', { mounts });
  assert.notEqual(statSync(join(rootfs, 'etc')).mtimeMs, 1_000_000);
});

test('a link of the image on the way to a file of names leads nowhere else', async () => {
  rmSync(join(rootfs, 'etc/resolv.conf'));
  writeFileSync(join(folder, 'outside'), 'outside\n');
  mkdirSync(join(rootfs, 'run'));
  writeFileSync(join(rootfs, 'run/resolv'), 'inside\n');
  symlinkSync('/run/resolv', join(rootfs, 'etc/resolv.conf'));
  assert.equal(await shell('cat /etc/resolv.conf'), 'nameserver 192.0.2.1\n');
  assert.equal(readFileSync(join(rootfs, 'run/resolv'), 'utf8'), 'inside\n');
});

test('whoever moves or links what stands there for a time fails', async () => {
  for (const script of ['mv /secret /kept', 'ln /secret /linked', 'mv /etc /etc2', 'rm -r /etc']) {
    const secret = made('secret', 'top');
    writeFileSync(join(rootfs, 'secret'), '');
    const mounts = [{ kind: 'bind', source: secret, target: '/secret', readOnly: true }] as const;
    await assert.rejects(run(['sh', '-c', script], { mounts }), (error) => isCode(error, 'runtime/mount-moved'), script);
  }
});

test('what a process removes of a mount is gone, and what it puts there instead; the root shows no trace', async () => {
  const cache = made('cache');
  writeFileSync(join(cache, 'kept'), '');
  mkdirSync(join(rootfs, 'cache'));
  writeFileSync(join(rootfs, 'cache/hidden'), 'h');
  const mounts = [{ kind: 'bind', source: cache, target: '/cache', readOnly: false }] as const;
  await shell('rm -r /cache && mkdir /cache && echo lost > /cache/file', { mounts });
  assert.equal(existsSync(cache), false);
  assert.deepEqual(readdirSync(join(rootfs, 'cache')), ['hidden']);
});

test('nothing that a process started outlives it, whatever session it is in', async () => {
  await shell(`setsid sleep ${long}71.1 & (sleep ${long}71.2 &) ; (setsid sh -c "sleep ${long}71.3 & sleep ${long}71.4" &); sleep 0.2`);
  assert.deepEqual(processesWith(`${long}71.`), []);
});

test('who is aborted gets the stop signal first', async () => {
  const abort = new AbortController();
  const said: string[] = [];
  const running = runtime.run(
    {
      id: 'stopped',
      rootfs,
      arguments: ['sh', '-c', 'trap "echo stopping; exit 0" TERM; echo ready; while :; do sleep 0.05; done'],
      environment: ['PATH=/bin'],
      workingDirectory: '/',
      user: { uid: 0, gid: 0, additionalGids: [] },
      security: 'sandbox',
      network: 'host',
      hostname: 'x',
      terminal: false,
      stopSignal: 'SIGTERM',
      shmSize: null,
      mounts: [],
      names: nameFiles({ hostname: 'x', extraHosts: [], hostResolvConf: '', isStep: true }),
    },
    {
      kind: 'capture',
      stdout: (bytes) => {
        said.push(new TextDecoder().decode(bytes));
        if (said.length === 1) abort.abort(new Error('enough'));
      },
      stderr: () => undefined,
    },
    abort.signal,
  );
  await assert.rejects(running, /enough/u);
  assert.equal(said.join(''), 'ready\nstopping\n');
});

test('when the process that runs it is killed, nothing of a step lives on', async () => {
  const worker = spawn(process.execPath, [
    program,
    rootfs,
    join(folder, 'bundles'),
    `setsid sleep ${long}72.1 & (sleep ${long}72.2 &); echo there; sleep ${long}72.3`,
  ]);
  await once(worker.stdout, 'data');
  while (processesWith(`${long}72.`).length < 3) await sleep(20);
  worker.kill('SIGKILL');
  await nothingWith(`${long}72.`);
});

test('when a step kills its keeper, nothing of it lives on, and it has failed', async () => {
  const script = `setsid sleep ${long}73.1 & sleep 0.2; kill -9 $PPID; sleep ${long}73.2`;
  const worker = spawn(process.execPath, [program, rootfs, join(folder, 'bundles'), script]);
  const out: string[] = [];
  worker.stdout.setEncoding('utf8').on('data', (text: string) => void out.push(text));
  await once(worker, 'close');
  assert.equal(out.join(''), 'killed\n');
  assert.deepEqual(processesWith(`${long}73.`), []);
});

test('what a killed process left is removed by the next', async () => {
  const bundles = join(folder, 'others');
  const worker = spawn(process.execPath, [program, rootfs, bundles, `echo there; sleep ${long}74`]);
  await once(worker.stdout, 'data');
  worker.kill('SIGKILL');
  await once(worker, 'close');
  const [left = ''] = readdirSync(bundles);
  openChrootRuntime(bundles);
  assert.equal(existsSync(join(bundles, left)), false);
  await nothingWith(`${long}74`);
});
