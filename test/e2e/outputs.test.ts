/** Where what is built goes: `-o`, `--push`, and what the store has of it. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startDockerRegistry } from '#test/kit/docker-registry.ts';
import { readEstargz } from '#test/kit/estargz-reader.ts';
import { normalUser } from '#test/kit/normal-user.ts';
import { openSandbox, runCommand, type Sandbox } from '#test/kit/sandbox.ts';
import { mainFile } from '#test/kit/main-file.ts';

const steps = [
  'FROM busybox AS make',
  'RUN mkdir -p /out/bin && echo tool >/out/bin/tool && chmod 751 /out/bin/tool && ln /out/bin/tool /out/same && ln -s bin/tool /out/link',
  'FROM scratch AS files',
  'COPY --from=make /out /',
  'FROM busybox AS image',
  'RUN echo made >/made && touch -d @4000000000 /later && touch -d @1000 /earlier',
].join('\n');

async function open(): Promise<Sandbox> {
  const sandbox = await openSandbox();
  await sandbox.base('busybox');
  sandbox.files({ Dockerfile: steps });
  return sandbox;
}

const imagesOf = async (sandbox: Sandbox): Promise<readonly string[]> =>
  (await sandbox.succeed(['images', '--format', '{{.Repository}}:{{.Tag}}'])).trim().split('\n').toSorted();

const metadataOf = (sandbox: Sandbox): Readonly<Record<string, unknown>> =>
  JSON.parse(readFileSync(join(sandbox.folder, 'm.json'), 'utf8')) as Readonly<Record<string, unknown>>;

type Manifest = { readonly mediaType: string; readonly layers: readonly { readonly mediaType: string }[]; readonly annotations?: object };

const inspect = (reference: string): Manifest =>
  JSON.parse(execFileSync('skopeo', ['inspect', '--raw', '--tls-verify=false', `docker://${reference}`], { encoding: 'utf8' })) as Manifest;

test('files of a result: to a folder, as a tar in a file and on standard output; the store gets no image of them', async () => {
  await using sandbox = await open();
  const build = ['build', '--target=files', '--iidfile', 'iid', '--metadata-file', 'm.json', 'context'];
  const before = await imagesOf(sandbox);
  await sandbox.succeed([...build, '-o', 'out']);
  assert.equal(readFileSync(join(sandbox.folder, 'out/same'), 'utf8'), 'tool\n');
  const tool = statSync(join(sandbox.folder, 'out/bin/tool'));
  assert.deepEqual([tool.mode & 0o7777, tool.nlink, tool.uid], [0o751, 2, process.getuid?.()]);
  assert.deepEqual(await imagesOf(sandbox), before);
  assert.equal(readFileSync(join(sandbox.folder, 'iid'), 'utf8'), '');
  assert.deepEqual(Object.keys(metadataOf(sandbox)), ['buildx.build.provenance', 'buildx.build.ref']);

  const listed = 'bin/\nbin/tool\nlink\nsame\n';
  const told = await sandbox.jettison([...build, '--progress', 'plain', '-o', 'type=tar,dest=out.tar', '-o', 'type=cacheonly']);
  assert.equal(told.status, 0, told.stderr);
  assert.match(told.stderr, /^#4 \S+\/out\.tar: Writing /mu);
  assert.doesNotMatch(told.stderr, /\.tmp/u);
  assert.equal(execFileSync('tar', ['-tf', 'out.tar'], { cwd: sandbox.folder, encoding: 'utf8' }), listed);
  const command = `"${process.execPath}" "${mainFile}" ${build.join(' ')} -q -o - | tar -t`;
  const piped = spawnSync('sh', ['-c', command], {
    cwd: sandbox.folder,
    env: { ...process.env, ...sandbox.environment },
    encoding: 'utf8',
  });
  assert.equal(piped.stdout, listed, piped.stderr);

  await sandbox.succeed([...build, '-o', 'type=local,src=link,dest=part', '-t', 'named']);
  assert.deepEqual(readdirSync(join(sandbox.folder, 'part')), ['link']);
  assert.deepEqual(await imagesOf(sandbox), [...before, 'named:latest'].toSorted());
});

test('SOURCE_DATE_EPOCH is the time of all files; an output that fails moves no tag and leaves no file', async () => {
  await using sandbox = await open();
  const build = ['build', '--target=files', '-t', 'app', 'context'];
  await sandbox.succeed([...build, '-o', 'out'], { environment: { SOURCE_DATE_EPOCH: '1600000000' } });
  for (const name of ['bin', 'bin/tool', 'same']) assert.equal(statSync(join(sandbox.folder, 'out', name)).mtimeMs, 1.6e12, name);
  const id = await sandbox.succeed(['images', '-q', 'app']);
  mkdirSync(join(sandbox.folder, 'way/same/full'), { recursive: true });
  for (const [output, code] of [
    ['type=local,dest=way', /"same" is a folder with files in it/u],
    ['type=tar,dest=none/x.tar', /Cannot write "\S+": there is no folder/u],
    // Where the kernel lets nothing be made.
    ['type=local,dest=/proc/none/x', /^ERROR: Cannot write "\/proc\/none\/x": ENOENT.*\nName another destination$/mu],
    ['type=local,dest=empty,src=/none', /There is no "\/none"/u],
    ['type=image,push=true,name=127.0.0.1:1/x', /127\.0\.0\.1:1/u],
  ] as const) {
    const more = ['--label', 'other=1', '-o', 'type=oci,dest=first.tar', '-o', output, '--retry', '0'];
    const failed = await sandbox.jettison([...build, ...more]);
    assert.equal(failed.status, 1, output);
    assert.match(failed.stderr, code);
    assert.equal(await sandbox.succeed(['images', '-q', 'app']), id);
  }
  assert.deepEqual(readdirSync(join(sandbox.folder, 'way')), ['bin', 'link', 'same']);
  assert.ok(!existsSync(join(sandbox.folder, 'none')) && !existsSync(join(sandbox.folder, 'empty')));
});

test('layout folders take one image after the other, and other programs read them', async () => {
  await using sandbox = await open();
  const build = ['build', '--target=image', '--metadata-file', 'm.json', 'context'];
  const before = await imagesOf(sandbox);
  await sandbox.succeed([...build, '-o', 'type=oci,dest=layout,tar=false,name=app:1']);
  await sandbox.succeed([...build, '-o', 'type=oci,dest=layout,tar=false,name=app:1,annotation.k=v']);
  await sandbox.succeed([...build, '-o', 'type=oci,dest=layout,tar=false,name=app:2,compression=zstd,force-compression=true']);
  assert.equal(metadataOf(sandbox)['image.name'], 'docker.io/library/app:2');
  const layout = join(sandbox.folder, 'layout');
  assert.equal(execFileSync('umoci', ['list', '--layout', layout], { encoding: 'utf8' }), '1\n2\n');
  const zstd = JSON.parse(execFileSync('skopeo', ['inspect', '--raw', `oci:${layout}:2`], { encoding: 'utf8' })) as Manifest;
  assert.deepEqual([...new Set(zstd.layers.map(({ mediaType }) => mediaType))], ['application/vnd.oci.image.layer.v1.tar+zstd']);
  execFileSync('skopeo', ['copy', '-q', `oci:${layout}:2`, `dir:${sandbox.folder}/copied`]);
  execFileSync('umoci', [
    'unpack',
    '--image',
    `${layout}:1`,
    ...(process.getuid?.() === 0 ? [] : ['--rootless']),
    `${sandbox.folder}/unpacked`,
  ]);
  assert.equal(readFileSync(join(sandbox.folder, 'unpacked/rootfs/made'), 'utf8'), 'made\n');
  // What only went elsewhere is no image here.
  assert.deepEqual(await imagesOf(sandbox), before);

  writeFileSync(join(layout, 'index.json'), 'mine');
  const refused = await sandbox.jettison([...build, '-o', 'type=oci,dest=layout,tar=false']);
  assert.match(refused.stderr, /is no index of an OCI layout/u);
  assert.equal(readFileSync(join(layout, 'index.json'), 'utf8'), 'mine');
});

test('an image goes to registries under all its names, by digest, in the form that was asked for', async () => {
  await using sandbox = await open();
  await using registry = await startDockerRegistry();
  const build = ['build', '--target=image', '--metadata-file', 'm.json', 'context'];
  const before = await imagesOf(sandbox);
  const name = (rest: string): string => `${registry.host}/${rest}`;
  await sandbox.succeed([...build, '-t', name('a:1'), '--push']);
  assert.equal(inspect(name('a:1')).mediaType, 'application/vnd.oci.image.manifest.v1+json');
  assert.deepEqual(await imagesOf(sandbox), [...before, name('a:1')].toSorted());

  await sandbox.succeed([...build, '-o', `type=image,"name=${name('b')},${name('c:2')}",push=true,store=false,oci-mediatypes=false`]);
  for (const one of ['b:latest', 'c:2']) assert.match(inspect(name(one)).mediaType, /docker\.distribution\.manifest\.v2/u, one);
  assert.deepEqual(await imagesOf(sandbox), [...before, name('a:1')].toSorted());

  const forced = 'compression=zstd,force-compression=true,compression-level=7,annotation.k=v';
  await sandbox.succeed([...build, '-o', `type=registry,name=${name('d')},push-by-digest=true,${forced}`]);
  const digest = String(metadataOf(sandbox)['containerimage.digest']);
  assert.equal(metadataOf(sandbox)['image.name'], `${name('d')}@${digest}`);
  const pushed = inspect(`${name('d')}@${digest}`);
  assert.deepEqual([...new Set(pushed.layers.map(({ mediaType }) => mediaType.replace(/.*\+/u, '')))], ['zstd']);
  assert.deepEqual(pushed.annotations, { k: 'v' });
  const tags = spawnSync('skopeo', ['list-tags', '--tls-verify=false', `docker://${name('d')}`], { encoding: 'utf8' });
  assert.match(`${tags.stdout}${tags.stderr}`, /"Tags": \[\]|404/u);

  await sandbox.succeed([...build, '-o', `type=docker,name=${name('e')},name-canonical=true`]);
  const canonical = String(metadataOf(sandbox)['image.name']).split(',')[1];
  assert.ok(canonical?.startsWith(`${name('e')}@sha256:`));
  await sandbox.succeed(['inspect', canonical ?? '']);

  const nameless = await sandbox.jettison([...build, '--push']);
  assert.match(nameless.stderr, /A tag is needed when pushing/u);
});

type Layout = {
  readonly config: { readonly digest: string };
  readonly layers: readonly { readonly digest: string; readonly annotations?: Readonly<Record<string, string>> }[];
};

/** Checks each eStargz layer of a layout folder against its manifest and config; gives for each layer whether it is one. */
function checkEstargz(layout: string): readonly boolean[] {
  const blob = (digest: string): Buffer => readFileSync(join(layout, 'blobs', digest.replace(':', '/')));
  const [top] = (JSON.parse(readFileSync(join(layout, 'index.json'), 'utf8')) as { manifests: readonly { digest: string }[] }).manifests;
  const manifest = JSON.parse(blob(top?.digest ?? '').toString()) as Layout;
  const config = JSON.parse(blob(manifest.config.digest).toString()) as { rootfs: { diff_ids: readonly string[] } };
  return manifest.layers.map(({ digest, annotations }, at) => {
    if (annotations === undefined) return false;
    const read = readEstargz(blob(digest));
    const said = {
      'containerd.io/snapshot/stargz/toc.digest': read.tocDigest,
      'io.containers.estargz.uncompressed-size': String(read.size),
    };
    assert.deepEqual(annotations, said);
    assert.equal(config.rootfs.diff_ids[at], read.diffId);
    return true;
  });
}

