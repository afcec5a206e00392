/** Others read what is built here and the other way round: docker-registry, skopeo, umoci and buildah, each with a folder of its own. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { startDockerRegistry, type DockerRegistry } from '#test/kit/docker-registry.ts';
import { openSandbox, runCommand, type Sandbox } from '#test/kit/sandbox.ts';

async function must(command: string, words: readonly string[]): Promise<string> {
  const done = await runCommand(command, words);
  assert.equal(done.status, 0, `${command} ${words.join(' ')}\n${done.stdout}\n${done.stderr}`);
  return done.stdout;
}

const skopeo = async (...words: readonly string[]): Promise<string> => await must('skopeo', words);

type Buildah = AsyncDisposable & { run(...words: readonly string[]): Promise<string> };

/** buildah with a storage that goes away with it. */
function openBuildah(folder: string): Buildah {
  const place = ['--root', join(folder, 'buildah'), '--runroot', join(folder, 'buildah-run'), '--storage-driver', 'vfs'];
  const run: Buildah['run'] = async (...words) => await must('buildah', [...place, ...words]);
  return {
    run,
    [Symbol.asyncDispose]: async () => {
      await run('rm', '--all');
      rmSync(join(folder, 'buildah'), { recursive: true, force: true });
    },
  };
}

/** Every file below `folder` with kind, mode, owner, number of names, time and content, as one line each. */
function listTree(folder: string, below = ''): string[] {
  return readdirSync(join(folder, below))
    .toSorted()
    .flatMap((name) => {
      const path = `${below}/${name}`;
      const stats = lstatSync(join(folder, path));
      const kind = (stats.mode & 0o170000).toString(8);
      const line = [
        path,
        kind,
        (stats.mode & 0o7777).toString(8),
        stats.uid,
        stats.gid,
        stats.isDirectory() ? '' : Math.floor(stats.mtimeMs / 1000),
      ];
      if (stats.isDirectory()) return [line.join(' '), ...listTree(folder, path)];
      if (stats.isSymbolicLink()) return [[...line, readlinkSync(join(folder, path))].join(' ')];
      if (stats.isFile())
        line.push(
          stats.nlink,
          createHash('sha256')
            .update(readFileSync(join(folder, path)))
            .digest('hex'),
        );
      return [line.join(' ')];
    });
}

/** Modes, links, a deletion, a replaced folder, owners, an empty file and odd names. */
const dockerfile = [
  'FROM busybox',
  'RUN mkdir -p /a/b /gone/deep && echo one > /a/one && ln /a/one /a/same && ln -s one /a/link && chmod 4711 /a/one && : > /a/empty',
  'RUN echo x > "/a/b/with blank" && echo y > /a/b/ünïcode && chown 12:34 /a/b && mkfifo /a/pipe && echo z > /gone/deep/z',
  'RUN rm -r /gone /bin/tac && rm -r /a/b && mkdir /a/b && echo new > /a/b/new',
  'COPY --chown=7:8 --chmod=640 file /opt/file',
  'ENV COLOUR=red',
  'LABEL made.by=us',
  'WORKDIR /a',
  'CMD ["sh", "-c", "echo $COLOUR; pwd; cat b/new /opt/file"]',
  '',
].join('\n');
const says = 'red\n/a\nnew\nfrom the context\n';

async function buildSample(sandbox: Sandbox, name: string): Promise<void> {
  await sandbox.base('busybox');
  const context = sandbox.files({ Dockerfile: dockerfile, file: 'from the context\n' });
  await sandbox.succeed(['build', '-t', name, context]);
}

const idOf = async (sandbox: Sandbox, name: string): Promise<string> =>
  (await sandbox.succeed(['images', '-q', '--no-trunc', name])).trim();

