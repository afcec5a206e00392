/** Builds in an unprivileged container: Docker's default rights, where nothing can be mounted and no namespace made. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startDockerRegistry } from '#test/kit/docker-registry.ts';
import { listImage, readImage } from '#test/kit/image-listing.ts';
import { makePod, type Pod, type PodOptions } from '#test/kit/pod.ts';
import { openSandbox, type Sandbox } from '#test/kit/sandbox.ts';

const dockerfile = `FROM busybox AS build
RUN mkdir -p /out/kept /out/hidden && echo 1 > /out/kept/a && echo 2 > /out/hidden/b && mkfifo /out/pipe && ln -s a /out/kept/link
RUN chown -R 5:7 /out/kept && chmod 4750 /out/kept/a && chown 65534:65534 /out/pipe && chmod 0700 /out/hidden
RUN rm -r /out/hidden && mkdir /out/hidden && echo 3 > /out/hidden/c && rm /out/kept/link && ln /out/kept/a /out/kept/twin && find /out -exec touch -h -d @1000000000 {} +
FROM busybox
COPY --from=build /out /app
COPY --chown=33:34 --chmod=0640 file /app/kept/
ADD rows.tar /rows/
RUN --mount=type=cache,target=/var/cache/x --mount=type=secret,id=s,target=/app/secret --mount=type=bind,source=file,target=/mnt/a/file --mount=type=tmpfs,target=/tmp/t \\
    cat /app/secret > /var/cache/x/s && echo x > /tmp/t/x && cp /mnt/a/file /copied && touch -d @1000000000 /copied && echo of the step > /dev/stderr
RUN --mount=type=cache,target=/var/cache/x test $(wc -c < /var/cache/x/s) = 12 && test ! -e /mnt && test ! -e /app/secret
RUN echo app:x:1234:1234::/:/bin/sh >> /etc/passwd && rm /bin/vi && mv /app/hidden /app/shown && touch -d @1000000000 /etc /etc/passwd /bin /app
RUN true
USER app
WORKDIR /work
RUN test $(id -u) = 1234 && ! touch /etc/x 2>/dev/null
CMD ["id", "-u"]
`;
const epoch = { SOURCE_DATE_EPOCH: '1000000000' };

/** Fills the pod's data folder with the base image and the context, and gives the options of a build of it. */
async function fill(sandbox: Sandbox, data: string): Promise<void> {
  await sandbox.base('busybox');
  await sandbox.succeed(['save', '-o', join(data, 'base.tar'), 'busybox']);
  const context = join(data, 'context');
  mkdirSync(join(context, 'rows'), { recursive: true });
  for (const [name, text] of Object.entries({ Dockerfile: dockerfile, file: 'file\n', 'rows/one': '1\n' }))
    writeFileSync(join(context, name), text);
  writeFileSync(join(data, 'secret'), 'secret-value');
  execFileSync('tar', [
    '--numeric-owner',
    '--owner=11',
    '--group=12',
    '-cf',
    join(context, 'rows.tar'),
    '-C',
    join(context, 'rows'),
    'one',
  ]);
}

function buildWords(data: string): readonly string[] {
  return ['build', '-q', '-t', 'app', '--secret', `id=s,src=${data}/secret`, `${data}/context`];
}

function succeedIn(pod: Pod, options: PodOptions) {
  return async (...words: readonly string[]): Promise<string> => {
    const done = await pod.jettison(words, options);
    assert.equal(done.status, 0, `${words.join(' ')}\n${done.stderr}`);
    return done.stdout;
  };
}

function layersOf(inspected: string): readonly string[] {
  const [image] = JSON.parse(inspected) as readonly { readonly RootFS: { readonly Layers: readonly string[] } }[];
  return image?.RootFS.Layers ?? [];
}

