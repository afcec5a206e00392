/**
 * Hostile contexts, Dockerfiles, ignore files, options and archives, typed by root and by a normal user: each ends in one error with a hint or does no harm, in time,
 * with little memory, and the same store builds a good image afterwards. `docs/security.md` says which attack each of the named tests repeats.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { parsePatterns } from '#ground/base/patterns.ts';
import { fromText } from '#ground/base/byte-string.ts';
import { assertNothingLeft, assertOneError, assertTidySnapshots } from '#test/kit/aftermath.ts';
import { tarOf, type ShortEntry } from '#test/kit/archives.ts';
import { attackers, attackersOfEngine, openAttackedHost, type AttackedHost, type Attacker } from '#test/kit/attacked-host.ts';
import { deepPath, paxHeader, rawHeader, rawTar, sparseBomb } from '#test/kit/hostile-tar.ts';
import type { Finished } from '#test/kit/sandbox.ts';
import { watchMemory } from '#test/kit/watch-memory.ts';

/** Milliseconds, on a busy machine; and KiB of one process. */
const most = { time: 200_000, memory: 600 << 10 };

type Made = { readonly words: readonly string[]; readonly input?: Uint8Array | string };
/** What it is, how it comes, and the words of its error; undefined: it does no harm. */
type Case = readonly [what: string, make: (host: AttackedHost) => Made, refused: RegExp | undefined];

/** A Dockerfile with a small context. */
function dockerfile(Dockerfile: string | Uint8Array, ...options: readonly string[]): Case[1] {
  return (host) => ({ words: ['build', '-t', 'evil', ...options, host.context({ Dockerfile, file: 'x', 'a/b': 'y' })] });
}

/** A folder that a script of the shell makes worse; `CANARY` is the host's folder. */
function folder(script: string, Dockerfile = 'FROM scratch\nCOPY . /\n'): Case[1] {
  return (host) => {
    const path = host.context({ Dockerfile, file: 'x' });
    execFileSync('bash', ['-c', script], { cwd: path, env: { ...process.env, CANARY: host.canary.folder } });
    return { words: ['build', '-t', 'evil', path] };
  };
}

/** A context on standard input. */
function tar(entries: readonly ShortEntry[] | ((host: AttackedHost) => readonly ShortEntry[]), ...options: readonly string[]): Case[1] {
  return (host) => ({
    words: ['build', '-t', 'evil', ...options, '-'],
    input: tarOf([['Dockerfile', 'file', 'FROM scratch\nCOPY . /\n'], ...(typeof entries === 'function' ? entries(host) : entries)]),
  });
}

/** The same without a Dockerfile of ours. */
function bare(entries: (host: AttackedHost) => readonly ShortEntry[], ...options: readonly string[]): Case[1] {
  return (host) => ({ words: ['build', '-t', 'evil', ...options, '-'], input: tarOf(entries(host)) });
}

/** An archive that ADD unpacks. */
function add(archive: Uint8Array | readonly ShortEntry[], name = 'a.tar'): Case[1] {
  const bytes = archive instanceof Uint8Array ? archive : tarOf(archive);
  return (host) => ({ words: ['build', '-t', 'evil', host.context({ Dockerfile: `FROM busybox\nADD ${name} /x/\n`, [name]: bytes })] });
}

const attribute = (name: string, value: string | Uint8Array) => ({ xattrs: new Map([[name, new Uint8Array(Buffer.from(value))]]) });
const never = 9_000_000_000_000_000_000_000n;
const shouts = 'ARG A=$A$A$A$A$A$A$A$A$A$A\n'.repeat(9);

