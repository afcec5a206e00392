/** What is kept of a step that failed, without anything switched on before: looked at, copied from and run again by other processes, later. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { zstdDecompressSync } from 'node:zlib';
import { assertNothingLeft, assertTidySnapshots } from '#test/kit/aftermath.ts';
import { openSandbox, type Sandbox } from '#test/kit/sandbox.ts';
import { readDocument } from '#test/kit/schemas.ts';

const dockerfile = `FROM busybox AS build
ENV COLOR=red
WORKDIR /work
RUN --mount=type=cache,target=/counts echo earlier >> /counts/runs
COPY given given
RUN --mount=type=secret,id=key --mount=type=cache,target=/counts \\
    mkdir /out && echo '<junit/>' > /out/junit.xml && rm given && echo 'said this' && exit 3
FROM scratch
COPY --from=build /out /
`;

async function openProject(text = dockerfile): Promise<Sandbox & { readonly context: string }> {
  const sandbox = await openSandbox();
  await sandbox.base('busybox');
  const context = sandbox.files({ Dockerfile: text, given: 'given' });
  return { ...sandbox, context };
}

test('a failed step can be looked into from another process, with its files, variables and folders, until it is built again', async () => {
  await using sandbox = await openProject();
  const { context } = sandbox;
  sandbox.files({ key: 'k3y-of-the-house' }, '.');
  const failed = await sandbox.jettison(['build', '--secret', `id=key,src=${join(sandbox.folder, 'key')}`, context]);
  assert.equal(failed.status, 1);
  assert.match(failed.stderr, /^of 5 commands the 5th failed: "exit 3" \(Dockerfile:7\)$/mu);
  assert.match(failed.stderr, /^not reached: 1 step: COPY --from=build \/out \/ \(Dockerfile:9\)$/mu);
  assert.match(await sandbox.succeed(['builds', 'inspect']), /^not reached .*COPY --from=build/mu);
  assert.match(failed.stderr, /exit code: 3\nLook inside: jettison debug .*\n$/u);

  assert.equal(
    await sandbox.succeed(['diff', '@fail']),
    'C /work\nD /work/given\nA /out\nA /out/junit.xml\n'.split('\n').toSorted(byPath).join('\n').trimStart() + '\n',
  );
  const changes = [
    { kind: 'added', path: '/out' },
    { kind: 'added', path: '/out/junit.xml' },
    { kind: 'changed', path: '/work' },
    { kind: 'deleted', path: '/work/given' },
  ];
  assert.deepEqual(readDocument('diff', await sandbox.succeed(['diff', '--json', '@fail'])), { version: 1, changes });
  await sandbox.succeed(['cp', '@fail:/out/junit.xml', '.']);
  assert.equal(readFileSync(join(sandbox.folder, 'junit.xml'), 'utf8'), '<junit/>\n');

  const looked = await sandbox.jettison([
    'debug',
    '@fail',
    '--',
    'sh',
    '-c',
    'pwd; echo $COLOR; cat /counts/runs; ls /run/secrets; touch /left; exit 7',
  ]);
  assert.equal(looked.status, 7, looked.stderr);
  assert.equal(looked.stdout, '/work\nred\nearlier\n');
  assert.match(looked.stderr, /^Not here, as they are never kept: secret "key"$/mu);
  // A shell where there is no terminal reads its standard input.
  const piped = await sandbox.jettison(['debug'], { input: 'cat /out/junit.xml; test -e /left || exit 5\n' });
  assert.equal(piped.stdout, '<junit/>\n');
  assert.equal(piped.status, 5, 'what is written there goes when it ends');
  assert.equal((await sandbox.jettison(['debug', '@fail', 'nothing-like-it'])).status, 127);
  assert.equal((await sandbox.jettison(['debug', '--', 'sh', '-c', 'exit 9'])).status, 9, 'a name may be left out');
  assert.match((await sandbox.jettison(['debug', '--json', '--again'])).stderr, /"--again" and "--json" do not go together/u);
  assert.match((await sandbox.jettison(['debug', '--json', '--', 'ls'])).stderr, /"--json" opens no place/u);
  const told = readDocument('debug', await sandbox.succeed(['debug', '--json']));
  assert.deepEqual(pick(told, ['exitCode', 'stage', 'line', 'workingDirectory']), {
    exitCode: 3,
    stage: 'build',
    line: 6,
    workingDirectory: '/work',
  });
  assert.doesNotMatch(JSON.stringify(told), /k3y-of/u);
  const again = await sandbox.jettison(['debug', '--again']);
  assert.deepEqual([again.status, again.stdout], [3, 'said this\n']);
  await sandbox.succeed(['debug', '@fail', 'sh', '-c', 'test $(wc -l < /counts/runs) = 1']);
  assert.equal((await sandbox.jettison(['diff', '@other'])).status, 1);
  assert.equal((await sandbox.jettison(['cp', 'junit.xml', '@fail:/'])).status, 1);

  // What failed is no image, no cached result and no garbage.
  await sandbox.succeed(['builder', 'prune', '-f', '--filter', 'until=24h']);
  await sandbox.succeed(['diff', '@fail']);
  sandbox.files({ Dockerfile: dockerfile.replace('exit 3', 'exit 0') });
  await sandbox.succeed(['build', '--secret', `id=key,src=${join(sandbox.folder, 'key')}`, context]);
  assert.match((await sandbox.jettison(['diff', '@fail'])).stderr, /^ERROR: No failed step is kept$/mu);
  await assertNothingLeft(sandbox);
  await assertTidySnapshots(sandbox.store);
});

test('a state in which a secret stands is not kept; the files before it are', async () => {
  await using sandbox = await openProject(
    `FROM busybox\nRUN echo before > /before\nRUN --mount=type=secret,id=key cp /run/secrets/key /leaked && exit 4\n`,
  );
  sandbox.files({ key: 'k3y-of-the-house-of-cards' }, '.');
  const failed = await sandbox.jettison(['build', '--secret', `id=key,src=${join(sandbox.folder, 'key')}`, sandbox.context]);
  assert.match(failed.stderr, /exit code: 4/u);
  const looked = await sandbox.jettison(['debug', '@fail', 'sh', '-c', 'cat /before; test ! -e /leaked']);
  assert.equal(looked.stdout, 'before\n');
  assert.equal(looked.status, 0);
  assert.match(looked.stderr, /^What it wrote is not kept \(.*"key".*\): these are the files before it$/mu);
  assert.match((await sandbox.jettison(['diff', '@fail'])).stderr, /is not kept/u);
  assert.deepEqual(await filesWith(sandbox.store, 'k3y-of-the-house-of-cards'), []);
});

test('resume goes on with an edited command, and no earlier step runs again', async () => {
  await using sandbox = await openProject();
  const { context } = sandbox;
  const earlier = async (): Promise<string> =>
    (await sandbox.jettison(['debug', '@fail', 'cat', '/counts/runs'])).stdout.replaceAll('\n', ' ').trim();
  await sandbox.jettison(['build', '--no-cache', '-t', 'resumed', 'context'], { cwd: sandbox.folder });
  assert.equal(await earlier(), 'earlier');
  const same = await sandbox.jettison(['resume', '--progress=x']);
  assert.equal(same.status, 125, same.stderr);
  const again = await sandbox.jettison(['resume']);
  assert.equal(again.status, 1);
  assert.match(again.stderr, /exit code: 3/u);
  const other = await sandbox.jettison(['resume', '--run', 'echo fine > /work/x; exit 5']);
  assert.match(other.stderr, /exit code: 5/u);
  assert.equal(await sandbox.succeed(['diff', '@fail']).then((text) => text.includes('/work/x')), true);
  const done = await sandbox.jettison(['resume', '--run', 'mkdir /out\necho whole > /out/whole; wc -l < /counts/runs'], { cwd: '/' });
  assert.equal(done.status, 0, done.stderr);
  assert.match(done.stderr, /^#\d+ [\d.]+ 1$/mu, 'the earlier step ran once');
  assert.match(done.stderr, /another command than Dockerfile:6 has/u);
  assert.equal(await sandbox.succeed(['run', '--rm', '--entrypoint', '/bin/busybox', 'busybox', 'true']), '');
  assert.equal(await sandbox.succeed(['history', '-q', 'resumed']).then((text) => text.length > 0), true);
  assert.match((await sandbox.jettison(['resume'])).stderr, /No failed step is kept/u);

  await sandbox.jettison(['build', context]);
  sandbox.files({ Dockerfile: `# new\n${dockerfile}` });
  assert.match((await sandbox.jettison(['resume', '--run', 'true'])).stderr, /was changed since the step failed/u);
  await sandbox.jettison(['build', '-'], { input: 'FROM busybox\nRUN false\n' });
  assert.match((await sandbox.jettison(['resume'], { cwd: '/' })).stderr, /came on standard input/u);
});

test('a cached step says once more what it said, whole, where --replay asks for it', async () => {
  await using sandbox = await openProject(
    'FROM busybox AS long\nRUN i=0; while [ $i -lt 20000 ]; do echo "line $i of the long log"; i=$((i+1)); done; echo the last >&2; echo x > /x\nFROM busybox\nCOPY --from=long /x /x\nRUN echo short\n',
  );
  const { context } = sandbox;
  await sandbox.succeed(['build', context]);
  assert.doesNotMatch((await sandbox.jettison(['build', '--progress=plain', context])).stderr, /^#\d+ [\d.]+ /mu);
  const { stderr } = await sandbox.jettison(['build', '--replay', context]);
  const lines = stderr.split('\n');
  assert.equal(lines.filter((line) => /^#\d+ \d+\.\d+ line \d+ of the long log$/u.test(line)).length, 20_000);
  assert.match(stderr, /^#(\d+) [\d.]+ the last\n#\1 CACHED$/mu);
  assert.match(stderr, /^#(\d+) [\d.]+ short\n#\1 CACHED$/mu);
  // What was said again is not kept again.
  assert.match(await sandbox.succeed(['builds', 'logs']), /the last/u);
  // The kernel says which process ended with the code: the text alone leaves two.
  sandbox.files({ Dockerfile: 'FROM busybox\nRUN <<END\nset -e\nls / >/dev/null\nls /none\necho on\nEND\n' });
  assert.match((await sandbox.jettison(['build', context])).stderr, /^of 4 commands the 3rd failed: "ls \/none" \(Dockerfile:5\)$/mu);
});

test('a here-document that went on after a failure is told, with the command, when the step runs', async () => {
  await using sandbox = await openProject(
    'FROM busybox\nRUN <<END\ngrep -q root /etc/none || true\nls / >/dev/null\nls /none\necho on > /on\nEND\nRUN <<END\nset -e\nif grep -q x /on; then ls /none; fi\nls / | grep -q none || echo no\nls /\nEND\n',
  );
  const { context } = sandbox;
  const built = await sandbox.jettison(['build', context]);
  assert.equal(built.status, 0, built.stderr);
  const told = built.stderr.split('\n').filter((line) => line.includes('went on'));
  assert.deepEqual(told, [
    'Warning: the step went on after "ls /none" (Dockerfile:5) ended with code 1: "set -e" at the beginning of the here-document ends it there',
  ]);
});

test('reports leave the build whether it succeeds or fails; a gate that fails leaves the name where it was', async () => {
  await using sandbox = await openProject(gated(0, ''));
  const { folder } = sandbox;
  const build = async (...words: string[]) => await sandbox.jettison(['build', '-t', 'gated', ...words, 'context'], { cwd: folder });
  const image = async (): Promise<string> => await sandbox.succeed(['images', '-q', '--no-trunc', 'gated']);
  const report = (name: string): string => readFileSync(join(folder, name, 'junit.xml'), 'utf8');

  const good = await build('--report', 'test:/out=./good', '--report', 'test:/none=./none', '--report', 'build:/one=./one');
  assert.equal(good.status, 0, good.stderr);
  assert.equal(report('good'), '<junit/>\n');
  assert.equal(readFileSync(join(folder, 'one/one'), 'utf8'), 'one\n');
  assert.match(good.stderr, /^report test:\/none: not written: /mu);
  const before = await image();
  // All of it cached.
  assert.equal((await build('--report', 'test:/out=./cached')).status, 0);
  assert.equal(report('cached'), '<junit/>\n');

  sandbox.files({ Dockerfile: gated(3, '') });
  assert.equal((await build()).status, 0, 'nobody asked for the tests');
  const moved = await image();
  assert.notEqual(moved, before);
  sandbox.files({ Dockerfile: gated(4, '') });
  const bad = await build('--gate', 'test', '--report', 'test:/out=./bad');
  assert.equal(bad.status, 1);
  assert.match(bad.stderr, /exit code: 4\n/u);
  assert.equal(report('bad'), '<junit/>\n');
  assert.equal(await image(), moved);
  sandbox.files({ Dockerfile: gated(5, '# jettison:gate\n') });
  assert.match((await build()).stderr, /exit code: 5\n/u);
  assert.equal(await image(), moved);
  assert.match((await build('--gate', 'tset')).stderr, /^ERROR: --gate: there is no stage "tset"\nDid you mean "test"\?$/mu);
  assert.match(
    (await build('--report', 'nothing:/=x')).stderr,
    /^ERROR: --report: there is no stage "nothing"\nStages are: "build", "test"$/mu,
  );
  const archive = await build('-o', 'type=tar,dest=gated.tar', '--cache-to', 'type=local,dest=gated-cache');
  assert.match(archive.stderr, /exit code: 5\n/u);
  assert.deepEqual(
    ['gated.tar', 'gated-cache'].filter((name) => existsSync(join(folder, name))),
    [],
  );
  assert.match((await build('--report', 'test=x')).stderr, /use "STAGE:\/PATH=FOLDER"/u);
  sandbox.files({ Dockerfile: gated(0, 'NOTHING-LIKE-IT\n') });
  assert.match((await build('--report', 'test:/=./unread')).stderr, /^report test:\/: not written, as its stage was not reached$/mu);
  assert.equal(existsSync(join(folder, 'unread')), false);
  sandbox.files({ Dockerfile: gated(0, '# jettison:gate\n') });
  assert.equal((await build()).status, 0);
  assert.notEqual(await image(), moved);
  assert.equal((await sandbox.jettison(['run', '--rm', 'gated', 'test', '-e', '/out'])).status, 1, 'nothing of a gate is in the image');
});

test('gates run beside what is built, for each platform; stages that nobody asked for are named once, with the reason', async () => {
  const native = 'FROM --platform=$BUILDPLATFORM';
  await using sandbox = await openProject(
    `${native} busybox AS build\nARG TARGETARCH\n# jettison:gate\nFROM build AS test\n${meet('gate-$TARGETARCH', 'payload-$TARGETARCH')}FROM build AS lint\n# jettison:gat\nRUN exit 3\nFROM build AS plain\n${native} build AS release\nARG TARGETARCH\n${meet('payload-$TARGETARCH', 'gate-$TARGETARCH')}`,
  );
  const { context, folder } = sandbox;
  const words = ['build', '--platform', 'linux/amd64,linux/arm64', '--report', 'test:/out=rep', context];
  // Each waits for the other: one after the other, none would end.
  const { status, stderr } = await sandbox.jettison(words, { cwd: folder });
  assert.equal(status, 0, stderr);
  assert.deepEqual(
    ['amd64', 'arm64'].map((name) => readFileSync(join(folder, `rep/linux_${name}/name`), 'utf8')),
    ['amd64\n', 'arm64\n'],
  );
  const line = 'not built: lint (Dockerfile:6): not needed for "release"; build it with --target lint or as a gate (--gate lint)';
  assert.deepEqual(
    stderr.split('\n').filter((each) => each.startsWith('not built')),
    [line],
  );
  assert.match(stderr, /^ - UnknownMark: .*did you mean "jettison:gate"\?.*\(line 7\)$/mu);
  assert.doesNotMatch((await sandbox.jettison(words, { cwd: folder })).stderr, /not built/u, 'it was said');
  assert.match(await sandbox.succeed(['plan', context]), new RegExp(`^not built: lint `, 'mu'));
  const planned: unknown = JSON.parse(await sandbox.succeed(['plan', '--gate', 'none', '--format', 'json', context]));
  assert.deepEqual(pick(planned, ['unbuilt']), {
    unbuilt: [
      { stage: 'test', file: 'Dockerfile', line: 4, runs: true, reason: 'gates are left out (--gate none)' },
      { stage: 'lint', file: 'Dockerfile', line: 6, runs: true, reason: 'not needed for "release"' },
      { stage: 'plain', file: 'Dockerfile', line: 9, runs: false, reason: 'not needed for "release"' },
    ],
  });
  const lint = await sandbox.jettison(['build', '--gate', 'none,lint', '--progress=rawjson', context]);
  assert.equal(lint.status, 1, 'a gate that fails');
  assert.doesNotMatch((await sandbox.jettison(['build', '-q', '--target', 'build', '--no-cache', context])).stderr, /not built/u);
  const nameless = sandbox.files({ Dockerfile: 'FROM busybox AS test\nRUN true\nFROM busybox\n' }, 'nameless');
  assert.match(await sandbox.succeed(['plan', nameless]), /^not built: test \(Dockerfile:1\): not needed for the last stage; /mu);
});

test('debug opens a stage by name, or as it is behind a line, cached or not, and brings a shell where there is none', async () => {
  await using sandbox = await openProject(
    'FROM busybox AS build\nARG WHO\nENV COLOR=red\nWORKDIR /work\nRUN echo $WHO > one\nENV COLOR=blue\nRUN echo two > two\nFROM scratch\nCOPY --from=build /work /\nUSER 7\n',
  );
  const { context, folder } = sandbox;
  const inPlace = async (...words: string[]) => {
    const done = await sandbox.jettison(['debug', ...words], { cwd: context });
    return `${done.stdout}${done.status ?? ''}`;
  };
  assert.match(
    (await sandbox.jettison(['debug', 'build'], { cwd: context })).stderr,
    /is not in the cache.*\nBuild it: jettison build --target build/u,
  );
  // Asked for in another folder, and in the words of that build from then on.
  await sandbox.succeed(['build', '--build-arg', 'WHO=me', 'context'], { cwd: folder });
  await sandbox.succeed(['build', '--build-arg', 'WHO=me', 'context'], { cwd: folder });
  readDocument('debug', await sandbox.succeed(['debug', '--json', 'build'], { cwd: context }));
  assert.equal(await inPlace('build', '--', 'sh', '-c', 'pwd; ls; echo $COLOR; cat one'), '/work\none\ntwo\nblue\nme\n0');
  assert.equal(await inPlace('build:5', 'sh', '-c', 'ls; echo $COLOR; exit 3'), 'one\nred\n3');
  assert.equal(await inPlace('Dockerfile:4', 'ls'), '0');
  assert.equal(await inPlace('1', 'nothing'), '127');
  const borrowed = await sandbox.jettison(['debug', '1'], { cwd: context, input: 'cat /two; id -u; exit 6\n' });
  assert.equal(borrowed.stdout, 'two\n7\n', borrowed.stderr);
  assert.equal(borrowed.status, 6);
  assert.match(borrowed.stderr, /no shell in these files/u);
  assert.match((await sandbox.jettison(['debug', 'nowhere'], { cwd: context })).stderr, /Stages are: build, 1;/u);
  sandbox.files({ Dockerfile: 'FROM busybox AS build\nRUN echo changed\n' });
  assert.match((await sandbox.jettison(['debug', 'build'], { cwd: context })).stderr, /"RUN echo changed" would have to run first/u);
  // Nobody writes a secret down.
  await sandbox.succeed(['build', '--build-arg', 'API_TOKEN=t0ken-of-mine', 'context'], { cwd: folder });
  assert.deepEqual(await filesWith(sandbox.store, 't0ken-of-mine'), []);
});

test('a bundle takes a failed step to another machine: its files, its mounts, its exit code, and no secret', async () => {
  await using sandbox = await openProject(`FROM busybox AS tools
RUN echo tool > /tool
FROM busybox
ENV COLOR=red
ARG API_TOKEN
RUN --security=insecure --mount=type=bind,from=tools,target=/t --mount=type=bind,source=given,target=/g --mount=type=secret,id=key \\
    mkdir /out && cat /t/tool /g > /out/both && exit 42
`);
  sandbox.files({ key: 'k3y-of-the-house-of-cards' }, '.');
  sandbox.files({ '.env': 'what nobody asked for' });
  const { folder } = sandbox;
  const words = [
    'build',
    '--secret',
    'id=key,src=key',
    '--build-arg',
    'API_TOKEN=t0ken-of-mine',
    '--allow',
    'security.insecure',
    'context',
  ];
  assert.match((await sandbox.jettison(words, { cwd: folder })).stderr, /exit code: 42/u);
  await sandbox.succeed(['debug', '--bundle', 'step.tar.zst'], { cwd: folder });
  const bytes = zstdDecompressSync(readFileSync(join(folder, 'step.tar.zst'))).toString('latin1');
  assert.match(bytes, /jettison\.failed-step/u);
  assert.doesNotMatch(bytes, /k3y-of-the-house|t0ken-of-mine|what nobody asked for/u);
  assert.deepEqual(await filesWith(sandbox.store, 't0ken-of-mine'), []);

  await using other = await openSandbox();
  const file = join(folder, 'step.tar.zst');
  assert.match(
    (await other.jettison(['debug', '--open', file])).stderr,
    /^It ran with "--security=insecure"; .*\n@fail is now: RUN .*, which ended with 42$/mu,
  );
  const bounds = ['debug', '@fail', 'grep', 'CapBnd', '/proc/self/status'];
  assert.notEqual(await other.succeed(bounds), await sandbox.succeed(bounds), 'nobody here allowed it what it had there');
  assert.equal(await other.succeed(['diff', '@fail']), 'A /out\nA /out/both\n');
  const looked = await other.jettison(['debug', '@fail', '--', 'sh', '-c', 'cat /out/both /t/tool /g; echo; echo $COLOR; exit 6']);
  assert.equal(looked.stdout, 'tool\ngiventool\ngiven\nred\n', looked.stderr);
  assert.equal(looked.status, 6);
  assert.match(looked.stderr, /never kept: API_TOKEN/u);
  assert.equal((await other.jettison(['debug', '--again'])).status, 42);
  assert.equal((await other.jettison(['resume'])).status, 1);
  assert.equal(await other.succeed(['images', '-q', '-a']), '');
  await other.succeed(['builder', 'prune', '-f', '--filter', 'until=24h']);
  assert.equal((await other.jettison(['debug', '--again'])).status, 42, 'nothing of it is garbage');
  await assertNothingLeft(other);
  await assertTidySnapshots(other.store);
  other.files({ 'no-bundle': 'x' }, '.');
  assert.equal((await other.jettison(['debug', '--open', 'no-bundle'])).status, 1);
});

test('the state of a failed step goes with a prune of all, and its record with it', async () => {
  await using sandbox = await openProject();
  await sandbox.jettison(['build', sandbox.context]);
  assert.match(await sandbox.succeed(['builder', 'du', '--verbose']), /left by a step that failed: RUN/u);
  await sandbox.succeed(['builder', 'prune', '-a', '-f']);
  assert.match(
    (await sandbox.jettison(['debug', '@fail', 'true'])).stderr,
    /RUN .*, and of that nothing is kept\nWhat a RUN left is kept until .* the build cache is pruned/u,
  );
  assert.doesNotMatch(await sandbox.succeed(['builder', 'du', '--verbose']), /left by/u);
});

/** A RUN that ends when the other one has begun. */
function meet(own: string, other: string): string {
  return `RUN --mount=type=cache,target=/m touch /m/${own}; i=0; until test -e /m/${other}; do i=$((i+1)); test $i -lt 3000 || exit 9; sleep 0.1; done; mkdir /out; echo $TARGETARCH > /out/name\n`;
}

