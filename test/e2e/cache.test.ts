/** `--cache-to` and `--cache-from`: what one store has built, another need not build again, nor download before somebody needs it. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { digestOf } from '#ground/base/digest.ts';
import { answer, dockerfile, layerCount, openProject, ran, stepsOf } from '#test/kit/cache-project.ts';
import { startDockerRegistry, type DockerRegistry } from '#test/kit/docker-registry.ts';
import { openSandbox } from '#test/kit/sandbox.ts';

async function pushBase(registry: DockerRegistry): Promise<string> {
  await using sandbox = await openSandbox();
  await sandbox.base('busybox');
  const name = `${registry.host}/busybox`;
  await sandbox.succeed(['tag', 'busybox', name]);
  await sandbox.succeed(['push', name]);
  return name;
}

/** Digests of the blobs that were downloaded since `from`. */
function downloaded(registry: DockerRegistry, from: number): readonly string[] {
  const lines = registry.accesses().slice(from);
  return [...new Set(lines.flatMap((line) => /^"GET \/v2\/[^"]*\/blobs\/(sha256:[0-9a-f]+) /u.exec(line)?.[1] ?? []))];
}

test('two empty stores and a registry: the second build runs nothing and downloads only the layers of the image', async () => {
  await using registry = await startDockerRegistry();
  const base = await pushBase(registry);
  const cache = `type=registry,ref=${registry.host}/app:cache`;
  await using one = await openProject(base);
  const first = await one.build(`--cache-to=${cache},mode=max`);
  assert.match(
    first.plain,
    /exporting cache to registry\n.*preparing build cache for export\n(?:.*writing layer sha256:[0-9a-f]{64} done\n)+/u,
  );

  await using two = await openProject(base);
  const before = registry.accesses().length;
  const second = await two.build(`--cache-from=${cache}`);
  assert.deepEqual(ran(second.plain), []);
  assert.equal(second.id, first.id);
  assert.match(second.plain, /importing cache manifest from 127\.0\.0\.1:\d+\/app:cache\n#\d+ DONE/u);
  // And two lists: the config of the base image, and the records of the cache.
  assert.equal(downloaded(registry, before).length, (await layerCount(two)) + 2);
  assert.equal(await two.succeed(['run', '--rm', 'app', 'cat', '/srv/all']), answer);

  // What is known here asks nobody: not for this build, nor for one without the cache.
  const settled = registry.accesses().length;
  const third = await two.build(`--cache-from=${cache}`);
  assert.equal(third.id, first.id);
  assert.deepEqual(ran((await two.build()).plain), []);
  // The base image was never needed here, so what its tag means is asked for.
  assert.deepEqual(
    registry
      .accesses()
      .slice(settled)
      .filter((line) => !line.startsWith('"HEAD /v2/busybox/manifests/latest ')),
    [],
  );

  // A cache of the cache: layers that never were here stay where they are, and none is left out.
  await two.build(`--cache-from=${cache}`, `--cache-to=${cache.replace(':cache', ':again')},mode=max`);
  assert.deepEqual(downloaded(registry, settled), []);
  await using three = await openProject(base);
  three.files({ 'src/b': 'B\n' });
  const passedOn = ran((await three.build(`--cache-from=${cache.replace(':cache', ':again')}`)).plain);
  assert.deepEqual([passedOn.includes('COPY src /src'), passedOn.includes('RUN cat /deps.txt > /deps.out')], [true, false]);

  // Pushing beside the cache uploads nothing but the config.
  const pushed = registry.accesses().length;
  await one.succeed(['tag', 'app', `${registry.host}/app:1`]);
  await one.succeed(['push', `${registry.host}/app:1`]);
  assert.equal(
    registry
      .accesses()
      .slice(pushed)
      .filter((line) => line.startsWith('"PUT') && line.includes('/blobs/')).length,
    1,
  );
});

test('one file is edited in a fresh store: only what depends on it runs, and only what that needs is downloaded', async () => {
  await using registry = await startDockerRegistry();
  const base = await pushBase(registry);
  const cache = `type=registry,ref=${registry.host}/app:cache`;
  await using one = await openProject(base);
  await one.build(`--cache-to=${cache},mode=max,image-manifest=false,oci-mediatypes=false`);

  await using two = await openProject(base);
  two.files({ 'src/b': 'B\n' });
  const edited = await two.build(`--cache-from=${cache}`);
  assert.deepEqual(ran(edited.plain).toSorted(), [
    'COPY --from=build /app /app',
    'COPY --from=build /app app',
    'COPY --from=check /report report',
    'COPY src /src',
    'RUN cat /app /tool > /report',
    'RUN cat /src/* /deps.out > /app',
    'RUN cat app report /conf > all',
  ]);
  assert.equal(await two.succeed(['run', '--rm', 'app', 'cat', '/srv/all']), answer.replaceAll('b\n', 'B\n'));

  // The stage runs again and gives the same file: what copies it is found by its content.
  await using three = await openProject(base);
  three.files({ Dockerfile: dockerfile(base).replace('cat /src/* /deps.out', 'cat /src/a /src/b /deps.out') });
  const same = await three.build(`--cache-from=${cache}`);
  assert.deepEqual(ran(same.plain), ['RUN cat /src/a /src/b /deps.out > /app']);
  assert.equal(await three.succeed(['run', '--rm', 'app', 'cat', '/srv/all']), answer);
});

test('mode=min has the layers of the image only; a cache in a folder keeps others under their tags', async () => {
  await using one = await openProject('busybox');
  const folder = join(one.folder, 'cache');
  await one.build(`--cache-to=type=local,dest=${folder}`, `--cache-to=type=local,dest=${folder},tag=all,mode=max,compression=zstd`);
  const index = JSON.parse(readFileSync(join(folder, 'index.json'), 'utf8')) as { readonly manifests: readonly object[] };
  assert.equal(index.manifests.length, 2);

  await using two = await openProject('busybox');
  assert.deepEqual(ran((await two.build(`--cache-from=type=local,src=${folder}`)).plain), []);
  assert.equal(await two.succeed(['run', '--rm', 'app', 'cat', '/srv/all']), answer);

  for (const [tag, expected] of [
    ['latest', 11],
    ['all', 4],
  ] as const) {
    await using three = await openProject('busybox');
    // The last stage is another one from its first step on.
    three.files({ Dockerfile: dockerfile('busybox').replace('WORKDIR /srv', 'WORKDIR /srv/new/../../srv\nRUN true') });
    const done = await three.build(`--cache-from=type=local,src=${folder},tag=${tag}`);
    assert.equal(ran(done.plain).filter((name) => /^(?:RUN|COPY)/u.test(name)).length, expected, done.plain);
  }
});

test('a cache in the image itself: by option, by build argument; an image built on it does not pass it on', async () => {
  await using registry = await startDockerRegistry();
  const name = `${registry.host}/app:1`;
  for (const how of ['--cache-to=type=inline', '--build-arg=BUILDKIT_INLINE_CACHE=1']) {
    await using one = await openProject('busybox');
    const first = await one.build(how);
    assert.equal((await one.build(how)).id, first.id);
    await one.succeed(['tag', 'app', name]);
    await one.succeed(['push', name]);
    await using two = await openProject('busybox');
    const second = await two.build(`--cache-from=${name}`, how);
    assert.deepEqual(ran(second.plain), []);
    assert.equal(second.id, first.id);
    two.files({ Dockerfile: 'FROM app\nRUN echo 1 > /child\n' }, 'child');
    await two.succeed(['build', '-t', 'child', join(two.folder, 'child')]);
    const save = async (image: string): Promise<string> => {
      await two.succeed(['save', '-o', `${two.folder}/${image}.tar`, image]);
      return readFileSync(`${two.folder}/${image}.tar`, 'latin1');
    };
    assert.match(await save('app'), /"jettison\.cache\.v0":/u);
    assert.doesNotMatch(await save('child'), /"jettison\.cache\.v0":/u);
  }
  await using plain = await openProject('busybox');
  await plain.build('--no-cache');
  await plain.succeed(['tag', 'app', name]);
  await plain.succeed(['push', name]);
  await using three = await openProject('busybox');
  const none = await three.build(`--cache-from=${name}`);
  assert.match(none.plain, /^Warning: .*has no cache/mu);
  assert.equal(ran(none.plain).includes('RUN echo tool > /tool'), true);
});

test('a cache that cannot be reached is a warning; one that cannot be written is an error unless it is said that it does not matter', async () => {
  await using registry = await startDockerRegistry();
  await using one = await openProject('busybox');
  const gone = `127.0.0.1:1/app:cache`;
  const done = await one.build(
    `--cache-from=type=registry,ref=${gone}`,
    `--cache-from=${registry.host}/nothing`,
    `--cache-from=type=local,src=${one.folder}/missing`,
    `--cache-to=type=registry,ref=${gone},ignore-error=true`,
  );
  const warnings = [...done.plain.matchAll(/^Warning: .*$/gmu)].map(([line]) => line);
  assert.equal(warnings.length, 4, done.plain);
  assert.match(warnings.join('\n'), /127\.0\.0\.1:1.*connection refused/u);
  assert.match(warnings.join('\n'), /nothing:latest.*404/u);
  assert.match(warnings.join('\n'), /missing: it has no index\.json/u);

  // A folder without a cache is told of as by buildx: when nothing has to be looked for, and by who says nothing else.
  const absent = `Warning: cannot use the cache ${one.folder}/missing: it has no index.json`;
  for (const how of [['-q'], ['-q', '--no-cache'], ['--progress=none'], ['--progress=plain']]) {
    const words = ['build', ...how, '--cache-from=type=local,src=missing', join(one.folder, 'context')];
    const { status, stdout, stderr } = await one.jettison(words, { cwd: one.folder });
    assert.equal(status, 0);
    assert.deepEqual(
      stderr.split('\n').filter((line) => line.includes('missing')),
      [absent],
    );
    if (how[0] === '-q') assert.match(stdout, /^sha256:[0-9a-f]{64}\n$/u);
  }

  one.files({ conf: 'other\n' });
  const failed = await one.jettison(['build', '-t', 'app', `--cache-to=type=registry,ref=${gone}`, join(one.folder, 'context')]);
  assert.equal(failed.status === 0, false);
  assert.match(failed.stderr, /connection refused/u);
});

test('a cache whose layers are damaged, swapped or gone is a warning, and the image is right', async () => {
  await using one = await openProject('busybox');
  const folder = join(one.folder, 'cache');
  const honest = await one.build(`--cache-to=type=local,dest=${folder},mode=max`);
  const blobs = join(folder, 'blobs/sha256');
  const read = (name: string): Buffer => readFileSync(join(blobs, name));
  const index = JSON.parse(readFileSync(join(folder, 'index.json'), 'utf8')) as {
    readonly manifests: readonly { readonly digest: string }[];
  };
  const manifestName = index.manifests[0]?.digest.slice(7) ?? '';
  const manifest = JSON.parse(read(manifestName).toString()) as {
    readonly config: { readonly digest: string };
    readonly layers: readonly { readonly digest: string; readonly annotations?: Record<string, string> }[];
  };
  const config = read(manifest.config.digest.slice(7)).toString();
  const appLayers = manifest.layers.map(({ digest }) => digest.slice(7)).filter((name) => statSync(join(blobs, name)).size < 10_000);
  const kept = new Map(readdirSync(blobs).map((name) => [name, read(name)]));
  const restore = (): void => kept.forEach((bytes, name) => writeFileSync(join(blobs, name), bytes));
  /** Puts other records into the folder, under digests that are right. */
  const replaceConfig = (text: string): void => {
    const digest = digestOf(text);
    writeFileSync(join(blobs, digest.slice(7)), text);
    const own = read(manifestName)
      .toString()
      .replace(
        /"config":\{[^}]*\}/u,
        `"config":${JSON.stringify({ mediaType: 'application/vnd.buildkit.cacheconfig.v0', digest, size: text.length })}`,
      );
    const ownDigest = digestOf(own);
    writeFileSync(join(blobs, ownDigest.slice(7)), own);
    writeFileSync(
      join(folder, 'index.json'),
      JSON.stringify({ ...index, manifests: [{ ...index.manifests[0], digest: ownDigest, size: own.length }] }),
    );
  };
  const diffIds = manifest.layers.flatMap(({ annotations }) => annotations?.['containerd.io/uncompressed'] ?? []).slice(1);
  const tricks: Record<string, () => void> = {
    'one byte is another': () =>
      appLayers.forEach((name) => writeFileSync(join(blobs, name), Buffer.concat([read(name).subarray(0, -1), Buffer.from('x')]))),
    'the layers are gone': () => appLayers.forEach((name) => rmSync(join(blobs, name))),
    'DiffIDs of other layers': () =>
      replaceConfig(
        config.replaceAll(/"diffID":"(sha256:[0-9a-f]+)"/gu, (all, id: string) =>
          all.replace(id, diffIds[(diffIds.indexOf(id) + 1) % diffIds.length] ?? ''),
        ),
      ),
  };
  for (const [name, play] of Object.entries(tricks)) {
    restore();
    writeFileSync(join(folder, 'index.json'), JSON.stringify(index));
    play();
    await using two = await openProject('busybox');
    const done = await two.build(`--cache-from=type=local,src=${folder}`);
    assert.match(done.plain, /^Warning: /mu, name);
    assert.equal(ran(done.plain).length > 5, true, `${name}: ${done.plain}`);
    assert.equal(await two.succeed(['run', '--rm', 'app', 'cat', '/srv/all']), answer, name);
    assert.equal(await layerCount(two), await layerCount(one));
  }
  restore();
  writeFileSync(join(folder, 'index.json'), JSON.stringify(index));
  await using three = await openProject('busybox');
  assert.equal((await three.build(`--cache-from=type=local,src=${folder}`)).id, honest.id);
});