test('eStargz layers: pushed by a build and by push, kept in the store, the same each time; other programs read them as gzip', async () => {
  await using sandbox = await open();
  await using registry = await startDockerRegistry();
  const at = (name: string): string => join(sandbox.folder, name);
  const build = ['build', '--target=image', '--metadata-file', 'm.json', 'context'];
  const digest = (): unknown => metadataOf(sandbox)['containerimage.digest'];
  const fetch = (name: string, to: string): readonly boolean[] => {
    execFileSync('skopeo', ['copy', '-q', '--src-tls-verify=false', `docker://${registry.host}/${name}`, `oci:${at(to)}:x`]);
    return checkEstargz(at(to));
  };
  await sandbox.succeed([...build, '-t', 'plain', '-o', `type=registry,name=${registry.host}/built,compression=estargz`]);
  const [built, before] = [digest(), await sandbox.succeed(['images', '-a', '-q'])];
  const layers = fetch('built', 'built');
  // Those of the base image came from elsewhere, and stay as they are.
  assert.deepEqual([layers[0], layers.at(-1)], [false, true]);

  await sandbox.succeed(['tag', 'plain', `${registry.host}/pushed`]);
  assert.ok((await sandbox.succeed(['push', '--compression', 'estargz', `${registry.host}/pushed`])).includes(`digest: ${String(built)} `));
  await sandbox.succeed(['rmi', `${registry.host}/pushed`]);
  assert.equal(await sandbox.succeed(['images', '-a', '-q']), before);

  await sandbox.succeed(['build', '-q', '--target=image', '-t', 'own', 'context']);
  await sandbox.succeed(['push', '--compression', 'estargz', 'own', 'oci:elsewhere:1']);
  assert.ok(checkEstargz(at('elsewhere')).every((one) => one));
  await sandbox.succeed(['push', 'own', 'oci:as-it-is:1']);
  execFileSync('skopeo', ['copy', '-q', `oci:${at('as-it-is')}:1`, `docker-archive:${at('read.tar')}`]);
  assert.ok(checkEstargz(at('as-it-is')).every((one) => !one));

  const forced = 'compression=estargz,force-compression=true,compression-level=9';
  await sandbox.succeed([...build, '-o', `type=oci,dest=forced,tar=false,name=app:1,${forced}`]);
  assert.ok(checkEstargz(at('forced')).every((one) => one));
  execFileSync('umoci', ['unpack', '--image', `${at('forced')}:1`, ...(process.getuid?.() === 0 ? [] : ['--rootless']), at('unpacked')]);
  assert.equal(readFileSync(at('unpacked/rootfs/made'), 'utf8'), 'made\n');
  assert.equal(existsSync(at('unpacked/rootfs/stargz.index.json')), false);

  await sandbox.succeed([...build, '-o', `type=image,name=${registry.host}/kept,compression=estargz`]);
  assert.ok((await sandbox.succeed(['push', `${registry.host}/kept`])).includes(`digest: ${String(built)} `));
  assert.equal(await sandbox.succeed(['run', '--rm', `${registry.host}/kept`, 'cat', '/made']), 'made\n');

  await using other = await open();
  other.configure({ registries: { [registry.host]: { plainHttp: true } } });
  await other.succeed(['pull', '-q', `${registry.host}/built`]);
  const listed = await other.succeed(['run', '--rm', `${registry.host}/built`, 'ls', '/']);
  assert.match(listed, /^made$/mu);
  assert.doesNotMatch(listed, /stargz/u);
  await other.succeed([...build, '-o', `type=oci,dest=x.tar,compression=estargz`]);
  assert.equal(metadataOf(other)['containerimage.digest'], built);
  const dated = await other.jettison([...build, '-o', 'type=oci,dest=dated,tar=false,compression=estargz,rewrite-timestamp=true'], {
    environment: { SOURCE_DATE_EPOCH: '1600000000' },
  });
  assert.equal(dated.status, 0, dated.stderr);
  assert.equal(checkEstargz(join(other.folder, 'dated')).at(-1), true);
  const refused = await other.jettison([...build, '-o', 'type=oci,dest=y.tar,compression=estargz,oci-mediatypes=false']);
  assert.match(refused.stderr, /no place for eStargz layers/u);
});

