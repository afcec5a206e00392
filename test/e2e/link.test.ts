/** COPY --link and ADD --link: layers that do not depend on what is below them. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { openSandbox, type Sandbox } from '#test/kit/sandbox.ts';

async function layersOf(sandbox: Sandbox, image: string): Promise<readonly string[]> {
  const [found] = JSON.parse(await sandbox.succeed(['inspect', image])) as readonly {
    readonly RootFS: { readonly Layers: readonly string[] };
  }[];
  return found?.RootFS.Layers ?? [];
}

/** Steps by what is printed of them: `COPY --link a /a` to `CACHED` or `DONE`. */
function stepsOf(plain: string): Record<string, string> {
  const names = new Map([...plain.matchAll(/^#(\d+) \[[^\]]*\] (.*)$/gmu)].map((match) => [match[1], match[2] ?? '']));
  const ends = [...plain.matchAll(/^#(\d+) (CACHED|DONE)/gmu)].map((match) => [names.get(match[1]), match[2] ?? ''] as const);
  return Object.fromEntries(ends.flatMap(([name, end]) => (name === undefined ? [] : [[name, end]])));
}

test('a new base: linked layers stay as they are, only what stands on the base is made again', async () => {
  await using sandbox = await openSandbox();
  await sandbox.base('busybox');
  const context = sandbox.files({
    Dockerfile: `ARG BASE=1
FROM busybox AS base1
FROM busybox AS base2
RUN mkdir -m 1777 /way && echo 2 > /two && ln -s /way /link && echo file > /folder
FROM base$BASE AS made
WORKDIR /srv
COPY --link f way/to/f
COPY --link f /link/f
COPY --link d /folder
COPY --link --chown=7:8 --exclude=*.md d /way
ADD --link a.tar /way/tar/
RUN cat way/to/f /link/f /folder/x
FROM made
ONBUILD COPY --link f /from-trigger
`,
    f: 'f\n',
    'd/x': 'x\n',
    'd/y.md': 'y\n',
  });
  execFileSync('tar', ['-cf', join(context, 'a.tar'), '-C', context, 'd/x']);
  const build = async (base: string, ...more: readonly string[]) => {
    const done = await sandbox.jettison(['build', '--progress=plain', `--build-arg=BASE=${base}`, '-t', `app${base}`, ...more, context]);
    assert.equal(done.status, 0, done.stderr);
    return { steps: stepsOf(done.stderr), layers: await layersOf(sandbox, `app${base}`) };
  };
  const one = await build('1');
  const two = await build('2');
  const linked = Object.entries(two.steps).filter(([name]) => name.includes('--link'));
  assert.deepEqual([linked.length, new Set(linked.map(([, state]) => state))], [5, new Set(['CACHED'])]);
  assert.equal(two.steps['WORKDIR /srv'], 'DONE');
  assert.deepEqual(two.layers.slice(-6, -1), one.layers.slice(-6, -1));
  // Made again, and it is the same: a folder for a working folder has no time of its own.
  assert.equal(two.layers.at(-7), one.layers.at(-7));
  assert.doesNotMatch(await sandbox.succeed(['why', '--all']), /--link/u);
  assert.equal(Object.values((await build('2')).steps).includes('DONE'), false);

  const look = 'ls -ld /link /folder /way | cut -c1-10; stat -c "%u:%g %n" /way/x; ls /way /way/tar/d; cat /two';
  const shown = await sandbox.succeed(['run', '--rm', 'app2', 'sh', '-c', look]);
  // A link and a file of the base are folders now, and folders have the looks that the linked layer gives them.
  assert.equal(shown, 'drwxr-xr-x\n'.repeat(3) + '7:8 /way/x\n/way:\ntar\nx\n\n/way/tar/d:\nx\n2\n');

  const again = await build('2', '--no-cache');
  assert.ok(Object.entries(again.steps).every(([name, state]) => state === 'DONE' || name.startsWith('FROM')));
  const child = sandbox.files({ Dockerfile: 'FROM app2\nRUN cat /from-trigger\n', f: 'triggered\n' }, 'child');
  await sandbox.succeed(['build', '-t', 'child', child]);
  assert.equal(await sandbox.succeed(['run', '--rm', 'child', 'cat', '/from-trigger', '/two']), 'triggered\n2\n');
});

test('the layer holds the folders on the way as root made them, and nothing of the base; it leaves and comes back', async () => {
  await using sandbox = await openSandbox();
  await sandbox.base('busybox');
  const context = sandbox.files({ Dockerfile: 'FROM busybox\nRUN echo x > /base\nCOPY --link f /tmp/deep/f\n', f: 'f\n' });
  await sandbox.succeed(['build', '-t', 'app', '-o', `type=docker,dest=${sandbox.folder}/app.tar`, context]);
  execFileSync('tar', ['-xf', join(sandbox.folder, 'app.tar'), '-C', sandbox.folder]);
  const [image] = JSON.parse(readFileSync(join(sandbox.folder, 'manifest.json'), 'utf8')) as readonly {
    readonly Layers: readonly string[];
  }[];
  const list = execFileSync('tar', ['--numeric-owner', '-tvf', join(sandbox.folder, image?.Layers.at(-1) ?? '')], { encoding: 'utf8' });
  const entries = list.trim().split('\n');
  assert.deepEqual(
    entries.map((line) => line.replace(/^(\S+) (\S+) .* /u, '$1 $2 ')),
    ['drwxr-xr-x 0/0 tmp/', 'drwxr-xr-x 0/0 tmp/deep/', '-rw-r--r-- 0/0 tmp/deep/f'],
  );
  await sandbox.succeed(['load', '-i', join(sandbox.folder, 'app.tar')]);
  assert.equal(await sandbox.succeed(['run', '--rm', 'app', 'cat', '/tmp/deep/f', '/base']), 'f\nx\n');

  // The folder that the linked layer shares is gone, and with it all that stands on it.
  const shared = readdirSync(join(sandbox.store, 'snapshots/s')).find((id) =>
    existsSync(join(sandbox.store, 'snapshots/s', id, 'tmp/deep/f')),
  );
  rmSync(join(sandbox.store, 'snapshots/s', shared ?? ''), { recursive: true });
  sandbox.files({ Dockerfile: 'FROM busybox\nRUN echo y > /base\nCOPY --link f /tmp/deep/f\nRUN cat /tmp/deep/f\n' });
  await sandbox.succeed(['build', '-t', 'app', context]);
  assert.equal(await sandbox.succeed(['run', '--rm', 'app', 'cat', '/tmp/deep/f', '/base']), 'f\ny\n');
});

test('linked copies do not wait for the steps before them', async () => {
  await using sandbox = await openSandbox();
  await sandbox.base('busybox');
  // It ends when the copies have. Would they wait for it, it would give up.
  const first =
    'RUN --mount=type=cache,target=/c for i in $(seq 3000); do if [ -e /c/go ]; then exit 0; fi; touch /c/begun; sleep 0.1; done; exit 9';
  const context = sandbox.files({
    Dockerfile: `FROM busybox\n${first}\nCOPY --link f /f\nCOPY --link f /g\nRUN cat /f /g\nCOPY --link f /h\nCOPY f g /last\n`,
    f: 'f\n',
    g: 'g\n',
  });
  const caches = join(sandbox.store, 'cache-mounts');
  const letGo = async (): Promise<void> => {
    const names = existsSync(caches) ? readdirSync(caches, { recursive: true, encoding: 'utf8' }) : [];
    const begun = names.find((name) => name.endsWith('/begun'));
    if (begun !== undefined) return writeFileSync(join(caches, begun, '../go'), '');
    await delay(50);
    await letGo();
  };
  let copies = 0;
  const done = await sandbox.jettison(['build', '--progress=plain', '-t', 'app', context], {
    onStderr: (text) => {
      const before = copies;
      copies = Object.keys(stepsOf(text)).filter((name) => name.startsWith('COPY --link')).length;
      if (before < 3 && copies === 3) void letGo();
    },
  });
  assert.equal(done.status, 0, done.stderr);
  const ends = Object.keys(stepsOf(done.stderr)).filter((name) => /^(?:RUN|COPY)/u.test(name));
  assert.deepEqual(ends.slice(-3), [first, 'RUN cat /f /g', 'COPY f g /last'], done.stderr);
  assert.equal(ends.length, 6, 'a merge is no step of its own');
  assert.match(done.stderr, /^Warning: "\/last" holds "\/g": "\/f" is lost/mu);
  assert.equal(await sandbox.succeed(['run', '--rm', 'app', 'cat', '/f', '/h', '/last']), 'f\nf\ng\n');
});

test('a chain of 300 linked copies builds, rebuilds and runs', async () => {
  await using sandbox = await openSandbox();
  await sandbox.base('busybox');
  const copies = Array.from({ length: 300 }, (_, index) => `COPY --link f /f${index}\n`).join('');
  const context = sandbox.files({ Dockerfile: `FROM busybox\n${copies}RUN cat /f0 /f299\n`, f: 'f\n' });
  await sandbox.succeed(['build', '-t', 'app', context]);
  assert.equal(await sandbox.succeed(['run', '--rm', 'app', 'sh', '-c', 'cat /f* | wc -l']), '300\n');
  const again = await sandbox.jettison(['build', '--progress=plain', '-t', 'app', context]);
  assert.equal(Object.values(stepsOf(again.stderr)).filter((state) => state === 'CACHED').length, 302);
});
