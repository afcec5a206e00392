/**
 * Hostile images, from archives and registries, taken in and built on by root and by a normal user: each ends in one error with a hint or does no harm, and the same store
 * builds a good image afterwards. `docs/security.md` says which attack each of the named tests repeats. More tricks of layers alone: `src/stores/layer/apply.test.ts`.
 */
import assert from 'node:assert/strict';
import { closeSync, ftruncateSync, mkdirSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { assertNothingLeft, assertOneError, assertTidySnapshots } from '#test/kit/aftermath.ts';
import { dockerArchiveOf, imageOf, tarOf, type ImageParts, type ShortEntry } from '#test/kit/archives.ts';
import { attackers, attackersOfEngine, openAttackedHost, type AttackedHost, type Attacker } from '#test/kit/attacked-host.ts';
import { deepPath, paxHeader, rawHeader, rawTar, sparseBomb } from '#test/kit/hostile-tar.ts';
import { addImage, addManifest, encodeJson, sha256, startRegistry, type SampleImage } from '#test/kit/registry.ts';
import type { Finished } from '#test/kit/sandbox.ts';
import { watchMemory } from '#test/kit/watch-memory.ts';

const busybox: readonly ShortEntry[] = [
  ['bin', 'folder'],
  ['bin/busybox', 'file', readFileSync('/bin/busybox'), { mode: 0o755 }],
  ...['sh', 'cat', 'ls', 'touch', 'true', 'test', 'id', 'env', 'stat'].map((name) => [`bin/${name}`, 'symlink', 'busybox'] as const),
];
const accounts: readonly ShortEntry[] = [
  ['etc', 'folder'],
  ['etc/passwd', 'file', 'root:x:0:0::/root:/bin/sh\n99999999999999:x:0:0::/:/bin/sh\n4294967296:x:0:0::/:/bin/sh\n'],
];
const base = tarOf([...busybox, ...accounts]);

const hosts = new Map<Attacker, Promise<AttackedHost>>();

async function sharedHost(who: Attacker): Promise<AttackedHost> {
  const opening = hosts.get(who) ?? openWithBase(who);
  hosts.set(who, opening);
  return await opening;
}

/** An image that stays holds the layer that most of the others begin with. */
async function openWithBase(who: Attacker): Promise<AttackedHost> {
  const host = await openAttackedHost({ as: who });
  await host.load('base:latest', { layers: [base] });
  return host;
}

after(async () => {
  for (const opening of hosts.values()) {
    await using host = await opening;
    await host.load('good:latest', { layers: [base] });
    await host.succeed([
      'build',
      '-t',
      'better',
      host.context({ Dockerfile: 'FROM good\nCOPY file /\nRUN test "$(cat /file)" = good\n', file: 'good' }),
    ]);
    await assertNothingLeft(host.sandbox, [], host.store);
    await assertTidySnapshots(host.store);
    host.canary.assertUnread({ below: host.store });
  }
});

/** A test of this name for each attacker. */
function attack(name: string, run: (host: AttackedHost) => Promise<void>, as = attackers): void {
  for (const who of as) test(`${name} (${who})`, async () => await run(await sharedHost(who)));
}

/** One error, followed by what to do. */
function assertRefused(done: Finished, pattern: RegExp): void {
  assertOneError(done, pattern);
  assert.match(done.stderr, /^ERROR: .+\n\S/mu, `a hint:\n${done.stderr}`);
}

type Case = readonly [what: string, parts: ImageParts | ((host: AttackedHost) => ImageParts), refused: RegExp | undefined];

const onEvil = 'FROM evil\nCOPY file /way/file\nRUN ["/bin/ls", "-la", "/", "/way"]\nFROM evil\nCOPY --from=0 / /copy/\n';

/** Loads each; what is taken is built on. */
async function tryAll(host: AttackedHost, cases: readonly Case[], dockerfile = onEvil): Promise<void> {
  const context = host.context({ Dockerfile: dockerfile, file: 'x' });
  for (const [what, parts, refused] of cases) {
    const loaded = await host.load('evil:latest', typeof parts === 'function' ? parts(host) : parts);
    const at = (error: unknown): never => {
      throw new Error(what, { cause: error });
    };
    try {
      if (refused !== undefined && loaded.status !== 0) {
        assertRefused(loaded, refused);
        continue;
      }
      assert.equal(loaded.status, 0, loaded.stderr);
      const built = await host.jettison(['build', '-t', 'on-evil', context]);
      if (refused === undefined) assert.equal(built.status, 0, built.stderr);
      else assertRefused(built, refused);
      assertPlain(built);
    } catch (error) {
      at(error);
    }
  }
}

function assertPlain({ stdout, stderr }: Finished): void {
  assert.doesNotMatch(stdout + stderr, /[\u0000-\u0008\u000b-\u001f\u007f]/u, 'nothing for terminals');
}

const over = (...entries: readonly ShortEntry[]): ImageParts => ({ layers: [base, tarOf(entries)] });
const configured = (config: object): ImageParts => ({ layers: [base], config });
const attribute = (name: string, value: string) => ({ xattrs: new Map([[name, new Uint8Array(Buffer.from(value))]]) });

attack('CVE-2021-29136: the root of a layer as a symlink, a file, a pipe', async (host) => {
  await tryAll(host, [
    [
      'symlink',
      ({ canary }) => ({
        layers: [
          tarOf([
            ['.', 'symlink', canary.folder],
            ['evil', 'file', 'x'],
          ]),
        ],
      }),
      /root/u,
    ],
    ['file', { layers: [tarOf([['./', 'file', 'x']])] }, /root/u],
    ['pipe', { layers: [tarOf([['/', 'fifo']])] }, /root/u],
    ['folder, then symlink', ({ canary }) => over(['.', 'folder', '', { mode: 0o777 }], ['./', 'symlink', canary.folder]), /root/u],
  ]);
});

attack('CVE-2026-42574 and CVE-2025-47290: a symlink, then a write through it', async (host) => {
  const { folder, file } = host.canary;
  const up = '../../../../../../../../../..';
  await tryAll(host, [
    ['absolute', over(['way', 'symlink', folder], ['way/evil', 'file', 'x']), /symbolic link "way"/u],
    ['climbing', over(['way', 'symlink', `${up}${folder}`], ['way/evil', 'file', 'x']), /symbolic link "way"/u],
    ['in /proc', over(['way', 'symlink', '/proc/self/root'], [`way${file}`, 'file', 'x']), /symbolic link "way"/u],
    [
      'of a lower layer',
      { layers: [base, tarOf([['way', 'symlink', folder]]), tarOf([['way/evil', 'file', 'x'], ['way/.wh.file']])] },
      undefined,
    ],
    [
      'of a lower layer, climbing',
      { layers: [base, tarOf([['way', 'symlink', `${up}${folder}`]]), tarOf([['way/evil', 'file', 'x']])] },
      undefined,
    ],
    ['the link itself', over(['l', 'symlink', file], ['l', 'file', 'x', { mode: 0o4777 }]), undefined],
    ['a folder over it', over(['way', 'symlink', folder], ['way', 'folder', '', { mode: 0o777, uid: 5 }]), undefined],
    ['a deletion behind it', over(['way', 'symlink', folder], ['way/.wh.file']), /symbolic link "way"/u],
  ]);
});

/** A layer of a link, and one of files behind it. */
const behindLink = (folder: string): ImageParts => ({
  layers: [
    base,
    tarOf([['way', 'symlink', folder]]),
    tarOf(Array.from({ length: 200 }, (_, n) => [`way/f${n}`, 'file', 'x'.repeat(2000)])),
  ],
});

attack('CVE-2025-47290: two images unpack at once into one store', async (host) => {
  const archives = ['one', 'two', 'three'].map((name, n) => {
    const path = join(host.sandbox.folder, `${name}.tar`);
    writeFileSync(path, dockerArchiveOf(imageOf(behindLink(n === 1 ? '/proc/self/cwd' : host.canary.folder)), `${name}:latest`));
    return path;
  });
  const loaded = await Promise.all([...archives, ...archives].map(async (path) => await host.jettison(['load', '-i', path])));
  for (const done of loaded) assert.equal(done.status, 0, done.stderr);
  await host.succeed(['rmi', 'one', 'two', 'three']);
});

attack('CVE-2026-50163, CVE-2026-23745 and CVE-2024-12905: hard links to what is no file of the image', async (host) => {
  const { folder, file } = host.canary;
  await tryAll(host, [
    ['absolute', over(['h', 'hard-link', file]), /hard link/u],
    ['climbing', over(['h', 'hard-link', '../../../../../../etc/passwd']), /\.\./u],
    ['from the current folder', over(['h', 'hard-link', 'store/engine.db']), /hard link/u],
    ['through a symlink', over(['a', 'symlink', folder], ['h', 'hard-link', 'a/file']), /symbolic link/u],
    [
      'through a chain of them',
      over(['a', 'symlink', 'b'], ['b', 'symlink', folder], ['h', 'hard-link', 'a/file'], ['h', 'file', 'x']),
      /symbolic link/u,
    ],
    [
      'of a lower layer',
      {
        layers: [
          base,
          tarOf([['a', 'symlink', folder]]),
          tarOf([
            ['h', 'hard-link', 'a/file'],
            ['h', 'file', 'x'],
          ]),
        ],
      },
      /hard link/u,
    ],
    ['to a symlink, then a write', over(['a', 'symlink', file], ['h', 'hard-link', 'a'], ['h', 'file', 'x', { mode: 0o4777 }]), undefined],
    ['to itself', over(['h', 'hard-link', 'h']), /hard link/u],
    ['to a folder', over(['h', 'hard-link', 'bin']), /hard link/u],
  ]);
});

attack('CVE-2021-37701, CVE-2021-37712 and CVE-2021-32803: names that fold, backslashes, folders that become links', async (host) => {
  await tryAll(host, [
    [
      'a folder that becomes a link',
      ({ canary }) => over(['d', 'folder'], ['d/f', 'file', 'x'], ['d', 'symlink', canary.folder], ['d/evil', 'file', 'x']),
      /symbolic link "d"/u,
    ],
    ['backslashes', over(['..\\..\\x', 'file', 'x'], ['C:\\x', 'file', 'x'], ['a\\..\\..\\b', 'folder']), undefined],
    [
      'upper and lower case',
      ({ canary }) => over(['Way', 'symlink', canary.folder], ['WAY', 'folder'], ['WAY/evil', 'file', 'x']),
      undefined,
    ],
    [
      'two forms of one letter',
      ({ canary }) =>
        over(
          ['\u00e9', 'symlink', canary.folder],
          ['e\u0301', 'folder'],
          ['e\u0301/evil', 'file', 'x'],
          ['\ufb01', 'file', 'x'],
          ['fi', 'file', 'x'],
        ),
      undefined,
    ],
    [
      'names for terminals and shells',
      over(
        ['a\nb\u001b[31m', 'file', 'x'],
        ['-rf', 'file', 'x'],
        ['$(touch evil)', 'file', 'x'],
        ['\u202e', 'file', 'x'],
        [' ', 'file', 'x'],
      ),
      undefined,
    ],
  ]);
});

attack('CVE-2024-28863 and long names: deep trees, names and links longer than can be', async (host) => {
  await tryAll(host, [
    ['deep', over([`${deepPath(1000)}/f`, 'file', 'x'], ['d', 'file', 'x']), undefined],
    ['a name of 256 bytes', over(['n'.repeat(256), 'file', 'x']), /255 bytes/u],
    ['a link of 4096 bytes', over(['l', 'symlink', 'x'.repeat(4096)]), /4095/u],
    ['a path of 5000 bytes', over([deepPath(2500), 'folder']), /4096 bytes/u],
  ]);
});

attack(
  'CVE-2025-58183: sparse files, extended headers and numbers that are bombs',
  async (host) => {
    const keys = Object.fromEntries(Array.from({ length: 60_000 }, (_, n) => [`k${n}`, '1']));
    await tryAll(host, [
      ['a petabyte', { layers: [rawTar(...sparseBomb(1n << 50n))] }, /huge/u],
      [
        'a map of millions of regions',
        { layers: [rawTar(paxHeader({ 'GNU.sparse.map': '0,1,'.repeat(220_000), 'GNU.sparse.size': '1' }), rawHeader('f', '0', 0))] },
        /sparse|map/iu,
      ],
      [
        'a header of eight megabytes',
        { layers: [rawTar(rawHeader('x', 'x', 8 << 20), new Uint8Array(8 << 20), rawHeader('f', '0', 0))] },
        /extension header/u,
      ],
      [
        'a global header of 60,000 keys',
        { layers: [base, rawTar(paxHeader(keys, 'g'), ...Array.from({ length: 2000 }, (_, n) => rawHeader(`f${n}`, '5', 0)))] },
        undefined,
      ],
      [
        'attributes for all',
        { layers: [rawTar(paxHeader({ 'SCHILY.xattr.user.a': 'b' }, 'g'), rawHeader('f', '0', 0))] },
        /global header/u,
      ],
      ['a negative size', { layers: [rawTar(rawHeader('f', '0', 0, (block) => block.fill(0xff, 124, 136)))] }, /size/u],
      ['a size beyond 2^53', { layers: [rawTar(rawHeader('f', '0', 0, (block) => block.fill(0x80, 124, 136)))] }, /size/u],
      ['an owner that means "leave it"', { layers: [rawTar(paxHeader({ uid: '4294967295' }), rawHeader('f', '0', 0))] }, /user ID/u],
      ['a NUL in a name', { layers: [rawTar(paxHeader({ path: 'a\0b' }), rawHeader('f', '0', 0))] }, /NUL/u],
      ['a type that is none', { layers: [rawTar(rawHeader('f', 's', 0))] }, /type/u],
      ['a layer that is no tar', { layers: [new TextEncoder().encode('hello, world '.repeat(100))] }, /header|checksum/u],
      ['content that the config does not name', { layers: [base], diffIds: [`sha256:${'0'.repeat(64)}`] }, /sha256:0000/u],
    ]);
  },
  attackersOfEngine,
);

attack('metadata of layers that no file can have: attributes, times, devices', async (host) => {
  await tryAll(host, [
    [
      '20,000 attributes',
      {
        layers: [
          rawTar(
            paxHeader(Object.fromEntries(Array.from({ length: 20_000 }, (_, n) => [`SCHILY.xattr.user.a${n}`, '1']))),
            rawHeader('f', '0', 0),
          ),
        ],
      },
      /extended attribute/u,
    ],
    ['an attribute of 70,000 bytes', over(['f', 'file', 'x', attribute('user.a', 'a'.repeat(70_000))]), /extended attribute/u],
    ['capabilities that are none', over(['f', 'file', 'x', attribute('security.capability', 'garbage')]), /extended attribute/u],
    ['an attribute on a link', over(['f', 'symlink', 'x', attribute('user.a', 'a')]), /extended attribute/u],
    [
      'marks of overlayfs',
      over(
        ['bin', 'folder', '', attribute('trusted.overlay.opaque', 'y')],
        ['g', 'folder', '', attribute('user.overlay.redirect', '/etc')],
      ),
      undefined,
    ],
    [
      'a time beyond the calendar',
      {
        layers: [
          base,
          rawTar(
            paxHeader({ mtime: '999999999999999.5' }),
            rawHeader('f', '0', 0),
            paxHeader({ mtime: '-999999999999999' }),
            rawHeader('d', '5', 0),
          ),
        ],
      },
      undefined,
    ],
    ['a device for disks', over(['dev/sda', 'block-device', '', { device: { major: 8, minor: 0 } }]), /device/u],
    [
      'a pipe, an empty layer and one of zeros',
      { layers: [base, tarOf([['p', 'fifo']]), new Uint8Array(0), new Uint8Array(10_240)] },
      undefined,
    ],
  ]);
});

attack(
  'CVE-2024-40635 and CVE-2026-46680: users too large for a number are neither root nor names',
  async (host) => {
    await tryAll(
      host,
      [
        '4294967296',
        '99999999999999',
        '2147483648',
        '-1',
        '4294967296:0',
        '0:4294967296',
        '18446744073709551616',
        'root\n',
        'root:x:0',
        '../root',
        '__proto__',
      ].map((User) => [User, configured({ User }), /[Ii]nvalid user|Unable to find|ids go from/u] as const),
    );
  },
  attackersOfEngine,
);

attack('CVE-2024-9676: accounts of the image are a pipe, a link to a pipe of the host, endless', async (host) => {
  const { canary } = host;
  const dockerfile = 'FROM evil\nCOPY --chown=daemon file /file\nUSER daemon\nRUN ["/bin/id"]\n';
  await tryAll(
    host,
    (
      [
        ['pipe', ['etc/passwd', 'fifo']],
        ['folder', ['etc/passwd', 'folder']],
        ["the host's", ['etc/passwd', 'symlink', `../../../../../../../..${canary.folder}/etc/passwd`]],
        ['endless', ['etc/passwd', 'symlink', '/dev/zero']],
        ['itself', ['etc/passwd', 'symlink', 'passwd']],
        ['long', ['etc/passwd', 'file', 'x'.repeat(5 << 20)]],
        ['one line', ['etc/passwd', 'file', `${':'.repeat(3 << 20)}\n`]],
      ] as const
    ).map(([what, entry]) => [what, { layers: [tarOf([...busybox, ['etc', 'folder'], entry])] }, /passwd|daemon/u] as const),
    dockerfile,
  );
});

attack('CVE-2024-9341: /etc of the image is a link to a folder of the host', async (host) => {
  const { folder } = host.canary;
  await tryAll(host, [['etc', { layers: [tarOf([...busybox, ['etc', 'symlink', folder]])] }, /\/etc/u]]);
  await tryAll(
    host,
    [
      [
        'files of it',
        {
          layers: [
            tarOf([
              ...busybox,
              ['etc', 'folder'],
              ['etc/hosts', 'symlink', `${folder}/file`],
              ['etc/resolv.conf', 'symlink', `../../../../..${folder}/file`],
              ['etc/hostname', 'symlink', `${folder}/new`],
            ]),
          ],
        },
        /\/etc/u,
      ],
    ].map(([what, parts]) => [what, parts, undefined] as Case),
  );
});

attack('CVE-2022-23648: volumes of an image that climb', async (host) => {
  const Volumes = Object.fromEntries(
    ['/../..' + host.canary.folder, host.canary.folder, 'relative', '/', '/proc', '/proc/self/root', '..', '/a/../../b'].map((name) => [
      name,
      {},
    ]),
  );
  await tryAll(host, [['volumes', configured({ Volumes, Cmd: ['/bin/true'] }), undefined]]);
  await host.load('evil:latest', configured({ Volumes, Cmd: ['/bin/ls', '-la', host.canary.folder] }));
  const done = await host.jettison(['run', '--rm', 'evil']);
  assert.ok(done.status !== null && done.status < 126, done.stderr);
  await host.succeed(['rmi', 'evil']);
});

attack(
  'CVE-2026-53488: labels, variables and words of a config are data',
  async (host) => {
    const words = [
      '--help',
      '--privileged',
      '-rf',
      '$(touch evil)',
      '`id`',
      '; touch evil',
      'a\nb',
      '__proto__',
      '{{.Id}}',
      '%s%n',
      '../../x',
    ];
    const labels = Object.fromEntries(words.map((word) => [word, word]));
    await tryAll(host, [
      [
        'everywhere',
        configured({
          Labels: { ...labels, ['__proto__']: 'x', constructor: 'y' },
          Env: [...words, 'LD_PRELOAD=/evil.so', 'NODE_OPTIONS=--require /evil', 'PATH=/bin'],
          Cmd: words,
          ExposedPorts: asKeys(words),
          Volumes: {},
          StopSignal: 'SIGTERM',
        }),
        undefined,
      ],
      ['ONBUILD', configured({ OnBuild: words }), /ONBUILD/u],
      ['ONBUILD of the host', configured({ OnBuild: [`COPY ../..${host.canary.folder} /x`] }), /not found/u],
      ['ONBUILD without a sandbox', configured({ OnBuild: ['RUN --security=insecure true'] }), /insecure/u],
    ]);
  },
  attackersOfEngine,
);

function asKeys(words: readonly string[]): object {
  return Object.fromEntries(words.map((word) => [word, {}]));
}

attack(
  'terminal escapes: what an image says is shown harmlessly',
  async (host) => {
    const evil = '\u001b[2J\u001b]0;evil\u0007\u009b31m\r\b';
    const parts = configured({ Labels: { [evil]: evil }, Env: [`${evil}=${evil}`], Cmd: [evil], WorkingDir: '/way', Entrypoint: [evil] });
    await tryAll(host, [['escapes', parts, undefined]]);
    await host.load('evil:latest', parts);
    for (const words of [['history', '--no-trunc', 'evil'], ['inspect', 'evil'], ['images'], ['rmi', 'evil']]) {
      const done = await host.jettison(words);
      assert.equal(done.status, 0, done.stderr);
      assertPlain(done);
    }
  },
  attackersOfEngine,
);

attack(
  'CVE-2021-21285 kind: configs that are none, too long, too deep',
  async (host) => {
    await tryAll(host, [
      ['a label of 17 MiB', configured({ Labels: { a: 'x'.repeat(17 << 20) } }), /accepted/u],
      ['a variable of a megabyte', configured({ Env: [`A=${'x'.repeat(1 << 20)}`] }), /bytes/u],
      ['100,000 variables', configured({ Env: Array.from({ length: 100_000 }, (_, n) => `A${n}=1`) }), /variables/u],
      ['a NUL', configured({ Env: ['A=a\0b'] }), /NUL/u],
      ['a number for a text', configured({ Env: [1] }), /Env/u],
      ['an object for a list', configured({ Cmd: {} }), /Cmd/u],
      ['a folder that cannot be', configured({ WorkingDir: `/${'n'.repeat(300)}` }), /255 bytes/u],
      ['a folder that climbs', configured({ WorkingDir: '../../../way' }), undefined],
      ['a signal that is none', configured({ StopSignal: 'SIGEVIL' }), undefined],
      ['20,000 triggers', configured({ OnBuild: Array.from({ length: 20_000 }, () => 'ENV a=b') }), /history/u],
    ]);
  },
  attackersOfEngine,
);

test('CVE-2023-25153: an archive with documents of gigabytes is refused in little memory', async () => {
  const host = await sharedHost('root');
  for (const name of ['manifest.json', 'index.json', 'oci-layout']) {
    const path = join(host.sandbox.folder, 'huge.tar');
    const file = openSync(path, 'w');
    const size = 2 ** 31;
    writeSync(file, rawHeader(name, '0', size));
    ftruncateSync(file, 512 + size + 1024);
    closeSync(file);
    const memory = watchMemory();
    const done = await host.jettison(['load', '-i', path], { onStart: memory.onStart });
    assertRefused(done, /accepted|manifest\.json/u);
    assert.ok(memory.most() < 200 << 10, `${name}: ${memory.most()} KiB`);
  }
});

attack(
  'names in archives: digests, tags and files that lead elsewhere',
  async (host) => {
    const image = imageOf({ layers: [base] });
    const path = join(host.home, 'names.tar');
    for (const tag of [
      '../../x',
      'a\nb',
      '--help',
      'a b',
      '',
      'A',
      `x${'y'.repeat(500)}`,
      'x@sha256:abc',
      '\u001b[2J',
      `sha256:${'a'.repeat(64)}`,
    ]) {
      writeFileSync(path, dockerArchiveOf(image, tag));
      assertRefused(await host.jettison(['load', '-i', path]), /reference|RepoTags|name/u);
    }
    const { file } = host.canary;
    const documents: readonly unknown[] = [
      [{ Config: file, RepoTags: ['evil:latest'], Layers: [] }],
      [{ Config: '../../../../etc/passwd', RepoTags: ['evil:latest'], Layers: [] }],
      [{ Config: 'config.json', RepoTags: ['evil:latest'], Layers: [file] }],
      [{ Config: 'link', RepoTags: ['evil:latest'], Layers: ['0.tar'] }],
      [{ Config: 'loop', RepoTags: ['evil:latest'], Layers: ['0.tar'] }],
      [{ Config: 'config.json', RepoTags: ['evil:latest'], Layers: [] }],
      [{ Config: 'config.json', RepoTags: { a: 1 }, Layers: ['0.tar'] }],
      [],
      {},
      null,
      'x',
    ];
    for (const document of documents) {
      const entries: ShortEntry[] = [
        ['config.json', 'file', image.config],
        ['0.tar', 'file', base],
        ['link', 'symlink', file],
        ['loop', 'symlink', 'loop'],
        ['manifest.json', 'file', encodeJson(document)],
      ];
      writeFileSync(path, tarOf(entries));
      assertRefused(await host.jettison(['load', '-i', path]), /archive|manifest\.json/u);
    }
  },
  attackersOfEngine,
);

type EvilManifest = readonly [tag: string, bytes: Uint8Array, refused: RegExp, mediaType?: string];

/** Documents of a registry that are not what they should be. */
function evilManifests(good: SampleImage): readonly EvilManifest[] {
  const manifest = JSON.parse(new TextDecoder().decode(good.manifest)) as { readonly config: object; readonly layers: readonly [object] };
  const [layer] = manifest.layers;
  const made = (change: object): Uint8Array => encodeJson({ ...manifest, ...change });
  const ofLayer = (change: object): Uint8Array => made({ layers: [{ ...layer, ...change }] });
  const digests = [
    'sha256:../../../../etc/passwd',
    'sha256:abcd',
    `sha256:${'A'.repeat(64)}`,
    `md5:${'a'.repeat(32)}`,
    `sha256:${'a'.repeat(63)}\n`,
    'sha256:',
    '',
    '../x',
    `sha1:${'a'.repeat(40)}`,
    `sha512:${'a'.repeat(64)}`,
  ];
  const index = 'application/vnd.oci.image.index.v1+json';
  const deep = `{"schemaVersion":2,"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`;
  return [
    ...digests.map((digest, n) => [`layer-digest-${n}`, ofLayer({ digest }), /digest/iu] as const),
    ...digests.map((digest, n) => [`config-digest-${n}`, made({ config: { ...manifest.config, digest } }), /digest/iu] as const),
    ...digests.map(
      (digest, n) =>
        [
          `index-digest-${n}`,
          encodeJson({ schemaVersion: 2, mediaType: index, manifests: [{ ...layer, digest }] }),
          /digest/iu,
          index,
        ] as const,
    ),
    ...[-1, 0.5, 1e300, 2 ** 63, '12', null].map((size, n) => [`size-${n}`, ofLayer({ size }), /size/iu] as const),
    ['size-small', ofLayer({ size: 10 }), /bytes/u],
    ['size-large', ofLayer({ size: 1 << 30 }), /bytes/u],
    ['both', made({ manifests: [layer] }), /at once/u],
    ['other-type', made({ mediaType: index }), /media type/u],
    ['other-header', made({ annotations: { a: 'b' } }), /media type/u, index],
    ['type', ofLayer({ mediaType: '../../x' }), /mediaType|Invalid/u],
    ['config-is-layer', made({ config: layer }), /config/iu],
    ['deep', new TextEncoder().encode(deep), /nested/u],
    ['long', encodeJson({ ...manifest, annotations: { a: 'x'.repeat(5 << 20) } }), /at most/u],
    ['many', made({ layers: Array.from({ length: 2000 }, () => layer) }), /layers/u],
    ['none', made({ layers: [] }), /layers/u],
    ['null', encodeJson(null), /object/u],
    ['list', encodeJson([]), /object/u],
    ['empty', new Uint8Array(0), /JSON/u],
    ['not-text', new Uint8Array([0xff, 0xfe, 0]), /JSON/u],
    ['schema1', encodeJson({ schemaVersion: 1, fsLayers: [] }), /schema 1/u],
    ['annotations', made({ annotations: { a: 1 } }), /annotations/u],
    ['self', encodeJson({ schemaVersion: 2, mediaType: index, manifests: [] }), /platform|image for/u, index],
  ];
}

attack(
  'CVE-2024-3727, CVE-2021-41190 and CVE-2021-43784: manifests with paths for digests, of two kinds, with numbers beyond range',
  async (host) => {
    await using registry = await startRegistry();
    const good = imageOf({ layers: [tarOf([['f', 'file', 'only here '.repeat(5000)]])] });
    addImage(registry, 'evil:good', good);
    const manifests = evilManifests(good);
    for (const [tag, bytes, , mediaType] of manifests) addManifest(registry, `evil:${tag}`, bytes, mediaType ?? good.mediaType);
    const pull = async ([tag, , refused]: EvilManifest): Promise<void> => {
      const done = await host.jettison(['pull', `${registry.host}/evil:${tag}`]);
      assert.equal(done.status, 1, `${tag}: ${done.stderr}`);
      assert.match(done.stderr, refused, tag);
      assertRefused(done, refused);
    };
    for (let at = 0; at < manifests.length; at += 3) await Promise.all(manifests.slice(at, at + 3).map(pull));
    await host.succeed(['pull', `${registry.host}/evil:good`]);
    await host.succeed(['rmi', `${registry.host}/evil:good`]);
  },
  attackersOfEngine,
);

attack(
  'CVE-2020-15157 and CVE-2022-31151: urls of layers are not asked, and no credential follows a redirect',
  async (host) => {
    await using registry = await startRegistry('basic');
    mkdirSync(join(host.sandbox.folder, 'docker'), { recursive: true });
    const auth = Buffer.from(`${registry.credential.username}:${registry.credential.password}`).toString('base64');
    writeFileSync(join(host.sandbox.folder, 'docker/config.json'), JSON.stringify({ auths: { [registry.host]: { auth } } }), {
      mode: 0o644,
    });
    const only = tarOf([['f', 'file', 'nowhere else '.repeat(5000)]]);
    const good = imageOf({ layers: [only] });
    const manifest = JSON.parse(new TextDecoder().decode(good.manifest)) as { readonly layers: readonly [object] };
    const urls = [`http://${registry.otherHost}/${sha256(only)}`, 'file:///etc/passwd'];
    for (const mediaType of [
      'application/vnd.oci.image.layer.v1.tar',
      'application/vnd.oci.image.layer.nondistributable.v1.tar',
      'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
    ]) {
      addManifest(
        registry,
        `evil:${mediaType.length}`,
        encodeJson({ ...manifest, layers: [{ ...manifest.layers[0], mediaType, urls }] }),
        good.mediaType,
      );
      registry.blobs.set(sha256(good.config), good.config);
      assertRefused(await host.jettison(['pull', `${registry.host}/evil:${mediaType.length}`]), /404|[Nn]ot found|UNKNOWN|does not have/u);
    }
    assert.deepEqual(registry.seenElsewhere, [], 'nobody else was asked');
    assert.ok(
      registry.seen.some(({ authorization }) => authorization !== undefined),
      'credentials were used',
    );
    addImage(registry, 'evil:good', good);
    registry.fault = 'redirect';
    await host.succeed(['pull', `${registry.host}/evil:good`]);
    assert.ok(registry.seenElsewhere.length > 0);
    for (const { authorization } of registry.seenElsewhere) assert.equal(authorization, undefined);
    await host.succeed(['rmi', `${registry.host}/evil:good`]);
  },
  attackersOfEngine,
);

attack(
  'poisoned layers: what one image says of a layer does not change what is sent of another',
  async (host) => {
    const layer = tarOf([['f', 'file', 'right']]);
    const wrong = new Uint8Array(gzipSync(tarOf([['f', 'file', 'wrong']])));
    await host.load('right:latest', { layers: [base, layer] });
    await host.succeed(['build', '-t', 'mine', host.context({ Dockerfile: 'FROM right\nCOPY file /\n', file: 'x' })]);
    // An archive and a registry that give other bytes under DiffIDs that are here already.
    const lie = imageOf({ layers: [base, wrong], diffIds: [sha256(base), sha256(layer)] });
    const truth = imageOf({ layers: [base, wrong], diffIds: [sha256(base), sha256(tarOf([['f', 'file', 'wrong']]))] });
    await using registry = await startRegistry();
    const path = join(host.home, 'lie.tar');
    const arrivesWhole = async (name: string): Promise<void> => {
      const reference = `${registry.host}/${name}:latest`;
      const elsewhere = { environment: { JETTISON_STORE: join(host.home, name) } };
      await host.succeed(['tag', 'mine', reference]);
      await host.succeed(['push', reference]);
      assert.equal(await host.succeed(['run', '--rm', reference, '/bin/cat', '/f'], elsewhere), 'right');
      await host.succeed(['rmi', reference]);
    };
    writeFileSync(path, dockerArchiveOf(lie, 'lie:latest'));
    await host.jettison(['load', '-i', path]);
    await arrivesWhole('after-load');
    for (const [tag, image] of [
      ['truth', truth],
      ['lie', lie],
    ] as const) {
      addImage(registry, `evil:${tag}`, withPackedLayers(image));
      await host.jettison(['pull', `${registry.host}/evil:${tag}`]);
    }
    await arrivesWhole('after-pull');
    for (const name of ['lie', `${registry.host}/evil:truth`, `${registry.host}/evil:lie`]) await host.jettison(['rmi', name]);
  },
  attackersOfEngine,
);

/** The same with the media type of gzip at the last layer. */
function withPackedLayers(image: SampleImage): SampleImage {
  const manifest = JSON.parse(new TextDecoder().decode(image.manifest)) as { readonly layers: readonly object[] };
  const layers = manifest.layers.map((layer, n) =>
    n === 0 ? layer : { ...layer, mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip' },
  );
  const bytes = encodeJson({ ...manifest, layers });
  return { ...image, manifest: bytes, digest: sha256(bytes) };
}
