/**
 * Published holes of runtimes, tried by builds: through images, working directories, mounts, and processes that race with the making of mounts. Each is run by root over
 * crun and over runc, and by a normal user; a canary of the host is compared after each command. What races most is in test/integration/hostile-races.test.ts.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { assertNothingLeft, assertOneError } from '#test/kit/aftermath.ts';
import { tarOf, type ShortEntry } from '#test/kit/archives.ts';
import { openAttackedHost, type AttackedHost } from '#test/kit/attacked-host.ts';
import type { Finished } from '#test/kit/sandbox.ts';

const rounds = Number(process.env['HOSTILE_ROUNDS'] ?? 40);
const seats = [
  { as: 'root', runtime: 'crun' },
  { as: 'root', runtime: 'runc' },
  { as: 'user', runtime: 'crun' },
] as const;
type Seat = (typeof seats)[number];
/** `refused`: jettison itself refuses before a runtime is asked, so that one runtime will do for root. */
type Attack = readonly [name: string, attack: (host: AttackedHost, seat: Seat) => Promise<void>, more?: 'refused'];

const busybox: readonly ShortEntry[] = [
  ['bin', 'folder'],
  ['bin/busybox', 'file', readFileSync('/bin/busybox'), { mode: 0o755 }],
  ...['sh', 'cat', 'ls', 'echo', 'touch', 'mkdir', 'true'].map((name) => [`bin/${name}`, 'symlink', 'busybox'] as const),
];

async function build(host: AttackedHost, ...lines: readonly string[]): Promise<Finished> {
  const context = host.context({ Dockerfile: `${lines.join('\n')}\n`, file: 'of the context\n' });
  return await host.jettison(['build', '--no-cache', '--progress=plain', '-t', 'evil', context]);
}

