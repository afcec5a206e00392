/**
 * What five public tutorials on multi-stage builds type, with their Dockerfiles. Only base names differ (Debian's instead of Alpine's and Docker Hub's
 * language images) and apt-get for apk, since the tests must work where Docker Hub cannot be reached. Sizes are printed.
 */
import { after, before, test, type TestContext } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startDockerRegistry } from '#test/kit/docker-registry.ts';
import { openSandbox, type Sandbox } from '#test/kit/sandbox.ts';

const launchpad = fileURLToPath(new URL('../../examples/launchpad', import.meta.url));
const install = 'apt-get update -qq && apt-get install -y -qq --no-install-recommends';
let sandbox: Sandbox;

before(async () => {
  sandbox = await openSandbox();
  await sandbox.base('busybox');
  await sandbox.base('debian');
  await sandbox.base('debian-gcc');
});
after(async () => await sandbox[Symbol.asyncDispose]());

const jettison = async (...words: readonly string[]): Promise<string> =>
  await sandbox.succeed(words, { cwd: join(sandbox.folder, 'context') });
/** Standard error of a build with plain progress. */
const build = async (...words: readonly string[]): Promise<string> => {
  const done = await sandbox.jettison(['build', '--progress', 'plain', ...words], { cwd: join(sandbox.folder, 'context') });
  assert.equal(done.status, 0, done.stderr);
  return done.stderr;
};
const idOf = async (name: string): Promise<string> => (await jettison('images', '-q', '--no-trunc', name)).trim();
const bytesOf = async (name: string): Promise<number> => (JSON.parse(await jettison('inspect', name)) as [{ Size: number }])[0].Size;

/** Prints the sizes and gives them in bytes, in the order of the names. */
async function sizes(context: TestContext, ...names: readonly string[]): Promise<readonly number[]> {
  const found: number[] = [];
  for (const name of names) {
    context.diagnostic(`size of ${name}: ${(await jettison('images', '--format', '{{.Size}}', name)).trim()}`);
    found.push(await bytesOf(name));
  }
  return found;
}

function assertLess([first = 0, second = 0]: readonly number[], factor: number): void {
  assert.ok(second * factor < first, `${second} bytes are not less than ${first} / ${factor}`);
}

/** The pruned stage, which takes the programs from another stage or image. */
function prune(from: string): readonly string[] {
  return ['FROM busybox', 'RUN true && true', `COPY --from=${from} /usr/bin/tm /usr/bin`, `COPY --from=${from} /usr/bin/cd /usr/bin`];
}

