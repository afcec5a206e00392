import assert from 'node:assert/strict';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { isCode } from '#ground/base/errors.ts';
import { openRuntime, type RuntimeChoice } from '#execution/runtime/choose.ts';
import type { ProcessRequest, Runtime } from '#execution/runtime/contract.ts';
import { dockerCapabilities } from '#execution/runtime/rights.ts';
import { makeBusyboxRoot } from '#test/kit/busybox.ts';
import { program32 } from '#test/kit/elf.ts';
import { inOwnNamespaces, removeWithMounts } from '#test/kit/own-namespaces.ts';
import { runStep, stepRequest, type Said } from '#test/kit/step.ts';
import { startStopwatch } from '#test/kit/stopwatch.ts';

const never = new AbortController().signal;

inOwnNamespaces(import.meta.filename, () => {
  for (const only of ['crun', 'runc'] as const) {
    describe(only, () => contract(only));
    describe(`${only}, tied to a process without a PID namespace of its own`, () => contract(only, { within: (start) => start() }));
  }

  test('the choice is remembered until something changes, and says what is missing', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'jettison-choose-'));
    try {
      const choice = { folder: join(folder, 'run'), memory: join(folder, 'runtime.json') };
      const first = await openRuntime(choice, () => undefined, never);
      const text = readFileSync(choice.memory, 'utf8');
      const passed = startStopwatch();
      assert.equal((await openRuntime(choice, () => undefined, never)).name, first.name);
      const again = passed();
      assert.equal(readFileSync(choice.memory, 'utf8'), text);
      assert.ok(again < 50, `remembering took ${again} ms`);
      writeFileSync(choice.memory, '{"key": 3}');
      await openRuntime(choice, () => undefined, never);
      assert.equal(JSON.parse(readFileSync(choice.memory, 'utf8')).key, JSON.parse(text).key);
    } finally {
      removeWithMounts(folder);
    }
  });
});

