/** Containers through their life, by the commands that people type. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import * as v from 'valibot';
import { listContainers, removeContainers } from '#engine/containers.ts';
import { createContainer } from '#engine/create-container.ts';
import { removeLostContainers } from '#engine/lost-containers.ts';
import { openEngine, type Engine } from '#engine/open.ts';
import { containerRequest } from '#faces/library/container-request.ts';
import { startOf } from '#ground/base/process-identity.ts';
import { mainFile, programPatterns } from '#test/kit/main-file.ts';
import { assertTidySnapshots } from '#test/kit/aftermath.ts';
import { mountsWith, openSandbox, runCommand, type Sandbox } from '#test/kit/sandbox.ts';

const loop = 'trap "echo bye; exit 7" TERM; echo up; while :; do sleep 0.1; done';

async function stateOf(box: Sandbox, name: string): Promise<string> {
  return (await box.succeed(['inspect', name, '--format', '{{.State.Status}} {{.State.ExitCode}}'])).trim();
}

test('run, create and exit codes', { timeout: 1_200_000 }, async () => {
  await using box = await openSandbox();
  await box.base('busybox');
  const both = await box.jettison(['run', '--rm', 'busybox', 'sh', '-c', 'echo out; echo err >&2; exit 4']);
  assert.deepEqual([both.status, both.stdout, both.stderr], [4, 'out\n', 'err\n']);
  const input = { input: 'typed' };
  assert.equal(await box.succeed(['run', '--rm', '-i', 'busybox', 'cat'], input), 'typed');
  assert.equal(await box.succeed(['run', '--rm', 'busybox', 'cat'], input), '', 'without -i it has no stdin');
  assert.equal(await box.succeed(['run', '--rm', 'busybox', 'sh', '-c', 'echo again >/dev/stdout']), 'again\n');

  const absent = await box.jettison(['run', '--rm', 'busybox', 'nosuch']);
  assert.equal(absent.status, 127);
  assert.match(absent.stderr, /exec: "nosuch": executable file not found in \$PATH/u);
  const missing = await box.jettison(['run', '--rm', 'busybox', '/bin/missing']);
  assert.match(missing.stderr, /stat \/bin\/missing: no such file or directory/u);
  assert.equal((await box.jettison(['run', '--rm', 'busybox', '/etc/passwd'])).status, 126);
  const scratch = await box.jettison(['run', 'scratch']);
  assert.equal(scratch.status, 125);
  assert.match(scratch.stderr, /'scratch' is a reserved name/u);
  const blind = await box.jettison(['run', '--rm', '-it', 'busybox', 'true'], input);
  assert.equal(blind.status, 1);
  assert.match(blind.stderr, /^the input device is not a TTY\nLeave "-t" out$/mu);
  const relative = await box.jettison(['run', '--rm', '-w', 'here', 'busybox', 'pwd']);
  assert.equal(relative.status, 125);
  assert.match(relative.stderr, /the working directory 'here' is invalid, it needs to be an absolute path/u);
  assert.match((await box.jettison(['create', '--name', 'a', 'busybox'])).stderr, /Invalid container name \(a\), only/u);
  const gone = await box.jettison(['rm', '-f', 'never-there']);
  assert.deepEqual([gone.status, gone.stdout], [0, '']);
  assert.match(gone.stderr, /No such container: never-there/u);

  const id = (await box.succeed(['create', '--name', 'extract', '-l', 'a=b', 'busybox', 'echo', 'x'])).trim();
  assert.match(id, /^[0-9a-f]{64}$/u);
  assert.equal(await stateOf(box, 'extract'), 'created 0');
  assert.equal((await box.succeed(['ps', '-aq', '--no-trunc', '-f', 'label=a=b'])).trim(), id);
  assert.equal(await box.succeed(['start', '-a', 'extract']), 'x\n');
  await box.succeed(['rm', '-f', 'extract']);
  assert.deepEqual(readdirSync(join(box.store, 'containers')), []);
});

test('a detached container is stopped, started, paused, killed and removed', { timeout: 1_200_000 }, async () => {
  await using box = await openSandbox();
  await box.base('busybox');
  const id = (await box.succeed(['run', '-d', '--name', 'web', 'busybox', 'sh', '-c', loop])).trim();
  assert.match(await box.succeed(['ps']), /Up .*web/u);
  // From then on it ends as it is told to.
  while ((await box.succeed(['logs', 'web'])) !== 'up\n');
  assert.equal((await box.jettison(['rm', 'web'])).status, 1, 'it runs');
  assert.equal(await box.succeed(['stop', 'web']), 'web\n');
  assert.equal(await stateOf(box, 'web'), 'exited 7');
  const log = readFileSync(join(box.store, 'containers', id, 'log.json'), 'utf8')
    .trim()
    .split('\n');
  assert.deepEqual(
    log.map((line) => JSON.parse(line).log),
    ['up\n', 'bye\n'],
  );
  // One of two wins, the other says so or finds it running.
  const starts = await Promise.all([box.jettison(['start', 'web']), box.jettison(['start', 'web'])]);
  assert.ok(starts.some(({ status }) => status === 0));
  for (const { status, stderr } of starts) assert.ok(status === 0 || stderr.includes('is running already'), stderr);
  await box.succeed(['pause', 'web']);
  assert.match(await box.succeed(['ps']), /\(Paused\)/u);
  await box.succeed(['unpause', 'web']);
  const waiting = box.succeed(['wait', 'web']);
  await box.succeed(['kill', 'web']);
  assert.equal(await waiting, '137\n');
  await box.succeed(['rename', 'web', 'site']);
  await box.succeed(['restart', 'site']);
  await box.succeed(['rm', '-f', 'site']);
  assert.equal(await box.succeed(['ps', '-aq']), '');
});

test(
  'policies restart what fails, --rm removes what was detached, a killed monitor leaves nothing running',
  { timeout: 1_200_000 },
  async () => {
    await using box = await openSandbox();
    await box.base('busybox');
    await box.succeed(['run', '-d', '--name', 'fails', '--restart', 'on-failure:2', 'busybox', 'sh', '-c', 'echo try; exit 3']);
    for (let tries = 0; tries < 1000 && (await stateOf(box, 'fails')) !== 'exited 3'; tries++);
    assert.equal((await box.succeed(['inspect', 'fails', '--format', '{{.RestartCount}}'])).trim(), '2');

    const brief = (await box.succeed(['run', '-d', '--rm', 'busybox', 'sleep', '0.1'])).trim();
    await box.jettison(['wait', brief]);
    for (let tries = 0; tries < 1000 && existsSync(join(box.store, 'containers', brief)); tries++)
      await new Promise((resolve) => setTimeout(resolve, 100));
    assert.equal((await box.jettison(['inspect', brief])).status, 1);

    await box.succeed(['run', '-d', '--name', 'lost', 'busybox', 'sh', '-c', 'echo kept >/file; sleep 1000']);
    const id = (await box.succeed(['inspect', 'lost', '--format', '{{.Id}}'])).trim();
    const { process: first } = JSON.parse(readFileSync(join(box.store, 'containers', id, 'state.json'), 'utf8'));
    const monitor = readdirSync('/proc').find((pid) => /^\d+$/u.test(pid) && isMonitorOf(commandOf(pid), id));
    assert.ok(monitor);
    process.kill(Number(monitor), 'SIGKILL');
    for (let tries = 0; tries < 1000 && existsSync(`/proc/${first.pid}`); tries++) await new Promise((resolve) => setTimeout(resolve, 100));
    assert.ok(!existsSync(`/proc/${first.pid}`), 'its process went with it');
    assert.equal(await stateOf(box, 'lost'), 'exited 137');
    await box.succeed(['rm', 'lost', 'fails']);
  },
);

test(
  'what happens is told, as it happens and afterwards; a build that changes nothing is nothing that happens',
  { timeout: 1_200_000 },
  async () => {
    await using box = await openSandbox();
    await box.base('busybox');
    const past = async (...words: readonly string[]): Promise<string> =>
      await box.succeed(['events', '--since', '1h', '--until', '0s', ...words]);
    const context = box.files({ Dockerfile: 'FROM busybox\nLABEL a=b\n' });
    await box.succeed(['build', '-t', 'told', context]);
    await box.succeed(['build', '-t', 'told', context]);
    assert.match(await past('-f', 'event=tag', '-f', 'image=told'), /^\S+ image tag sha256:[0-9a-f]{64} \(name=told:latest\)\n$/u, 'once');

    const [command, ...rest] = [
      process.execPath,
      mainFile,
      'events',
      '-f',
      'container=web',
      '--format',
      '{{.Action}} {{.Actor.Attributes.name}}',
    ];
    const watching = spawn(command, rest, { env: { ...process.env, ...box.environment }, stdio: ['ignore', 'pipe', 'inherit'] });
    const over = once(watching, 'close');
    const lines = createInterface({ input: watching.stdout })[Symbol.asyncIterator]();
    // Until it watches, nobody is told: it is asked again and again.
    await box.succeed(['create', '--name', 'web', '-l', 'tier=front', 'busybox', 'sh', '-c', loop]);
    const first = lines.next();
    let isTold = false;
    void first.then(() => (isTold = true));
    while (!isTold) await box.succeed(['update', '--restart', 'no', 'web']);
    await box.succeed(['start', 'web']);
    await box.succeed(['stop', 'web']);
    await box.succeed(['rm', 'web']);
    const told: string[] = [String((await first).value)];
    while (!told.at(-1)?.startsWith('destroy')) told.push(String((await lines.next()).value));
    watching.kill('SIGINT');
    await over;
    assert.deepEqual(
      told.filter((line) => line !== 'update web' && line !== 'create web'),
      ['start web', 'kill web', 'die web', 'stop web', 'destroy web'],
    );

    const [death] = (await past('-f', 'event=die', '-f', 'label=tier=front', '--format', 'json')).split('\n');
    const { Actor, timeNano: _, time, ...document } = JSON.parse(death ?? '');
    assert.deepEqual(document, { status: 'die', id: Actor.ID, from: 'busybox', Type: 'container', Action: 'die', scope: 'local' });
    assert.deepEqual([Actor.Attributes.exitCode, Actor.Attributes.tier, Math.abs(time - Date.now() / 1000) < 300], ['7', 'front', true]);
    const wrong = await box.jettison(['events', '-f', 'type=planet']);
    assert.deepEqual([wrong.status, /invalid filter 'type'/u.test(wrong.stderr)], [1, true]);
    assert.match((await box.jettison(['events', '-f', 'plugin=x'])).stderr, /The filter "plugin" is not built/u);
  },
);

test('ps tells sizes, mounts, networks and labels, and is chosen by them; prune spares by labels', { timeout: 1_200_000 }, async () => {
  await using box = await openSandbox();
  await box.base('busybox');
  const write = ['sh', '-c', 'head -c 5000 /dev/zero >/file'];
  await box.succeed(['run', '--name', 'wrote', '-v', 'kept:/v', '-l', 'com.example.the-tier=front', 'busybox', ...write]);
  await box.succeed(['create', '--name', 'bound', '-v', '/tmp:/host', '--network', 'none', '-p', '8080:80', 'busybox', 'true']);
  const format = 'table {{.Names}}\t{{.Mounts}}\t{{.LocalVolumes}}\t{{.Networks}}\t{{.Label "com.example.the-tier"}}';
  assert.equal(
    await box.succeed(['ps', '-a', '--format', format]),
    [
      'NAMES     MOUNTS    LOCAL VOLUMES   NETWORKS   the tier',
      'bound     /tmp      0               none       ',
      'wrote     kept      1               bridge     front',
      '',
    ].join('\n'),
  );
  const [listed = ''] = (await box.succeed(['ps', '-a', '--format', 'json'])).split('\n');
  const platform = { architecture: process.arch === 'x64' ? 'amd64' : process.arch, os: 'linux' };
  assert.ok(listed.includes(`"Platform":${JSON.stringify(platform)},`), listed);
  assert.match(await box.succeed(['ps', '-a', '--format', '{{.Platform}}']), /^(?:linux\/[a-z0-9]+\n){2}$/u);
  assert.match(await box.succeed(['ps', '-as']), / SIZE\n.* 0B \(virtual [\d.]+MB\)\n.* 5kB \(virtual [\d.]+MB\)\n$/u);
  const names = async (filter: string): Promise<string> => (await box.succeed(['ps', '-a', '-f', filter, '--format', '{{.Names}}'])).trim();
  assert.deepEqual(
    [
      await names('volume=kept'),
      await names('volume=/host'),
      await names('publish=80'),
      await names('publish=8000-9000'),
      await names('publish=81'),
    ],
    ['wrote', 'bound', 'bound', 'bound', ''],
  );
  await box.succeed(['container', 'prune', '-f', '--filter', 'label!=com.example.the-tier']);
  assert.equal(await box.succeed(['ps', '-a', '--format', '{{.Names}}']), 'wrote\n');
  await box.succeed(['container', 'prune', '-f', '--filter', 'label=com.example.the-tier=front']);
  assert.equal(await box.succeed(['ps', '-aq']), '');
});

/** Runs a command in a terminal of 31 rows and 99 columns: when `wanted` was shown, `typed` is typed. Ends as the command does. */
const inTerminal = `
import fcntl, os, pty, struct, sys, termios
wanted, typed, words = sys.argv[1].encode(), sys.argv[2].encode(), sys.argv[3:]
pid, terminal = pty.fork()
if pid == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack('HHHH', 31, 99, 0, 0))
    os.execvp(words[0], words)
shown, done = b'', False
while True:
    try: piece = os.read(terminal, 65536)
    except OSError: break
    if not piece: break
    shown += piece
    if not done and wanted in shown:
        os.write(terminal, typed)
        done = True
sys.stdout.buffer.write(shown)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
`;