const dockerfiles: readonly Case[] = [
  ['a variable that doubles itself', dockerfile(`FROM scratch\nARG A=aaaaaaaaaa\n${shouts}COPY file /\n`), /grows longer than/u],
  [
    'a variable within a variable, 20,000 deep',
    dockerfile(`FROM scratch\nARG A=${'${A:-'.repeat(20_000)}${'}'.repeat(20_000)}\nCOPY file /\n`),
    /nested/u,
  ],
  [
    'patterns of the shell that could go back and forth',
    dockerfile(`FROM scratch\nARG A=${'a'.repeat(5000)}\nARG B=\${A##*a*a*a*a*a*a*a*a*a*a*b}\nARG C=\${A//*a*a*a*a*a*b/x}\nLABEL b=$B$C\n`),
    undefined,
  ],
  ['stages that need each other', dockerfile('FROM busybox AS a\nCOPY --from=a /etc /x\n'), /[Cc]ircular/u],
  [
    '5000 stages',
    dockerfile(Array.from({ length: 5000 }, (_, n) => `FROM ${n ? `s${n - 1}` : 'scratch'} AS s${n}\nLABEL a${n}=1\n`).join('')),
    /too large/u,
  ],
  ['a list 100,000 deep', dockerfile(`FROM busybox\nCMD ${'['.repeat(100_000)}\n`), undefined],
  ['300,000 continued lines', dockerfile(`FROM busybox\nRUN true ${'\\\n'.repeat(300_000)}\n`), undefined],
  [
    '2000 here-documents',
    dockerfile(`FROM scratch\nCOPY ${list(2000, (n) => `<<F${n}`)} /d/\n${list(2000, (n) => `F${n}`, '\n')}\n`),
    undefined,
  ],
  ['a here-document that climbs', dockerfile('FROM scratch\nCOPY <<../../x <<.. /y/\na\n../../x\nb\n..\n'), /\.\./u],
  ['three megabytes', dockerfile(`FROM scratch\n${'#'.repeat(3 << 20)}\n`), /larger than/u],
  ['a word of two megabytes', dockerfile(`FROM scratch\nLABEL a=${'x'.repeat(1_500_000)}\n`), /grows longer than/u],
  ['NUL bytes', dockerfile('FROM scratch\nWORKDIR /a\0b\n'), /NUL/u],
  ['UTF-16', dockerfile(new Uint8Array(Buffer.from('\ufeffFROM scratch\n', 'utf16le'))), /NUL/u],
  [
    'bytes that are no text',
    dockerfile(new Uint8Array(Buffer.from('FROM scratch\nLABEL a=\xff\xfe\nCOPY file /\xff\n', 'latin1'))),
    undefined,
  ],
  ['COPY to a long name', dockerfile(`FROM scratch\nCOPY file /${'n'.repeat(300)}\n`), /255 bytes/u],
  ['COPY to a long path', dockerfile(`FROM scratch\nCOPY file /${deepPath(3000)}/x\n`), /4095/u],
  ['COPY of a path of 3000 names', dockerfile(`FROM scratch\nCOPY ${deepPath(3000)} /x\n`), /not found/u],
  ['COPY of a long name', dockerfile(`FROM scratch\nCOPY ${'n'.repeat(300)} /x\n`), /not found/u],
  ['COPY from above the context', dockerfile('FROM scratch\nCOPY ../../canary /x\n'), /not found/u],
  ['WORKDIR of a long name', dockerfile(`FROM busybox\nWORKDIR /${'n'.repeat(300)}\nRUN true\n`), /255 bytes/u],
  ['EXPOSE of a billion ports', dockerfile('FROM scratch\nEXPOSE 1-999999999\n'), /containerPort/u],
  ['a health check in a million years', dockerfile('FROM scratch\nHEALTHCHECK --interval=99999999999h CMD true\n'), /duration/u],
  ['another frontend', dockerfile('# syntax=127.0.0.1:1/evil:latest\nFROM scratch\nCOPY file /\n'), /not supported/u],
  ['an owner beyond 32 bits', dockerfile('FROM busybox\nCOPY --chown=4294967296 file /\n'), /Bad owner/u],
  ['an owner that means "leave it"', dockerfile('FROM busybox\nCOPY --chown=4294967295:4294967295 file /\n'), /Bad owner/u],
  ['a user beyond 31 bits', dockerfile('FROM busybox\nUSER 2147483648\nRUN id\n'), /ids go from/u],
  ['a mode beyond 12 bits', dockerfile('FROM busybox\nCOPY --chmod=99999 file /\n'), /chmod/u],
  ['a mount of a long name', dockerfile(`FROM busybox\nRUN --mount=type=tmpfs,target=/${'n'.repeat(300)} true\n`), /255 bytes/u],
  ['a mount with an owner beyond 32 bits', dockerfile('FROM busybox\nRUN --mount=type=cache,target=/x,uid=4294967296 true\n'), /uid/u],
  ['a mount over everything', dockerfile('FROM busybox\nRUN --mount=type=cache,target=/ true\n'), /target/u],
  ['a mount over the settings of the kernel', dockerfile('FROM busybox\nRUN --mount=type=cache,target=/proc/sys true\n'), /\/proc/u],
  ['a file of ten exabytes', dockerfile('FROM busybox\nRUN --mount=type=tmpfs,target=/x,size=1e99 true\n'), /size/u],
  [
    'a build argument with lines and quotes',
    dockerfile(
      'FROM busybox\nARG A\nRUN test "$(echo "$A" | wc -l)" = 3\nLABEL a=$A\n',
      '--build-arg',
      'A=x\nRUN touch /evil\n"; touch /evil; "',
    ),
    undefined,
  ],
  ['a base made of an argument', dockerfile('ARG A\nFROM $A\n', '--build-arg', 'A=busybox AS x'), /reference|stage name/u],
];