test('an image built here is read by skopeo, unpacked by umoci and run by buildah', async () => {
  await using sandbox = await openSandbox();
  await using registry = await startDockerRegistry();
  const name = `${registry.host}/ours/app:1`;
  await buildSample(sandbox, name);
  await sandbox.succeed(['push', name]);

  const seen = JSON.parse(await skopeo('inspect', '--tls-verify=false', `docker://${name}`)) as {
    Labels: object;
    Layers: string[];
    Env: string[];
  };
  assert.deepEqual(seen.Labels, { 'made.by': 'us' });
  assert.ok(seen.Env.includes('COLOUR=red'));
  const layout = join(sandbox.folder, 'layout');
  await skopeo('copy', '--quiet', '--src-tls-verify=false', `docker://${name}`, `oci:${layout}:1`);
  await must('umoci', ['unpack', '--image', `${layout}:1`, join(sandbox.folder, 'bundle')]);

  await using buildah = openBuildah(sandbox.folder);
  const container = (await buildah.run('from', '--quiet', '--tls-verify=false', name)).trim();
  assert.equal(
    await buildah.run('run', '--isolation', 'chroot', container, '--', 'sh', '-c', 'echo $COLOUR; pwd; cat b/new /opt/file'),
    says,
  );
  await buildah.run('rm', container);
  const untouched = (await buildah.run('from', '--quiet', '--pull-never', name)).trim();
  const mounted = (await buildah.run('mount', untouched)).trim();
  const theirs = listTree(mounted);
  assert.deepEqual(listTree(join(sandbox.folder, 'bundle/rootfs')), theirs);
  const all = theirs.join('\n');
  assert.match(all, /^\/a\/one 100000 4711 0 0 \d+ 2 /mu, 'a file with two names');
  assert.match(all, /^\/opt\/file 100000 640 7 8 /mu);
  assert.doesNotMatch(all, /gone|ünïcode|\/tac /u);
});

for (const format of ['docker', 'oci'] as const) {
  test(`an image made by buildah in ${format} format is pulled, run and built upon`, async () => {
    await using sandbox = await openSandbox();
    await using registry = await startDockerRegistry();
    const base = `${registry.host}/base:1`;
    const name = `${registry.host}/theirs/app:1`;
    await sandbox.base('busybox');
    await sandbox.succeed(['tag', 'busybox', base]);
    await sandbox.succeed(['push', base]);
    const context = sandbox.files({ Dockerfile: dockerfile.replace('FROM busybox', `FROM ${base}`), file: 'from the context\n' });
    await using buildah = openBuildah(sandbox.folder);
    await buildah.run('bud', '--quiet', '--isolation', 'chroot', '--layers', '--tls-verify=false', '--format', format, '-t', name, context);
    await buildah.run('push', '--quiet', '--tls-verify=false', '--format', format === 'oci' ? 'oci' : 'v2s2', name);

    await using other = await openSandbox();
    await other.succeed(['pull', name]);
    assert.equal(await other.succeed(['run', '--rm', name]), says);
    const more = other.files({ Dockerfile: `FROM ${name}\nRUN echo newer > b/new\n` });
    await other.succeed(['build', '-t', 'more', more]);
    assert.equal(await other.succeed(['run', '--rm', 'more']), says.replace('new', 'newer'));

    // Steps of the build hold its files, nothing holds its blobs: pulled again, it has them, and can be sent on.
    const again = `${registry.host}/theirs/again:1`;
    await other.succeed(['rmi', 'more', name]);
    await other.succeed(['pull', name]);
    await other.succeed(['tag', name, again]);
    await other.succeed(['push', again]);
    assert.equal(
      await skopeo('inspect', '--raw', '--tls-verify=false', `docker://${again}`),
      await skopeo('inspect', '--raw', '--tls-verify=false', `docker://${name}`),
    );
  });
}

test('archives go to skopeo and come back, and the image ID stays', async () => {
  await using sandbox = await openSandbox();
  await buildSample(sandbox, 'app:1');
  const id = await idOf(sandbox, 'app:1');
  const file = (name: string): string => join(sandbox.folder, name);
  const context = join(sandbox.folder, 'context');
  await sandbox.succeed(['build', '-t', 'app:1', '-o', `type=oci,dest=${file('built-oci.tar')}`, context]);
  await sandbox.succeed(['build', '-t', 'app:1', '-o', `type=docker,dest=${file('built-docker.tar')}`, context]);
  await sandbox.succeed(['save', '--format', 'oci', '-o', file('saved-oci.tar'), 'app:1']);
  await sandbox.succeed(['save', '-o', file('saved-docker.tar'), 'app:1']);

  for (const kind of ['oci', 'docker'] as const) {
    for (const made of ['built', 'saved'] as const) {
      const archive = file(`${made}-${kind}.tar`);
      const raw = await skopeo('inspect', '--raw', '--config', `${kind}-archive:${archive}`);
      assert.equal(`sha256:${createHash('sha256').update(raw).digest('hex')}`, id, `${made} ${kind}: the ID is the digest of the config`);
      await using own = await openSandbox();
      await own.succeed(['load', '-i', archive]);
      assert.equal(await idOf(own, 'app:1'), id, `${made} ${kind}: loaded`);
      assert.equal(await own.succeed(['run', '--rm', 'app:1']), says);

      const back = file(`${made}-${kind}-back.tar`);
      await skopeo('copy', '--quiet', `${kind}-archive:${archive}`, `docker-archive:${back}:docker.io/library/back:1`);
      await using again = await openSandbox();
      await again.succeed(['load', '-i', back]);
      assert.equal(await again.succeed(['run', '--rm', 'back:1']), says);
      const backOci = file(`${made}-${kind}-back-oci.tar`);
      await skopeo('copy', '--quiet', `${kind}-archive:${archive}`, `oci-archive:${backOci}:back:2`);
      await again.succeed(['load', '-i', backOci]);
      assert.equal(await again.succeed(['run', '--rm', 'back:2']), says);
    }
  }
});

