/** The network of a normal user's containers, by each of the programs that carry it: published ports, what is in the container, and what is left. In a network of the test's own. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { userNetworkPrograms } from '#execution/network/user-network.ts';
import { normalUser } from '#test/kit/normal-user.ts';
import { inOwnNamespaces } from '#test/kit/own-namespaces.ts';
import { openSandbox, runCommand, type Finished, type Sandbox } from '#test/kit/sandbox.ts';
import { mainFile } from '#test/kit/main-file.ts';

const serving = 'mkdir /www; echo hello >/www/index.html; httpd -p 80 -h /www; trap exit TERM; sleep 1000 & wait';

/** A way out that leads nowhere, and a device that all users may open. */
function prepareMachine(folder: string): void {
  execFileSync('ip', ['link', 'add', 'out0', 'type', 'bridge']);
  execFileSync('ip', ['addr', 'add', '198.51.100.2/24', 'dev', 'out0']);
  execFileSync('ip', ['link', 'set', 'out0', 'up']);
  execFileSync('ip', ['route', 'add', 'default', 'via', '198.51.100.1']);
  const device = join(folder, 'tun');
  execFileSync('mknod', ['-m', '666', device, 'c', '10', '200']);
  execFileSync('mount', ['--bind', device, '/dev/net/tun']);
}

/** A folder for PATH with all the programs of this machine but some. */
function programsWithout(names: readonly string[], folder: string): string {
  mkdirSync(folder);
  for (const place of ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin'].filter((one) => existsSync(one)))
    for (const name of readdirSync(place))
      if (!names.includes(name) && !existsSync(join(folder, name))) symlinkSync(join(place, name), join(folder, name));
  return folder;
}

type User = {
  /** The command as a normal user types it. */
  readonly typed: (path: string, ...words: readonly string[]) => Promise<Finished>;
  /** `run` of a container, and Ctrl-C when it runs and has printed something: a terminal tells all processes in front, not the command alone. Gives the exit code. */
  readonly interrupted: (path: string, name: string, ...words: readonly string[]) => Promise<number | null>;
};

/** With a store and a base image. */
async function openUser(sandbox: Sandbox): Promise<User> {
  await sandbox.base('busybox');
  const user = normalUser(sandbox.folder);
  execFileSync('chmod', ['755', sandbox.folder]);
  const home = join(sandbox.folder, 'home');
  mkdirSync(home);
  user.owns(home);
  const base = join(sandbox.folder, 'base.tar');
  await sandbox.succeed(['save', '-o', base, 'busybox']);
  user.owns(base);
  const environment = { ...sandbox.environment, JETTISON_STORE: join(home, 'store'), HOME: home, JETTISON_NETWORK: '' };
  const [command, ...before] = user.words;
  const typed = async (path: string, ...words: readonly string[]): Promise<Finished> =>
    await runCommand(command, [...before, process.execPath, mainFile, ...words], {
      cwd: sandbox.folder,
      environment: { ...environment, PATH: path },
    });
  const loaded = await typed(process.env['PATH'] ?? '', 'load', '-q', '-i', base);
  assert.equal(loaded.status, 0, loaded.stderr);
  const interrupted = async (path: string, name: string, ...words: readonly string[]): Promise<number | null> => {
    const child = spawn(command, [...before, process.execPath, mainFile, 'run', '--rm', '--name', name, ...words], {
      cwd: sandbox.folder,
      env: { ...process.env, ...environment, PATH: path },
      stdio: ['ignore', 'pipe', 'inherit'],
      detached: true,
    });
    const ended = once(child, 'close');
    await once(child.stdout, 'data');
    // It may print something before it is known to run.
    while ((await typed(path, 'inspect', '-f', '{{.State.Running}}', name)).stdout !== 'true\n') await pause(50);
    process.kill(-(child.pid ?? 0), 'SIGINT');
    await ended;
    return child.exitCode;
  };
  return { typed, interrupted };
}

/** What a server says, asked until it is there; `most`: times. */
async function ask(host: string, port: number, most = 2000): Promise<string> {
  for (let tries = 1; ; tries++) {
    try {
      const socket = connect({ host, port });
      socket.end('GET / HTTP/1.0\r\n\r\n');
      let text = '';
      for await (const chunk of socket) text += String(chunk);
      if (text !== '' || tries >= most) return text;
    } catch (error) {
      if (tries >= most) throw error;
    }
    await pause(50);
  }
}

const echoing = `const s = require('node:dgram').createSocket('udp4'); s.on('message', (m, { port, address }) => s.send(m, port, address)); s.bind(53)`;

/** What comes back for a datagram to a port of this machine, sent until something does. */
async function askByDatagram(port: number, text: string): Promise<string> {
  const socket = createSocket('udp4');
  const answered = once(socket, 'message');
  const timer = setInterval(() => socket.send(text, port, '127.0.0.1'), 200);
  try {
    const [answer] = await answered;
    return String(answer);
  } finally {
    clearInterval(timer);
    socket.close();
  }
}

const namesOf = { pasta: /^(?:pasta|passt)/u, slirp4netns: /^slirp4netns/u } as const;

/** Names of programs that run, other than zombies. */
const running = (): readonly string[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/u.test(name))
    .flatMap((id) => {
      const status = readIfThere(`/proc/${id}/status`);
      return /^State:\t[^Z]/mu.test(status) ? [/^Name:\t(.*)$/mu.exec(status)?.[1] ?? ''] : [];
    });

/** Of one of our scripts. */
function processesOf(script: string): readonly number[] {
  const found = readdirSync('/proc')
    .filter((name) => /^\d+$/u.test(name))
    .filter((id) =>
      readIfThere(`/proc/${id}/cmdline`)
        .split('\0')
        .some((word) => new RegExp(`/${script}(?:-main)?\\.(?:ts|cjs)$`, 'u').test(word)),
    )
    .map(Number);
  assert.ok(found.length > 0, script);
  return found;
}

/** What was told to end may need a moment. */
async function untilGone(pattern: RegExp): Promise<void> {
  for (let tries = 1; running().some((name) => pattern.test(name)); tries++) {
    assert.ok(tries < 600, `still there: ${running().join()}`);
    await pause(100);
  }
}

function readIfThere(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return ''; // it has ended meanwhile
  }
}