const folders: readonly Case[] = [
  ['the Dockerfile is a pipe', folder('rm Dockerfile; mkfifo Dockerfile'), /not a regular file/u],
  ['the Dockerfile is endless', folder('rm Dockerfile; ln -s /dev/zero Dockerfile'), /links to/u],
  ['the Dockerfile is a folder', folder('rm Dockerfile; mkdir Dockerfile'), /not a regular file/u],
  ['the Dockerfile has ten gigabytes', folder('rm Dockerfile; truncate -s 10G Dockerfile'), /larger than/u],
  ['the Dockerfile is a link to itself', folder('rm Dockerfile; ln -s Dockerfile Dockerfile'), /Too many symbolic links/u],
  [
    'an endless Dockerfile by name',
    (host) => ({ words: ['build', '-f', '/dev/zero', host.context({ file: 'x' })] }),
    /not a regular file/u,
  ],
  ['the ignore file is a pipe', folder('mkfifo .dockerignore'), /not a regular file/u],
  ['the ignore file is endless', folder('ln -s /dev/zero .dockerignore'), /links to/u],
  ['the ignore file is a folder', folder('mkdir .dockerignore'), /not a regular file/u],
  ['the ignore file has two megabytes', folder('head -c 2000000 /dev/zero | tr "\\0" x > .dockerignore'), /larger than/u],
  ['an ignore file of 20,000 lines', folder('yes "*a*" | head -20000 > .dockerignore'), /more than 10000 patterns/u],
  ['an ignore pattern of a megabyte', folder('head -c 1000000 /dev/zero | tr "\\0" "*" > .dockerignore'), /more than 4096/u],
  ['an ignore file for the terminal', folder("printf '[a-\\n\\e[2J[\\n' > .dockerignore"), /line 1/u],
  [
    'pipes, sockets and devices',
    folder(
      'mkfifo p; mknod z b 7 0 || true; python3 -c "import socket; socket.socket(socket.AF_UNIX).bind(\'s\')"',
      'FROM scratch\nCOPY p s /\n',
    ),
    undefined,
  ],
  ['a device that means a deletion', folder('mknod w c 0 0'), /deleted files/u],
  ['a name that means a deletion', folder('touch .wh.x .wh..wh..opq'), /mean deletions/u],
  ['names for terminals and shells', folder("touch $'a\\nb' $'\\e[31m' $'\\xff\\xfe' -- -rf 'a\\\\b' ' ' '*' '$(touch evil)'"), undefined],
  [
    'a tree deeper than a path can be',
    folder('n=$(printf "n%.0s" $(seq 250)); for i in $(seq 30); do mkdir $n; cd $n; done; touch f'),
    /4095|too long/u,
  ],
  ['links to everywhere', folder('ln -s $CANARY l; ln -s / root; ln -s . self; ln -s loop loop; ln -s /proc/self/fd fd'), undefined],
  ['COPY through a link to the host', folder('ln -s $CANARY l', 'FROM scratch\nCOPY l/file /x\n'), /not found/u],
  ['COPY through a link that climbs', folder('ln -s ../../../../../../../../..$CANARY l', 'FROM scratch\nCOPY l/file /x\n'), /not found/u],
  [
    'COPY of names that match in many ways',
    folder('mkdir m; cd m; seq 3000 | xargs touch', 'FROM scratch\nCOPY m/*[0-9]*[0-9]*[0-9]*x* /x/\n'),
    undefined,
  ],
];

