/**
 * Mounts, volumes, rights and limits of containers, as people type them: by root over crun and over runc, and by a normal user. A folder of the host that nothing may
 * reach is compared after each command.
 */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { openAttackedHost, type AttackedHost } from '#test/kit/attacked-host.ts';

const dockerfile = `FROM busybox
RUN mkdir -p /data/sub && echo text >/data/sub/file && chown -R 33:33 /data && chmod 2750 /data && ln -s sub/file /data/link
VOLUME /data
`;
const seats = [
  { as: 'root', runtime: 'crun' },
  { as: 'root', runtime: 'runc' },
  { as: 'user', runtime: 'crun' },
] as const;

for (const seat of seats) {
  describe(`${seat.as} over ${seat.runtime}`, () => {
    let host: AttackedHost;
    const run = async (...words: readonly string[]): Promise<string> => await host.succeed(['run', '--rm', '--network', 'host', ...words]);
    /** Standard error, and 125. */
    const refused = async (...words: readonly string[]): Promise<string> => {
      const { status, stderr, stdout } = await host.jettison(['run', '--rm', '--network', 'host', ...words]);
      assert.equal(status, 125, stdout + stderr);
      return stderr;
    };
    const volumes = async (...words: readonly string[]): Promise<readonly string[]> =>
      (await host.succeed(['volume', 'ls', '-q', ...words])).split('\n').filter(Boolean);

    before(async () => {
      host = await openAttackedHost(seat);
      await host.busybox();
      await host.succeed(['build', '-q', '-t', 'app', host.context({ Dockerfile: dockerfile })]);
    });
    after(async () => {
      await host[Symbol.asyncDispose]();
    });

    // What volumes are is nothing to a runtime: one of root's is enough.
    const isOther = seat.runtime === 'runc';
    if (!isOther)
      test('a VOLUME is an anonymous volume with what the image has, and goes with the container', async () => {
        const shown = await run(
          'app',
          'sh',
          '-c',
          'stat -c "%a %u:%g" /data /data/sub/file; cat /data/link; grep -c " /data " /proc/mounts',
        );
        assert.equal(shown, '2750 33:33\n644 33:33\ntext\n1\n');
        assert.deepEqual(await volumes(), []);
        const name = (await host.succeed(['create', '--name', 'kept', 'app', 'true'])).trim();
        const [volume = ''] = await volumes();
        assert.match(volume, /^[0-9a-f]{64}$/);
        const use = await host.jettison(['volume', 'rm', volume]);
        assert.match(use.stderr, new RegExp(`remove ${volume}: volume is in use - \\[${name}\\]`));
        await host.succeed(['rm', 'kept']);
        assert.deepEqual(await volumes('-f', 'dangling=true'), [volume]);
        assert.match(
          await host.succeed(['volume', 'prune', '-f']),
          new RegExp(`Deleted Volumes:\n${volume}\n\nTotal reclaimed space: 13B`),
        );
        await host.succeed(['create', '--name', 'gone', 'app', 'true']);
        await host.succeed(['rm', '-v', 'gone']);
        assert.deepEqual(await volumes(), []);
      });

    if (!isOther)
      test('a named volume is filled once, keeps what is written, and is shared with --volumes-from', async () => {
        await host.succeed(['volume', 'create', '--label', 'what=test', 'store']);
        assert.equal(
          await run('-v', 'store:/data', 'app', 'sh', '-c', 'echo more >>/data/sub/file; rm /data/link; cat /data/sub/file'),
          'text\nmore\n',
        );
        assert.equal(await run('-v', 'store:/data:ro', 'app', 'sh', '-c', 'ls /data; touch /data/x 2>/dev/null || echo no'), 'sub\nno\n');
        assert.equal(await run('-v', 'bare:/data:nocopy', 'app', 'ls', '/data'), '');
        await host.succeed(['create', '--name', 'first', '-v', 'store:/data', 'app', 'true']);
        const [first] = JSON.parse(await host.succeed(['container', 'inspect', 'first']));
        assert.deepEqual(first.HostConfig.Binds, ['store:/data']);
        assert.deepEqual([first.Mounts[0].Name, first.Mounts[0].Destination, first.Mounts[0].RW], ['store', '/data', true]);
        assert.equal(
          await run('--volumes-from', 'first:ro', 'busybox', 'sh', '-c', 'cat /data/sub/file; touch /data/x 2>/dev/null || echo no'),
          'text\nmore\nno\n',
        );
        assert.equal(await run('--mount', 'src=store,dst=/m,volume-subpath=sub', 'busybox', 'cat', '/m/file'), 'text\nmore\n');
        assert.equal(await run('--mount', 'src=store,dst=/dev/m,volume-subpath=sub', 'busybox', 'cat', '/dev/m/file'), 'text\nmore\n');
        assert.equal(await run('--mount', 'src=store,dst=/dev/f,volume-subpath=sub/file', 'busybox', 'cat', '/dev/f'), 'text\nmore\n');
        assert.match(await refused('--mount', 'src=store,dst=/m,volume-subpath=none', 'busybox', 'true'), /cannot access path "\/none"/);
        const [shown] = JSON.parse(await host.succeed(['volume', 'inspect', 'store']));
        assert.deepEqual([shown.Name, shown.Driver, shown.Labels], ['store', 'local', { what: 'test' }]);
        assert.equal(shown.Mountpoint, join(host.store, 'volumes/store/_data'));
        assert.match(await host.succeed(['system', 'df']), /Local Volumes +2 +0 +10B +0B \(0%\)/);
        await host.succeed(['rm', 'first']);
        await host.succeed(['volume', 'rm', 'store', 'bare']);
        assert.deepEqual(await volumes(), []);
        assert.equal(existsSync(shown.Mountpoint), false);
      });

    if (!isOther)
      test('volumes are filled by create; cp reaches them, and folders of the host, before a start and after it', async () => {
        const source = join(host.home, `cp-${seat.runtime}`);
        const file = join(host.context({ in: 'new\n' }), 'in');
        const mounts = ['-v', 'early:/data', '-v', `${source}:/host`, '-v', `${file}:/one:ro`];
        await host.succeed(['create', '--name', 'still', ...mounts, 'app', 'sh', '-c', 'cat /data/in /host/in; echo more >>/data/in']);
        assert.equal(await run('-v', 'early:/other', 'busybox', 'cat', '/other/sub/file'), 'text\n');
        const out = join(host.home, `out-${seat.runtime}`);
        await host.succeed(['cp', 'still:/data/sub', out]);
        assert.equal(readFileSync(join(out, 'file'), 'utf8'), 'text\n');
        await host.succeed(['cp', file, 'still:/data/']);
        await host.succeed(['cp', file, 'still:/host/in']);
        assert.equal(readFileSync(join(source, 'in'), 'utf8'), 'new\n');
        assert.equal(await host.succeed(['diff', 'still']), '');
        assert.equal(await host.succeed(['start', '-a', 'still']), 'new\nnew\n');
        await host.succeed(['cp', 'still:/data/in', join(out, 'in')]);
        assert.equal(readFileSync(join(out, 'in'), 'utf8'), 'new\nmore\n');
        const over = await host.jettison(['cp', file, 'still:/one']);
        assert.match(over.stderr, /^ERROR: Cannot put a file in "\/": another is mounted in its place\n/);
        await host.succeed(['rm', 'still']);
        await host.succeed(['create', '--name', 'fixed', '-v', 'early:/data:ro', 'app', 'true']);
        const fixed = await host.jettison(['cp', file, 'fixed:/data/']);
        assert.match(fixed.stderr, /^ERROR: Cannot write to "\/data\/": what is mounted there is marked read-only\n/);
        await host.succeed(['rm', 'fixed']);
        await host.succeed(['volume', 'rm', 'early']);
        const left = await host.jettison(['create', '-v', 'early:/bin/sh', 'app', 'true']);
        assert.match(left.stderr, /cannot mount volume over existing file, file exists \/bin\/sh/);
        assert.equal(await host.succeed(['ps', '-aq']), '');
        await host.succeed(['volume', 'rm', 'early']);
        assert.deepEqual(await volumes(), []);
      });

    test('folders and files of the host: written to, read-only, made when missing, and by --mount never made', async () => {
      const source = join(host.home, `source-${seat.runtime}`);
      assert.equal(await run('-v', `${source}:/m`, 'busybox', 'sh', '-c', 'echo mine >/m/file; ls -d /m'), '/m\n');
      assert.equal(readFileSync(join(source, 'file'), 'utf8'), 'mine\n');
      assert.equal(statSync(source).mode & 0o777, 0o755);
      const file = join(source, 'file');
      assert.equal(
        await run('-v', `${file}:/etc/one:ro`, 'busybox', 'sh', '-c', 'cat /etc/one; echo x 2>/dev/null >/etc/one || echo no'),
        'mine\nno\n',
      );
      const missing = join(host.home, 'missing');
      assert.match(await refused('--mount', `type=bind,src=${missing},dst=/m`, 'busybox', 'true'), /bind source path does not exist/);
      assert.equal(existsSync(missing), false);
      assert.match(await refused('-v', `${source}:/m`, '-v', `${file}:/m`, 'busybox', 'true'), /Duplicate mount point: \/m/);
      assert.match(await refused('-v', `${source}:/`, 'busybox', 'true'), /destination can't be '\/'/);
      assert.match(await refused('-v', `${source}:/proc/x`, 'busybox', 'true'), /Cannot mount on "\/proc\/x"/);
    });

    test('an image: its files, read-only, and it stays in the store while the container is there', async () => {
      const context = host.context({ Dockerfile: 'FROM busybox\nRUN echo tool >/tool && mkdir /way && ln -s / /way/out\n' });
      await host.succeed(['build', '-q', '-t', 'tools', context]);
      const script = 'cat /t/tool; touch /t/x 2>/dev/null || echo no; mount -o remount,rw /t 2>/dev/null || echo never; ls /t/bin/sh';
      const word = 'type=image,src=tools,dst=/t';
      assert.equal(await run('--mount', word, 'busybox', 'sh', '-c', script), 'tool\nno\nnever\n/t/bin/sh\n');
      assert.equal(await run('--mount', `${word},image-subpath=tool`, 'busybox', 'cat', '/t'), 'tool\n');
      assert.equal(await run('--mount', `${word},image-subpath=way`, 'busybox', 'ls', '/t'), 'out\n');
      assert.match(await refused('--mount', `${word},image-subpath=none`, 'busybox', 'true'), /cannot access path "\/none" of the image/);
      assert.match(await refused('--mount', `${word},image-subpath=way/out/../../etc`, 'busybox', 'true'), /within the image/);
      assert.match(await refused('--mount', 'type=image,src=nothing,dst=/t', 'busybox', 'true'), /No such image: nothing/);
      await run('--privileged', '--mount', word, 'busybox', 'sh', '-c', 'mount -o remount,rw /t; echo spoilt >/t/tool; true');
      assert.equal(await run('--mount', word, 'busybox', 'cat', '/t/tool'), 'tool\n');

      await host.succeed(['create', '--name', 'user', '--network', 'host', '--mount', word, 'busybox', 'cat', '/t/tool']);
      const [shown] = JSON.parse(await host.succeed(['container', 'inspect', 'user']));
      const [{ Id: id }] = JSON.parse(await host.succeed(['image', 'inspect', 'tools']));
      const mount = { Type: 'image', Name: 'tools', Source: id, Destination: '/t', Mode: '', RW: false, Propagation: '' };
      assert.deepEqual(shown.Mounts, [mount]);
      for (const words of [['tools'], [id], ['-f', id]]) {
        const { status, stderr } = await host.jettison(['rmi', ...words]);
        assert.match(stderr, /image is mounted in container [0-9a-f]{12}/);
        assert.equal(status, 1);
      }
      await host.succeed(['rmi', '-f', 'tools']);
      await host.succeed(['image', 'prune', '-af']);
      await host.succeed(['prune', '-f', '--all']);
      const out = join(host.home, `tool-${seat.as}-${seat.runtime}`);
      await host.succeed(['cp', 'user:/t/tool', out]);
      assert.equal(readFileSync(out, 'utf8'), 'tool\n');
      assert.equal(await host.succeed(['start', '-a', 'user']), 'tool\n');
      assert.equal(await run('--volumes-from', 'user', 'busybox', 'cat', '/t/tool'), 'tool\n');
      await host.succeed(['rm', 'user']);
      await host.succeed(['image', 'prune', '-af']);
      assert.equal((await host.jettison(['image', 'inspect', id])).status, 1);
      await host.busybox();
      await host.succeed(['build', '-q', '-t', 'app', host.context({ Dockerfile: dockerfile })]);
    });

    test('memory: --tmpfs and volumes of that type', async () => {
      const shown = await run(
        '--tmpfs',
        '/t:size=64k,mode=0710,uid=33,exec',
        'busybox',
        'sh',
        '-c',
        'stat -c "%a %u" /t; grep " /t " /proc/mounts; df /t | tail -1',
      );
      assert.match(shown, /^710 33\n/);
      assert.match(shown, /nosuid,nodev/);
      assert.doesNotMatch(shown, /noexec/);
      assert.match(shown, / 64 /);
      await host.succeed(['volume', 'create', '-o', 'type=tmpfs', '-o', 'device=tmpfs', '-o', 'o=size=1m,ro', 'memory']);
      assert.match(await run('-v', 'memory:/t', 'busybox', 'grep', ' /t ', '/proc/mounts'), /^tmpfs \/t tmpfs ro,.*size=1024k/);
      assert.match((await host.jettison(['volume', 'create', '-o', 'type=nfs', '-o', 'device=:/x'])).stderr, /not supported/);
      await host.succeed(['volume', 'rm', 'memory']);
    });

    test('rights, names and kernel settings, as typed', async () => {
      const script =
        'grep CapEff /proc/self/status; hostname; cat /proc/sys/kernel/domainname /proc/sys/kernel/msgmax; tail -1 /etc/hosts; cat /etc/resolv.conf; touch /x 2>/dev/null || echo read-only; id -G; echo $A $B';
      const file = join(host.home, 'variables');
      writeFileSync(file, '# comment\n\nA=from file\nB=1\n');
      const shown = await run(
        '--cap-drop=all',
        '--cap-add=net_admin',
        '--hostname=me',
        '--domainname=dom',
        '--sysctl=kernel.msgmax=4321',
        '--add-host=db:10.1.2.3',
        '--dns=192.0.2.3',
        '--dns-search=.',
        '--read-only',
        '--group-add=33',
        '--env-file',
        file,
        '-e',
        'B=2',
        'busybox',
        'sh',
        '-c',
        script,
      );
      const lines = [
        'CapEff:\t0000000000001000',
        'me',
        'dom',
        '4321',
        '10.1.2.3\tdb',
        'nameserver 192.0.2.3',
        'read-only',
        '0 10 33',
        'from file 2',
      ];
      assert.equal(shown, `${lines.join('\n')}\n`);
      assert.match(await refused('--cap-add=fly', 'busybox', 'true'), /Unknown capability: "CAP_FLY"/);
      assert.match(await refused('--device=/dev/none', 'busybox', 'true'), /custom device "\/dev\/none": no such file or directory/);
      assert.equal(await run('--device=/dev/zero:/dev/nothing', 'busybox', 'sh', '-c', 'head -c 2 /dev/nothing | wc -c'), '2\n');
      assert.match(await run('--privileged', 'busybox', 'sh', '-c', 'mount -t tmpfs t /tmp && grep -c " /tmp " /proc/mounts'), /^1\n/);
      assert.equal(
        await run('--security-opt=no-new-privileges', '--init', 'busybox', 'sh', '-c', 'grep NoNew /proc/self/status; cat /proc/1/comm'),
        'NoNewPrivs:\t1\ndocker-init\n',
      );
    });

    test('limits: what the container sees, and 137 when memory runs out; refused without the rights to it', async () => {
      const words = ['-m', '20m', '--pids-limit', '30', '--cpus', '0.5', 'busybox'];
      if (seat.as === 'user') return assert.match(await refused(...words, 'true'), /Cannot set limits: making cgroups takes the rights/);
      assert.match(await run(...words, 'sh', '-c', 'cat /sys/fs/cgroup/pids.max /sys/fs/cgroup/pids/pids.max 2>/dev/null; true'), /^30\n$/);
      const killed = await host.jettison([
        'run',
        '--name',
        'greedy',
        '--network',
        'host',
        ...words,
        'dd',
        'if=/dev/zero',
        'of=/dev/null',
        'bs=100M',
        'count=1',
      ]);
      assert.equal(killed.status, 137, killed.stderr);
      await host.succeed(['rm', 'greedy']);
    });

    test('CVE-2022-23648: a VOLUME that climbs, or goes through a link to the host, takes nothing from there', async () => {
      const link = host.context({
        Dockerfile: `FROM busybox\nRUN ln -s ${host.canary.folder} /way\nVOLUME /way\nVOLUME ["/../..${host.canary.folder}"]\nVOLUME /way/folder\n`,
      });
      await host.succeed(['build', '-q', '-t', 'climber', link]);
      const shown = await run('climber', 'sh', '-c', `find /way/ ${host.canary.folder} -type f; touch ${host.canary.folder}/mine`);
      assert.equal(shown, '');
      host.canary.assertUnread({ below: join(host.store, 'volumes') });
    });

    test('a link in a volume, as the target of a mount, leads to the container and never to the host', async () => {
      const context = host.context({ Dockerfile: `FROM busybox\nRUN mkdir -p ${host.canary.folder}/empty\n` });
      await host.succeed(['build', '-q', '-t', 'trapped', context]);
      await host.succeed(['volume', 'create', 'trap']);
      const source = join(host.home, `plain-${seat.runtime}`);
      mkdirSync(source);
      symlinkSync(host.canary.folder, join(source, 'way'));
      symlinkSync('/proc', join(source, 'kernel'));
      await run('-v', 'trap:/v', 'busybox', 'ln', '-s', host.canary.folder, '/v/way');
      for (const mount of ['trap:/v', `${source}:/v`]) {
        const said = await run(
          '-v',
          mount,
          '--tmpfs',
          '/v/way/empty',
          'trapped',
          'sh',
          '-c',
          `cd ${host.canary.folder}/empty && touch here && ls`,
        );
        assert.equal(said, 'here\n');
      }
      assert.match(await refused('-v', `${source}:/v`, '--tmpfs', '/v/kernel/x', 'busybox', 'true'), /Cannot mount on/);
      assert.match(await refused('--mount', 'src=trap,dst=/m,volume-subpath=way', 'busybox', 'true'), /cannot access path/);
      assert.deepEqual(readdirSync(source).toSorted(), ['kernel', 'way']);
      await host.succeed(['volume', 'rm', 'trap']);
    });

    test('a device that a volume holds opens nothing, nor does one of a read-only image', async () => {
      if (seat.as === 'user') return;
      const script = 'mknod /v/null c 1 3 && cat /v/null && echo opened';
      assert.match(
        (await host.jettison(['run', '--rm', '--network', 'host', '-v', 'devices:/v', 'busybox', 'sh', '-c', script])).stderr,
        /Permission denied/,
      );
      await host.succeed(['volume', 'rm', 'devices']);
    });
  });
}

test('without namespaces, what takes them is refused by name', async () => {
  await using host = await openAttackedHost({ as: 'root' });
  await host.busybox();
  for (const words of [['-v', 'vol:/b'], ['--read-only'], ['--cap-drop=ALL'], ['--init'], ['--privileged'], ['-m', '20m']]) {
    const { status, stderr } = await host.jettison([
      'run',
      '--rm',
      '--network',
      'host',
      '--isolation',
      'chroot',
      ...words,
      'busybox',
      'true',
    ]);
    assert.equal(status, 125, `${words.join(' ')}: ${stderr}`);
    assert.match(stderr, /Without namespaces a process cannot have|where nothing can be mounted/);
  }
});