function contract(only: 'crun' | 'runc', ties?: RuntimeChoice['ties']): void {
  let folder = '';
  let rootfs = '';
  let runtime: Runtime;
  const notes: string[] = [];
  let count = 0;

  const request = (words: readonly string[], more: Partial<ProcessRequest> = {}): ProcessRequest =>
    stepRequest({ id: `t${process.pid}-${count++}`, rootfs, arguments: words, ...more });
  const run = async (words: readonly string[], more: Partial<ProcessRequest> = {}, signal = never): Promise<Said> =>
    await runStep(runtime, request(words, more), signal);
  const shell = (script: string, more: Partial<ProcessRequest> = {}) => run(['sh', '-c', script], more);

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), `jettison-${only}-`));
    rootfs = join(folder, 'root');
    mkdirSync(rootfs);
    makeBusyboxRoot(rootfs);
    runtime = await openRuntime(
      {
        folder: join(folder, 'run'),
        memory: join(folder, 'runtime.json'),
        cgroupRecords: join(folder, 'cgroups'),
        only,
        ...(ties === undefined ? {} : { ties }),
      },
      (text) => notes.push(text),
      never,
    );
  });
  after(() => {
    removeWithMounts(folder);
  });

  test('is the one asked for, and an old runc is warned of', () => {
    assert.equal(runtime.name, only);
    assert.match(runtime.version, /^\d+\.\d+/);
    assert.equal(notes.length, only === 'runc' && /^1\.[01]\./.test(runtime.version) ? 1 : 0);
  });

  test('exit codes, signals, output', async () => {
    assert.deepEqual(await shell('echo out; echo err >&2'), { status: { code: 0, signal: undefined }, out: 'out\n', err: 'err\n' });
    assert.deepEqual((await shell('exit 42')).status, { code: 42, signal: undefined });
    assert.deepEqual((await shell('kill -9 $$; sleep 1; (sh -c "kill -9 \\$\\$"); exit $?')).status, { code: 137, signal: 'SIGKILL' });
    const long = await shell('dd if=/dev/zero bs=1024 count=3000 2>/dev/null | tr "\\0" x');
    assert.equal(long.out.length, 3_072_000);
  });

  test('limits hold, the process sees them, and memory that ran out is told', async () => {
    const ulimits = [
      { name: 'nofile', soft: 100, hard: 200 },
      { name: 'core', soft: -1, hard: -1 },
    ] as const;
    const read = 'cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null';
    const limited = await shell(`ulimit -n; ulimit -Hn; ulimit -c; ${read}; true`, { ulimits, limits: { memory: 33_554_432 } });
    assert.equal(limited.out, '100\n200\nunlimited\n33554432\n');
    const killed = await run(['dd', 'if=/dev/zero', 'of=/dev/null', 'bs=100M', 'count=1'], { limits: { memory: 20_000_000 } });
    assert.deepEqual(killed.status, { code: 137, signal: 'SIGKILL', outOfMemory: true });
    assert.deepEqual((await shell('(sh -c "kill -9 \\$\\$"); exit $?', { limits: { memory: 20_000_000 } })).status, {
      code: 137,
      signal: 'SIGKILL',
    });
    assert.deepEqual(readdirSync(join(folder, 'cgroups')), []);
  });

  test('/dev/stdout can be opened again, by a user too', async () => {
    assert.equal((await shell('echo a > /dev/stdout; echo b > /proc/self/fd/2')).out, 'a\n');
    assert.equal((await shell('echo a > /dev/stdout', { user: { uid: 700, gid: 700, additionalGids: [] } })).out, 'a\n');
  });

  test('nothing of the host leaks: environment, descriptors, processes', async () => {
    process.env['LEAKME'] = 'secret';
    const { out } = await shell(
      'env | cut -d= -f1 | sort; ls /proc/self/fd; cat /proc/[0-9]*/environ | tr "\\0" "\\n" | grep -c LEAKME; echo /proc/[0-9]*',
    );
    delete process.env['LEAKME'];
    assert.match(out, /^HOME\n(?:OLDPWD\n)?PATH\nPWD\n(?:SHLVL\n)?0\n1\n2\n3\n0\n\/proc\/1(?: \/proc\/\d+)?\n$/);
  });

  test("capabilities are Docker's, the inheritable and ambient sets empty, no new privileges not forbidden", async () => {
    const bits = [0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31];
    assert.equal(bits.length, dockerCapabilities.length);
    const mask = bits
      .reduce((sum, bit) => sum | (1n << BigInt(bit)), 0n)
      .toString(16)
      .padStart(16, '0');
    const zero = '0'.repeat(16);
    const root = (await shell('grep -E "^(Cap|NoNew|Seccomp:)" /proc/self/status')).out.replaceAll('\t', ' ');
    assert.equal(root, `CapInh: ${zero}\nCapPrm: ${mask}\nCapEff: ${mask}\nCapBnd: ${mask}\nCapAmb: ${zero}\nNoNewPrivs: 0\nSeccomp: 2\n`);
    const user = (await shell('grep ^Cap /proc/self/status', { user: { uid: 700, gid: 700, additionalGids: [] } })).out.replaceAll(
      '\t',
      ' ',
    );
    assert.equal(user, `CapInh: ${zero}\nCapPrm: ${zero}\nCapEff: ${zero}\nCapBnd: ${mask}\nCapAmb: ${zero}\n`);
    const own = /^CapPrm:\s*(\S+)$/mu.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
    const insecure = (await shell('grep -E "^(CapEff|Seccomp:)" /proc/self/status', { security: 'insecure' })).out.replaceAll('\t', ' ');
    assert.equal(insecure, `CapEff: ${own}\nSeccomp: 0\n`);
  });

  test('seccomp refuses namespaces and mounts, and lets ordinary calls through', async () => {
    for (const words of [
      ['unshare', '-U', 'true'],
      ['unshare', '-m', 'true'],
      ['mount', '-t', 'tmpfs', 'none', '/tmp'],
    ]) {
      const { status, err } = await run(words);
      assert.notEqual(status.code, 0, words.join(' '));
      assert.match(err, /not permitted|permission denied/i);
    }
    assert.equal((await shell('test -d /tmp && ls / > /dev/null && echo fine')).out, 'fine\n');
  });

  test('masked and read-only paths', async () => {
    const script = `head -c 1 /proc/kcore | wc -c; ls /sys/firmware | wc -l; cat /proc/timer_list | wc -c
      for path in /proc/sys/kernel/hostname /proc/sysrq-trigger /sys/kernel/mm/x; do (echo x > $path) 2>/dev/null && echo written; done; true`;
    assert.equal((await shell(script)).out.replaceAll(' ', ''), '0\n0\n0\n');
  });

  test('no device but the usual ones opens, wherever its file is', async () => {
    const script = `mknod /tmp/m c 1 5 && mknod /dev/m c 1 5 && mknod /dev/shm/m c 1 5 && echo made
      for file in /tmp/m /dev/m /dev/shm/m /image-device; do (head -c 1 $file >/dev/null) 2>/dev/null && echo opened $file; done
      for file in null zero full random urandom tty; do test -c /dev/$file || echo no $file; done
      head -c 3 /dev/zero | wc -c; echo x > /dev/null; head -c 1 /dev/urandom | wc -c; ls -l /dev/null | cut -c1-10; rm -f /tmp/m`;
    const { spawnSync } = await import('node:child_process');
    spawnSync('mknod', [join(rootfs, 'image-device'), 'c', '1', '5']);
    assert.equal((await shell(script)).out.replaceAll(' ', ''), 'made\n3\n1\ncrw-rw-rw-\n');
    assert.match((await shell('head -c 2 /image-device | wc -c', { security: 'insecure' })).out, /2/);
    rmSync(join(rootfs, 'image-device'));
  });

  test('user, groups, host name, name files, working directory', async () => {
    const { out } = await shell(
      'id -u; id -g; id -G; hostname; cat /etc/hostname 2>/dev/null; grep -c localhost /etc/hosts; grep db /etc/hosts; cat /etc/resolv.conf; pwd',
      {
        user: { uid: 700, gid: 700, additionalGids: [5, 701] },
        workingDirectory: '/tmp',
      },
    );
    assert.equal(out, '700\n700\n700 5 701\ninside\n2\n10.0.0.7\tdb\nnameserver 192.0.2.1\n/tmp\n');
    assert.notEqual((await shell('echo x >> /etc/hosts')).status.code, 0);
  });

  test('a network of its own has lo, up, and nothing else', async () => {
    const { out } = await shell('ls /sys/class/net; cat /sys/class/net/lo/flags', { network: 'none' });
    assert.equal(out, 'lo\n0x9\n');
  });

  test('mounts: bind, read-only bind, tmpfs with size and mode, /dev/shm size', async () => {
    const source = join(folder, 'bound');
    mkdirSync(source);
    writeFileSync(join(source, 'f'), 'F');
    const { out } = await shell(
      'cat /a/f; echo more > /a/g; (echo no > /b/f) 2>/dev/null || echo refused; stat -c %a /t; dd if=/dev/zero of=/t/x bs=1024 count=100 2>/dev/null; stat -c %s /t/x; grep " /dev/shm " /proc/self/mounts | grep -c size=1024k',
      {
        shmSize: 1024 * 1024,
        mounts: [
          { kind: 'bind', source, target: '/a', readOnly: false },
          { kind: 'bind', source, target: '/b', readOnly: true },
          { kind: 'tmpfs', target: '/t', size: 65536, mode: 0o1777 },
        ],
      },
    );
    assert.equal(out, 'Frefused\n1777\n65536\n1\n');
    assert.equal(readFileSync(join(source, 'g'), 'utf8'), 'more\n');
  });

  test('commands that cannot be started', async () => {
    writeFileSync(join(rootfs, 'plain'), 'x');
    writeFileSync(join(rootfs, 'script'), '#!/no/such\n', { mode: 0o755 });
    writeFileSync(join(rootfs, 'nul'), '#!/bin/sh\0 -e\necho started\n', { mode: 0o755 });
    assert.equal((await run(['/nul'])).status.code, 0, 'the name of the interpreter ends at the NUL');
    copyFileSync('/bin/true', join(rootfs, 'dynamic'));
    chmodSync(join(rootfs, 'dynamic'), 0o755);
    const cases: readonly (readonly [string, string, RegExp])[] = [
      ['/missing', 'runtime/command-not-found', /^exec: "\/missing": stat \/missing: no such file or directory$/],
      ['nope', 'runtime/command-not-found', /^exec: "nope": executable file not found in \$PATH$/],
      ['/plain', 'runtime/command-not-executable', /^exec: "\/plain": permission denied$/],
      ['/tmp', 'runtime/command-not-executable', /permission denied/],
      ['/script', 'runtime/no-interpreter', /^exec \/script: no such file or directory$/],
      ['/dynamic', 'runtime/no-interpreter', /^exec \/dynamic: no such file or directory$/],
      ['/empty', 'runtime/not-a-program', /^exec \/empty: exec format error$/],
      ['/text', 'runtime/not-a-program', /^exec \/text: exec format error$/],
      ['/of-text', 'runtime/not-a-program', /^exec \/of-text: exec format error$/],
    ];
    writeFileSync(join(rootfs, 'empty'), '', { mode: 0o755 });
    writeFileSync(join(rootfs, 'text'), 'echo hällo\n', { mode: 0o755 });
    writeFileSync(join(rootfs, 'of-text'), '#!/text\n', { mode: 0o755 });
    for (const [name, code, message] of cases) {
      await assert.rejects(run([name]), (error: Error) => isCode(error, code) && message.test(error.message), name);
    }
    await assert.rejects(run(['/dynamic']), (error: Error) => /loader it was linked for, "\/lib64\/ld-linux/.test(Object(error).hint));
    for (const name of ['plain', 'script', 'nul', 'dynamic', 'empty', 'text', 'of-text']) rmSync(join(rootfs, name));
  });

  test('other users than root start only what they may', async () => {
    for (const name of ['mine', 'closed']) {
      mkdirSync(join(rootfs, name));
      copyFileSync(join(rootfs, 'bin/busybox'), join(rootfs, name, 'true'));
    }
    symlinkSync('/bin/busybox', join(rootfs, 'closed/echo'));
    chmodSync(join(rootfs, 'mine/true'), 0o700);
    chmodSync(join(rootfs, 'closed'), 0o700);
    const user = { uid: 1000, gid: 1000, additionalGids: [0] };
    for (const name of ['/mine/true', '/closed/true']) {
      assert.equal((await run([name])).status.code, 0, name);
      await assert.rejects(run([name], { user }), (error) => isCode(error, 'runtime/command-not-executable'), name);
    }
    chmodSync(join(rootfs, 'mine/true'), 0o750);
    assert.equal((await run(['/mine/true'], { user })).status.code, 0, 'as one of the group');
    // What is not looked at beforehand the kernel refuses: the runtime has no rights left to pass by it.
    const passed = await run(['/closed/echo'], { user }).then(
      ({ status }) => status.code,
      () => undefined,
    );
    assert.notEqual(passed, 0);
    for (const name of ['mine', 'closed']) rmSync(join(rootfs, name), { recursive: true });
  });

  test('programs of 32 bits run, with the same calls', { skip: process.arch !== 'x64' }, async () => {
    // neg %eax; mov %eax, %ebx; mov $1, %eax; int $0x80: the number of the error is the exit code.
    const exitWithError = [0xf7, 0xd8, 0x89, 0xc3, 0xb8, 1, 0, 0, 0, 0xcd, 0x80];
    const [EPERM, ENOSYS] = [1, 38];
    const newUser = 0x10000000;
    const cases: readonly (readonly [string, readonly number[], number])[] = [
      ['exit', call32(1, 42), 42],
      ['unshare', [...call32(310, newUser), ...exitWithError], EPERM],
      ['AF_ALG', [...call32(359, 38, 5), ...exitWithError], EPERM],
      ['AF_VSOCK', [...call32(359, 40, 1), ...exitWithError], EPERM],
      ['socketcall', [...call32(102, 1), ...exitWithError], ENOSYS],
    ];
    for (const [name, code, expected] of cases) {
      writeFileSync(join(rootfs, 'program'), program32(code), { mode: 0o755 });
      assert.deepEqual((await run(['/program'])).status, { code: expected, signal: undefined }, name);
    }
    rmSync(join(rootfs, 'program'));
  });

  test('a command under a mount is left to the runtime, whose words are passed on', async () => {
    const error = await run(['/t/x'], { mounts: [{ kind: 'tmpfs', target: '/t', size: null, mode: 0o755 }] }).catch(
      (thrown: unknown) => thrown,
    );
    assert.ok(isCode(error, 'runtime/start-failed'), String(error));
    assert.match(error.message, /\/t\/x/);
  });

  test('a root whose system folders are no folders is refused, and the host is not touched', async () => {
    for (const name of ['dev', 'proc', 'sys', 'etc', 'run']) {
      const canary = join(folder, 'canary');
      const bad = join(folder, 'bad');
      mkdirSync(canary);
      mkdirSync(bad);
      makeBusyboxRoot(bad);
      rmSync(join(bad, name), { recursive: true, force: true });
      symlinkSync(canary, join(bad, name));
      await assert.rejects(run(['true'], { rootfs: bad }), (error: Error) => isCode(error, 'runtime/unsafe-root'));
      assert.deepEqual(readdirSync(canary), []);
      rmSync(canary, { recursive: true });
      rmSync(bad, { recursive: true });
    }
  });

  test('what is left in the background ends with the first process', async () => {
    const passed = startStopwatch();
    assert.equal((await shell('(sleep 300 &); (trap "" HUP TERM; sleep 301) & echo done')).out, 'done\n');
    const took = passed();
    assert.ok(took < 2000, `${took} ms`);
    assert.equal(processesWith('sleep\u000030'), 0);
  });

  test('aborting kills, at once where the process does not handle SIGTERM, and leaves nothing', async () => {
    const why = new Error('enough');
    for (const [script, most] of [
      ['sleep 302', 1000],
      ['trap "exit 3" TERM; sleep 302 & wait', 1000],
      ['trap "" TERM; trap "echo no" TERM; while true; do sleep 1; done', 5000],
    ] as const) {
      const controller = new AbortController();
      setTimeout(() => controller.abort(why), 200);
      const passed = startStopwatch();
      await assert.rejects(run(['sh', '-c', script], {}, controller.signal), why);
      const took = passed();
      assert.ok(took < most, `${script}: ${took} ms`);
      assert.equal(processesWith('sleep\u0000302'), 0);
    }
    const early = new AbortController();
    const running = run(['sleep', '302'], {}, early.signal);
    early.abort(why);
    await assert.rejects(running, why);
    assertNothingLeft();
  });

  test('a signal reaches the first process', async () => {
    const asked = request(['sh', '-c', 'trap "echo got; exit 7" USR1; echo ready; while true; do sleep 0.1; done']);
    const out: string[] = [];
    const status = await runtime.run(
      asked,
      {
        kind: 'capture',
        stdout: (bytes) => {
          out.push(Buffer.from(bytes).toString());
          if (out.join('').endsWith('ready\n')) runtime.signal(asked.id, 'SIGUSR1');
        },
        stderr: () => undefined,
      },
      never,
    );
    assert.deepEqual([status.code, out.join('')], [7, 'ready\ngot\n']);
    runtime.signal(asked.id, 'SIGUSR1');
  });

  test('the death of the runtime itself takes the container with it', async () => {
    const running = run(['sleep', '303']);
    while (processesWith('sleep\u0000303') === 0) await new Promise((resolve) => setTimeout(resolve, 20));
    const own = readdirSync('/proc').find(
      (pid) => /^\d+$/.test(pid) && cmdline(pid).includes(`${only}\u0000`) && cmdline(pid).includes('\u0000run\u0000'),
    );
    assert.ok(own);
    process.kill(Number(own), 'SIGKILL');
    await assert.rejects(running, (error: Error) => isCode(error, 'runtime/killed') && /SIGKILL/.test(error.message));
    // The kernel ends it in its own time.
    for (let tries = 0; tries < 6000 && processesWith('sleep\u0000303') > 0; tries++)
      await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(processesWith('sleep\u0000303'), 0);
    assertNothingLeft();
  });

  test('100 starts', { skip: ties !== undefined }, async () => {
    const start = performance.now();
    for (let index = 0; index < 100; index++) await run(['true']);
    console.log(`# ${only} ${runtime.version}: ${((performance.now() - start) / 100).toFixed(1)} ms a start`);
    assertNothingLeft();
  });

  function assertNothingLeft(): void {
    assert.deepEqual(readdirSync(join(folder, 'run/bundles')), []);
    assert.equal(readFileSync('/proc/self/mounts', 'utf8').includes('bundles'), false);
    assert.deepEqual(
      readdirSync(join(folder, 'run/state')).filter((name) => !name.startsWith('.')),
      [],
    );
  }
}

function cmdline(pid: string): string {
  const file = `/proc/${pid}/cmdline`;
  return existsSync(file) ? readFileSync(file, 'utf8') : '';
}

function processesWith(text: string): number {
  return readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && cmdline(pid).includes(text)).length;
}

function bytesOf(value: number): readonly number[] {
  return [0, 8, 16, 24].map((shift) => (value >> shift) & 0xff);
}

/** `mov $number, %eax; mov $first, %ebx; mov $second, %ecx; mov $0, %edx; int $0x80`. */
function call32(number: number, first: number, second = 0): readonly number[] {
  return [
    [0xb8, number],
    [0xbb, first],
    [0xb9, second],
    [0xba, 0],
  ]
    .flatMap(([code = 0, value = 0]) => [code, ...bytesOf(value)])
    .concat(0xcd, 0x80);
}