test('rm -f ends a container whose worker and monitor answer nobody', { timeout: 1_200_000 }, async () => {
  await using box = await openSandbox();
  await box.base('busybox');
  const id = (await box.succeed(['run', '-d', '--network', 'none', 'busybox', 'sleep', '1000'])).trim();
  const state: unknown = JSON.parse(readFileSync(join(box.store, 'containers', id, 'state.json'), 'utf8'));
  const pids = ['worker', 'monitor'].map((who) => pidOf(state, who));
  for (const pid of pids) process.kill(pid, 'SIGSTOP');
  const removed = await box.jettison(['rm', '-f', id]);
  assert.deepEqual([removed.status, removed.stderr, removed.stdout.trim()], [0, '', id]);
  assert.equal(await box.succeed(['ps', '-aq']), '');
  for (const pid of pids) assert.equal(startOf(pid), undefined, 'it has ended');
});

test(
  "root's run in the foreground is one process with its container's; kill -9 of it, or of the runtime, leaves nothing",
  { timeout: 1_200_000 },
  async () => {
    await using box = await openSandbox();
    await box.base('busybox');
    // The first finds out which runtime works.
    await box.succeed(['run', '--rm', '--network', 'none', 'busybox', 'true']);
    // What is set of its network is not set of the machine's.
    const setting = '/proc/sys/net/ipv4/ip_default_ttl';
    const before = readText(setting);
    assert.equal(
      await box.succeed(['run', '--rm', '--network=bridge', '--sysctl=net.ipv4.ip_default_ttl=99', 'busybox', 'cat', setting]),
      '99\n',
    );
    assert.equal(readText(setting), before);
    const words = ['run', '--name', 'held', 'busybox', 'sleep', '4243'];
    for (const victim of ['monitor', 'worker'] as const) {
      let command = 0;
      const running = box.jettison(words, { onStart: ({ pid }) => (command = pid) });
      while (!(await box.succeed(['ps', '-q', '-f', 'name=held'])).trim()) await sleep(20);
      const [id = ''] = readdirSync(join(box.store, 'containers'));
      const state: unknown = JSON.parse(readFileSync(join(box.store, 'containers', id, 'state.json'), 'utf8'));
      assert.equal(pidOf(state, 'monitor'), command);
      const [runtime, first] = [pidOf(state, 'worker'), pidOf(state, 'process')];
      assert.match(readText(`/proc/${runtime}/comm`), /^(?:crun|runc)/u);
      assert.match(readText(`/proc/${runtime}/status`), new RegExp(`^PPid:\t${command}$`, 'mu'), 'the runtime is its child');
      await box.succeed(['update', '--pids-limit', '77', 'held']);
      assert.match(await box.succeed(['exec', 'held', 'ps']), /^ +1 root +sleep 4243$/mu, 'also within limits that it was given later');
      process.kill(pidOf(state, victim), 'SIGKILL');
      const done = await running;
      assert.equal(done.status, victim === 'monitor' ? null : 125, done.stderr);
      await ended(first, runtime);
      assert.deepEqual(mountsWith(box.store), []);
      assert.match(await stateOf(box, 'held'), /^exited (?:137|128)$/u);
      await box.succeed(['rm', 'held']);
    }
    await assertTidySnapshots(box.store);
  },
);