test('kittycat: a thick image, pruned to a thin one, and the same by stages', async (context) => {
  const compile = [
    'RUN mkdir /src',
    'WORKDIR /src',
    'COPY ./countdown.c ./telemetry.c ./',
    'RUN cc -c countdown.c \\',
    '    && cc -c telemetry.c \\',
    '    && cc -static -o cd countdown.o \\',
    '    && cc -static -o tm telemetry.o',
    'RUN cp tm /usr/bin/',
    'RUN cp cd /usr/bin/',
  ];
  const ship = ['WORKDIR /var/local/pad', 'COPY pad/* ./', 'CMD ["sh","-c","/usr/bin/cd 2 mission.txt | tm"]', 'EXPOSE 80'];
  sandbox.files({
    'countdown.c': readFileSync(join(launchpad, 'countdown.c')),
    'telemetry.c': readFileSync(join(launchpad, 'telemetry.c')),
    'pad/mission.txt': readFileSync(join(launchpad, 'mission.txt')),
    'Dockerfile.1stage': ['FROM debian-gcc', ...compile, ...ship, ''].join('\n'),
    'Dockerfile.prune': ['FROM me/launchpad:thick AS base-image', '', ...prune('base-image'), ...ship, ''].join('\n'),
    Dockerfile: ['FROM debian-gcc AS build-stage', ...compile, '', ...prune('build-stage'), ...ship, ''].join('\n'),
  });
  await build('-t', 'me/launchpad:thick', '-f', './Dockerfile.1stage', '.');
  assert.match(
    await jettison('images', 'me/launchpad'),
    /^REPOSITORY +TAG +IMAGE ID +CREATED +SIZE\nme\/launchpad +thick +[0-9a-f]{12} +.* ago +\d+MB\n$/u,
  );
  const pruned = await build('-t', 'me/launchpad:thin', '-f', './Dockerfile.prune', '.');
  assert.doesNotMatch(pruned, /cc -c/u, 'pruning compiles nothing');

  const multi = await build('-t', 'me/launchpad:0.1.6', '-f', './Dockerfile', '.');
  assert.equal(multi.match(/ DONE /gu)?.length ?? 0, 2, `only the context is looked at and the image written:\n${multi}`);
  await jettison('tag', 'me/launchpad:0.1.6', 'me/launchpad:latest');
  assert.equal(await idOf('me/launchpad:0.1.6'), await idOf('me/launchpad:thin'), 'the key is the content, not the name of the stage');
  const line = (
    await jettison('images', '--format', String.raw`{{.Repository}}:{{.Tag}}\t\t Built: {{.CreatedSince}}\t\tSize: {{.Size}}`)
  ).split('\n');
  assert.match(
    line.find((one) => one.startsWith('me/launchpad:0.1.6')) ?? '',
    /^me\/launchpad:0\.1\.6\t*\s+Built: .* ago\s+Size: [\d.]+MB$/u,
  );
  const listed = (await jettison('images', 'me/launchpad', '--format', '{{.Tag}} {{.ID}}')).trim().split('\n');
  assert.deepEqual(new Set(listed.map((one) => one.split(' ')[0])), new Set(['0.1.6', 'latest', 'thick', 'thin']));
  assert.equal(listed.at(-1)?.split(' ')[0], 'thick', 'newest first');
  assert.equal(new Set(listed.map((one) => one.split(' ')[1])).size, 2);

  assertLess(await sizes(context, 'me/launchpad:thick', 'me/launchpad:thin', 'busybox'), 20);
  const expected = 'T minus 2\nT minus 1\nlift-off\nOnly the payload ships.\ntelemetry: 4 lines, 53 bytes\n';
  for (const tag of ['thick', 'thin', '0.1.6', 'latest']) assert.equal(await jettison('run', '--rm', `me/launchpad:${tag}`), expected, tag);
  assert.match(await jettison('history', 'me/launchpad:thin'), /^IMAGE +CREATED +CREATED BY +SIZE +COMMENT\n[0-9a-f]{12} .*EXPOSE/u);
  await jettison('rmi', 'me/launchpad:latest');
  assert.equal((await jettison('images', '-q', 'me/launchpad:0.1.6')).trim().length, 12, 'one name less, the image stays');
});

test('kittycat from scratch: a link copied as its file, RUN in exec form, a pipe as entry', async () => {
  sandbox.files({
    'Dockerfile.scratch': [
      'FROM busybox AS build-stage',
      'FROM scratch',
      'COPY --from=build-stage /bin/ln /bin/ln',
      'COPY --from=build-stage /bin/busybox /bin/sh',
      'RUN ["/bin/ln", "-s", "/bin/sh", "/bin/tr"]',
      'ENTRYPOINT ["sh","-c"]',
      'CMD ["echo lift-off | tr a-z A-Z"]',
      '',
    ].join('\n'),
  });
  await build('-t', 'from-scratch', '-f', 'Dockerfile.scratch', '.');
  assert.equal(await jettison('run', '--rm', 'from-scratch'), 'LIFT-OFF\n');
});

test('scratch is a reserved name', async () => {
  for (const words of [
    ['pull', 'scratch'],
    ['run', 'scratch'],
  ]) {
    const done = await sandbox.jettison(words);
    assert.match(done.stderr, /'scratch' is a reserved name/u, words.join(' '));
    assert.notEqual(done.status, 0);
  }
});

test('hello, C++: 26 and 27', async (context) => {
  sandbox.files({
    'hello.cpp': '#include <iostream>\n\nint main() {\n  std::cout << "Hello, C++" << std::endl;\n  return 0;\n}\n',
    'Dockerfile.cpp.single': [
      'FROM debian-gcc',
      '',
      'WORKDIR /src',
      '',
      'COPY hello.cpp .',
      '',
      'RUN g++ -o /bin/hello hello.cpp',
      '',
      'ENTRYPOINT [ "/bin/hello" ]',
      '',
    ].join('\n'),
    'Dockerfile.cpp.multi': [
      'FROM debian-gcc AS build',
      'WORKDIR /src',
      'COPY hello.cpp .',
      'RUN g++ -static -o /bin/hello hello.cpp',
      '',
      'FROM scratch',
      'COPY --from=build /bin/hello /bin/hello',
      'ENTRYPOINT [ "/bin/hello" ]',
      '',
    ].join('\n'),
  });
  for (const kind of ['single', 'multi']) {
    await build('.', '--file', `Dockerfile.cpp.${kind}`, '--tag', `cpp-${kind}`);
    assert.equal(await jettison('run', '--rm', `cpp-${kind}`), 'Hello, C++\n');
  }
  assertLess(await sizes(context, 'cpp-single', 'cpp-multi'), 50);
});

