/**
 * Hostile images, loaded from an archive, pulled from a registry, and built on: each is refused with one error or does no harm. A folder outside of the
 * store, which most of them aim at, stays as it is.
 *
 * A device node in a layer is refused but for the usual ones of /dev, which images of whole systems hold; those that a step makes open nothing.
 */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { assertNothingLeft, assertOneError, assertTidySnapshots } from '#test/kit/aftermath.ts';
import { dockerArchiveOf, imageOf, tarOf, type ImageParts, type ShortEntry } from '#test/kit/archives.ts';
import { rawHeader, rawTar, sparseBomb } from '#test/kit/hostile-tar.ts';
import { addImage, encodeJson, startRegistry } from '#test/kit/registry.ts';
import { openSandbox, type Finished, type Sandbox } from '#test/kit/sandbox.ts';

const show = process.env['SHOW'] !== undefined;
const busybox: readonly ShortEntry[] = [
  ['bin', 'folder'],
  ['bin/busybox', 'file', readFileSync('/bin/busybox'), { mode: 0o755 }],
  ...['sh', 'cat', 'id', 'ls', 'echo', 'touch', 'mkdir', 'mknod', 'dd', 'true'].map(
    (name) => [`bin/${name}`, 'symlink', 'busybox'] as const,
  ),
  ['tmp', 'folder', '', { mode: 0o1777 }],
];
const base = tarOf([...busybox, ['etc', 'folder'], ['etc/passwd', 'file', 'root:x:0:0::/root:/bin/sh\napp:x:700:700::/:/bin/sh\n']]);

type Place = Sandbox & { readonly canary: string; assertUnharmed(): void };

async function openPlace(): Promise<Place> {
  const sandbox = await openSandbox();
  const canary = join(sandbox.folder, 'canary');
  mkdirSync(canary, { mode: 0o700 });
  writeFileSync(join(canary, 'file'), 'alive', { mode: 0o600 });
  const before = [statSync(canary), statSync(join(canary, 'file'))].map(({ mode, uid, gid, nlink }) => [mode, uid, gid, nlink]);
  return {
    ...sandbox,
    canary,
    assertUnharmed: () => {
      assert.deepEqual(readdirSync(canary), ['file']);
      assert.equal(readFileSync(join(canary, 'file'), 'utf8'), 'alive');
      const after = [statSync(canary), statSync(join(canary, 'file'))].map(({ mode, uid, gid, nlink }) => [mode, uid, gid, nlink]);
      assert.deepEqual(after, before);
    },
  };
}

function look(what: string, done: Finished): Finished {
  if (show) console.log(`--- ${what} [${done.status ?? done.signal ?? ''}] ${Math.round(done.took)} ms\n${done.stdout}${done.stderr}`);
  return done;
}

type Case = readonly [what: string, make: (place: Place) => ImageParts, refused: RegExp | undefined];