test('a container that is only being started: Ctrl-C leaves nothing of it, and rm -f ends it', { timeout: 1_200_000 }, async () => {
  await using box = await openSandbox();
  await box.base('busybox');
  await box.succeed(['run', '--rm', '--network', 'none', 'busybox', 'true']);
  const containers = join(box.store, 'containers');
  const words = ['run', '--rm', '--name', 'early', '--network', 'none', 'busybox', 'sh', '-c', 'trap "exit 3" INT; sleep 4245 & wait'];
  const begin = async () => {
    const started = Promise.withResolvers<{ readonly pid: number; kill(signal: NodeJS.Signals): void }>();
    const over = box.jettison(words, { onStart: started.resolve });
    const command = await started.promise;
    while (readdirSync(containers).length === 0) await sleep(1);
    return { over, command };
  };

  // One signal that comes before the program is enough; another time the program may be quicker.
  const codes: (number | null)[] = [];
  while (!codes.includes(130) && codes.length < 10) {
    const { over, command } = await begin();
    command.kill('SIGINT');
    const isEnded = await Promise.race([over.then(() => true), sleep(30_000, false)]);
    if (!isEnded) await box.succeed(['rm', '-f', 'early']);
    codes.push((await over).status);
    assert.equal(await box.succeed(['ps', '-aq']), '');
  }
  assert.ok(codes.includes(130), codes.join());

  await using engine = await openEngine({ environment: { ...process.env, ...box.environment }, currentFolder: box.folder });
  for (let rounds = 0; rounds < 10; rounds++) {
    const { over } = await begin();
    await removeContainers(engine, ['early'], { force: true }, new AbortController().signal);
    const removed = await over;
    assert.equal(removed.status, 137, removed.stderr);
    assert.equal(await box.succeed(['ps', '-aq']), '');
  }

  const id = (await box.succeed(['create', '--name', 'held', 'busybox', 'true'])).trim();
  {
    using _ = engine.containers.lock(id);
    const refused = await box.jettison(['rm', 'held']);
    assert.match(refused.stderr, /cannot remove container "held": somebody is starting it, or removing it/u);
  }
  await box.succeed(['rm', 'held']);
});