test('hello, golang: 31, and 73 with COPY --from=0, a relative path and a relative command', async (context) => {
  sandbox.files({
    'hello.go': 'package main\n\nimport "fmt"\n\nfunc main() {\n\tfmt.Println("Hello, golang")\n}\n',
    'app.go': 'package main\n\nimport "fmt"\n\nfunc main() {\n\tfmt.Println("Hello world!")\n}\n',
    // Stands for the image "golang".
    'Dockerfile.golang': `FROM debian\nRUN ${install} golang-go\nWORKDIR /go\n`,
    'Dockerfile.go.single': [
      'FROM golang',
      'WORKDIR /src',
      'COPY hello.go .',
      'RUN go build -o /bin/hello hello.go',
      'ENTRYPOINT [ "/bin/hello" ]',
      '',
    ].join('\n'),
    'Dockerfile.go.multi': [
      'FROM golang as build',
      'WORKDIR /src',
      'COPY hello.go .',
      'RUN go build -o /bin/hello hello.go',
      '',
      'FROM scratch',
      'COPY --from=build /bin/hello /bin/hello',
      'ENTRYPOINT [ "/bin/hello" ]',
      '',
    ].join('\n'),
    'Dockerfile.lab': [
      '',
      'FROM golang',
      'COPY app.go .',
      'RUN go build -o app app.go',
      '',
      'FROM scratch',
      'COPY --from=0 /go/app .',
      'CMD ["./app"]',
      '',
      '',
    ].join('\n'),
    'Dockerfile.layout': [
      'FROM golang AS go-tool',
      'FROM debian-gcc AS gcc-tool',
      'FROM go-tool AS first',
      'COPY hello.go .',
      'RUN go build -o first hello.go',
      'FROM go-tool AS second',
      'COPY app.go .',
      'RUN go build -o second app.go',
      'FROM gcc-tool AS third',
      'WORKDIR /work',
      'RUN echo \'int puts(const char *); int main(void) { return puts("Hello, C") < 0; }\' > third.c && cc -static -o third third.c',
      'FROM scratch',
      'COPY --from=first /go/first /bin/',
      'COPY --from=second /go/second /bin/',
      'COPY --from=third /work/third /bin/',
      'CMD ["first"]',
      '',
    ].join('\n'),
  });
  await build('-t', 'golang', '-f', 'Dockerfile.golang', '.');
  for (const kind of ['single', 'multi']) {
    await build('.', '--file', `Dockerfile.go.${kind}`, '--tag', `go-${kind}`);
    assert.equal(await jettison('run', '--rm', `go-${kind}`), 'Hello, golang\n');
  }
  await build('-t', 'hello-world-lab', '-f', 'Dockerfile.lab', '.');
  assert.equal(await jettison('run', 'hello-world-lab'), 'Hello world!\n');
  await build('-t', 'layout', '-f', 'Dockerfile.layout', '.');
  for (const [program, says] of [
    ['first', 'Hello, golang'],
    ['second', 'Hello world!'],
    ['third', 'Hello, C'],
  ] as const) {
    assert.equal(await jettison('run', '--rm', 'layout', program), `${says}\n`);
  }
  assertLess(await sizes(context, 'go-single', 'go-multi', 'hello-world-lab', 'layout'), 50);
});

test('hello, Python: 32 and 33', async (context) => {
  sandbox.files({
    'hello.py': 'print("Hello, Python")\n',
    'Dockerfile.py.single': [
      'FROM debian',
      `RUN ${install} \\`,
      '  binutils \\',
      '  python3',
      'WORKDIR /src',
      'COPY hello.py .',
      'ENTRYPOINT [ "python3", "/src/hello.py" ]',
      '',
    ].join('\n'),
    // PyInstaller is no Debian package; a zipapp on the small interpreter stands for its one file.
    'Dockerfile.py.multi': [
      'FROM debian AS build',
      `RUN ${install} \\`,
      '  binutils \\',
      '  python3',
      'WORKDIR /src',
      'COPY hello.py __main__.py',
      'RUN mkdir /dist && python3 -m zipapp . -p "/usr/bin/env python3" -o /dist/hello',
      '',
      'FROM debian',
      `RUN ${install} python3-minimal && rm -rf /var/lib/apt/lists`,
      'COPY --from=build /dist/hello /bin/hello',
      'ENTRYPOINT [ "/bin/hello" ]',
      '',
    ].join('\n'),
  });
  for (const kind of ['single', 'multi']) {
    await build('.', '--file', `Dockerfile.py.${kind}`, '--tag', `py-${kind}`);
    assert.equal(await jettison('run', '--rm', `py-${kind}`), 'Hello, Python\n');
  }
  assertLess(await sizes(context, 'py-single', 'py-multi'), 1.1);
});

