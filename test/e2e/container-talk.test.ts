/** Talking to containers that run: `exec`, by root over crun and over runc, and by a normal user. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { openAttackedHost, type AttackedHost } from '#test/kit/attacked-host.ts';

const seats = [
  { as: 'root', runtime: 'crun' },
  { as: 'root', runtime: 'runc' },
  { as: 'user', runtime: 'crun' },
] as const;
const idle = ['sh', '-c', 'trap exit TERM; echo $$ >/pid; while :; do sleep 0.1; done'] as const;

for (const seat of seats) {
  describe(`exec as ${seat.as} over ${seat.runtime}`, { timeout: 1_200_000 }, () => {
    let host: AttackedHost;
    const exec = async (...words: readonly string[]): Promise<string> => await host.succeed(['exec', ...words]);
    const status = async (...words: readonly string[]) => {
      const { status: code, stderr } = await host.jettison(['exec', ...words]);
      return { code, stderr };
    };

    before(async () => {
      host = await openAttackedHost(seat);
      await host.busybox();
      await host.succeed([
        'run',
        '-d',
        '--name',
        'cc',
        '--network',
        'none',
        '-e',
        'KEPT=1',
        '-e',
        'CHANGED=1',
        '-w',
        '/tmp',
        'busybox',
        ...idle,
      ]);
    });
    after(async () => {
      await host.jettison(['rm', '-f', 'cc', 'other', 'sick', 'slow']);
      await host[Symbol.asyncDispose]();
    });

    test('it stands in the namespaces of the container, with its environment, folder and filter', async () => {
      // It has been started, and may not have come to that.
      assert.equal(await exec('cc', 'sh', '-c', 'until [ -s /pid ]; do sleep 0.1; done; cat /pid'), '1\n');
      const seen = await exec(
        '-e',
        'CHANGED=2',
        'cc',
        'sh',
        '-c',
        'echo $KEPT $CHANGED $HOME $PWD; hostname; ls /sys/class/net; kill -0 1 && echo one',
      );
      const [environment, hostname, network, one] = seen.split('\n');
      assert.equal(environment, '1 2 /root /tmp');
      assert.match(hostname ?? '', /^[0-9a-f]{12}$/);
      assert.deepEqual([network, one], ['lo', 'one']);
      const own = await exec('cc', 'sh', '-c', 'for n in mnt pid net ipc uts; do readlink /proc/self/ns/$n; readlink /proc/1/ns/$n; done');
      const lines = own.trim().split('\n');
      for (let at = 0; at < lines.length; at += 2) assert.equal(lines[at], lines[at + 1]);
      const rights = 'grep -E "^(CapEff|CapBnd|Seccomp|NoNewPrivs):" /proc/$P/status';
      assert.equal(await exec('-e', 'P=self', 'cc', 'sh', '-c', rights), await exec('-e', 'P=1', 'cc', 'sh', '-c', rights));
      assert.equal((await exec('cc', 'sh', '-c', 'ls /proc/self/fd')).split('\n').filter(Boolean).length, 4, 'no file of ours is open');
    });

    test('streams, users, exit codes', async () => {
      const both = await host.jettison(['exec', 'cc', 'sh', '-c', 'echo out; echo err >&2; exit 5']);
      assert.deepEqual([both.status, both.stdout, both.stderr], [5, 'out\n', 'err\n']);
      assert.equal(await host.succeed(['exec', '-i', 'cc', 'cat'], { input: 'typed' }), 'typed');
      assert.equal(await host.succeed(['exec', 'cc', 'cat'], { input: 'typed' }), '', 'without -i it has no stdin');
      assert.equal(await exec('-u', '1:2', '-w', '/', 'cc', 'sh', '-c', 'id -u; id -g; pwd'), '1\n2\n/\n');
      assert.equal((await status('cc', 'sh', '-c', 'kill -9 $$')).code, 137);
      assert.equal((await status('cc', 'sh', '-c', 'exit 255')).code, 255);
      const absent = await status('cc', 'nosuch');
      assert.deepEqual([absent.code, /exec: "nosuch": executable file not found in \$PATH/.test(absent.stderr)], [127, true]);
      assert.equal((await status('cc', '/etc/passwd')).code, 126);
      // Of a program that is there the kernel says "no such file" when it means its loader, or a script's shell.
      await exec('cc', 'sh', '-c', 'printf "#!/bin/nosuch\\n" >/tmp/script; chmod +x /tmp/script');
      const script = await status('cc', '/tmp/script');
      assert.match(
        script.stderr,
        /^exec \/tmp\/script: no such file or directory\n"\/tmp\/script" is a script for "\/bin\/nosuch", which/u,
      );
      assert.equal(script.code, 127);
      assert.equal((await status('-w', '/nosuch', 'cc', 'true')).code, 127);
      assert.equal((await status('-u', 'nobody-here', 'cc', 'true')).code, 1);
      assert.match((await status('nosuch', 'true')).stderr, /No such container: nosuch/);
      const all = BigInt(`0x${(await exec('--privileged', 'cc', 'awk', '/CapEff/{print $2}', '/proc/self/status')).trim()}`);
      const usual = BigInt(`0x${(await exec('cc', 'awk', '/CapEff/{print $2}', '/proc/self/status')).trim()}`);
      assert.ok(all > usual);
    });

    test('a terminal of its own', async () => {
      // An old crun gives it its size when the program has begun.
      const { stdout, status: code } = await host.jettison([
        'exec',
        '-t',
        'cc',
        'sh',
        '-c',
        'tty; until stty size 2>/dev/null; do sleep 0.1; done; echo $TERM; exit 3',
      ]);
      assert.match(stdout, /^\/dev\/pts\/\d+\r\n24 80\r\nxterm\r\n$/);
      assert.equal(code, 3);
      const refused = await status('-it', 'cc', 'sh');
      assert.match(refused.stderr, /the input device is not a TTY/);
      assert.equal(refused.code, 1);
    });

    test('top: the processes of the container alone, by the ps of this machine or without one', async () => {
      const lines = (await host.succeed(['top', 'cc'])).trim().split('\n');
      assert.match(lines[0] ?? '', /^UID +PID +PPID +C +STIME +TTY +TIME +CMD$/);
      assert.match(lines[1] ?? '', / sh -c trap exit TERM; echo \$\$ >\/pid;/);
      assert.match(await host.succeed(['top', 'cc', '-o', 'pid,comm']), /^PID +COMMAND\n\d+ +sh\n/);
      const blind = await host.jettison(['top', 'cc', '-o', 'comm']);
      assert.deepEqual([blind.status, /Couldn't find PID field in ps output/.test(blind.stderr)], [1, true]);
      assert.match((await host.jettison(['top', 'cc', '-o', 'x=PID'])).stderr, /specifying "x=PID" is not allowed/);
    });

    test('stats: what runs is counted, what does not is 0', async () => {
      await host.succeed(['create', '--name', 'still', '--network', 'none', 'busybox', 'true']);
      await exec('-d', 'cc', 'sh', '-c', 'exec yes >/dev/null');
      const table = await host.succeed(['stats', '--no-stream', 'cc', 'still']);
      assert.match(table, /^CONTAINER ID +NAME +CPU % +MEM USAGE \/ LIMIT +MEM % +NET I\/O +BLOCK I\/O +PIDS\n/);
      assert.match(table, /still +0\.00% +0B \/ 0B +0\.00% +0B \/ 0B +0B \/ 0B +0\n$/);
      const words = (await host.succeed(['stats', '--no-stream', '--format', '{{.Name}} {{.CPUPerc}} {{.PIDs}} {{.Source}}', 'cc'])).trim();
      assert.match(words, /^cc \d+\.\d\d% [2-9] processes$/);
      assert.ok(parseFloat(words.split(' ')[1] ?? '') > 1, words);
      await exec('cc', 'killall', 'yes');
      const gone = await host.jettison(['stats', '--no-stream', 'nosuch']);
      assert.deepEqual([gone.status, /No such container: nosuch/.test(gone.stderr)], [1, true]);
      await host.succeed(['rm', 'still']);
    });

    test('update: limits of what runs, all kept for its next start', async () => {
      assert.match((await host.jettison(['update', 'cc'])).stderr, /you must provide one or more flags when using this command/);
      assert.equal(await host.succeed(['update', '--restart', 'on-failure:3', 'cc']), 'cc\n');
      assert.equal(
        await host.succeed([
          'inspect',
          'cc',
          '--format',
          '{{.HostConfig.RestartPolicy.Name}} {{.HostConfig.RestartPolicy.MaximumRetryCount}}',
        ]),
        'on-failure 3\n',
      );
      const asked = await host.jettison(['update', '--memory', '64m', '--pids-limit', '50', 'cc']);
      if (seat.as === 'user') {
        assert.match(asked.stderr, /making cgroups takes the rights of the machine's root/);
        assert.equal(
          await host.succeed(['inspect', 'cc', '--format', '{{.HostConfig.Memory}}']),
          '0\n',
          'nothing is kept of what cannot be',
        );
        return;
      }
      assert.deepEqual([asked.status, asked.stdout], [0, 'cc\n'], asked.stderr);
      assert.match(await host.succeed(['stats', '--no-stream', 'cc']), / \/ 64MiB /);
      assert.match((await status('cc', 'sh', '-c', 'for i in $(seq 60); do sleep 20 & done')).stderr, /can't fork/);
      const more = await host.jettison(['update', '--memory', '512m', 'cc']);
      assert.match(more.stderr, /Memory limit should be smaller than already set memoryswap limit/);
      await host.succeed(['update', '--memory', '512m', '--memory-swap', '1g', '--cpus', '1', 'cc']);
      const format = '{{.HostConfig.Memory}} {{.HostConfig.MemorySwap}} {{.HostConfig.NanoCpus}} {{.HostConfig.PidsLimit}}';
      assert.equal(await host.succeed(['inspect', 'cc', '--format', format]), '536870912 1073741824 1000000000 50\n');
      assert.match(await host.succeed(['stats', '--no-stream', 'cc']), / \/ 512MiB /);
      assert.match(
        (await host.jettison(['update', '--cpu-quota', '50000', 'cc'])).stderr,
        /CPU Quota cannot be updated as NanoCPUs has already been set/,
      );
      assert.match((await host.jettison(['update', '--cpuset-cpus', '99', 'cc'])).stderr, /Cannot use "99" for "cpuset.cpus"/);
    });

    test('health: a check runs in the container, its answers are shown and chosen by', async () => {
      const shown = async (health: string): Promise<void> => {
        // The container is as it should be in a moment, or the test is ended by its time.
        while ((await host.succeed(['ps', '-q', '-f', `health=${health}`])) === '');
      };
      const check = ['--health-cmd', 'test -e /ok && echo "fine $KEPT"', '--health-interval', '200ms', '--health-retries', '1'];
      await host.succeed(['run', '-d', '--name', 'sick', '--network', 'none', '-e', 'KEPT=1', ...check, 'busybox', ...idle]);
      await shown('unhealthy');
      assert.match(await host.succeed(['ps', '-f', 'name=sick', '--format', '{{.Status}}']), /^Up .* \(unhealthy\)\n$/);
      await exec('sick', 'touch', '/ok');
      await shown('healthy');
      const health = JSON.parse(await host.succeed(['inspect', 'sick', '--format', '{{json .State.Health}}']));
      assert.deepEqual(
        [health.Status, health.FailingStreak, health.Log.at(-1).ExitCode, health.Log.at(-1).Output],
        ['healthy', 0, 0, 'fine 1\n'],
      );
      assert.deepEqual(JSON.parse(await host.succeed(['inspect', 'sick', '--format', '{{json .Config.Healthcheck}}'])), {
        Test: ['CMD-SHELL', check[1]],
        Interval: 200e6,
        Retries: 1,
      });
      await host.succeed(['stop', 'sick']);
      assert.equal(await host.succeed(['inspect', 'sick', '--format', '{{.State.Health.Status}}']), 'unhealthy\n');
      await host.succeed(['rm', 'sick']);

      const slow = [
        '--health-cmd',
        'echo begun; sleep 1000',
        '--health-interval',
        '100ms',
        '--health-timeout',
        '200ms',
        '--health-retries',
        '1',
      ];
      await host.succeed(['run', '-d', '--name', 'slow', '--network', 'none', ...slow, 'busybox', ...idle]);
      await shown('unhealthy');
      const [first] = JSON.parse(await host.succeed(['inspect', 'slow', '--format', '{{json .State.Health.Log}}']));
      assert.equal(first.ExitCode, -1);
      assert.match(first.Output, /^Health check exceeded timeout \(200ms\)/);
      await host.succeed(['rm', '-f', 'slow']);
      assert.match(
        (await host.jettison(['create', '--no-healthcheck', '--health-retries', '1', 'busybox'])).stderr,
        /--no-healthcheck conflicts/,
      );
    });

    test('what is detached goes on, and ends with the container; one that does not run, or is paused, is refused', async () => {
      await host.succeed(['run', '-d', '--name', 'other', '--network', 'none', 'busybox', ...idle]);
      await exec('-d', 'other', 'sh', '-c', 'echo $$ >/extra; exec sleep 1000');
      const pid = (await exec('other', 'sh', '-c', 'while [ ! -s /extra ]; do sleep 0.1; done; cat /extra')).trim();
      assert.match(await exec('other', 'cat', `/proc/${pid}/cmdline`), /sleep/);
      await host.succeed(['pause', 'other']);
      assert.match((await status('other', 'true')).stderr, /Container other is paused, unpause the container before exec/);
      await host.succeed(['unpause', 'other']);
      const waiting = host.jettison(['exec', 'other', 'sh', '-c', 'echo >/second; exec sleep 1000']);
      await exec('other', 'sh', '-c', 'while [ ! -e /second ]; do sleep 0.1; done');
      await host.succeed(['stop', '-t', '5', 'other']);
      assert.equal((await waiting).status, 137);
      const refused = await status('other', 'true');
      assert.deepEqual([refused.code, /container [0-9a-f]{64} is not running/.test(refused.stderr)], [1, true]);
      await host.succeed(['rm', 'other']);
    });
  });
}