/** Refused with these words by `load` and `pull` alike; undefined: taken, and harmless. */
const cases: readonly Case[] = [
  ['a name with ..', () => ({ layers: [tarOf([['../x', 'file', 'evil']])] }), /"\.\.\/x"/u],
  ['a name with .. in the middle', () => ({ layers: [tarOf([['a/../../x', 'file', 'evil']])] }), /a\/\.\.\/\.\.\/x/u],
  ['an absolute name', ({ canary }) => ({ layers: [base, tarOf([[`${canary}/file`, 'file', 'evil']])] }), undefined],
  [
    'a symlink, then a write through it',
    ({ canary }) => ({
      layers: [
        base,
        tarOf([
          ['link', 'symlink', canary],
          ['link/evil', 'file', 'evil'],
        ]),
      ],
    }),
    /behind the symbolic link "link"/u,
  ],
  [
    'a climbing symlink, then a write through it',
    () => ({
      layers: [
        base,
        tarOf([
          ['link', 'symlink', '../../../../../../../../tmp'],
          ['link/evil-of-jettison-test', 'file', 'evil'],
        ]),
      ],
    }),
    /behind the symbolic link "link"/u,
  ],
  [
    'a symlink of a lower layer, then a write through it',
    ({ canary }) => ({ layers: [base, tarOf([['link', 'symlink', canary]]), tarOf([['link/evil', 'file', 'evil']])] }),
    undefined,
  ],
  [
    "a symlink, then its folder's mode",
    ({ canary }) => ({
      layers: [
        base,
        tarOf([
          ['link', 'symlink', canary],
          ['link', 'folder', '', { mode: 0o777 }],
        ]),
      ],
    }),
    undefined,
  ],
  ['a hard link to the outside', ({ canary }) => ({ layers: [base, tarOf([['link', 'hard-link', `${canary}/file`]])] }), /link/u],
  ['a hard link that climbs', () => ({ layers: [base, tarOf([['link', 'hard-link', '../../../../../etc/passwd']])] }), /link/u],
  [
    'a hard link through a symlink',
    ({ canary }) => ({
      layers: [
        base,
        tarOf([
          ['a', 'symlink', canary],
          ['link', 'hard-link', 'a/file'],
        ]),
      ],
    }),
    /link/u,
  ],
  [
    'the usual devices of /dev',
    () => ({
      layers: [
        base,
        tarOf([
          ['dev', 'folder'],
          ['dev/null', 'character-device', '', { device: { major: 1, minor: 3 }, mode: 0o666 }],
        ]),
      ],
    }),
    undefined,
  ],
  [
    'a device node',
    () => ({ layers: [base, tarOf([['null', 'character-device', '', { device: { major: 1, minor: 3 } }]])] }),
    /"null".*device/u,
  ],
  [
    'a disk',
    () => ({ layers: [base, tarOf([['dev/sda', 'block-device', '', { device: { major: 8, minor: 0 } }]])] }),
    /"dev\/sda".*device/u,
  ],
  [
    'a device that means a deletion',
    () => ({ layers: [base, tarOf([['gone', 'character-device', '', { device: { major: 0, minor: 0 } }]])] }),
    /gone/u,
  ],
  ['a fifo', () => ({ layers: [base, tarOf([['pipe', 'fifo']])] }), undefined],
  ['a whiteout of ..', () => ({ layers: [base, tarOf([['.wh...', 'file']])] }), /\.wh\.\.\./u],
  ['a whiteout of nothing', () => ({ layers: [base, tarOf([['.wh.', 'file']])] }), /\.wh\./u],
  [
    'a whiteout through a symlink',
    ({ canary }) => ({
      layers: [
        base,
        tarOf([
          ['link', 'symlink', canary],
          ['link/.wh.file', 'file'],
        ]),
      ],
    }),
    /behind the symbolic link "link"/u,
  ],
  ['an opaque mark below a file', () => ({ layers: [base, tarOf([['etc/passwd/.wh..wh..opq', 'file']])] }), /passwd/u],
  [
    'an opaque mark through a symlink',
    ({ canary }) => ({
      layers: [
        base,
        tarOf([
          ['link', 'symlink', canary],
          ['link/.wh..wh..opq', 'file'],
        ]),
      ],
    }),
    /behind the symbolic link "link"/u,
  ],
  [
    'the root as a symlink',
    ({ canary }) => ({
      layers: [
        tarOf([
          ['.', 'symlink', canary],
          ['evil', 'file', 'evil'],
        ]),
      ],
    }),
    /"\.?"/u,
  ],
  ['the root as a file', () => ({ layers: [tarOf([['./', 'file', 'evil']])] }), /"\.?\/?"/u],
  [
    'a PAX header of 8 MiB',
    () => ({ layers: [rawTar(rawHeader('x', 'x', 8 << 20), new Uint8Array(8 << 20), rawHeader('a', '0', 0))] }),
    /header|pax/iu,
  ],
  ['a sparse file of a petabyte', () => ({ layers: [rawTar(...sparseBomb(1n << 50n))] }), /huge|large|sparse/u],
  ['a layer cut short', () => ({ layers: [tarOf([['a', 'file', 'x'.repeat(2000)]]).subarray(0, 1500)] }), /end|cut|short/iu],
  ['a layer that is no tar', () => ({ layers: [new TextEncoder().encode('hello, world '.repeat(100))] }), /tar|header|archive|checksum/iu],
  ['a wrong diff_id', () => ({ layers: [base], diffIds: [`sha256:${'0'.repeat(64)}`] }), /sha256:0000/u],
  ['more diff_ids than layers', () => ({ layers: [base], diffIds: [`sha256:${'1'.repeat(64)}`, `sha256:${'2'.repeat(64)}`] }), /layers/u],
];

test('hostile layers', async (group) => {
  await using place = await openPlace();
  await using registry = await startRegistry();
  const context = place.files({
    Dockerfile: 'FROM evil\nCOPY file /link/inside\nRUN ["/bin/ls", "-ld", "/", "/link/inside"]\n',
    file: 'x',
  });
  for (const [number, [what, make, refused]] of cases.entries()) {
    await group.test(`${what}: ${refused === undefined ? 'harmless' : 'refused'}`, async () => {
      const image = imageOf(make(place));
      const name = `${registry.host}/evil:${number}`;
      addImage(registry, `evil:${number}`, image);
      const archive = join(place.folder, 'evil.tar');
      writeFileSync(archive, dockerArchiveOf(image, 'evil:latest'));
      const loaded = look(`load ${what}`, await place.jettison(['load', '-i', archive]));
      const pulled = look(`pull ${what}`, await place.jettison(['pull', name]));
      place.assertUnharmed();
      if (refused === undefined) {
        assert.equal(loaded.status, 0, loaded.stderr);
        assert.equal(pulled.status, 0, pulled.stderr);
        await place.succeed(['build', '-t', 'on-evil', context]);
        await place.succeed(['rmi', 'evil']);
      } else {
        assertOneError(loaded, refused);
        assertOneError(pulled, refused);
        await assertNothingLeft(place, ['evil', name]);
      }
      place.assertUnharmed();
      assert.throws(() => statSync('/tmp/evil-of-jettison-test'));
    });
  }
  const tidy = place.files({ Dockerfile: 'FROM scratch\nCOPY file /\n', file: 'x' }, 'tidy');
  await place.succeed(['build', tidy]);
  await assertTidySnapshots(place.store);
});

