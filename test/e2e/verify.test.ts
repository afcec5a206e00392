/** `jettison verify` on ten projects: four that make the same each time, and six with a fault of one kind each, which is named by line, file and kind. */
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { existsSync, readdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { untilIdle } from '#test/kit/aftermath.ts';
import { openSandbox, type Sandbox } from '#test/kit/sandbox.ts';

let sandbox: Sandbox;

before(async () => {
  sandbox = await openSandbox();
  await sandbox.base('busybox');
  await sandbox.base('debian-gcc');
});
after(async () => await sandbox[Symbol.asyncDispose]());

const many = Object.fromEntries(Array.from({ length: 12 }, (_, index) => [`src/f${index}`, `${index}\n`]));

const clean: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'a program and a library in C': {
    'main.c': '#include <stdio.h>\nint twice(int);\nint main(void) { printf("%d\\n", twice(21)); }\n',
    'twice.c': 'int twice(int x) { return 2 * x; }\n',
    Dockerfile: `FROM debian-gcc AS build
WORKDIR /src
COPY *.c .
RUN gcc -g -c twice.c && ar rcsD libtwice.a twice.o && gcc -g -o /app main.c -L. -ltwice
FROM busybox
COPY --from=build /app /app
`,
  },
  'a package that is installed': {
    Dockerfile: `FROM debian-gcc
RUN mkdir -p /p/DEBIAN /p/usr/share/hello \\
 && printf 'Package: hello-x\\nVersion: 1\\nArchitecture: all\\nMaintainer: m <m@example.org>\\nDescription: x\\n' > /p/DEBIAN/control \\
 && echo hello > /p/usr/share/hello/text && SOURCE_DATE_EPOCH=0 dpkg-deb --root-owner-group -b /p /p.deb
RUN dpkg -i /p.deb && rm -rf /p /p.deb /var/log/* /var/cache/* /var/lib/dpkg/*-old
`,
  },
  'files through several stages, with noise that stays behind': {
    ...many,
    Dockerfile: `FROM busybox AS list
COPY src /src
RUN date > /noise; find /src -type f | sort > /list
FROM busybox AS sum
COPY --from=list /src /src
RUN --mount=type=cache,target=/cache ls /cache > /seen; touch /cache/x; sort /src/* | sha256sum > /sum
FROM busybox
COPY --from=list /list /list
COPY --link --from=sum /sum /seen /
`,
  },
  'an archive with its times set': {
    ...many,
    Dockerfile: `FROM debian-gcc
COPY src /src
RUN tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -C /src -c . | gzip -n > /src.tar.gz
`,
  },
};

const planted: Readonly<
  Record<
    string,
    { readonly files: Readonly<Record<string, string>>; readonly tells: readonly RegExp[]; readonly kind: string; readonly at: string }
  >
> = {
  'a date in a file': {
    files: { Dockerfile: 'FROM busybox\nRUN mkdir /app\nRUN echo "built $(date)" > /app/version\nRUN cp /app/version /copy\n' },
    at: 'Dockerfile:3',
    kind: 'time stamp',
    tells: [/\/app\/version {2}differs at byte \d+ of \d+/u, /the time of the build, as text/u],
  },
  'a UUID in the configuration of another stage': {
    files: {
      Dockerfile:
        'FROM busybox AS conf\nRUN mkdir /conf\n\nRUN echo "id=$(cat /proc/sys/kernel/random/uuid)" > /conf/app\nFROM busybox\nCOPY --from=conf /conf /conf\n',
    },
    at: 'Dockerfile:4',
    kind: 'random',
    tells: [/\/conf\/app {2}differs at byte \d+ of 40/u, /a random UUID/u],
  },
  'the order of a folder': {
    files: { ...many, Dockerfile: 'FROM busybox\nCOPY src /src\nRUN find /src -type f > /list\n' },
    at: 'Dockerfile:3',
    kind: 'order',
    tells: [/\/list {2}differs at byte/u, /the same lines in another order/u],
  },
  'gzip with the time of its file': {
    files: { Dockerfile: 'FROM debian-gcc\nRUN echo text > /a.txt && gzip /a.txt\n' },
    at: 'Dockerfile:2',
    kind: 'time stamp',
    tells: [/\/a\.txt\.gz {2}differs at byte 4/u, /the time in the head of gzip data/u, /gzip -n/u],
  },
  'the name of a temporary file': {
    files: { Dockerfile: 'FROM busybox\n\nRUN f=$(mktemp) && echo "log = $f" > /etc/app.conf && rm $f\n' },
    at: 'Dockerfile:3',
    kind: 'name',
    tells: [/\/etc\/app\.conf {2}differs at byte 1\d of/u, /a temporary file or folder/u],
  },
  'the time in a program and in a library': {
    files: {
      'a.c': '#include <stdio.h>\nint main(void) { puts(__DATE__ " " __TIME__); }\n',
      Dockerfile: 'FROM debian-gcc\nCOPY a.c /\nRUN gcc -Wl,--build-id=none -o /a /a.c\nRUN ar rcU /liba.a /a.c\n',
    },
    at: 'Dockerfile:3',
    kind: 'time stamp',
    tells: [/\/a {2}differs at byte \d+ of/u],
  },
};