for (const { name, options } of [
  { name: 'with its store on a volume', options: { environment: { ...epoch, JETTISON_STORE: '/data/store' } } },
  { name: 'with its store in itself, and no_new_privs', options: { environment: epoch, noNewPrivileges: true } },
]) {
  test(`a container ${name} builds the image that root builds, runs it, pushes it, and cleans up`, async () => {
    await using sandbox = await openSandbox();
    const pod = makePod(sandbox.folder);
    await fill(sandbox, pod.data);
    await sandbox.succeed(buildWords(pod.data), { environment: epoch });

    const succeed = succeedIn(pod, options);
    await succeed('load', '-i', '/data/base.tar');
    await succeed(...buildWords('/data'));
    assert.equal(await succeed('run', '--rm', 'app'), '1234\n');
    const [mine, roots] = [layersOf(await succeed('inspect', 'app')), layersOf(await sandbox.succeed(['inspect', 'app']))];
    assert.deepEqual(mine, roots);
    await succeed('save', '-o', '/data/mine.tar', 'app');
    await sandbox.succeed(['save', '-o', join(sandbox.folder, 'roots.tar'), 'app']);
    const base = readImage(join(pod.data, 'base.tar'));
    const [listed, expected] = [join(pod.data, 'mine.tar'), join(sandbox.folder, 'roots.tar')].map((file) =>
      listImage(readImage(file), base),
    );
    assert.equal(listed, expected);

    await using registry = await startDockerRegistry();
    await succeed('tag', 'app', `${registry.host}/app`);
    await succeed('push', '-q', `${registry.host}/app`);
    await succeed('rmi', `${registry.host}/app`);
    assert.equal(await succeed('run', '--rm', `${registry.host}/app`, 'cat', '/copied'), 'file\n');

    const again = await pod.jettison(['build', '--progress=plain', ...buildWords('/data').slice(2)], options);
    assert.match(again.stderr, /13 of 13 steps cached/u);
    await succeed('rmi', 'app', `${registry.host}/app`, 'busybox');
    await succeed('prune', '-af');
    assert.match(await succeed('du'), /Total:\s+0B/u);
  });
}

test('what such a container cannot give is refused by name, and what to do is said', async () => {
  await using sandbox = await openSandbox();
  const pod = makePod(sandbox.folder);
  await fill(sandbox, pod.data);
  assert.equal((await pod.jettison(['load', '-i', '/data/base.tar'])).status, 0);
  const context = (name: string, text: string): string => {
    mkdirSync(join(pod.data, name));
    writeFileSync(join(pod.data, name, 'Dockerfile'), `FROM busybox\n${text}\n`);
    return `/data/${name}`;
  };
  const refused = async (words: readonly string[], pattern: RegExp, options?: PodOptions): Promise<void> => {
    const done = await pod.jettison(words, options);
    assert.notEqual(done.status, 0, words.join(' '));
    assert.match(done.stderr, pattern);
  };
  await refused(['build', context('network', 'RUN --network=none true')], /ERROR: .*a network of its own/u);
  await refused(['build', '-m', '64m', context('memory', 'RUN true')], /ERROR: .*limits of memory/u);
  await refused(
    ['build', '--isolation=oci', context('oci', 'RUN true')],
    /ERROR: Cannot build with isolation "oci": root has no CAP_SYS_ADMIN here/u,
  );
  await refused(['build', context('fds', 'RUN cat /dev/fd/0')], /\/proc/u);
  await refused(['build', context('less', 'RUN true')], /Isolation "chroot": .*: MKNOD\n(?:.*\n)*ERROR: /u, { without: ['CAP_MKNOD'] });
});

test('a build that is killed in a container leaves nothing running, and the next one works', async () => {
  await using sandbox = await openSandbox();
  const pod = makePod(sandbox.folder);
  await sandbox.base('busybox');
  await sandbox.succeed(['save', '-o', join(pod.data, 'base.tar'), 'busybox']);
  mkdirSync(join(pod.data, 'context'));
  copyFileSync(join(pod.data, 'base.tar'), join(pod.data, 'context/base.tar'));
  writeFileSync(
    join(pod.data, 'context/Dockerfile'),
    'FROM busybox\nRUN --mount=type=cache,target=/c touch /c/file && echo there && (sleep 4242 &) && setsid sleep 4242\n',
  );
  const node = '/bin/node /jettison/src/main.ts';
  const script = `${node} load -q -i /data/base.tar
    for victim in main.ts worker/main.ts; do
      ${node} build --progress=plain /data/context > /data/log 2>&1 &
      until grep -q ' there' /data/log; do sleep 0.1; done
      kill -9 $(grep -l "$victim" /proc/[0-9]*/cmdline 2>/dev/null | cut -d/ -f3 | grep -v "^$$\\$")
      n=0; while [ $n -lt 3000 ] && grep -q '^sleep.4242' /proc/[0-9]*/cmdline 2>/dev/null; do sleep 0.1; n=$((n+1)); done
      if grep -q '^sleep.4242' /proc/[0-9]*/cmdline 2>/dev/null; then echo "after $victim: left"; else echo "after $victim: none"; fi
      rm /data/log
    done
    printf 'FROM busybox\\nRUN --mount=type=cache,target=/c echo works' > /data/context/Dockerfile
    ${node} build --progress=plain /data/context 2>&1 | grep -o '[0-9] works'
    ls /root/.local/share/jettison/bundles`;
  const done = await pod.run(['/bin/sh', '-c', script]);
  assert.match(done.stdout, /after main.ts: none\nafter worker\/main.ts: none\n\d works\n$/u, done.stderr);
});