const contexts: readonly Case[] = [
  ['names that climb', tar([['../../x', 'file', 'evil']]), undefined],
  ['absolute names', tar(({ canary }) => [[canary.file, 'file', 'evil']]), undefined],
  [
    'a write through a link',
    tar(({ canary }) => [
      ['l', 'symlink', canary.folder],
      ['l/evil', 'file', 'x'],
    ]),
    /no folder/u,
  ],
  [
    'a folder over a link',
    tar(({ canary }) => [
      ['l', 'symlink', canary.folder],
      ['l', 'folder'],
      ['l/evil', 'file', 'x'],
    ]),
    undefined,
  ],
  ['a hard link to the host', tar(({ canary }) => [['h', 'hard-link', canary.file]]), /no file before it/u],
  [
    'a hard link through a link',
    tar(({ canary }) => [
      ['l', 'symlink', canary.folder],
      ['h', 'hard-link', 'l/file'],
    ]),
    /no file before it/u,
  ],
  ['a pipe', tar([['p', 'fifo']]), /cannot have/u],
  ['a disk', tar([['p', 'block-device', '', { device: { major: 8, minor: 0 } }]]), /cannot have/u],
  ['a long name', tar([['n'.repeat(256)]]), /255 bytes/u],
  ['a long path', tar([[`${deepPath(16, 'n'.repeat(250))}/f`.slice(0, 4090)]]), /4095/u],
  ['a long link', tar([['l', 'symlink', 'x'.repeat(4096)]]), /4095/u],
  ['an empty link', tar([['l', 'symlink', '']]), /empty/u],
  ['a file over a folder', tar([['d', 'folder'], ['d/x'], ['d', 'file', 'x']]), /after a folder/u],
  ['a file as a folder', tar([['d', 'file', 'x'], ['d/x']]), /no folder/u],
  [
    'a root that is a link',
    tar(({ canary }) => [
      ['.', 'symlink', canary.folder],
      ['evil', 'file', 'x'],
    ]),
    /root/u,
  ],
  [
    'times beyond the calendar',
    tar([
      ['f', 'file', 'x', { mtime: never }],
      ['d', 'folder', '', { mtime: -never }],
      ['l', 'symlink', 'f', { mtime: never }],
    ]),
    undefined,
  ],
  ['a file of a petabyte', () => ({ words: ['build', '-'], input: rawTar(...sparseBomb(1n << 50n)) }), /larger than a file/u],
  ['cut short', () => ({ words: ['build', '-'], input: tarOf([['x', 'file', 'y'.repeat(5000)]]).subarray(0, 1500) }), /end/u],
  [
    'packed and cut short',
    () => ({ words: ['build', '-'], input: gzipSync(tarOf([['x', 'file', 'y'.repeat(5000)]])).subarray(0, 60) }),
    /end|whole/u,
  ],
  [
    'no text and no archive',
    () => ({ words: ['build', '-'], input: new Uint8Array(3000).fill(0xfe) }),
    /[Uu]nknown instruction|NUL|no Dockerfile/u,
  ],
  ['30 megabytes of nothing', () => ({ words: ['build', '-'], input: new Uint8Array(30 << 20).fill(0x78) }), /too long/u],
  ['nothing', () => ({ words: ['build', '-'], input: '' }), /FROM|empty/iu],
  ['no Dockerfile', bare(() => [['x', 'file', 'y']]), /no such file/u],
  ['a Dockerfile above it', bare(() => [['x', 'file', 'y']], '-f', '../../../../../../etc/passwd'), /no such file|leads out|not there/u],
];