function writes(registry: DockerRegistry, from: number): readonly string[] {
  return registry
    .accesses()
    .slice(from)
    .filter((line) => !/"(?:GET|HEAD) /u.test(line));
}

test('a second push uploads nothing; a push to another repository mounts', async () => {
  await using sandbox = await openSandbox();
  await using registry = await startDockerRegistry();
  const name = `${registry.host}/first/app:1`;
  await buildSample(sandbox, name);
  await sandbox.succeed(['push', name]);
  assert.ok(
    writes(registry, 0).some((line) => /"PATCH|"PUT .*blobs/u.test(line)),
    registry.accesses().join('\n'),
  );

  const before = registry.accesses().length;
  await sandbox.succeed(['push', name]);
  assert.deepEqual(
    writes(registry, before).filter((line) => line.includes('/blobs/')),
    [],
  );

  const other = `${registry.host}/second/app:1`;
  await sandbox.succeed(['tag', name, other]);
  const start = registry.accesses().length;
  await sandbox.succeed(['push', other]);
  const seen = writes(registry, start).filter((line) => line.includes('/blobs/'));
  assert.ok(seen.length > 0);
  for (const line of seen) assert.match(line, /^"POST \/v2\/second\/app\/blobs\/uploads\/\?.*mount=.*" 201$/u);
  const [one, two] = await Promise.all(
    [name, other].map(async (each) => await skopeo('inspect', '--tls-verify=false', '--raw', `docker://${each}`)),
  );
  assert.equal(one, two);
});

test('pull --all-tags brings what the registry lists, each tag in the words of docker', async () => {
  await using registry = await startDockerRegistry();
  const name = `${registry.host}/team/app`;
  await using maker = await openSandbox();
  const context = maker.files({ Dockerfile: 'FROM scratch\nARG FILE\nCOPY $FILE /\n', one: '1', two: '2' });
  for (const file of ['one', 'two']) {
    await maker.succeed(['build', '-q', '--build-arg', `FILE=${file}`, '-t', `${name}:${file}`, context]);
    await maker.succeed(['push', '-q', `${name}:${file}`]);
  }
  await skopeo('copy', '-q', '--src-tls-verify=false', '--dest-tls-verify=false', `docker://${name}:one`, `docker://${name}:again`);
  const listed = (await (await fetch(`http://${registry.host}/v2/team/app/tags/list`)).json()) as { readonly tags: readonly string[] };
  assert.deepEqual(listed.tags.toSorted(), ['again', 'one', 'two']);

  await using sandbox = await openSandbox();
  const said = await sandbox.succeed(['pull', '-a', name]);
  const each = listed.tags.map((tag) => `${tag}: Pulling from team/app\n(?:[0-9a-f]{12}: [A-Z][a-z ]+\n)*Digest: sha256:[0-9a-f]{64}\n`);
  assert.match(said, new RegExp(`^${each.join('')}Status: Downloaded newer image for ${name}\n${name}\n$`, 'u'));
  const ids = async (from: Sandbox, tag: string): Promise<string> =>
    (await from.succeed(['images', '-q', '--no-trunc', `${name}:${tag}`])).trim();
  for (const [tag, same] of [
    ['one', 'one'],
    ['two', 'two'],
    ['again', 'one'],
  ] as const) {
    assert.equal(await ids(sandbox, tag), await ids(maker, same));
  }
  assert.match(await sandbox.succeed(['pull', '--all-tags', name]), new RegExp(`Status: Image is up to date for ${name}\n`, 'u'));
  assert.equal(await sandbox.succeed(['pull', '-qa', name]), `${name}\n`);
  const refused = await sandbox.jettison(['pull', '-a', `${name}:one`]);
  assert.deepEqual([refused.status, refused.stderr.split('\n')[0]], [1, "ERROR: tag can't be used with --all-tags/-a"]);
  assert.match((await sandbox.jettison(['pull', '-a', `${registry.host}/none`])).stderr, /404 Not Found to GET \/v2\/none\/tags\/list/u);
});