test('linked layers come from a cache alone, over another base', async () => {
  await using one = await openSandbox();
  await one.base('busybox');
  const folder = join(one.folder, 'cache');
  const text =
    'ARG BASE=1\nFROM busybox AS base1\nFROM busybox AS base2\nRUN echo 2 > /two\nFROM base$BASE\nCOPY --link f /deep/f\nRUN cat /deep/f\n';
  const context = one.files({ Dockerfile: text, f: 'f\n' });
  await one.succeed(['build', `--cache-to=type=local,dest=${folder}`, context]);
  await using two = await openSandbox();
  await two.base('busybox');
  const done = await two.jettison([
    'build',
    '--progress=plain',
    '-t',
    'app',
    '--build-arg=BASE=2',
    `--cache-from=type=local,src=${folder}`,
    context,
  ]);
  assert.equal(stepsOf(done.stderr)['COPY --link f /deep/f'], 'CACHED', done.stderr);
  assert.equal(await two.succeed(['run', '--rm', 'app', 'cat', '/deep/f', '/two']), 'f\n2\n');
});

test('what is not built is refused by name, what cannot be read with the reason', async () => {
  await using one = await openSandbox();
  const context = one.files({ Dockerfile: 'FROM scratch\n' });
  for (const [option, reason] of [
    ['--cache-to=type=azblob', /is not built yet/u],
    ['--cache-to=type=registry', /"ref=\.\.\." is missing/u],
    ['--cache-to=type=local,dest=x,mode=most', /mode is "min" or "max"/u],
    ['--cache-to=type=local,dest=x,compression=estargz', /is not built yet/u],
    ['--cache-to=type=local,dest=x,oci-mediatypes=false,image-manifest=true', /needs "oci-mediatypes=true"/u],
    ['--cache-from=type=local,src=x,mode=max', /"mode" means nothing here/u],
    ['--cache-from=type=registry,ref=a/UPPER', /./u],
  ] as const) {
    const done = await one.jettison(['build', option, context]);
    assert.equal(done.status === 0, false, option);
    assert.match(done.stderr, reason, option);
  }
});