inOwnNamespaces(
  import.meta.filename,
  () => {
    test('networks of a normal user', async (context) => {
      await using sandbox = await openSandbox();
      prepareMachine(sandbox.folder);
      const { typed, interrupted } = await openUser(sandbox);
      for (const program of userNetworkPrograms) {
        await context.test(`${program}: -p leads in, a port that is taken is refused, and nothing is left, also after Ctrl-C`, async () => {
          const others = userNetworkPrograms.filter((name) => name !== program);
          const path = programsWithout(others, join(sandbox.folder, `bin-${program}`));
          const succeed = async (...words: readonly string[]): Promise<string> => {
            const done = await typed(path, ...words);
            assert.equal(done.status, 0, done.stderr);
            return done.stdout;
          };
          assert.match(await succeed('doctor'), new RegExp(`one of their own by ${program}`, 'u'));
          await succeed('run', '-d', '--name', 'web', '-p', '127.0.0.1:8080:80', 'busybox', 'sh', '-c', serving);
          assert.match(await ask('127.0.0.1', 8080), /hello/u);
          assert.equal(await succeed('port', 'web'), '80/tcp -> 127.0.0.1:8080\n');
          assert.ok(
            running().some((name) => namesOf[program].test(name)),
            running().join(),
          );
          const shared = ['run', '--rm', '--network', 'container:web', 'busybox'];
          assert.match(await succeed(...shared, 'wget', '-q', '-O', '-', 'http://127.0.0.1'), /hello/u);
          const facts = ['sh', '-c', 'readlink /proc/self/ns/net /proc/self/ns/user; hostname; cat /etc/resolv.conf'];
          assert.equal(await succeed(...shared, ...facts), await succeed('exec', 'web', ...facts));
          const second = await typed(path, 'run', '--rm', '-p', '127.0.0.1:8080:80', 'busybox', 'true');
          assert.match(second.stderr, /Bind for 127\.0\.0\.1:8080 failed: port is already allocated/u);
          // One that joins goes on in the network of one that has gone.
          await succeed('run', '-d', '--name', 'beside', '--network', 'container:web', 'busybox', 'sleep', '1000');
          await succeed('rm', '-f', 'web');
          assert.match(await succeed('exec', 'beside', 'ip', '-o', 'link'), /: lo:/u);
          await succeed('rm', '-f', 'beside');
          assert.ok(!running().some((name) => namesOf[program].test(name)), running().join());
          await assert.rejects(ask('127.0.0.1', 8080, 10));
          const waiting = 'trap "exit 9" INT; echo ready; sleep 1000 & wait';
          assert.equal(await interrupted(path, 'front', 'busybox', 'sh', '-c', waiting), 9);
          await untilGone(namesOf[program]);
        });
      }
      for (const program of userNetworkPrograms) {
        await context.test(
          `${program}: containers on a network find each other by name, ports lead in, and the last takes all with it`,
          async () => {
            const path = join(sandbox.folder, `bin-${program}`);
            const succeed = async (...words: readonly string[]): Promise<string> => {
              const done = await typed(path, ...words);
              assert.equal(done.status, 0, done.stderr);
              return done.stdout;
            };
            const read = async (network: string, url: string): Promise<Finished> =>
              await typed(path, 'run', '--rm', '--network', network, 'busybox', 'wget', '-q', '-O', '-', url);
            await succeed('network', 'create', 'app');
            await succeed('network', 'create', '--internal', '--subnet', '10.99.7.0/24', 'inner');
            await succeed('run', '-d', '--name', 'db', '--network', 'app', '--network-alias', 'store', 'busybox', 'sh', '-c', serving);
            const led = ['-p', '127.0.0.1:8081:80', '-p', '127.0.0.1:8081:53/udp'];
            await succeed('run', '-d', '--name', 'web', '--network', 'app', ...led, 'busybox', 'sh', '-c', serving);
            assert.match(await ask('127.0.0.1', 8081), /hello/u);
            const inside = ['--target', (await succeed('inspect', '-f', '{{.State.Pid}}', 'web')).trim(), '--net'];
            const echo = spawn('nsenter', [...inside, process.execPath, '-e', echoing], { stdio: 'inherit' });
            assert.equal(await askByDatagram(8081, 'across'), 'across');
            echo.kill();
            assert.equal(await succeed('port', 'web', '80/tcp'), '127.0.0.1:8081\n');
            for (const name of ['db', 'store', 'web', 'db.app'])
              assert.equal((await read('app', `http://${name}`)).stdout, 'hello\n', name);
            const address = /inet addr:(\S+)/u.exec(await succeed('exec', 'db', 'ifconfig', 'eth0'))?.[1] ?? '';
            assert.equal(await succeed('inspect', '-f', '{{.NetworkSettings.Networks.app.IPAddress}}', 'db'), `${address}\n`);
            assert.equal(await succeed('exec', 'web', 'wget', '-q', '-O', '-', 'http://db'), 'hello\n');
            assert.match(await succeed('exec', 'db', 'ip', 'route'), /^default via /mu);
            const taken = await typed(path, 'run', '--rm', '--network', 'app', '-p', '127.0.0.1:8081:80', 'busybox', 'true');
            assert.match(taken.stderr, /Bind for 127\.0\.0\.1:8081 failed: port is already allocated/u);
            assert.notEqual((await read('inner', 'http://db')).status, 0);
            await succeed('network', 'connect', '--ip', '10.99.7.7', 'inner', 'db');
            assert.equal((await read('inner', 'http://db')).stdout, 'hello\n');
            assert.equal((await read('inner', 'http://10.99.7.7')).stdout, 'hello\n');
            const shutIn = await typed(path, 'run', '--rm', '--network', 'inner', 'busybox', 'ip', 'route');
            assert.doesNotMatch(shutIn.stdout, /default/u);
            await succeed('network', 'disconnect', 'inner', 'db');
            assert.notEqual((await read('inner', 'http://db')).status, 0);
            assert.match((await typed(path, 'network', 'rm', 'app')).stderr, /has active endpoints/u);
            await succeed('rm', '-f', 'web', 'db');
            await untilGone(namesOf[program]);
            await untilGone(/^flock$/u);
            await assert.rejects(ask('127.0.0.1', 8081, 10));
            // Whoever is killed leaves nothing that keeps the rest; the container goes with who holds it.
            for (const victim of ['monitor', 'attend']) {
              await succeed('run', '-d', '--name', victim, '--network', 'app', 'busybox', 'sleep', '1000');
              for (const id of processesOf(victim)) process.kill(id, 'SIGKILL');
              if (victim === 'attend') await succeed('rm', '-f', victim);
              await untilGone(namesOf[program]);
              await untilGone(/^flock$/u);
              await succeed('rm', '-f', victim);
            }
            await succeed('network', 'rm', 'app', 'inner');
            assert.equal((await typed(path, 'run', '--rm', '--network', 'app', 'busybox', 'true')).status, 125);
          },
        );
      }
      await context.test('a container with no network, or that of the machine, is joined, too', async () => {
        const path = process.env['PATH'] ?? '';
        for (const network of ['none', 'host']) {
          assert.equal((await typed(path, 'run', '-d', '--name', network, '--network', network, 'busybox', 'sleep', '1000')).status, 0);
          const link = ['readlink', '/proc/self/ns/net'];
          const joined = await typed(path, 'run', '--rm', '--network', `container:${network}`, 'busybox', ...link);
          assert.equal(joined.status, 0, joined.stderr);
          assert.equal(joined.stdout, (await typed(path, 'exec', network, ...link)).stdout);
          assert.equal((await typed(path, 'rm', '-f', network)).status, 0);
        }
      });
      await context.test('with neither, -p is refused with what to install', async () => {
        const path = programsWithout(userNetworkPrograms, join(sandbox.folder, 'bin-none'));
        const refused = await typed(path, 'run', '--rm', '-p', '8080:80', 'busybox', 'true');
        assert.match(refused.stderr, /without root that takes the program pasta or slirp4netns, and neither is here/u);
        assert.equal(refused.status, 125);
        const told = await typed(path, 'run', '--rm', 'busybox', 'true');
        assert.match(
          told.stderr,
          /^The container shares the network of the machine: [^\n]*neither is here\nInstall one of them: [^\n]*--network host/u,
        );
      });
    });
  },
  { network: true },
);