function gated(code: number, marked: string): string {
  return `FROM busybox AS build\nRUN echo one > /one\n${marked}FROM build AS test\nRUN mkdir /out && echo '<junit/>' > /out/junit.xml && exit ${code}\nFROM build\nRUN echo ${code} > /two\n`;
}

function byPath(one: string, other: string): number {
  return one.slice(2) < other.slice(2) ? -1 : 1;
}

function pick(value: unknown, names: readonly string[]): unknown {
  return Object.fromEntries(Object.entries(Object(value) as object).filter(([name]) => names.includes(name)));
}

/** Files of a store whose bytes hold the text, when it has been tended: until then what a step wrote that is not kept stands in the trash. */
async function filesWith(store: string, text: string): Promise<readonly string[]> {
  await assertTidySnapshots(store);
  return readdirSync(store, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => readFileSync(path).includes(text));
}

test('a later build of which nothing is kept is told of; one that came as a stream is looked into from where it was typed', async () => {
  await using sandbox = await openProject('FROM busybox AS first\nRUN echo first > /first\nFROM busybox\nCOPY --from=first /nothing /\n');
  const build = async (...words: readonly string[]): Promise<void> => {
    const done = await sandbox.jettison(['build', ...words], { cwd: sandbox.context });
    assert.equal(done.status, 1, done.stderr);
  };
  const look = async (...words: readonly string[]): Promise<readonly [number | null, string, string]> => {
    const { status, stdout, stderr } = await sandbox.jettison(words, { cwd: sandbox.context });
    return [status, stdout, stderr.split('\n')[0] ?? ''];
  };
  await build('.');
  const nothing = 'The last build failed at "COPY --from=first /nothing / (Dockerfile:4)", and of that nothing is kept';
  for (const words of [['debug', '--', 'true'], ['diff', '@fail'], ['resume']])
    assert.deepEqual(await look(...words), [1, '', `ERROR: ${nothing}`]);
  assert.deepEqual(await look('debug', 'first', '--', 'cat', '/first'), [0, 'first\n', '']);

  sandbox.files({ 'Dockerfile.runs': 'FROM busybox\nRUN echo in a file > /what; exit 3\n' });
  await build('-f', 'Dockerfile.runs', '.');
  assert.deepEqual(await look('debug', '--', 'cat', '/what'), [0, 'in a file\n', '']);
  await build('.');
  const older = `${nothing}: @fail is of a build before it, RUN echo in a file > /what; exit 3 (Dockerfile.runs:2)`;
  assert.deepEqual(await look('debug', '--', 'cat', '/what'), [0, 'in a file\n', older]);
  assert.deepEqual(await look('diff', '@fail'), [0, 'A /what\n', older]);
  const elsewhere = await sandbox.jettison(['debug', '--', 'cat', '/what'], { cwd: sandbox.files({ empty: '' }, 'elsewhere') });
  assert.equal(elsewhere.stdout, 'in a file\n');
  assert.match(
    elsewhere.stderr,
    /^No failed step of this folder is kept: @fail is of another build \(.*\/Dockerfile\.runs\), RUN echo in a file/u,
  );

  const streamed = await sandbox.jettison(['build', '-'], {
    cwd: sandbox.context,
    input: 'FROM busybox\nRUN echo of a stream > /what; exit 4\n',
  });
  assert.equal(streamed.status, 1);
  assert.deepEqual(await look('debug', '--', 'cat', '/what'), [0, 'of a stream\n', '']);
  // It cannot be asked for again: no other build is, either.
  assert.match((await look('resume'))[2], /RUN echo of a stream .* cannot be asked for again/u);
});