test('rewrite-timestamp: no file of the build is younger than SOURCE_DATE_EPOCH, so the image is the same at any time', async () => {
  await using sandbox = await open();
  const environment = { SOURCE_DATE_EPOCH: '1600000000' };
  const build = async (...more: readonly string[]) =>
    await sandbox.succeed(
      ['build', '-q', '--target=image', '--no-cache-filter=image', '-o', 'type=docker,name=app,rewrite-timestamp=true', ...more, 'context'],
      { environment },
    );
  const first = await build();
  assert.equal(await build('-o', 'type=oci,dest=x.tar,rewrite-timestamp=true,compression=zstd'), first);
  const times = await sandbox.succeed(['run', '--rm', 'app', 'stat', '-c', '%n %Y', '/made', '/later', '/earlier']);
  assert.equal(times, '/made 1600000000\n/later 1600000000\n/earlier 1000\n');
  assert.ok((await sandbox.succeed(['images', '-q', '--no-trunc', 'app'])).startsWith(first.trim()));
  const without = await sandbox.jettison(['build', '--target=image', '-o', 'type=docker,rewrite-timestamp=true', 'context']);
  assert.match(without.stderr, /rewrite-timestamp changes nothing: SOURCE_DATE_EPOCH is not set/u);
});

test('files of several platforms lie in a folder for each, in one tar too', async () => {
  await using sandbox = await openSandbox();
  sandbox.files({ Dockerfile: 'FROM scratch\nARG TARGETARCH\nCOPY $TARGETARCH /which\n', amd64: 'amd64', arm64: 'arm64' });
  const build = ['build', '--platform=linux/amd64,linux/arm64', 'context'];
  await sandbox.succeed([...build, '-o', 'out', '-o', 'type=tar,dest=out.tar']);
  for (const name of ['amd64', 'arm64']) assert.equal(readFileSync(join(sandbox.folder, 'out', `linux_${name}`, 'which'), 'utf8'), name);
  const listed = execFileSync('tar', ['-tf', 'out.tar'], { cwd: sandbox.folder, encoding: 'utf8' });
  assert.equal(listed, 'linux_amd64/\nlinux_amd64/which\nlinux_arm64/\nlinux_arm64/which\n');
  const merged = await sandbox.jettison([...build, '-o', 'type=local,dest=flat,platform-split=false']);
  assert.match(merged.stderr, /cannot share a folder/u);
  assert.ok(!existsSync(join(sandbox.folder, 'flat')));
});

