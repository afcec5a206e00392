/** The form of the builder before BuildKit, as tutorials show it: what is printed line for line, and the images of the steps. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { startDockerRegistry } from '#test/kit/docker-registry.ts';
import { openSandbox, type Sandbox } from '#test/kit/sandbox.ts';

const classic = { environment: { DOCKER_BUILDKIT: '0' } };

/** Ids, digests and sizes are others each time: each id becomes a letter, the same one for the same id. */
function masked(text: string): string {
  const letters = new Map<string, string>();
  return text
    .replaceAll(/(?<=-> |container |built |Running in )[0-9a-f]{12}$/gmu, (id) => {
      const letter = letters.get(id) ?? `<${letters.size + 1}>`;
      letters.set(id, letter);
      return letter;
    })
    .replaceAll(/[\d.]+k?B$/gmu, 'SIZE');
}

function ids(text: string): readonly string[] {
  return [...text.matchAll(/^ ---> ([0-9a-f]{12})$/gmu)].map((match) => match[1] ?? '');
}

async function build(where: Sandbox, words: readonly string[], folder: string): Promise<string> {
  return await where.succeed(['build', ...words, folder], classic);
}

async function kitty(): Promise<Sandbox & { readonly context: string }> {
  const sandbox = await openSandbox();
  await sandbox.base('busybox');
  const first = [
    'RUN echo tools; echo tools > /tools',
    'RUN mkdir /src',
    'WORKDIR /src',
    'COPY ./kittycat.c ./catnip.c ./catnip.h ./',
    'RUN cat kittycat.c > kc \\\n    && cat catnip.c > cn',
    'RUN mkdir -p /usr/bin; cp cn /usr/bin/',
    'RUN cp kc /usr/bin/',
  ];
  const rest = ['WORKDIR /var/local/kitty', 'COPY kitty/* ./', 'CMD ["sh","-c","kc -w 86400 | nc -l 80"]', 'EXPOSE 80'];
  const small = (from: string) => [
    'FROM busybox',
    'RUN echo curl > /curl; mkdir -p /usr/bin',
    `COPY --from=${from} /usr/bin/cn /usr/bin`,
    `COPY --from=${from} /usr/bin/kc /usr/bin`,
    ...rest,
  ];
  const context = sandbox.files({
    'Dockerfile.1stage': ['FROM busybox', ...first, ...rest].join('\n'),
    'Dockerfile.prune': ['FROM bwer432/kittycat:thick AS base-image', '', ...small('base-image')].join('\n'),
    Dockerfile: ['FROM busybox AS build-stage', ...first, '', ...small('build-stage')].join('\n'),
    'kittycat.c': 'main',
    'catnip.c': 'main',
    'catnip.h': '',
    'kitty/index.html': '<html>',
    'kitty/kitty.jpg': 'miaow',
  });
  return { ...sandbox, context };
}

