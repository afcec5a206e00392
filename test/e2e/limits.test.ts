/** Limits of RUN: what a step sees of them, what happens at one, and that no cgroup stays behind. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemCode } from '#ground/base/errors.ts';
import { openSandbox, type Sandbox } from '#test/kit/sandbox.ts';

async function prepared(steps: string): Promise<{ readonly sandbox: Sandbox; readonly context: string }> {
  const sandbox = await openSandbox();
  await sandbox.base('busybox');
  return { sandbox, context: sandbox.files({ Dockerfile: `FROM busybox\n${steps}` }) };
}

/** The cgroups of steps on this machine, wherever they stand. */
function leftCgroups(): readonly string[] {
  const hierarchies = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .flatMap((line) => (/ - cgroup2? /u.test(line) ? [line.split(' ')[4] ?? ''] : []));
  const below = (folder: string): readonly string[] => foldersIn(folder).flatMap((path) => [path, ...below(path)]);
  return hierarchies.flatMap(below).filter((path) => /\/jettison-[\da-f]/u.test(path));
}

/** None in a cgroup that is gone by now: others make and remove theirs at the same time. */
function foldersIn(folder: string): readonly string[] {
  try {
    const entries = readdirSync(folder, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map((entry) => join(folder, entry.name));
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return [];
    throw error;
  }
}

const recordsOf = ({ store }: Sandbox): readonly string[] =>
  existsSync(join(store, 'cgroups')) ? readdirSync(join(store, 'cgroups')) : [];

test('a step sees its limits; they count for the cache where they may change what it makes', async () => {
  const { sandbox, context } = await prepared(
    'RUN echo files $(ulimit -Sn) $(ulimit -Hn) core $(ulimit -c) memory $(cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null)',
  );
  await using _ = sandbox;
  const build = async (...words: readonly string[]): Promise<string> => {
    const done = await sandbox.jettison(['build', '--progress=plain', ...words, context]);
    assert.equal(done.status, 0, done.stderr);
    return done.stderr;
  };
  const limited = await build('--ulimit', 'nofile=1000:2000', '--ulimit', 'core=-1', '-m', '64m', '-c', '512');
  assert.match(limited, /files 1000 2000 core unlimited memory 67108864\n/u);
  assert.match(await build('--ulimit', 'core=-1', '--ulimit', 'nofile=1000:2000', '-m', '32m'), /#2 CACHED/u);
  assert.doesNotMatch(await build('--ulimit', 'nofile=1000:2001', '--ulimit', 'core=-1'), /#2 CACHED/u);
  assert.match(await build('--cgroup-parent', `/jettison-try-${process.pid}/below`), /files \d+ \d+ core \S+ memory \d+\n/u);
  assert.deepEqual(recordsOf(sandbox), []);
});

test('K6: a step that wants more memory than it may have is killed, and the error says why', async () => {
  const { sandbox, context } = await prepared('RUN dd if=/dev/zero of=/dev/null bs=100M count=1');
  await using _ = sandbox;
  const words = ['build', '--progress=plain', '-m', '20m'];
  const done = await sandbox.jettison([...words, context]);
  assert.equal(done.status, 1);
  assert.match(done.stderr, /exit code: 137: cannot allocate memory: .* limit of 20 MiB\n/u);
  // Files in memory die with no process: everything has to go, and the runtime is no exception.
  const files = sandbox.files({ Dockerfile: 'FROM busybox\nRUN dd if=/dev/zero of=/dev/shm/x bs=1M count=50; echo after\n' }, 'files');
  assert.match((await sandbox.jettison([...words, files])).stderr, /cannot allocate memory/u);
  // Its own end, beside a child that was killed.
  const child = sandbox.files({ Dockerfile: 'FROM busybox\nRUN (dd if=/dev/zero of=/dev/null bs=100M count=1); exit 3\n' }, 'child');
  assert.match((await sandbox.jettison([...words, child])).stderr, /exit code: 3: cannot allocate memory/u);
  assert.deepEqual(recordsOf(sandbox), []);
});

test('K1: a build that was killed leaves a cgroup; the next that runs a step removes it', async () => {
  const { sandbox, context } = await prepared('RUN echo began; sleep 1000');
  await using _ = sandbox;
  const before = new Set(leftCgroups());
  const mine = (): readonly string[] =>
    leftCgroups().filter((path) => !before.has(path) && recordsOf(sandbox).some((id) => path.endsWith(id)));
  const killed = await sandbox.jettison(['build', '-m', '64m', context], {
    onStart: (process) => {
      const timer = setInterval(() => {
        if (mine().length === 0) return;
        clearInterval(timer);
        process.kill('SIGKILL');
      }, 50);
    },
  });
  assert.equal(killed.signal, 'SIGKILL');
  assert.equal(recordsOf(sandbox).length, 1);
  const left = mine();
  assert.notDeepEqual(left, []);
  await sandbox.succeed(['build', '-q', sandbox.files({ Dockerfile: 'FROM busybox\nRUN true\n' }, 'next')]);
  assert.deepEqual(recordsOf(sandbox), []);
  assert.deepEqual(
    left.filter((path) => existsSync(path)),
    [],
  );
});

test('an interrupted build removes its cgroup', async () => {
  const { sandbox, context } = await prepared('RUN sleep 1000');
  await using _ = sandbox;
  const stopped = await sandbox.jettison(['build', '-m', '64m', context], {
    onStart: (process) => {
      const timer = setInterval(() => {
        if (recordsOf(sandbox).length === 0) return;
        clearInterval(timer);
        process.kill('SIGINT');
      }, 50);
    },
  });
  assert.equal(stopped.status, 130, stopped.stderr);
  assert.deepEqual(recordsOf(sandbox), []);
});

test('limits that cannot be kept are refused', async () => {
  const { sandbox, context } = await prepared('RUN true');
  await using _ = sandbox;
  const refused = async (...words: readonly string[]): Promise<string> => {
    const done = await sandbox.jettison(['build', ...words, context]);
    assert.equal(done.status, 1);
    return done.stderr;
  };
  assert.match(await refused('--cpuset-cpus', '0-9999'), /Cannot use "0-9999" for "cpuset.cpus": there is [\d,-]+/u);
  const open = /^Max open files +\d+ +(\d+)/mu.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
  const mayRaise = (BigInt(`0x${/^CapEff:\s*(\S+)/mu.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0'}`) & (1n << 24n)) !== 0n;
  if (open !== undefined && !mayRaise)
    assert.match(await refused('--ulimit', `nofile=${Number(open) + 1}`), /the hard limit of this machine is/u);
  assert.deepEqual(recordsOf(sandbox), []);
});