const archives: readonly Case[] = [
  ['names that climb', add([['../../x', 'file', 'evil']]), /leads out/u],
  ['absolute names', add([['/etc/evil', 'file', 'evil']]), undefined],
  [
    'a write through a link that climbs',
    add([
      ['l', 'symlink', '../../../../../../tmp'],
      ['l/evil', 'file', 'x'],
    ]),
    undefined,
  ],
  ['a hard link to the host', add([['h', 'hard-link', '../../../../etc/passwd']]), /leads out/u],
  [
    'a hard link to a folder',
    add([
      ['d', 'folder'],
      ['h', 'hard-link', 'd'],
    ]),
    /not in the archive/u,
  ],
  ['a disk', add([['d', 'block-device', '', { device: { major: 8, minor: 0 } }]]), /device/u],
  ['a device that means a deletion', add([['d', 'character-device', '', { device: { major: 0, minor: 0 } }]]), /device/u],
  ['names that mean deletions', add([['.wh..wh..opq'], ['.wh.x']]), /mean deletions/u],
  [
    'attributes of overlayfs',
    add([
      ['f', 'folder', '', attribute('trusted.overlay.opaque', 'y')],
      ['g', 'folder', '', attribute('user.overlay.redirect', '/etc')],
    ]),
    undefined,
  ],
  ['an attribute of 70,000 bytes', add([['f', 'file', 'x', attribute('user.a', 'a'.repeat(70_000))]]), /extended attribute/u],
  ['an attribute on a link', add([['f', 'symlink', 'x', attribute('user.a', 'a')]]), /extended attribute/u],
  ['capabilities that are none', add([['f', 'file', 'x', attribute('security.capability', 'garbage')]]), /extended attribute/u],
  ['a long name', add([['n'.repeat(256)]]), /255 bytes/u],
  ['a long link', add([['l', 'symlink', 'x'.repeat(4096)]]), /4095/u],
  [
    'a link that leads to itself',
    add([
      ['l', 'symlink', 'l'],
      ['l/x', 'file', 'z'],
    ]),
    /symbolic links/u,
  ],
  [
    'a folder that was a file and is one again',
    add([['d', 'folder'], ['d/x'], ['d', 'file', 'x'], ['d/x', 'file', 'z']]),
    /not a directory|cannot|no folder/u,
  ],
  [
    'a root that is a link',
    add([
      ['.', 'symlink', '/tmp'],
      ['x', 'file', 'z'],
    ]),
    undefined,
  ],
  [
    'times beyond the calendar',
    add([
      ['f', 'file', 'x', { mtime: never }],
      ['d', 'folder', '', { mtime: -never }],
    ]),
    undefined,
  ],
  ['a file of a petabyte', add(rawTar(...sparseBomb(1n << 50n))), /larger than a file/u],
  ['packed and cut short', add(gzipSync(tarOf([['x', 'file', 'y'.repeat(50_000)]])).subarray(0, 150), 'a.tar.gz'), undefined],
];

function list(count: number, make: (index: number) => string, between = ' '): string {
  return Array.from({ length: count }, (_, index) => make(index)).join(between);
}

/** Who has to see what of these: a normal user's builds differ where files are made. */
const tables: readonly { readonly name: string; readonly cases: readonly Case[]; readonly as: readonly Attacker[] }[] = [
  { name: 'Dockerfiles', cases: dockerfiles, as: attackersOfEngine },
  { name: 'folders', cases: folders, as: attackersOfEngine },
  { name: 'contexts on standard input', cases: contexts, as: attackersOfEngine },
  { name: 'archives for ADD', cases: archives, as: attackers },
];

async function attempt(host: AttackedHost, [what, make, refused]: Case): Promise<void> {
  const { words, input } = make(host);
  const memory = watchMemory();
  const done = await host.jettison(words, { onStart: memory.onStart, ...(input === undefined ? {} : { input }) });
  if (refused === undefined) assert.equal(done.status, 0, `${what}: ${done.stderr}`);
  else assertRefused(done, refused);
  assert.ok(done.took < most.time, `${what} took ${Math.round(done.took)} ms`);
  assert.ok(memory.most() < most.memory, `${what} took ${memory.most()} KiB`);
  assert.doesNotMatch(done.stdout + done.stderr, /[\u0000-\u0008\u000b-\u001f\u007f]/u, what);
}

/** One error, followed by what to do. */
function assertRefused(done: Finished, pattern: RegExp): void {
  assertOneError(done, pattern);
  assert.match(done.stderr, /^ERROR: .+\n\S/mu, `a hint:\n${done.stderr}`);
}

async function assertNothingOf(host: AttackedHost): Promise<void> {
  await assertNothingLeft(host.sandbox, [], host.store);
  host.canary.assertUnread({ below: host.store });
}

async function assertStillGood(host: AttackedHost): Promise<void> {
  const context = host.context({ Dockerfile: 'FROM busybox\nCOPY file /\nRUN test "$(cat /file)" = good\n', file: 'good' });
  await host.succeed(['build', '-t', 'good', context]);
  await assertNothingOf(host);
  await assertTidySnapshots(host.store);
}

for (const { name, cases, as } of tables)
  for (const who of as)
    test(`hostile ${name}, ${who}`, { concurrency: 3 }, async (group) => {
      await using host = await openAttackedHost({ as: who });
      await host.busybox();
      // At once, so that the store is shared, too.
      const attempts = cases.map((one) =>
        group.test(`${one[0]}: ${one[2] === undefined ? 'harmless' : 'refused'}`, async () => await attempt(host, one)),
      );
      await Promise.all(attempts);
      await assertStillGood(host);
    });