test('cases 3-5, 10, 11: the frame of a build, and one over a local image', async () => {
  await using sandbox = await kitty();
  const make = async (tag: string, file: string) =>
    await sandbox.succeed(['build', '-t', `bwer432/kittycat:${tag}`, '-f', file, '.'], { ...classic, cwd: sandbox.context });
  assert.equal(
    masked(await make('thick', './Dockerfile.1stage')),
    `Sending build context to Docker daemon  SIZE
Step 1/12 : FROM busybox
 ---> <1>
Step 2/12 : RUN echo tools; echo tools > /tools
 ---> Running in <2>
tools
Removing intermediate container <2>
 ---> <3>
Step 3/12 : RUN mkdir /src
 ---> Running in <4>
Removing intermediate container <4>
 ---> <5>
Step 4/12 : WORKDIR /src
 ---> Running in <6>
Removing intermediate container <6>
 ---> <7>
Step 5/12 : COPY ./kittycat.c ./catnip.c ./catnip.h ./
 ---> <8>
Step 6/12 : RUN cat kittycat.c > kc     && cat catnip.c > cn
 ---> Running in <9>
Removing intermediate container <9>
 ---> <10>
Step 7/12 : RUN mkdir -p /usr/bin; cp cn /usr/bin/
 ---> Running in <11>
Removing intermediate container <11>
 ---> <12>
Step 8/12 : RUN cp kc /usr/bin/
 ---> Running in <13>
Removing intermediate container <13>
 ---> <14>
Step 9/12 : WORKDIR /var/local/kitty
 ---> Running in <15>
Removing intermediate container <15>
 ---> <16>
Step 10/12 : COPY kitty/* ./
 ---> <17>
Step 11/12 : CMD ["sh","-c","kc -w 86400 | nc -l 80"]
 ---> Running in <18>
Removing intermediate container <18>
 ---> <19>
Step 12/12 : EXPOSE 80
 ---> Running in <20>
Removing intermediate container <20>
 ---> <21>
Successfully built <21>
Successfully tagged bwer432/kittycat:thick
`,
  );
  const thin = await make('thin', './Dockerfile.prune');
  assert.match(
    masked(thin),
    /^Step 1\/9 : FROM bwer432\/kittycat:thick AS base-image\n ---> <1>\nStep 2\/9 : FROM busybox\n ---> <2>\nStep 3\/9 /mu,
  );
  const thick = await sandbox.succeed(['images', '-q', 'bwer432/kittycat:thick']);
  assert.equal(ids(thin)[0], thick.trim(), 'a local image stands there with its id');
});

test('cases 17-22: other Dockerfiles and stage names reuse the images of each step, the last one is the same, too', async () => {
  await using sandbox = await kitty();
  const make = async (tag: string, file: string) =>
    await sandbox.succeed(['build', '-t', `bwer432/kittycat:${tag}`, '-f', file, '.'], { ...classic, cwd: sandbox.context });
  const thick = await make('thick', './Dockerfile.1stage');
  const thin = await make('thin', './Dockerfile.prune');
  const both = await make('0.1.6', './Dockerfile');
  assert.deepEqual(ids(both).slice(1, 8), ids(thick).slice(1, 8), 'steps 2-8');
  assert.deepEqual(ids(both).slice(9), ids(thin).slice(2), 'steps 10-16');
  assert.equal(both.match(/^ ---> Using cache$/gmu)?.length, 14);
  assert.doesNotMatch(both, /Running in|Removing/u);
  assert.match(masked(both), /^Step 2\/16 : RUN echo tools; echo tools > \/tools\n ---> Using cache\n ---> <2>$/mu);
  assert.equal(both.split('\n').slice(-3)[0], `Successfully built ${ids(thin).at(-1)}`);
  await sandbox.succeed(['tag', 'bwer432/kittycat:0.1.6', 'bwer432/kittycat:latest']);
  const listed = (await sandbox.succeed(['images', 'bwer432/kittycat', '--format', '{{.Tag}} {{.ID}} {{.CreatedAt}}'])).trim().split('\n');
  assert.deepEqual(listed.map((line) => line.split(' ', 1).join('')).toSorted(), ['0.1.6', 'latest', 'thick', 'thin']);
  assert.equal(
    new Set(listed.filter((line) => !line.startsWith('thick')).map((line) => line.replace(/^\S+/u, ''))).size,
    1,
    'one id, one time',
  );
});