test('a manifest that is an index too, and a config that is a layer, are refused', async () => {
  await using place = await openPlace();
  await using registry = await startRegistry();
  const index = { mediaType: 'application/vnd.oci.image.manifest.v1+json', digest: `sha256:${'0'.repeat(64)}`, size: 2 };
  addImage(registry, 'confused:v1', imageOf({ layers: [base], manifestMembers: { manifests: [index] } }));
  const config = { mediaType: 'application/vnd.oci.image.layer.v1.tar', digest: `sha256:${'0'.repeat(64)}`, size: 2 };
  addImage(registry, 'confused:v2', imageOf({ layers: [base], manifestMembers: { config } }));
  for (const tag of ['v1', 'v2']) {
    const name = `${registry.host}/confused:${tag}`;
    assertOneError(look(`pull ${tag}`, await place.jettison(['pull', name])), /manifest|config/iu);
    await assertNothingLeft(place, [name]);
  }
});

test('device nodes that a step or a container makes open nothing of the host', async () => {
  await using place = await openPlace();
  await place.base('busybox');
  // The memory device (1:1) and the kernel log (1:11).
  const nodes = ['/tmp', '/dev'].flatMap((folder) => [1, 11].map((minor) => ({ path: `${folder}/made${minor}`, minor })));
  const script = `${nodes.map(({ path, minor }) => `mknod ${path} c 1 ${minor}; dd if=${path} of=/dev/null bs=1 count=1 && echo OPEN ${path}`).join('; ')}; true`;
  const context = place.files({ Dockerfile: `FROM busybox\nRUN ${script}\n` });
  const built = look('RUN with devices', await place.jettison(['build', '--no-cache', context]));
  assert.equal(built.status, 0, built.stderr);
  assert.doesNotMatch(built.stderr, /^#\d+ [\d.]+ OPEN/mu);
  const ran = look('run with devices', await place.jettison(['run', '--rm', 'busybox', 'sh', '-c', script]));
  assert.doesNotMatch(ran.stdout, /OPEN/u);
});

for (const [what, entry] of [
  ['a fifo', ['etc/passwd', 'fifo']],
  ["a link to the host's", ['etc/passwd', 'symlink', '../../../../../../../etc/passwd']],
  ['a folder', ['etc/passwd', 'folder']],
] as const) {
  test(`/etc/passwd as ${what}: USER and --chown end in an error, at once`, async () => {
    await using place = await openPlace();
    const archive = join(place.folder, 'evil.tar');
    writeFileSync(archive, dockerArchiveOf(imageOf({ layers: [tarOf([...busybox, ['etc', 'folder'], entry])] }), 'evil:latest'));
    await place.succeed(['load', '-i', archive]);
    for (const line of ['COPY --chown=daemon file /file', 'USER daemon\nRUN id']) {
      const context = place.files({ Dockerfile: `FROM evil\n${line}\n`, file: 'x' });
      const done = look(`passwd ${what} ${line}`, await place.jettison(['build', '-t', 'broken', context]));
      assertOneError(done, /passwd|daemon/u);
      assert.ok(done.took < 200_000);
    }
    await assertNothingLeft(place, ['broken']);
  });
}

test('names in archives that are no names of images are refused', async () => {
  await using place = await openPlace();
  const image = imageOf({ layers: [base] });
  for (const name of ['../../x', 'a\nb', '--help', 'a b', '', `x${'y'.repeat(500)}`]) {
    const archive = join(place.folder, 'names.tar');
    writeFileSync(archive, dockerArchiveOf(image, name));
    assertOneError(look(`load ${JSON.stringify(name)}`, await place.jettison(['load', '-i', archive])), /reference|RepoTags/u);
  }
  writeFileSync(
    join(place.folder, 'paths.tar'),
    tarOf([['manifest.json', 'file', encodeJson([{ Config: '../../canary/file', RepoTags: ['evil:latest'], Layers: [] }])]]),
  );
  assertOneError(look('load a path', await place.jettison(['load', '-i', join(place.folder, 'paths.tar')])), /canary/u);
  await assertNothingLeft(place, ['evil']);
});