const hosts = new Map<Attacker, Promise<AttackedHost>>();

/** One for all attacks of one attacker: its store has to bear all of them. */
async function sharedHost(who: Attacker): Promise<AttackedHost> {
  const opening = hosts.get(who) ?? openWithBusybox(who);
  hosts.set(who, opening);
  return await opening;
}

async function openWithBusybox(who: Attacker): Promise<AttackedHost> {
  const host = await openAttackedHost({ as: who });
  await host.busybox();
  return host;
}

after(async () => {
  for (const opening of hosts.values()) {
    await using host = await opening;
    await assertNothingOf(host);
  }
});

/** A test of this name for each attacker. */
function attack(name: string, run: (host: AttackedHost) => Promise<void>, as = attackers): void {
  for (const who of as) test(`${name} (${who})`, async () => await run(await sharedHost(who)));
}

attack('CVE-2024-1753: the source of a bind mount is a link of its stage to the root of the host', async (host) => {
  for (const [link, source] of [
    ['/', '/way'],
    [`/../../../../../..${host.canary.folder}`, '/way'],
    ['/', `/way${host.canary.folder}`],
    ['/proc/self/cwd', '/way'],
    ['/proc/1/root', '/way'],
  ] as const) {
    const Dockerfile = `FROM busybox AS evil\nRUN ln -s ${link} /way && touch /mark\nFROM busybox\nRUN --mount=type=bind,from=evil,source=${source},target=/m,rw ls -la /m /m${host.canary.folder} ; touch /m/evil /m${host.canary.folder}/evil; cat /m${host.canary.folder}/file; true\n`;
    const done = await host.jettison(['build', host.context({ Dockerfile })]);
    if (done.status !== 0) assertOneError(done, /way/u);
  }
});

attack(
  'CVE-2024-9407: options of a mount that carry further options',
  async (host) => {
    for (const option of [
      'type=bind,source=.,target=/m,bind-propagation=rshared',
      'type=bind,source=.,target=/m,readonly=false:dev',
      'type=tmpfs,target=/m,dev',
      '"type=tmpfs","target=/m","size=1m,dev,suid"',
      'type=tmpfs,target=/m,size=1m:dev',
      'type=tmpfs,target=/m,size=-1',
      'type=cache,target=/m,mode=0755:dev',
      'type=cache,target=/m,sharing=none',
      'type=overlay,target=/m',
      'type=proc,target=/m',
      'type=bind,source=.,target=/m,upperdir=/',
    ])
      assertRefused(
        await host.jettison(['build', '-t', 'evil', host.context({ Dockerfile: `FROM busybox\nRUN --mount=${option} true\n` })]),
        /mount|[Ii]nvalid|key|sharing|type/u,
      );
    const plain =
      'FROM busybox\nRUN --mount=type=tmpfs,target=/m grep " /m " /proc/mounts\nRUN --mount=type=tmpfs,target=/a:dev,size=1m true\n';
    const done = await host.jettison(['build', '--progress=plain', host.context({ Dockerfile: plain })]);
    assert.match(done.stderr, / \/m tmpfs (?=\S*nosuid)\S*nodev/u);
  },
  attackersOfEngine,
);

attack('CVE-2024-9675: ids and sources of cache mounts that leave the folder of caches', async (host) => {
  const up = '../../../../../../../..';
  const ids = [
    '../../x',
    '/etc',
    `${up}${host.canary.folder}`,
    host.canary.folder,
    '.',
    '..',
    '',
    'a/../../b',
    '%2e%2e/x',
    'x'.repeat(3000),
    '__proto__',
  ];
  const steps = ids.map((id) => `RUN --mount=type=cache,id=${id},target=/c touch /c/evil && ! test -e /c/file\n`).join('');
  await host.succeed(['build', host.context({ Dockerfile: `FROM busybox\n${steps}` })]);
  for (const name of readdirSync(join(host.store, 'cache-mounts'))) assert.match(name, /^[\w.-]{1,255}$/u);
  assert.deepEqual(
    readdirSync(host.home).filter((name) => name.includes('evil')),
    [],
  );
  const base = `FROM busybox AS s\nRUN ln -s ${up}${host.canary.folder} /climb && ln -s ${host.canary.folder} /straight\n`;
  for (const source of [up, '/climb', '/straight', '/climb/folder', '/etc/../..']) {
    const Dockerfile = `${base}FROM busybox\nRUN --mount=type=cache,id=from${source},from=s,source=${source},target=/c ls -la /c; cat /c/file; touch /c/evil; true\n`;
    const done = await host.jettison(['build', '-t', 'evil', host.context({ Dockerfile })]);
    if (done.status !== 0) assertRefused(done, /source|cache|not found/u);
    else await host.succeed(['rmi', 'evil']);
  }
});