const needsRoot = { skip: process.getuid?.() !== 0 };

test('what a normal user writes out belongs to that user, with or without subordinate ids', needsRoot, async () => {
  await using sandbox = await openSandbox();
  const base = join(sandbox.folder, 'base.tar');
  await sandbox.base('busybox');
  await sandbox.succeed(['save', '-o', base, 'busybox']);
  execFileSync('chmod', ['755', sandbox.folder]);
  const chown = 'RUN mkdir /d && echo x >/d/f && ln /d/f /d/g && chown -R 5:7 /d && chmod 4710 /d/f';
  sandbox.files({ Dockerfile: `FROM busybox AS one\n${chown}\nFROM scratch\nCOPY --from=one /d /d\n` });
  for (const ids of [true, false]) {
    const home = join(sandbox.folder, `home-${ids}`);
    mkdirSync(home);
    const user = normalUser(sandbox.folder, { ids });
    user.owns(home);
    const environment = { ...sandbox.environment, JETTISON_STORE: join(home, 'store'), HOME: home };
    const type = async (...words: readonly string[]): Promise<void> => {
      const [command, ...before] = user.words;
      const done = await runCommand(command, [...before, process.execPath, mainFile, ...words], { cwd: home, environment });
      assert.equal(done.status, 0, done.stderr);
    };
    await type('load', '-q', '-i', base);
    await type('build', '-q', '-o', 'out', '-o', 'type=tar,dest=out.tar', join(sandbox.folder, 'context'));
    const file = statSync(join(home, 'out/d/f'));
    assert.deepEqual([file.uid, file.gid, file.mode & 0o7777, file.nlink], [user.id, user.id, 0o4710, 2]);
    assert.equal(statSync(join(home, 'out/d')).uid, user.id);
    assert.deepEqual([statSync(join(home, 'out.tar')).uid, statSync(join(home, 'out.tar')).mode & 0o777], [user.id, 0o644]);
    // In a tar, files have the owners that the step gave them; a user with one id can give none.
    const owner = execFileSync('tar', ['--numeric-owner', '-tvf', join(home, 'out.tar')], { encoding: 'utf8' });
    assert.match(owner, ids ? / 5\/7 .* d\/f$/mu : / 0\/0 .* d\/f$/mu);
  }
});