test('posters by figlet: 34 to 40', async (context) => {
  sandbox.files({
    'Dockerfile.poster.single': [
      'FROM debian',
      `RUN ${install} figlet`,
      // dash's echo knows no -e and needs none.
      'RUN echo "keep calm\\nand\\ncontainerize" | figlet > poster',
      'CMD ["cat", "poster"]',
      '',
    ].join('\n'),
    'Dockerfile.poster.multi': [
      'FROM debian AS first',
      `RUN ${install} figlet`,
      'RUN echo "keep calm\\nand\\ncontainerize" | figlet > poster',
      '',
      'FROM busybox',
      'COPY --from=first poster poster',
      'CMD ["cat", "poster"]',
      '',
    ].join('\n'),
    'Dockerfile.poster.big': [
      'FROM debian AS build',
      `RUN ${install} figlet`,
      'FROM build AS poster1',
      'RUN echo "keep calm\\nand\\ncontainerize" | figlet > poster',
      'FROM build AS poster2',
      'RUN echo "keep calm\\nand\\ndockerize" | figlet > poster',
      'FROM busybox AS union',
      'COPY --from=poster1 poster poster1',
      'COPY --from=poster2 poster poster2',
      'RUN cat poster1 >> poster',
      'RUN cat poster2 >> poster',
      'FROM busybox',
      'COPY --from=union poster poster',
      'CMD ["cat", "poster"]',
      '',
    ].join('\n'),
  });
  await build('.', '--file', 'Dockerfile.poster.single', '--tag', 'poster-single');
  const poster = await jettison('run', '--rm', 'poster-single');
  assert.match(poster, /\|_\|/u);
  const multi = await build('.', '--file', 'Dockerfile.poster.multi', '--tag', 'poster-multi');
  assert.doesNotMatch(multi, /apt-get.*\n#\d+ DONE/u, 'the first stage is the single image');
  assert.equal(await jettison('run', '--rm', 'poster-multi'), poster);

  await build('.', '--file', 'Dockerfile.poster.big', '--tag', 'poster-big');
  const both = await jettison('run', '--rm', 'poster-big');
  assert.ok(both.startsWith(poster) && both.length > poster.length, both);
  const union = await build('.', '--file', 'Dockerfile.poster.big', '--target', 'union', '--tag', 'poster-union');
  assert.doesNotMatch(union, /COPY --from=union/u, 'the last stage is not run');
  assert.doesNotMatch(union, /RUN .*\n#\d+ DONE/u, 'one Dockerfile, several builds, one cache');
  assert.equal(await jettison('run', '--rm', 'poster-union', 'cat', 'poster'), both);
  assert.match(await jettison('history', 'poster-union'), /cat poster2 >> poster/u);
  const found = await sizes(context, 'poster-single', 'poster-multi', 'poster-big', 'poster-union');
  assertLess(found, 2);
  await checkInheritance();
});

/** 37: a stage from a stage has its settings. */
async function checkInheritance(): Promise<void> {
  sandbox.files({
    'Dockerfile.child':
      'FROM busybox AS parent\nENV A=1\nWORKDIR /here\nUSER nobody\nENTRYPOINT ["sh", "-c"]\nFROM parent\nCMD ["echo $A; pwd; id -un"]\n',
  });
  await build('-t', 'child', '-f', 'Dockerfile.child', '.');
  assert.equal(await jettison('run', '--rm', 'child'), '1\n/here\nnobody\n');
}

test('COPY --from an image that a registry has: 41', async () => {
  await using registry = await startDockerRegistry();
  const name = `${registry.host}/alpine:3.15`;
  sandbox.files({
    'Dockerfile.release': 'FROM busybox\nRUN echo 3.15.11 > /etc/alpine-release\n',
    'Dockerfile.alpine-release': `FROM busybox\nCOPY --from=${name} /etc/alpine-release /workspace/release\nCMD [ "cat", "/workspace/release" ]\n`,
  });
  await build('-t', name, '-f', 'Dockerfile.release', '.');
  await jettison('push', name);
  await jettison('rmi', name);
  await build('.', '--file', 'Dockerfile.alpine-release', '--tag', 'alpine-release');
  assert.equal(await jettison('run', '--rm', 'alpine-release'), '3.15.11\n');
});