/** What steps printed, a line each. */
function said({ stderr }: Finished): readonly string[] {
  return [...stderr.matchAll(/^#\d+ \d[\d.]* (.*)$/gmu)].map(([, line = '']) => line);
}

function assertBuilt(done: Finished): void {
  assert.equal(done.status, 0, done.stderr);
}

const attacks: readonly Attack[] = [
  [
    'CVE-2019-5736: a step cannot write to the program that starts another step',
    async (host) => {
      const programs = ['/usr/bin/crun', '/usr/sbin/runc', process.execPath, '/bin/busybox'];
      const digests = (): readonly string[] => programs.map((path) => createHash('sha256').update(readFileSync(path)).digest('hex'));
      const first = digests();
      const attack = 'for i in $(seq 60); do for p in /proc/[0-9]*/exe; do (echo overwritten > $p) 2>/dev/null; done; done; true';
      const copies = Array.from({ length: 5 }, (_, index) => `RUN ln -s /proc/self/exe /bin/shell${index}; true`);
      const done = await build(
        host,
        'FROM busybox AS attacker',
        `RUN ${attack}`,
        'FROM busybox AS other',
        ...copies,
        // The program is the runtime itself, as far as the container's first process is concerned.
        'RUN ["/bin/shell0", "true"]',
        'FROM scratch',
        'COPY --from=attacker /etc/passwd /1',
        'COPY --from=other /etc/passwd /2',
      );
      assert.ok(done.status === 0 || done.status === 1, done.stderr);
      assert.deepEqual(digests(), first);
    },
  ],
  [
    'CVE-2024-21626: WORKDIR in /proc/self/fd leads nowhere',
    async (host) => {
      for (const folder of ['/proc/self/fd/7', '/p/self/fd/9'])
        assertOneError(
          await build(host, 'FROM busybox', 'RUN ln -s /proc /p', `WORKDIR ${folder}`, 'RUN ls -la; pwd'),
          /working directory/iu,
        );
      const mount = '--mount=type=cache,target=/c,id=cwd';
      const poison = 'ln -sfn /proc/self/fd/7 /c/link; ln -sfn /proc /c/proc';
      for (const folder of ['/c/link', '/c/proc/self/fd/8'])
        assertOneError(
          await build(host, 'FROM busybox', `RUN ${mount} ${poison}`, `WORKDIR ${folder}`, `RUN ${mount} ls -la`),
          /working directory/iu,
        );
      for (const folder of ['/proc/self/fd/3', '/proc/self/fd/11', '/proc/self/cwd/..']) {
        const ran = await host.jettison(['run', '--rm', '-w', folder, 'busybox', 'ls', '-la']);
        assert.match(ran.stderr, /working directory/iu);
        assert.notEqual(ran.status, 0);
      }
    },
    'refused',
  ],
  [
    'CVE-2024-21626: an image that begins in /proc/self/fd is not started, and a step has no descriptor but its own three',
    async (host) => {
      const layer = tarOf([...busybox, ['etc', 'folder']]);
      await host.load('fd', { layers: [layer], config: { WorkingDir: '/proc/self/fd/7', Cmd: ['/bin/ls', '-la'], Env: ['PATH=/bin'] } });
      assertOneError(await build(host, 'FROM fd', 'RUN ls -la; pwd'), /working directory/iu);
      const ran = await host.jettison(['run', '--rm', 'fd']);
      assert.match(ran.stderr, /working directory/iu);
      const done = await build(
        host,
        'FROM busybox',
        'RUN for n in $(seq 3 60); do if [ -h /proc/1/fd/$n ]; then echo "$n $(readlink /proc/1/fd/$n)"; fi; done',
      );
      assertBuilt(done);
      assert.deepEqual(said(done), []);
    },
  ],
  [
    'CVE-2021-30465, CVE-2024-45310: two stages on one cache mount, one swaps folders for links while mounts of the other are made in there',
    async (host) => {
      const { folder } = host.canary;
      const cache = '--mount=type=cache,target=/c,id=race,sharing=shared';
      const perStep = 10;
      const nested = Array.from({ length: perStep }, (_, index) => `--mount=type=tmpfs,target=/c/t/m${index}/deep`).join(' ');
      const steps = Array.from(
        { length: Math.ceil(rounds / perStep) },
        (_, index) => `RUN ${cache} ${nested} touch /c/t/m0/deep/${index} || true`,
      );
      const swap = `while [ ! -e /c/stop ]; do mv /c/t /c/f && ln -s ${folder} /c/t && rm -f /c/t && mv /c/f /c/t; done 2>/dev/null; true`;
      const done = await build(
        host,
        'FROM busybox AS base',
        // What the link leads to is there in the image, too: the mounts succeed, whatever they meet.
        `RUN ${cache} rm -rf /c/*; mkdir -p /c/t ${folder}`,
        'FROM base AS attacker',
        `RUN ${cache} ${swap}`,
        'FROM base AS victim',
        ...steps,
        `RUN ${cache} touch /c/stop`,
        'FROM scratch',
        'COPY --from=attacker /etc/passwd /1',
        'COPY --from=victim /etc/passwd /2',
      );
      // A mount point may have been taken away at the very moment: then the step says so.
      if (done.status !== 0) assertOneError(done, /Cannot mount on "\/c\/t/u);
      assertBuilt(await build(host, 'FROM busybox', `RUN ${cache} touch /c/stop`));
    },
  ],
  [
    'CVE-2023-27561, CVE-2023-28642, CVE-2025-31133, CVE-2025-52565, CVE-2026-41579: /dev, /proc, /sys, /etc and /run of the image as links to the host',
    async (host) => {
      for (const [index, folder] of ['dev', 'proc', 'sys', 'etc', 'run'].entries()) {
        const rest = folder === 'etc' ? [] : [['etc', 'folder'] as const];
        const target = `${index % 2 === 0 ? '' : '../../../../../../..'}${host.canary.folder}`;
        await host.load('linked', { layers: [tarOf([...busybox, ...rest, [folder, 'symlink', target]])] });
        const refusal = new RegExp(`"/${folder}" of the image is a symlink`, 'u');
        assertOneError(await build(host, 'FROM linked', `RUN touch /${folder}/evil; true`), refusal);
        if (index > 0) continue;
        assert.match((await host.jettison(['run', '--rm', 'linked', 'touch', `/${folder}/evil`])).stderr, refusal);
      }
      const made = await build(host, 'FROM busybox', `RUN rm -rf /run && ln -s ${host.canary.folder} /run`, 'RUN touch /run/evil');
      assertOneError(made, /"\/run" of the image is a symlink/u);
    },
    'refused',
  ],
  [
    'CVE-2025-31133, CVE-2025-52565: devices, consoles and masked files of the image as links to the host',
    async (host) => {
      const { file, folder } = host.canary;
      const linked = ['dev/null', 'dev/zero', 'dev/console', 'dev/tty', 'dev/ptmx', 'proc/kcore', 'proc/keys', 'proc/sysrq-trigger'];
      const folders = ['dev/pts', 'dev/shm', 'dev/mqueue', 'dev/fd', 'proc/acpi', 'proc/sys', 'sys/firmware', 'sys/fs'];
      const layer = tarOf([
        ...busybox,
        ...['etc', 'dev', 'proc', 'sys'].map((name) => [name, 'folder'] as const),
        ...linked.map((name) => [name, 'symlink', file] as const),
        ...folders.map((name) => [name, 'symlink', folder] as const),
      ]);
      await host.load('masked', { layers: [layer], config: { Env: ['PATH=/bin'] } });
      const script =
        'for f in /dev/null /dev/console /dev/pts/x /dev/shm/x /proc/keys /proc/acpi/x /sys/firmware/x; do echo evil > $f; cat $f; done';
      assertBuilt(await build(host, 'FROM masked', `RUN (${script}) 2>/dev/null; true`, 'RUN --mount=type=tmpfs,target=/dev/shm true'));
      await host.jettison(['run', '--rm', 'masked', 'sh', '-c', `${script}; true`]);
    },
  ],
  [
    'CVE-2025-31133: nothing is mounted over /dev, where devices and masks are looked for',
    async (host) => {
      const poison = 'for n in null zero console tty ptmx; do ln -sfn /proc/sys/kernel/core_pattern /c/$n; done';
      assertBuilt(await build(host, 'FROM busybox', `RUN --mount=type=cache,target=/c,id=dev ${poison}`, 'RUN ln -s /dev /d'));
      for (const target of ['/dev/../dev', '/d']) {
        const done = await build(host, 'FROM busybox', 'RUN ln -s dev /d', `RUN --mount=type=cache,target=${target},id=dev cat /proc/keys`);
        assertOneError(done, /Cannot mount on/u);
      }
      const nested = await build(
        host,
        'FROM busybox',
        'RUN --mount=type=cache,target=/dev/shm,id=s --mount=type=tmpfs,target=/dev/shm/x true',
      );
      assertOneError(nested, /mounts may not be nested/u);
    },
    'refused',
  ],
  [
    'CVE-2025-52565: a step has no terminal; CVE-2025-31133, CVE-2025-52881: an old runc is told of',
    async (host, { runtime }) => {
      const done = await build(
        host,
        'FROM busybox',
        'RUN for n in 0 1 2; do test -t $n && echo terminal; done; (: < /dev/tty) 2>/dev/null && echo terminal; ls /dev/console 2>/dev/null; echo done',
      );
      assertBuilt(done);
      assert.deepEqual(said(done), ['done']);
      const version = execFileSync(runtime, ['--version'], { encoding: 'utf8' });
      const isOld = runtime === 'runc' && /version (?:0\.|1\.[01]\.|1\.2\.[0-7]\b|1\.3\.[0-2]\b)/u.test(version);
      assert.equal(/known holes \(CVE-2025-31133, CVE-2025-52881\)/u.test(done.stderr), isOld);
    },
  ],
  [
    'CVE-2025-52881: what the runtime writes to in /proc is not covered by a mount of a step',
    async (host) => {
      const cache = '--mount=type=cache,target=/c,id=lsm,sharing=shared';
      const poison = 'ln -sfn /proc /c/proc; ln -sfn /proc/self/attr /c/attr; ln -sfn ../../../../proc/sys /c/sys; mkdir -p /c/attr-file';
      assertBuilt(await build(host, 'FROM busybox', `RUN ${cache} ${poison}`));
      const made = 'RUN ln -s proc /p; ln -s ../../.. /up';
      for (const mount of [
        'tmpfs,target=/proc/self/attr',
        'cache,target=/p/self/attr',
        'bind,source=file,target=/sys/fs',
        'tmpfs,target=/up/proc/sys',
      ])
        assertOneError(await build(host, 'FROM busybox', made, `RUN --mount=type=${mount} true`), /Cannot mount on/u);
      for (const target of ['/c/proc/self/attr', '/c/attr', '/c/sys/kernel'])
        assertOneError(await build(host, 'FROM busybox', `RUN ${cache} --mount=type=tmpfs,target=${target} mount`), /Cannot mount on/u);
    },
    'refused',
  ],
  [
    'CVE-2025-52881: two stages in parallel, one of which makes the other’s mount points links to /proc',
    async (host) => {
      const cache = '--mount=type=cache,target=/c,id=lsm-race,sharing=shared';
      const swap = 'while [ ! -e /c/stop ]; do mv /c/t /c/f && ln -s /proc/self /c/t && rm -f /c/t && mv /c/f /c/t; done 2>/dev/null; true';
      const steps = Array.from(
        { length: Math.ceil(rounds / 10) },
        (_, index) =>
          `RUN ${cache} --mount=type=tmpfs,target=/c/t/attr echo ${index}; grep -E " /proc/(self|sys|[0-9]+)(/[a-z]*)? tmpfs" /proc/mounts && echo COVERED; true`,
      );
      const done = await build(
        host,
        'FROM busybox AS base',
        `RUN ${cache} rm -rf /c/*; mkdir -p /c/t/attr`,
        'FROM base AS attacker',
        `RUN ${cache} ${swap}`,
        'FROM base AS victim',
        ...steps,
        `RUN ${cache} touch /c/stop`,
        'FROM scratch',
        'COPY --from=attacker /etc/passwd /1',
        'COPY --from=victim /etc/passwd /2',
      );
      if (done.status !== 0) assertOneError(done, /Cannot mount on "\/c\/t/u);
      assert.ok(!said(done).includes('COVERED'), done.stderr);
    },
  ],
  [
    'CVE-2022-29162, CVE-2022-24769, CVE-2022-27651: no inheritable and no ambient capabilities',
    async (host) => {
      const done = await build(
        host,
        'FROM busybox',
        'RUN grep -E "^Cap(Inh|Amb|Bnd)" /proc/self/status',
        'USER 1000',
        'RUN grep -E "^Cap(Inh|Amb|Eff|Prm)" /proc/self/status',
      );
      assertBuilt(done);
      const lines = said(done).map((line) => line.replaceAll(/\s+/gu, ' '));
      assert.equal(lines.filter((line) => /^Cap(?:Inh|Amb|Eff|Prm): 0+$/u.test(line)).length, 6, done.stderr);
      // Docker's fourteen: CAP_SYS_ADMIN (21) and CAP_DAC_READ_SEARCH (2) are not among them.
      const bounding = BigInt(`0x${/CapBnd: (\w+)/u.exec(lines.join('\n'))?.[1] ?? 'f'.repeat(16)}`);
      assert.equal(bounding & ~0xa80425fbn, 0n);
    },
  ],
  [
    'CVE-2023-25809: no cgroup can be made or changed from a step',
    async (host) => {
      const script = [
        'for d in $(grep -E " cgroup2? " /proc/mounts | cut -d" " -f2); do mkdir $d/evil && echo MADE $d; done',
        'for f in $(find /sys/fs/cgroup -type f); do (echo 0 > $f) 2>/dev/null && echo WROTE $f; done; true',
      ].join('; ');
      for (const limits of [[], ['--memory=512m']]) {
        const context = host.context({ Dockerfile: `FROM busybox\nRUN ${script}\n` });
        const done = await host.jettison(['build', '--no-cache', '--progress=plain', ...limits, context]);
        if (limits.length === 0) assertBuilt(done);
        assert.ok(!said(done).some((line) => /^(?:MADE|WROTE)/u.test(line)), done.stderr);
      }
      const ran = await host.jettison(['run', '--rm', 'busybox', 'sh', '-c', script]);
      assert.doesNotMatch(ran.stdout, /MADE|WROTE/u);
    },
  ],
  [
    'sandbox: no device file opens, on the image’s files, in a cache mount, a tmpfs or a stage’s files; the kernel’s settings are read-only',
    async (host) => {
      const mounts = '--mount=type=cache,target=/c,id=nodes --mount=type=tmpfs,target=/t --mount=type=bind,from=busybox,target=/b,rw';
      const script =
        'for d in / /c /t /b /dev /dev/shm; do mknod $d/mem c 1 1; dd if=$d/mem of=/dev/null bs=1 count=1 && echo OPEN $d; done; (echo 1 > /proc/sys/kernel/sysrq) && echo WROTE; mount -t tmpfs x /mnt && echo MOUNTED; true';
      const done = await build(host, 'FROM busybox', `RUN ${mounts} (${script}) 2>/dev/null`);
      assertBuilt(done);
      assert.deepEqual(said(done), []);
    },
  ],
];

for (const seat of seats) {
  describe(`${seat.as} over ${seat.runtime}`, () => {
    let host: AttackedHost;
    before(async () => {
      host = await openAttackedHost({
        ...seat,
        watched: ['/proc/sys/kernel/core_pattern', '/proc/sys/kernel/modprobe', '/etc/passwd', '/etc/group'],
      });
      await host.busybox();
    });
    after(async () => {
      await assertNothingLeft(host.sandbox, [], host.store);
      host.canary.assertUnread({ below: host.home });
      await host[Symbol.asyncDispose]();
    });
    const mine = attacks.filter(([, , more]) => more !== 'refused' || seat.as !== 'root' || seat.runtime !== 'crun');
    for (const [name, attack] of mine) test(`${name} (${seat.as}, ${seat.runtime})`, async () => await attack(host, seat));
  });
}