test('case 70: every line of the history has the id of its own image; that image runs, and is listed with -a', async () => {
  await using sandbox = await openSandbox();
  await sandbox.base('busybox');
  const context = sandbox.files({
    Dockerfile: [
      'FROM busybox',
      'WORKDIR /go/src/github.com/alexellis/href-counter',
      'RUN echo golang.org/x/net/html',
      'COPY app.go .',
      'ARG V=1',
      'RUN CGO_ENABLED=0 GOOS=linux cp app.go app',
    ].join('\n'),
    'app.go': 'package main',
  });
  const built = await sandbox.succeed(['build', '-t', 'href-counter:sdk', '--build-arg', 'V=2', context], classic);
  const table = (await sandbox.succeed(['history', 'href-counter:sdk'])).split('\n');
  assert.match(table[0] ?? '', /^IMAGE {10}CREATED +CREATED BY {38}SIZE {6}COMMENT$/u);
  assert.match(table[1] ?? '', /^[0-9a-f]{12} {3}.* ago +\|1 V=2 \/bin\/sh -c CGO_ENABLED=0 GOOS=linux c… {3}\d+B +$/u);
  const texts = (await sandbox.succeed(['history', '--no-trunc', '--format', '{{.CreatedBy}}<', 'href-counter:sdk'])).split('\n');
  assert.deepEqual(
    texts.slice(0, 5).map((text) => text.replace(/(?<=file:)[0-9a-f]{64}/u, 'HASH')),
    [
      '|1 V=2 /bin/sh -c CGO_ENABLED=0 GOOS=linux cp app.go app<',
      '/bin/sh -c #(nop)  ARG V=1<',
      '/bin/sh -c #(nop) COPY file:HASH in . <',
      '/bin/sh -c echo golang.org/x/net/html<',
      '/bin/sh -c #(nop) WORKDIR /go/src/github.com/alexellis/href-counter<',
    ],
  );
  const images = (await sandbox.succeed(['history', '-q', 'href-counter:sdk'])).trim().split('\n');
  assert.deepEqual(images.slice(0, 5), ids(built).slice(1).toReversed());
  assert.deepEqual((await sandbox.succeed(['history', '-q', '--platform', 'linux/amd64', 'href-counter:sdk'])).trim().split('\n'), images);
  const beforeCopy = ids(built)[2] ?? '';
  assert.equal(await sandbox.succeed(['run', '--rm', beforeCopy, 'ls', '-A']), '');
  assert.equal(await sandbox.succeed(['run', '--rm', ids(built)[3] ?? '', 'ls', '-A']), 'app.go\n');
  const all = (await sandbox.succeed(['images', '-a', '--format', '{{.Repository}} {{.ID}}'])).trim().split('\n');
  for (const id of ids(built).slice(1, -1)) assert.ok(all.includes(`<none> ${id}`), id);
  assert.doesNotMatch(await sandbox.succeed(['images']), /<none>/u);
  await sandbox.succeed(['inspect', beforeCopy]);
  assert.equal((await sandbox.jettison(['rmi', beforeCopy])).status, 1, 'others were made from it');
  const removed = await sandbox.succeed(['rmi', 'href-counter:sdk']);
  assert.equal(removed.match(/^Deleted: /gmu)?.length, 5);
  assert.equal((await sandbox.succeed(['images', '-a', '--format', '{{.Repository}}'])).trim(), 'busybox');
});