attack(
  'CVE-2026-44517 and CVE-2020-10696: a tar context whose Dockerfile is a link to the host',
  async (host) => {
    const { file, folder: outside } = host.canary;
    const mine = 'FROM scratch\nCOPY . /\n';
    for (const [entries, refused] of [
      [[['Dockerfile', 'symlink', file]], true],
      [[['Dockerfile', 'symlink', `../../../../../../../..${file}`]], true],
      [[['Dockerfile', 'hard-link', file]], true],
      [
        [
          ['d', 'symlink', outside],
          ['Dockerfile', 'symlink', 'd/file'],
        ],
        true,
      ],
      [
        [
          ['Dockerfile', 'symlink', file],
          ['Dockerfile', 'file', mine],
        ],
        false,
      ],
      [
        [
          ['d', 'symlink', outside],
          ['Dockerfile', 'file', mine],
          ['.dockerignore', 'symlink', file],
        ],
        false,
      ],
      [
        [
          ['./', 'folder', '', { mode: 0o777 }],
          ['x/../Dockerfile', 'file', mine],
        ],
        false,
      ],
    ] as readonly (readonly [readonly ShortEntry[], boolean])[]) {
      const done = await host.jettison(['build', '-t', 'evil', '-'], { input: tarOf(entries) });
      if (refused) assertRefused(done, /Dockerfile/u);
      else {
        assert.equal(done.status, 0, done.stderr);
        await host.succeed(['rmi', 'evil']);
      }
    }
    for (const name of [file, `../../../../../../../..${file}`, '..', '/'])
      assertRefused(
        await host.jettison(['build', '-f', name, '-'], { input: tarOf([['Dockerfile', 'file', mine]]) }),
        /no such file|regular file/u,
      );
    // Where the path leads inside the context, it is taken: its root is the folder that the archive was unpacked to.
    await host.succeed(['build', '-f', '/../../d/other', '-'], { input: tarOf([['d/other', 'file', mine]]) });
  },
  attackersOfEngine,
);

attack('CVE-2026-55686: WORKDIR through a link of the image makes and owns nothing outside', async (host) => {
  const up = '../../../../../../../..';
  for (const target of [host.canary.folder, `${up}${host.canary.folder}`, '/proc/self/cwd', '/proc/self/root', '/proc/self/fd']) {
    const Dockerfile = `FROM busybox\nRUN ln -s ${target} /way\nUSER 1234\nWORKDIR /way/made\nWORKDIR ../way/folder\nRUN true\nCOPY --chown=7 file /way/inner\n`;
    const done = await host.jettison(['build', '-t', 'evil', host.context({ Dockerfile, file: 'x' })]);
    if (done.status !== 0) assertRefused(done, /way|proc/u);
    else await host.succeed(['rmi', 'evil']);
  }
});

attack('CVE-2021-3602: a step sees no process and no variable of whoever builds', async (host) => {
  const secret = 'variable-of-the-builder';
  const script =
    'tr "\\0" "\\n" < /proc/1/environ; cat /proc/*/environ /proc/*/cmdline /proc/*/task/*/environ 2>/dev/null | tr "\\0" "\\n"; ls /proc | grep -c "^[0-9]"';
  const done = await host.jettison(
    ['build', '--no-cache', '--progress=plain', host.context({ Dockerfile: `FROM busybox\nRUN ${script}\n` })],
    {
      environment: { JETTISON_TEST_TOKEN: secret },
    },
  );
  assert.equal(done.status, 0, done.stderr);
  assert.ok(!done.stderr.includes(secret), done.stderr);
  assert.ok(!done.stderr.includes(host.store), 'no folder of the store');
});