describe('verify', { concurrency: 4 }, () => {
  for (const [name, files] of Object.entries(clean)) {
    test(`${name}: no alarm`, async () => {
      const context = sandbox.files(files, `clean-${name.replaceAll(' ', '-')}`);
      const { status, stdout, stderr } = await sandbox.jettison(['verify', context]);
      assert.equal(status, 0, stdout + stderr);
      assert.match(stdout, /^THE SAME: \d+ steps, run twice, make the image sha256:[0-9a-f]{64}\.$/mu);
      const built = await sandbox.succeed(['build', '-q', context]);
      assert.ok(stdout.includes(built.trim()), 'the image that a build makes');
    });
  }

  for (const [name, { files, at, kind, tells }] of Object.entries(planted)) {
    test(`${name}: named`, async () => {
      const context = sandbox.files(files, `planted-${name.replaceAll(' ', '-')}`);
      const { status, stdout, stderr } = await sandbox.jettison(['verify', context]);
      assert.equal(status, 1, stdout + stderr);
      const causes = stdout.split('\n').filter((line) => line.startsWith('Dockerfile:'));
      assert.equal(causes[0]?.split(' ')[0], at, stdout);
      assert.match(stdout, new RegExp(`likely {2}${kind}: `, 'u'), stdout);
      for (const told of tells) assert.match(stdout, told);
    });
  }

  test('folded, with times cut off, with a cache in it: an image is compared with what its options make', async () => {
    sandbox.files({ Dockerfile: 'FROM busybox\nCOPY Dockerfile /\nRUN echo 1 > /a; echo 2 > /b\nRUN rm /a\n' }, 'finished');
    const verified = async (line: readonly string[], environment: Readonly<Record<string, string>> = {}): Promise<void> => {
      const id = (await sandbox.succeed(['build', '-q', ...line, 'finished'], { environment })).trim();
      const { status, stdout, stderr } = await sandbox.jettison(['verify', 'app'], { environment });
      assert.equal(status, 0, stdout + stderr);
      assert.ok(stdout.endsWith('It is the image app.\n'), stdout);
      if (!line.includes('type=inline')) assert.ok(stdout.includes(`make the image ${id}.`), stdout);
    };
    await verified(['-t', 'app', '--fold']);
    await verified(['-t', 'app', '--fold', '-o', 'type=image,rewrite-timestamp=true'], { SOURCE_DATE_EPOCH: '1000000000' });
    await verified(['-t', 'app', '--cache-to', 'type=inline']);
    const refused = await sandbox.jettison(['verify', 'finished'], { environment: { JETTISON_FOLD: 'perhaps' } });
    assert.equal(refused.status, 1);
    assert.match(refused.stderr, /JETTISON_FOLD is "auto" or "off", not "perhaps"/u);
  });

  test('a file that differs only in a layer which the folded image does not have is no difference of it', async () => {
    sandbox.files({ Dockerfile: 'FROM busybox\nRUN head -c 9 /dev/urandom > /x\nRUN echo 1 > /x\n' }, 'hidden');
    assert.equal((await sandbox.jettison(['verify', 'hidden'])).status, 1);
    const folded = await sandbox.jettison(['verify', 'hidden'], { environment: { JETTISON_FOLD: '1' } });
    assert.equal(folded.status, 0, folded.stdout + folded.stderr);
    assert.match(folded.stdout, /^These differ as well, but what is built on them leaves it out:\n\nDockerfile:2 /u);
  });

  test('an image: built as it was the last time and compared; what cannot be built again is refused by reason', async () => {
    const folder = sandbox.files(
      { file: 'one\n', Dockerfile: 'FROM busybox\nARG WORD\nCOPY file /\nRUN echo $WORD > /word\n' },
      'of-image/context',
    );
    const build = ['build', '-q', '-t', 'steady', '--build-arg', 'WORD=x', '--label', 'a=b', '-f', 'context/Dockerfile', 'context'];
    const cwd = join(folder, '..');
    const id = (await sandbox.succeed(build, { cwd })).trim();
    const same = await sandbox.jettison(['verify', 'steady']);
    assert.equal(same.status, 0, same.stdout + same.stderr);
    assert.ok(same.stdout.includes(`make the image ${id}.\nIt is the image steady.\n`), same.stdout);

    sandbox.files({ file: 'two\n' }, 'of-image/context');
    const other = await sandbox.jettison(['verify', '--json', 'steady']);
    assert.equal(other.status, 1, other.stdout + other.stderr);
    const told = JSON.parse(other.stdout) as { readonly isSame: boolean; readonly image: object };
    assert.deepEqual([told.isSame, told.image], [true, { name: 'steady', id, isSame: false }]);

    const refuse = async (words: readonly string[], why: RegExp): Promise<void> => {
      const refused = await sandbox.jettison(['verify', ...words]);
      assert.equal(refused.status, 1, refused.stdout);
      assert.match(refused.stderr, why);
    };
    await refuse(['--target', 'x', 'steady'], /"--target" does not go with an image/u);
    await refuse(['busybox'], /Image busybox cannot be built again: no build that is listed here gave it/u);
    await sandbox.succeed(['build', '-q', '-t', 'piped', '-f', '-', folder], { input: 'FROM busybox\nCOPY file /piped\n' });
    await refuse(['piped'], /its build is not written down as it was typed\n.*standard input/u);
    renameSync(cwd, `${cwd}-gone`);
    await refuse(['steady'], /the folder "[^"]*of-image", where it was built, is gone/u);
  });
});