test('what runs at the same time is shown in the order of the file, standard error too; an error in the words of that builder', async () => {
  await using sandbox = await openSandbox();
  await sandbox.base('busybox');
  const context = sandbox.files({
    Dockerfile:
      'FROM busybox AS slow\nRUN sleep 1; echo slow >&2\nFROM busybox AS fast\nRUN echo fast\nFROM busybox\nCOPY --from=slow /bin/sh /a\nCOPY --from=fast /bin/sh /b\n',
    'Dockerfile.bad': 'FROM busybox AS slow\nRUN sleep 9\nFROM busybox\nRUN echo before; sh -c "exit 3"\nCOPY --from=slow /bin/sh /a\n',
    'Dockerfile.args': 'ARG BASE=busybox\nFROM $BASE\nCMD ["true"]\n',
  });
  const out = await sandbox.succeed(['build', context, '--progress', 'classic-v25']);
  assert.equal(
    masked(out),
    `Sending build context to Docker daemon  SIZE
Step 1/7 : FROM busybox AS slow
 ---> <1>
Step 2/7 : RUN sleep 1; echo slow >&2
 ---> Running in <2>
slow
 ---> Removed intermediate container <2>
 ---> <3>
Step 3/7 : FROM busybox AS fast
 ---> <1>
Step 4/7 : RUN echo fast
 ---> Running in <4>
fast
 ---> Removed intermediate container <4>
 ---> <5>
Step 5/7 : FROM busybox
 ---> <1>
Step 6/7 : COPY --from=slow /bin/sh /a
 ---> <6>
Step 7/7 : COPY --from=fast /bin/sh /b
 ---> <7>
Successfully built <7>
`,
  );
  const bad = await sandbox.jettison(['build', '-f', `${context}/Dockerfile.bad`, context], classic);
  assert.deepEqual([bad.status, bad.stderr], [3, `The command '/bin/sh -c echo before; sh -c "exit 3"' returned a non-zero code: 3\n`]);
  assert.match(bad.stdout, /Step 4\/5 : RUN echo before; sh -c "exit 3"\n ---> Running in [0-9a-f]{12}\nbefore\n$/u);
  const args = await sandbox.succeed(['build', '-q', '-f', `${context}/Dockerfile.args`, context], classic);
  assert.match(args, /^sha256:[0-9a-f]{64}\n$/u);
  const again = await sandbox.succeed(['build', '--build-arg', 'NO=1', '-f', `${context}/Dockerfile.args`, '-t', 'a', context], classic);
  assert.match(
    again,
    /^Step 1\/3 : ARG BASE=busybox\nStep 2\/3 : FROM \$BASE\n ---> [0-9a-f]{12}\nStep 3\/3 : CMD \["true"\]\n ---> Using cache\n/mu,
  );
  assert.match(
    again,
    /\n\[Warning\] One or more build-args \[NO\] were not consumed\nSuccessfully built [0-9a-f]{12}\nSuccessfully tagged a:latest\n$/u,
  );
  const modern = await sandbox.jettison(['build', context], { environment: { DOCKER_BUILDKIT: '1' } });
  assert.match(modern.stderr, /CACHED/u);
  assert.equal(modern.stdout, '');
});

test('images of steps hold nothing: pruning the cache frees their files and takes them along', async () => {
  await using sandbox = await openSandbox();
  await sandbox.base('busybox');
  const context = sandbox.files({
    Dockerfile: 'FROM busybox AS one\nRUN echo a > /a\nRUN echo b > /b\nFROM scratch\nCOPY --from=one /b /b\nCMD ["/b"]\n',
  });
  const built = await sandbox.succeed(['build', '-t', 'kept', context], classic);
  const [, first = '', second = ''] = ids(built);
  assert.equal(await sandbox.succeed(['run', '--rm', second, 'cat', '/b']), 'b\n');
  assert.match(
    await sandbox.succeed(['images']),
    new RegExp(`^<none> .*${second}`, 'mu'),
    'the end of a stage that is no image is dangling, as docker has it',
  );
  await sandbox.succeed(['builder', 'prune', '-af']);
  assert.notEqual((await sandbox.jettison(['run', '--rm', first])).status, 0);
  assert.deepEqual((await sandbox.succeed(['images', '-a', '--format', '{{.Repository}}'])).trim().split('\n').toSorted(), [
    '<none>',
    'busybox',
    'kept',
  ]);
  assert.equal(
    await sandbox.succeed(['build', '-q', '-t', 'kept', context], classic),
    await sandbox.succeed(['images', '-q', '--no-trunc', 'kept']),
  );
});