/** Builds the project with a changed file in an empty store: what the build says of its causes, the dearest first, `--`, and what `why` says. */
async function causesInEmptyStore(...options: readonly string[]): Promise<readonly string[]> {
  await using two = await openProject('busybox');
  two.files({ 'src/b': 'other\n' });
  const { plain } = await two.build(...options);
  const closing = [...plain.matchAll(/^why: (.*?)(?:; cost .*)?$/gmu)].map(([, line = '']) => line);
  const told = (await two.succeed(['why'])).split('\n').map((line) => line.replace(/; cost .*/u, ''));
  return [...closing, '--', ...told.filter((line) => line !== '')];
}

test('a store that has only a cache knows why its steps run; a cache that cannot tell is named, with the reason', async () => {
  await using one = await openProject('busybox');
  const folder = join(one.folder, 'cache');
  const to = (tag: string, more = ''): string => `--cache-to=type=local,dest=${folder},tag=${tag},${more}`;
  const from = (tag: string): string => `--cache-from=type=local,src=${folder},tag=${tag}`;
  await one.build(to('max', 'mode=max'), to('min', 'mode=min'), to('mute', 'mode=max,why=false'));
  const edited = 'COPY src /src (Dockerfile:7) ran again: src/b changed (content)';
  assert.deepEqual(await causesInEmptyStore(from('max')), [edited, '--', edited]);

  const min = await causesInEmptyStore(from('min'));
  const isAbsent = /^COPY deps\.txt .* ran: the cache .*\/cache does not have its result \(it was exported with mode=min\)$/u;
  assert.ok(
    min.some((cause) => isAbsent.test(cause)),
    min.join('\n'),
  );
  assert.ok(min.includes(edited), min.join('\n'));

  const mute = await causesInEmptyStore(from('mute'));
  assert.deepEqual(mute.slice(0, 1), ['--']);
  const unsaid = mute
    .slice(1)
    .filter((cause) => !/ ran: it was never seen here, and the imported cache .*\/cache does not say$/u.test(cause));
  assert.deepEqual(unsaid, []);
  assert.ok(
    mute.some((cause) => cause.startsWith('COPY src ')),
    mute.join('\n'),
  );

  const away = await causesInEmptyStore(from('none'));
  assert.match(away[0] ?? '', /^.* ran: the cache .*\/cache (?:could not be reached|is damaged): .* it has nothing with the tag "none"$/u);
  assert.equal(away[1], '--');

  // What is downloaded to say why may be damaged: then the cache is named, and nothing else is wrong.
  const blobs = join(folder, 'blobs/sha256');
  const zstd = Buffer.from([0x28, 0xb5, 0x2f, 0xfd]);
  const memories = readdirSync(blobs).filter((name) => readFileSync(join(blobs, name)).subarray(0, 4).equals(zstd));
  for (const name of memories) writeFileSync(join(blobs, name), 'damaged');
  const damaged = await causesInEmptyStore(from('max'));
  const isDamaged = /^COPY src .* ran: the cache .*\/cache is damaged: .* has other content than its digest says$/u;
  assert.ok(
    damaged.some((cause) => isDamaged.test(cause)),
    damaged.join('\n'),
  );
});