test(
  'a container that was to go with its end goes when its holder is killed: its name at once, itself when the store is tended',
  { timeout: 1_200_000 },
  async () => {
    await using box = await openSandbox();
    await box.base('busybox');
    const words = ['run', '--rm', '--name', 'lost', '-v', '/data', '--network', 'none', 'busybox'];
    const kill = async (): Promise<void> => {
      let command = 0;
      const running = box.jettison([...words, 'sleep', '4246'], { onStart: ({ pid }) => (command = pid) });
      while (!(await box.succeed(['ps', '-q', '-f', 'name=lost'])).trim()) await sleep(20);
      process.kill(command, 'SIGKILL');
      await running;
    };
    await kill();
    assert.equal(await box.succeed([...words, 'echo', 'again']), 'again\n');
    await kill();
    await box.succeed(['create', '--rm', '--name', 'waits', 'busybox', 'true']);
    while ((await box.succeed(['ps', '-a', '--format', '{{.Names}}'])) !== 'waits\n') await sleep(50);
    assert.equal(await box.succeed(['volume', 'ls', '-q']), '');
  },
);

test('what is typed later than the program reads gets there: run -i and exec -i', { timeout: 1_200_000 }, async () => {
  await using box = await openSandbox();
  await box.base('busybox');
  const echo = ['sh', '-c', 'echo up; cat; echo end $?'];
  await box.succeed(['run', '-d', '--name', 'beside', '--network', 'none', 'busybox', 'sleep', '4244']);
  for (const words of [
    ['run', '-i', '--rm', '--network', 'none', 'busybox'],
    ['exec', '-i', 'beside'],
  ]) {
    // Node gives a child a socket, people give it a pipe. With a socket, busybox's cat has whoever reads what it writes wait for its next input.
    for (const before of ['cat | "$@"', 'exec "$@"']) await converse(before, words);
  }
  await box.succeed(['rm', '-f', 'beside']);

  async function converse(before: string, words: readonly string[]): Promise<void> {
    const talking = spawn('/bin/sh', ['-c', before, 'sh', process.execPath, mainFile, ...words, ...echo], {
      env: { ...process.env, ...box.environment },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const over = once(talking, 'close');
    const lines = createInterface({ input: talking.stdout })[Symbol.asyncIterator]();
    assert.equal((await lines.next()).value, 'up');
    for (const said of ['one', 'two', 'three']) {
      talking.stdin.write(`${said}\n`);
      assert.equal((await lines.next()).value, said);
    }
    talking.stdin.end();
    assert.equal((await lines.next()).value, 'end 0');
    assert.deepEqual(await over, [0, null]);
  }
});

async function ended(...pids: readonly number[]): Promise<void> {
  while (pids.some((pid) => startOf(pid) !== undefined)) await sleep(20);
}

function readText(path: string): string {
  return readFileSync(path, 'utf8');
}

function pidOf(state: unknown, name: string): number {
  const schema = v.object({ [name]: v.object({ pid: v.number() }) });
  const { [name]: found } = v.parse(schema, state);
  assert.ok(found);
  return found.pid;
}

test('a list of containers reads the config of an image once, whose platform each of them has', { timeout: 1_200_000 }, async () => {
  await using box = await openSandbox();
  await box.base('busybox');
  for (const name of ['one', 'two', 'three']) await box.succeed(['create', '--name', name, 'busybox', 'true']);
  await using engine = await openEngine({ environment: { ...process.env, ...box.environment }, currentFolder: box.folder });
  let read = 0;
  const get: typeof engine.images.get = (id) => {
    read++;
    return engine.images.get(id);
  };
  const listed = listContainers({ ...engine, images: { ...engine.images, get } }, { all: true });
  assert.deepEqual(
    listed.map(({ name }) => name),
    ['three', 'two', 'one'],
  );
  assert.match(listed[0]?.platform ?? '', /^linux\//u);
  assert.ok(listed.every(({ platform }) => platform === listed[0]?.platform));
  assert.equal(read, 1);
});

test('a terminal: its size, detaching and attaching', { timeout: 1_200_000 }, async () => {
  await using box = await openSandbox();
  await box.base('busybox');
  const type = async (wanted: string, typed: string, ...words: readonly string[]) =>
    await runCommand('python3', ['-c', inTerminal, wanted, typed, process.execPath, mainFile, ...words], { environment: box.environment });
  const sized = await type('?', '', 'run', '--rm', '-it', 'busybox', 'sh', '-c', 'test -t 0 && busybox stty size; exit 5');
  assert.deepEqual([sized.status, sized.stdout], [5, '31 99\r\n']);
  const left = await type(
    'ready',
    '\x10\x11',
    'run',
    '-it',
    '--name',
    'shell',
    'busybox',
    'sh',
    '-c',
    'while ! read -t 1 line; do echo ready; done; exit 6',
  );
  assert.equal(left.status, 0);
  assert.match(left.stdout, /^(?:ready\r\n)+read escape sequence\r\n$/u);
  assert.equal(await stateOf(box, 'shell'), 'running 0');
  const back = await type('ready', 'typed\r', 'attach', 'shell');
  assert.equal(back.status, 6);
  // The program may have given up waiting for it a moment before.
  assert.match(back.stdout, /typed\r\n(?:ready\r\n)?$/u);
});

function isMonitorOf(command: string, id: string): boolean {
  return programPatterns.monitor.test(command) && command.includes(`\0${id}`);
}

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}

test('a container ends, although the runtime of a process that had joined it was killed', { timeout: 300_000 }, async () => {
  await using box = await openSandbox();
  await box.base('busybox');
  await box.succeed(['run', '-d', '--name', 'joined', '--network', 'none', 'busybox', 'sh', '-c', loop]);
  const joining = box.jettison(['exec', 'joined', 'sleep', '6174']);
  const find = (): string | undefined =>
    readdirSync('/proc').find((pid) => /^\d+$/u.test(pid) && commandOf(pid) === ['sleep', '6174', ''].join('\0'));
  while (find() === undefined) await sleep(20);
  const status = readFileSync(`/proc/${find()}/status`, 'utf8');
  const runtime = Number(/^PPid:\t(\d+)$/mu.exec(status)?.[1]);
  assert.match(commandOf(String(runtime)), /\0exec\0/u);
  process.kill(runtime, 'SIGKILL');
  // What it had started is the worker's now, which did not start it.
  await sleep(200);
  assert.ok(find() !== undefined);
  await box.succeed(['stop', '--timeout', '20', 'joined']);
  assert.equal(await stateOf(box, 'joined'), 'exited 7');
  assert.notEqual((await joining).status, 0);
});

test('a container that a killed run --rm left before its start goes; one that somebody is to start stays', async () => {
  await using box = await openSandbox();
  await box.base('busybox');
  const open = async () => await openEngine({ environment: { ...process.env, ...box.environment }, currentFolder: box.folder });
  await using engine = await open();
  const make = async (by: Engine, name: string, startsAtOnce: boolean): Promise<string> => {
    const request = containerRequest({ image: 'busybox', command: ['true'], name, autoRemove: true }, false, box.folder);
    return await createContainer(by, { ...request, startsAtOnce }, () => undefined, new AbortController().signal);
  };
  await make(engine, 'starting', true);
  {
    await using killed = await open();
    await make(killed, 'left', true);
    await make(killed, 'made', false);
  }
  removeLostContainers(engine);
  assert.deepEqual(
    engine.containers
      .list()
      .map(({ name }) => name)
      .toSorted(),
    ['made', 'starting'],
  );
});