test('cases 51, 52: build, push, pull and build with --cache-from, stage by stage; the same image comes of it', async () => {
  await using registry = await startDockerRegistry();
  await using sandbox = await openSandbox();
  await using other = await openSandbox();
  const [stage, final] = [`${registry.host}/react:build-stage`, `${registry.host}/react:final`];
  const files = {
    Dockerfile: [
      'FROM busybox as build',
      'WORKDIR /app',
      'COPY package*.json ./',
      'ARG MODE',
      'RUN echo modules > modules; date +%N > made',
      'COPY src ./',
      'RUN cat modules *.js > bundle',
      'FROM busybox',
      'EXPOSE 3000',
      'COPY --from=build /app/bundle /html/',
      'CMD ["cat", "/html/bundle"]',
    ].join('\n'),
    'package.json': '{}',
    'src/a.js': 'a',
  };
  const pushed: string[] = [];
  for (const one of [sandbox, other]) await one.base('busybox');
  const context = sandbox.files(files);
  await build(sandbox, ['--target', 'build', '-t', stage], context);
  await build(sandbox, ['-t', final], context);
  for (const name of [stage, final]) {
    await sandbox.succeed(['push', name]);
    await other.succeed(['pull', name]);
    pushed.push((await sandbox.succeed(['images', '-q', '--no-trunc', name])).trim());
  }
  const elsewhere = other.files(files);
  const first = await build(other, ['--target', 'build', '--cache-from', stage, '-t', 'stage'], elsewhere);
  assert.equal(first.match(/^ ---> Using cache$/gmu)?.length, 6, first);
  assert.match(first, new RegExp(`^Successfully built ${(pushed[0] ?? '').slice(7, 19)}$`, 'mu'));
  const all = await build(other, ['--cache-from', final, '--cache-from', stage, '-t', 'all'], elsewhere);
  assert.doesNotMatch(all, /Running in/u);
  assert.equal((await other.succeed(['images', '-q', '--no-trunc', 'all'])).trim(), pushed[1]);
  other.files({ 'src/a.js': 'b' });
  const changed = await build(other, ['--cache-from', stage, '-t', 'changed'], elsewhere);
  assert.match(changed, /COPY src \.\/\n ---> [0-9a-f]{12}\n/u);
  assert.match(changed, /RUN echo modules > modules; date \+%N > made\n ---> Using cache\n/u);
});

function pulled(tag: string): string {
  return `${tag}: Pulling from library/alpine\n(?:[0-9a-f]{12}: (?:Pull complete|Already exists) \n)+Digest: sha256:[0-9a-f]{64}\nStatus: Downloaded newer image for alpine:${tag}\n`;
}

test('cases 5, 41: what is pulled is told inside the step that wants it', async () => {
  await using registry = await startDockerRegistry();
  await using sandbox = await openSandbox();
  await using other = await openSandbox();
  await sandbox.base('busybox');
  for (const tag of ['latest', '3.15']) {
    const layer = sandbox.files({ Dockerfile: `FROM busybox\nRUN echo ${tag} > /etc/alpine-release\n` });
    const name = `${registry.host}/library/alpine:${tag}`;
    await sandbox.succeed(['build', '-q', '-t', name, layer]);
    await sandbox.succeed(['push', name]);
  }
  other.mirror(`http://${registry.host}`);
  const context = other.files({ Dockerfile: 'FROM alpine\nRUN true\nCOPY --from=alpine:3.15 /etc/alpine-release /workspace/release\n' });
  const out = await build(other, ['-t', 'alpine-release'], context);
  assert.match(out, new RegExp(`^Step 1/3 : FROM alpine\n${pulled('latest')} ---> [0-9a-f]{12}\nStep 2/3 : RUN true\n`, 'mu'));
  assert.match(out, new RegExp(`^Step 3/3 : COPY .*\n${pulled('3.15')} ---> [0-9a-f]{12}\nSuccessfully built`, 'mu'));
  assert.match(await other.succeed(['images', '--format', '{{.Repository}}:{{.Tag}}']), /^alpine:latest$/mu);
  const again = await build(other, ['-t', 'alpine-release'], context);
  assert.match(again, /^Step 1\/3 : FROM alpine\n ---> [0-9a-f]{12}\nStep 2\/3 : RUN true\n ---> Using cache\n/mu);
});

test('how steps are kept apart has no line in this form: what tutorials show has none', async () => {
  await using sandbox = await openSandbox();
  await sandbox.base('busybox');
  const context = sandbox.files({ Dockerfile: 'FROM busybox\nRUN echo hi\n' });
  const run = async (environment: Readonly<Record<string, string>>): Promise<string> => {
    const { status, stderr } = await sandbox.jettison(['build', '--no-cache', context], {
      environment: { JETTISON_ISOLATION: 'oci,copies', ...environment },
    });
    assert.equal(status, 0, stderr);
    return stderr;
  };
  assert.match(await run({}), /^Isolation: oci \(.*\), copies/mu);
  assert.equal(await run(classic.environment), '');
});