attack(
  'CVE-2022-4122 and CVE-2022-4123: an ignore file that is a link quotes nothing of the host',
  async (host) => {
    const outside = join(host.home, 'outside');
    writeFileSync(outside, `[a-\n${host.canary.secret}[\n`);
    for (const name of ['.dockerignore', 'Dockerfile.dockerignore', 'Dockerfile'])
      for (const target of [outside, host.canary.file, `../../../../../../../..${outside}`]) {
        const path = host.context(name === 'Dockerfile' ? { file: 'x' } : { Dockerfile: 'FROM scratch\nCOPY . /\n', file: 'x' });
        execFileSync('ln', ['-s', target, join(path, name)]);
        assertRefused(await host.jettison(['build', '-t', 'evil', path]), /links to/u);
      }
    // What a wrong ignore file holds may be a secret, also where it lies in the context: only its line is told.
    const path = host.context({ Dockerfile: 'FROM scratch\nCOPY . /\n', '.dockerignore': `good\n${host.canary.secret}[a-\n` });
    assertRefused(await host.jettison(['build', '-t', 'evil', path]), /line 2/u);
  },
  attackersOfEngine,
);

attack(
  'CVE-2025-58183 and CVE-2026-32288: maps of sparse files with millions of regions',
  async (host) => {
    const map = `${'0,1,'.repeat(300_000)}9,1`;
    const headers = Array.from({ length: 200_000 }, () => '1\n').join('');
    for (const [what, records] of [
      ['0.1', { 'GNU.sparse.map': map.slice(0, 900_000), 'GNU.sparse.size': '10' }],
      ['0.1, too long', { 'GNU.sparse.map': map, 'GNU.sparse.size': '10' }],
      ['1.0', { 'GNU.sparse.major': '1', 'GNU.sparse.minor': '0', 'GNU.sparse.realsize': '10' }],
    ] as const) {
      const body = new Uint8Array(Buffer.from(`99999999\n${headers}`.padEnd(512 * Math.ceil((headers.length + 9) / 512), '\0')));
      const bytes = rawTar(paxHeader(records), rawHeader('f', '0', what === '1.0' ? body.length : 0), ...(what === '1.0' ? [body] : []));
      const memory = watchMemory();
      const done = await host.jettison(['build', '-t', 'evil', '-'], { input: bytes, onStart: memory.onStart });
      assertRefused(done, /[Ss]parse|map|extension header/u);
      assert.ok(memory.most() < most.memory, `${what}: ${memory.most()} KiB`);
      // Of which no entry can be read is no archive, and copied as it is.
      const added = await host.jettison(['build', host.context({ Dockerfile: 'FROM busybox\nADD a.tar /x/\n', 'a.tar': bytes })]);
      if (added.status !== 0) assertRefused(added, /a\.tar/u);
    }
  },
  attackersOfEngine,
);

test('ReDoS: patterns of ignore files cost time by their length, never by what they could match', () => {
  const patterns = parsePatterns(Array.from({ length: 40 }, (_, index) => `${'**/'.repeat(5)}a${'a*'.repeat(index)}b`));
  const path = fromText(deepPath(200, 'aaaa'));
  const before = process.cpuUsage();
  assert.equal(patterns.matches(path), false);
  const { user, system } = process.cpuUsage(before);
  assert.ok(user + system < 2_000_000, `${user + system} microseconds`);
});

attack(
  'prototype pollution: names like __proto__ are names',
  async (host) => {
    const Dockerfile = `FROM busybox AS valueof
ARG __proto__=1
ARG constructor
ENV toString=3 valueOf=4
LABEL __proto__=5 hasOwnProperty=6
RUN --mount=type=cache,id=__proto__,target=/c test "$__proto__" = 9 && test "$constructor" = 8 && test "$toString" = 3
FROM valueof AS constructor
COPY --from=valueof /etc/passwd /x
`;
    const context = host.context({ Dockerfile });
    await host.succeed([
      'build',
      '-t',
      'named',
      '--build-arg',
      '__proto__=9',
      '--build-arg',
      'constructor=8',
      '--label',
      'toString=7',
      context,
    ]);
    const [image] = JSON.parse(await host.succeed(['inspect', 'named'])) as readonly {
      readonly Config: { readonly Labels: object; readonly Env: readonly string[] };
    }[];
    const labels = Object.entries(image?.Config.Labels ?? {}).map(([name, value]) => `${name}=${String(value)}`);
    assert.deepEqual(labels.toSorted(), ['__proto__=5', 'hasOwnProperty=6', 'toString=7']);
    assert.deepEqual(image?.Config.Env.slice(1), ['toString=3', 'valueOf=4']);
  },
  attackersOfEngine,
);