test('each cause is told once, also over one that hides it; steps that only got other files are not', async () => {
  const context = sandbox.files(
    { Dockerfile: 'FROM busybox\nRUN date > /a\nRUN cp /a /b\nRUN mktemp -u > /c\nRUN cat /a > /d\n' },
    'several',
  );
  const { status, stdout } = await sandbox.jettison(['verify', '--json', context]);
  assert.equal(status, 1);
  const { unsteady } = JSON.parse(stdout);
  assert.deepEqual(
    unsteady.map(({ line, differences }: { line: number; differences: { path: string; cause: { kind: string } }[] }) => [
      line,
      differences[0]?.path,
      differences[0]?.cause.kind,
    ]),
    [
      [2, '/a', 'time'],
      [4, '/c', 'path'],
    ],
  );
});

test('nothing of it stays: no image, no record, no snapshot, no cache mount', async () => {
  await using own = await openSandbox();
  await own.base('busybox');
  const context = own.files({ Dockerfile: 'FROM busybox\nRUN --mount=type=cache,target=/c echo a > /c/a; echo b > /b\n' }, 'context');
  await own.succeed(['build', '-q', '-t', 'app', context]);
  await untilIdle(own.store);
  const earlier = await stateOf(own);
  await own.succeed(['verify', context]);
  await assertSoon(own, earlier);
});

test('one that is killed leaves nothing, either', async () => {
  await using own = await openSandbox();
  await own.base('busybox');
  const text = 'FROM busybox\nRUN --mount=type=cache,target=/c echo a > /c/a; echo b > /b\nRUN sleep 1000\n';
  const context = own.files({ Dockerfile: text }, 'context');
  await untilIdle(own.store);
  const earlier = await stateOf(own);
  const killed = await own.jettison(['verify', context], {
    onStart: (process) => {
      const mounts = join(own.store, 'cache-mounts');
      const wait = setInterval(() => {
        if (!existsSync(mounts) || readdirSync(mounts).length === 0) return;
        clearInterval(wait);
        setTimeout(() => process.kill('SIGKILL'), 500);
      }, 20);
    },
  });
  assert.equal(killed.signal, 'SIGKILL');
  await own.succeed(['build', '-q', own.files({ Dockerfile: 'FROM busybox\n' }, 'other')]);
  await assertSoon(own, { ...earlier, cacheMounts: [] }, ['cacheMounts', 'snapshots']);
});

type State = Awaited<ReturnType<typeof stateOf>>;

/** The store is tended by a process of its own. */
async function assertSoon(
  own: Sandbox,
  expected: State,
  parts: readonly (keyof State)[] = ['images', 'snapshots', 'cacheMounts', 'builds'],
) {
  const of = (state: State) => parts.map((part) => state[part]);
  const wanted = JSON.stringify(of(expected));
  for (let left = 600; left > 0 && JSON.stringify(of(await stateOf(own))) !== wanted; left--) await delay(500);
  assert.deepEqual(of(await stateOf(own)), of(expected));
}

/** What the store holds. */
async function stateOf(own: Sandbox) {
  return {
    images: await own.succeed(['images', '-a', '-q', '--no-trunc']),
    snapshots: readdirSync(join(own.store, 'snapshots/s')).toSorted(),
    cacheMounts: existsSync(join(own.store, 'cache-mounts')) ? readdirSync(join(own.store, 'cache-mounts')).toSorted() : [],
    builds: (await own.succeed(['builds'])).split('\n').length,
  };
}
