/** Networks of containers as people type them, in a network of the test's own: bridges, published ports, names, and what a killed process leaves. */
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { readFileSync, readlinkSync } from 'node:fs';
import { connect } from 'node:net';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { inOwnNamespaces } from '#test/kit/own-namespaces.ts';
import { openSandbox, type Finished, type Sandbox } from '#test/kit/sandbox.ts';

/** Devices of this network; /sys would show those of the one in which it was mounted. */
const bridges = (): readonly string[] =>
  [...readFileSync('/proc/self/net/dev', 'latin1').matchAll(/^\s*(\S+):/gmu)].map(([, name = '']) => name).filter((name) => name !== 'lo');
/** The kernel takes a container's cable away after its end, and the process that tends the store a bridge without ports. */
async function onlyStay(devices: readonly string[]): Promise<void> {
  for (let tries = 0; tries < 1200 && bridges().join() !== devices.join(); tries++) await pause(100);
  assert.deepEqual(bridges(), devices);
}
const asUsual = { environment: { JETTISON_NETWORK: '' } };

type Running = { readonly ended: Promise<Finished>; kill(signal: NodeJS.Signals): void };

/** Starts a container, and waits until it runs. */
async function start(sandbox: Sandbox, name: string, words: readonly string[]): Promise<Running> {
  const started = Promise.withResolvers<Pick<Running, 'kill'>>();
  const ended = sandbox.jettison(['run', '--rm', '--name', name, ...words], { ...asUsual, onStart: started.resolve });
  let isOver = false;
  void ended.then(() => (isOver = true));
  const { kill } = await started.promise;
  for (;;) {
    if ((await sandbox.succeed(['ps', '--format', '{{.Names}}'])).split('\n').includes(name)) return { ended, kill };
    if (isOver) assert.fail(JSON.stringify(await ended));
    await pause(50);
  }
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

const serving = (text: string): readonly string[] => [
  'sh',
  '-c',
  `mkdir /www; echo ${text} >/www/index.html; httpd -p 80 -h /www; trap exit TERM; sleep 1000 & wait`,
];

inOwnNamespaces(
  import.meta.filename,
  () => {
    test('networks', async (context) => {
      await using sandbox = await openSandbox();
      await sandbox.base('busybox');
      const typed = async (...words: readonly string[]): Promise<string> => await sandbox.succeed(words, asUsual);
      await context.test(
        'a container has a network of its own, and -p leads in; a port that is taken is said as docker says it, and nothing is left',
        async () => {
          const web = await start(sandbox, 'web', ['-p', '8080:80', '-p', '127.0.0.1:8081:80', 'busybox', ...serving('hello')]);
          assert.match(await ask('127.0.0.1', 8080), /hello/u);
          assert.match(await ask('::1', 8080), /hello/u);
          assert.match(await ask('127.0.0.1', 8081), /hello/u);
          await assert.rejects(ask('::1', 8081, 10));
          assert.equal(await sandbox.succeed(['port', 'web', '80']), '0.0.0.0:8080\n[::]:8080\n127.0.0.1:8081\n');
          assert.equal(
            await sandbox.succeed(['ps', '--format', '{{.Ports}}']),
            '0.0.0.0:8080->80/tcp, 127.0.0.1:8081->80/tcp, [::]:8080->80/tcp\n',
          );
          const devices = bridges();
          const second = await sandbox.jettison(['run', '--name', 'second', '-p', '9999:80', '-p', '8080:80', 'busybox', 'true'], asUsual);
          assert.equal(second.status, 125);
          assert.match(
            second.stderr,
            /failed to set up container networking: driver failed programming external connectivity on endpoint second \([0-9a-f]{64}\): Bind for 0\.0\.0\.0:8080 failed: port is already allocated/u,
          );
          await onlyStay(devices);
          await assert.rejects(ask('127.0.0.1', 9999, 10));
          web.kill('SIGTERM');
          await web.ended;
        },
      );

      await context.test('what a killed process leaves is cleared by the next one, which gets the address and the port', async () => {
        const web = await start(sandbox, 'lost', ['-p', '8080:80', 'busybox', ...serving('hello')]);
        await ask('127.0.0.1', 8080);
        web.kill('SIGKILL');
        await web.ended;
        await pause(200);
        const next = await sandbox.jettison(
          ['run', '--rm', '-p', '8080:80', 'busybox', 'sh', '-c', 'hostname -i; ls /sys/class/net'],
          asUsual,
        );
        assert.deepEqual([next.stdout, next.stderr, next.status], ['172.17.0.2\neth0\nlo\n', '', 0]);
        await onlyStay([]);
      });

      await context.test(
        'containers of one network find each other by name as long as they are there, and those of others do not reach them',
        async () => {
          await sandbox.succeed(['network', 'create', 'front']);
          await sandbox.succeed(['network', 'create', '--internal', '--subnet', '10.77.0.0/24', 'shut']);
          const web = await start(sandbox, 'web', [
            '--network',
            'front',
            '--network-alias',
            'www',
            '-h',
            'box',
            'busybox',
            ...serving('hello'),
          ]);
          const runs = inside(sandbox);
          const found = await runs(
            'front',
            'until wget -qO- http://web/ >/dev/null 2>&1; do sleep 0.1; done; for n in web www box web.front WEB; do wget -qO- http://$n/; done; nslookup 172.18.0.2 | grep name',
          );
          assert.equal(found, `${'hello\n'.repeat(5)}2.0.18.172.in-addr.arpa\tname = web.front\n`);
          assert.equal(await runs('bridge', 'ping -c1 -W1 172.18.0.2 >/dev/null || echo isolated'), 'isolated\n');
          assert.equal(
            await runs('shut', 'hostname -i; ip route | grep default; ping -c1 -W1 172.18.0.2 >/dev/null || echo isolated'),
            '10.77.0.2\nisolated\n',
          );
          const busy = await sandbox.jettison(['network', 'rm', 'front', 'shut']);
          assert.match(busy.stderr, /error while removing network: network front has active endpoints \(name:"web" id:"[0-9a-f]{12}"\)/u);
          assert.deepEqual([busy.status, busy.stdout], [1, 'shut\n']);
          web.kill('SIGTERM');
          await web.ended;
          assert.equal(await runs('front', 'nslookup web >/dev/null || echo gone'), 'gone\n');
          assert.equal(await sandbox.succeed(['network', 'prune', '-f']), 'Deleted Networks:\nfront\n\n');
          await onlyStay([]);
        },
      );

      await context.test(
        'a container that runs is put on a network and taken off it; another one shares its network; -p goes with it',
        async () => {
          await typed('network', 'create', 'late');
          await typed('run', '-d', '--name', 'moved', '-p', '8080:80', 'busybox', ...serving('moved'));
          try {
            assert.match(await ask('127.0.0.1', 8080), /moved/u);
            const resolving = await typed('exec', 'moved', 'cat', '/etc/resolv.conf');
            await typed('network', 'connect', '--alias', 'www', 'late', 'moved');
            assert.match(await typed('exec', 'moved', 'cat', '/etc/resolv.conf'), /^nameserver 127\.0\.0\.11$/mu);
            assert.equal(await typed('exec', 'moved', 'wget', '-qO-', 'http://www.late/'), 'moved\n');
            const once = await sandbox.jettison(['network', 'connect', 'late', 'moved'], asUsual);
            assert.match(once.stderr, /endpoint with name moved already exists in network late/u);
            assert.equal(await typed('run', '--rm', '--network', 'late', 'busybox', 'wget', '-qO-', 'http://www/'), 'moved\n');
            const shared = await typed(
              'run',
              '--rm',
              '--network',
              'container:moved',
              'busybox',
              'sh',
              '-c',
              'wget -qO- http://127.0.0.1/; hostname',
            );
            assert.equal(shared, `moved\n${(await typed('ps', '-q')).trim()}\n`);
            await typed('network', 'disconnect', 'late', 'moved');
            assert.equal(await typed('exec', 'moved', 'cat', '/etc/resolv.conf'), resolving);
            assert.equal(await typed('network', 'inspect', '-f', '{{json .Containers}}', 'late'), '{}\n');
          } finally {
            await typed('rm', '-f', 'moved');
          }
          await assert.rejects(ask('127.0.0.1', 8080, 10));
          await typed('network', 'rm', 'late');
        },
      );

      await context.test('inspect says where a container stands; --dns and its like reach it, and whoever shares its network', async () => {
        await typed('network', 'create', '--subnet', '10.78.0.0/24', 'home');
        const names = ['--dns', '10.78.0.9', '--dns-search', 'example.org', '--dns-option', 'ndots:2', '--add-host', 'box:host-gateway'];
        const place = ['--network', 'home', '--ip', '10.78.0.7', '--network-alias', 'www', '-p', '8080:80', '--expose', '53/udp'];
        await typed(
          'run',
          '-d',
          '--name',
          'told',
          ...place,
          ...names,
          '--sysctl',
          'net.ipv4.ip_default_ttl=99',
          'busybox',
          ...serving('told'),
        );
        try {
          const see = async (template: string): Promise<string> => await typed('inspect', '-f', template, 'told');
          assert.equal(
            await see(
              '{{range .NetworkSettings.Networks}}{{.IPAddress}}/{{.IPPrefixLen}} {{.Gateway}} {{.MacAddress}} {{.Aliases}}{{end}}',
            ),
            '10.78.0.7/24 10.78.0.1 02:42:0a:4e:00:07 [www]\n',
          );
          const bindings = '[{"HostIp":"0.0.0.0","HostPort":"8080"},{"HostIp":"::","HostPort":"8080"}]';
          assert.equal(await see('{{json .NetworkSettings.Ports}}'), `{"53/udp":null,"80/tcp":${bindings}}\n`);
          assert.equal(
            await see('{{json .HostConfig.PortBindings}} {{.HostConfig.NetworkMode}} {{.NetworkSettings.IPAddress}}'),
            '{"80/tcp":[{"HostIp":"","HostPort":"8080"}]} home \n',
          );
          const files = ['sh', '-c', 'cat /etc/resolv.conf; grep box /etc/hosts; cat /proc/sys/net/ipv4/ip_default_ttl'];
          assert.equal(
            await typed('run', '--rm', '--network', 'container:told', 'busybox', ...files),
            'nameserver 127.0.0.11\nsearch example.org\noptions ndots:2\n10.78.0.1\tbox\n99\n',
          );
        } finally {
          await typed('stop', '-t', '0', 'told');
        }
        assert.equal(
          await typed(
            'inspect',
            '-f',
            '{{json .NetworkSettings.Ports}}{{range $n, $one := .NetworkSettings.Networks}}{{$n}} {{$one.IPAddress}}{{end}}',
            'told',
          ),
          '{}home \n',
        );
        await typed('rm', 'told');
        await typed('network', 'rm', 'home');
        assert.equal(
          await typed('run', '--rm', '--dns', '9.9.9.9', '--dns-search', 'a.b', 'busybox', 'cat', '/etc/resolv.conf'),
          'nameserver 9.9.9.9\nsearch a.b\n',
        );
        const odd = await sandbox.jettison(['run', '--ip', 'nope', 'busybox', 'true'], asUsual);
        assert.deepEqual([odd.status, odd.stderr.split('\n')[0]], [125, 'ERROR: invalid IPv4 address: nope']);
      });

      await context.test('ports are led in by the first network that something comes into, and by none that is internal', async () => {
        await typed('network', 'create', '--internal', 'inner');
        await typed('network', 'create', 'outer');
        await typed(
          'run',
          '-d',
          '--name',
          'both',
          '--network',
          'inner',
          '--network',
          'outer',
          '-p',
          '8080:80',
          'busybox',
          ...serving('both'),
        );
        try {
          assert.match(await ask('127.0.0.1', 8080), /both/u);
        } finally {
          await typed('rm', '-f', 'both');
        }
        const shut = await sandbox.jettison(['run', '--rm', '--network', 'inner', '-p', '8080:80', 'busybox', 'true'], asUsual);
        assert.deepEqual([shut.status, shut.stderr], [0, 'Published ports are discarded: nothing comes into an internal network\n']);
        assert.match(
          await typed('system', 'prune', '-f'),
          /^Deleted Containers:\n(?:[0-9a-f]{64}\n)+\nDeleted Networks:\ninner\nouter\n\n/u,
        );
      });

      await context.test(
        'CVE-2024-29018: who is shut in does not reach a name server of the world, nor does anyone beside the machine reach a port that is not published',
        async () => {
          await typed('network', 'create', '--internal', 'still');
          await typed('network', 'create', 'loud');
          const asked: string[] = [];
          const server = createSocket('udp4', (question) => void asked.push(question.toString('latin1')));
          const bound = Promise.withResolvers<void>();
          server.bind(53, '127.0.0.1', bound.resolve);
          await bound.promise;
          try {
            const wasAsked = (word: string): boolean => asked.some((one) => one.includes(word));
            for (const network of ['still', 'loud']) {
              const words = ['run', '--rm', '--network', network, '--dns', '127.0.0.1', 'busybox', 'timeout', '5', 'nslookup'];
              // Nobody answers: on a busy machine its time may be over before it has asked.
              for (let tries = 0; tries === 0 || (network === 'loud' && tries < 20 && !wasAsked('word-for-loud')); tries++)
                await sandbox.jettison([...words, `word-for-${network}.example`], asUsual);
            }
          } finally {
            server.close();
          }
          assert.deepEqual(
            [asked.some((one) => one.includes('word-for-loud')), asked.some((one) => one.includes('word-for-still'))],
            [true, false],
          );
          const web = await start(sandbox, 'web', ['-p', '8080:80', 'busybox', ...serving('hello')]);
          const neighbour = spawn('unshare', ['--net', 'sleep', '1000']);
          try {
            const own = readlinkSync('/proc/self/ns/net');
            while (readlinkSync(`/proc/${neighbour.pid}/ns/net`) === own) await pause(20);
            const cable = 'ip link add out type veth peer name far netns';
            execFileSync('sh', ['-c', `${cable} ${neighbour.pid} && ip addr add 10.200.0.1/24 dev out && ip link set out up`]);
            const there = (script: string) =>
              spawnSync('nsenter', ['-t', String(neighbour.pid), '-n', 'sh', '-c', script], { encoding: 'utf8' }).stdout;
            there('ip addr add 10.200.0.2/24 dev far && ip link set far up && ip route add default via 10.200.0.1');
            const fetched = (place: string, seconds: number) => there(`timeout ${seconds} busybox wget -qO- http://${place}/`);
            assert.match(await ask('127.0.0.1', 8080), /hello/u);
            assert.equal(fetched('10.200.0.1:8080', 60), 'hello\n');
            assert.equal(fetched('172.17.0.2', 3), '');
            const answer = await inside(sandbox)('bridge', 'ping -c1 -W20 10.200.0.2 >/dev/null && echo heard');
            assert.equal(answer, 'heard\n');
          } finally {
            neighbour.kill('SIGKILL');
            web.kill('SIGTERM');
            await web.ended;
            await typed('network', 'rm', 'still', 'loud');
          }
          await onlyStay([]);
        },
      );

      await context.test('a bridge that was only half made is made anew, and so are the rules of one that is', async () => {
        const id = (await typed('network', 'ls', '--no-trunc', '--filter', 'name=bridge', '-q')).trim();
        execFileSync('ip', ['link', 'add', `jet-${id.slice(0, 11)}`, 'type', 'bridge']);
        const reach = await inside(sandbox)('bridge', 'ping -c1 -W20 172.17.0.1 >/dev/null && echo reached');
        assert.equal(reach, 'reached\n');
        await onlyStay([]);
      });

      await context.test('a bridge avoids what the machine has elsewhere, and a subnet that was asked for is refused there', async () => {
        await sandbox.succeed(['network', 'create', '--subnet', '10.99.0.0/16', 'fixed']);
        execFileSync('ip', ['addr', 'add', '172.17.9.9/16', 'dev', 'lo']);
        execFileSync('ip', ['addr', 'add', '10.99.1.1/24', 'dev', 'lo']);
        try {
          const run = async (network: string) =>
            await sandbox.jettison(['run', '--rm', '--network', network, 'busybox', 'hostname', '-i'], asUsual);
          assert.equal((await run('bridge')).stdout, '172.18.0.2\n');
          const refused = await run('fixed');
          assert.match(refused.stderr, /Subnet 10\.99\.0\.0\/16 of network "fixed" overlaps with 10\.99\.1\./u);
          assert.equal(refused.status, 125);
          await onlyStay([]);
        } finally {
          execFileSync('ip', ['addr', 'del', '172.17.9.9/16', 'dev', 'lo']);
          execFileSync('ip', ['addr', 'del', '10.99.1.1/24', 'dev', 'lo']);
        }
      });
    });
  },
  { network: true },
);

/** Runs a script in a container on a network, and gives what it printed. */
function inside(sandbox: Sandbox): (network: string, script: string) => Promise<string> {
  return async (network, script) => {
    const done = await sandbox.jettison(['run', '--rm', '--network', network, 'busybox', 'sh', '-c', script], asUsual);
    assert.equal(done.stderr.replace(/^(?:nslookup|ping):.*\n/gmu, ''), '');
    return done.stdout;
  };
}
