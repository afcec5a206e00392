/** What `npm pack` makes, installed as a stranger would: the bundle finds its own worker, threads and caretaker. */
import { after, before, test, type TestContext } from 'node:test';
import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { tendMark } from '#stores/snapshot/start-tending.ts';
import { startDockerRegistry } from '#test/kit/docker-registry.ts';
import { installPacked, packedEnvironment } from '#test/kit/packed.ts';
import { openSandbox, runCommand, type Finished, type Sandbox } from '#test/kit/sandbox.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const environment = packedEnvironment;
const folder = mkdtempSync(join(tmpdir(), 'jettison-package-'));
const prefix = join(folder, 'a prefix');
const installed = join(prefix, 'node_modules/.bin/jettison');
let tarball = '';

before(async () => {
  ({ tarball } = await installPacked(folder));
});
after(() => rmSync(folder, { recursive: true, force: true }));

/** The installed command with a sandbox's store. */
async function run(sandbox: Sandbox, ...words: readonly string[]): Promise<string> {
  const done = await call(sandbox, ...words);
  assert.equal(done.status, 0, `jettison ${words.join(' ')}\n${done.stdout}\n${done.stderr}`);
  return done.stdout;
}

async function call(sandbox: Sandbox, ...words: readonly string[]): Promise<Finished> {
  return await runCommand(installed, words, { cwd: sandbox.folder, environment: { ...environment, ...sandbox.environment } });
}

test('the package holds the bundle and what it must say, and brings one dependency', () => {
  const files = readdirSync(join(prefix, 'node_modules/jettison'));
  assert.deepEqual(new Set(files), new Set(['LICENSE', 'README.md', 'dist', 'docs', 'package.json']));
  const schemas = readdirSync(join(prefix, 'node_modules/jettison/docs/schemas'));
  assert.ok(schemas.includes('check.schema.json'), schemas.join());
  const packages = readdirSync(join(prefix, 'node_modules')).filter((name) => !name.startsWith('.'));
  assert.deepEqual(new Set(packages), new Set(['@koromix', 'jettison', 'koffi']));
});

test('the file of --env-file is not read by Node, which looks for that word anywhere', async () => {
  await using sandbox = await openSandbox();
  writeFileSync(join(sandbox.folder, 'values'), 'JETTISON_STORE=/nonexistent\n');
  const listed = await call(sandbox, 'images', '--env-file', join(sandbox.folder, 'values'));
  assert.deepEqual([listed.status, listed.stderr.split('\n')[0]], [125, 'unknown flag: --env-file']);
  const missing = await call(sandbox, 'run', '--env-file', 'missing', 'busybox');
  assert.equal(missing.status, 125);
  assert.match(missing.stderr, /^ERROR: "--env-file missing": /mu);
});

test('the installed command builds, runs, pushes, pulls, saves and loads', async () => {
  await using sandbox = await openSandbox();
  await using registry = await startDockerRegistry();
  await sandbox.base('busybox');
  const many = Object.fromEntries(Array.from({ length: 700 }, (_, index) => [`many/${index}`, `${index}`]));
  const context = sandbox.files({
    // RUN: worker and runtime. 700 files: the file thread. Push: the layer threads.
    Dockerfile:
      'FROM busybox AS build\nCOPY many /many\nRUN ls /many | wc -l > /count\nFROM busybox\nCOPY --from=build /many /many\nCOPY --from=build /count /\nCMD ["cat", "/count"]\n',
    ...many,
  });
  const name = `${registry.host}/counted:1`;
  await run(sandbox, 'build', '-t', name, context);
  assert.equal(await run(sandbox, 'run', '--rm', name), '700\n');
  const untended = join(sandbox.store, 'snapshots', tendMark);
  for (let tries = 0; tries < 3000 && existsSync(untended); tries++) await new Promise((resolve) => setTimeout(resolve, 100));
  assert.ok(!existsSync(untended), 'the caretaker came');
  await run(sandbox, 'push', name);
  const archive = join(sandbox.folder, 'counted.tar');
  await run(sandbox, 'save', '-o', archive, name);

  await using other = await openSandbox();
  await run(other, 'pull', name);
  assert.equal(await run(other, 'run', '--rm', name), '700\n');
  assert.match(await run(other, 'images', '-q'), /^[0-9a-f]{12}\n$/u);
  await using third = await openSandbox();
  await run(third, 'load', '-i', archive);
  assert.equal(await run(third, 'run', '--rm', name), '700\n');
  // Its monitor is a program of the bundle, too.
  await run(third, 'run', '-d', '--name', 'counted', name);
  assert.equal(await run(third, 'wait', 'counted'), '0\n');
  assert.equal(await run(third, 'logs', 'counted'), '700\n');
  assert.match((await call(third, 'run', 'scratch')).stderr, /reserved/u);
});

test('the library is found, typed for strict compilers, and loads nothing of Node', async () => {
  const example = /```js\n([\s\S]*?)```\n\nprints\n\n```text\n([\s\S]*?)```/u.exec(readFileSync(join(root, 'docs/library.md'), 'utf8'));
  const [, script = '', printed = ''] = example ?? [];
  writeFileSync(join(prefix, 'example.mjs'), script);
  const done = await runCommand(process.execPath, ['example.mjs'], { cwd: prefix, environment });
  assert.equal(done.stdout.trimEnd(), printed.trimEnd(), done.stderr);
  writeFileSync(
    join(prefix, 'consumer.ts'),
    `import { lintDockerfile, parseDockerfile, printDockerfile, type Diagnostic, type Instruction } from 'jettison';
const { dockerfile, diagnostics } = parseDockerfile('FROM a', { file: 'x' });
const all: readonly Diagnostic[] = [...diagnostics, ...lintDockerfile('FROM a', { buildArgs: { A: '1' }, platform: 'linux/arm64' })];
function nameOf(instruction: Instruction): string {
  return instruction.kind === 'run' && instruction.command.form === 'shell' ? instruction.command.text.text : instruction.keyword.text;
}
const offset: number | undefined = all[0]?.spans[0]?.start.offset;
export const text: string = printDockerfile(dockerfile) + dockerfile.stages.map(({ from }) => nameOf(from)).join() + offset;
// @ts-expect-error a kind that there is not
export const wrong = (instruction: Instruction): boolean => instruction.kind === 'runs';
`,
  );
  for (const resolution of [
    ['--module', 'nodenext'],
    ['--module', 'esnext', '--moduleResolution', 'bundler'],
  ]) {
    const words = ['--noEmit', '--strict', '--target', 'es2022', '--lib', 'es2022', '--types', '', ...resolution, 'consumer.ts'];
    const compiled = await runCommand(join(root, 'node_modules/.bin/tsc'), words, { cwd: prefix, environment });
    assert.equal(compiled.status, 0, compiled.stdout);
  }
  assert.doesNotMatch(
    readFileSync(join(prefix, 'node_modules/jettison/dist/library.js'), 'utf8'),
    /^import |\brequire\(|['"]node:|\bBuffer\.|\bprocess\./mu,
  );
});

const fixtures = join(root, 'test/fixtures/library');

test('the functions of the store have types for strict compilers that look into declarations, for both kinds of modules', async () => {
  const names = ['store-consumer.mts', 'store-consumer.cts'];
  for (const name of names) writeFileSync(join(prefix, name), readFileSync(join(fixtures, 'consumer.ts')));
  const strict = ['--noEmit', '--strict', '--exactOptionalPropertyTypes', '--skipLibCheck', 'false', '--module', 'nodenext'];
  const libraries = [
    '--target',
    'es2022',
    '--lib',
    'es2022,esnext.disposable',
    '--typeRoots',
    join(root, 'node_modules/@types'),
    '--types',
    'node',
  ];
  const compiled = await runCommand(join(root, 'node_modules/.bin/tsc'), [...strict, ...libraries, ...names], { cwd: prefix, environment });
  assert.equal(compiled.status, 0, compiled.stdout);
});

function badOption(name: string, what: string): readonly string[] {
  return ['library/bad-option', `Bad option "${name}": ${what}`];
}

test('another program builds and asks in its own process, which stays as it was', async () => {
  await using sandbox = await openSandbox();
  await using registry = await startDockerRegistry();
  await sandbox.base('busybox');
  const base = `${registry.host}/busybox`;
  await sandbox.succeed(['tag', 'busybox', base]);
  await sandbox.succeed(['push', '-q', base]);
  await sandbox.succeed(['rmi', base, 'busybox']);
  const context = sandbox.files({
    Dockerfile: `FROM ${base} AS build\nARG WORD\nRUN echo $WORD && echo of a stage > /out\nFROM ${base}\nCOPY --from=build /out /out\nENTRYPOINT ["/nothing"]\n`,
    'Dockerfile.fails': `FROM ${base}\nRUN mkdir /made && echo kept > /made/file && exit 3\n`,
  });
  writeFileSync(join(prefix, 'host.mjs'), readFileSync(join(fixtures, 'host.mjs')));
  const words = ['host.mjs', sandbox.store, context, base];
  const done = await runCommand(process.execPath, words, { cwd: prefix, environment: { ...environment, ...sandbox.environment } });
  assert.deepEqual([done.status, done.stderr], [0, '']);
  const told: unknown = JSON.parse(done.stdout);
  const step = { version: 1, line: 2, exitCode: 3, keeps: { written: true, reason: null } };
  const ended = ['base/cancelled', 'Cancelled by its AbortSignal', null, null];
  const closed = ['library/closed', 'The store was closed', null, null];
  assert.partialDeepStrictEqual(told, {
    left: [],
    children: [],
    untouched: true,
    openStore: true,
    built: {
      image: { isKept: true },
      names: ['docker.io/library/made:latest'],
      steps: { total: 3, cached: 0 },
      ledgers: [{ version: 1, files: [] }],
      hidden: [],
      targets: [],
    },
    kinds: ['output', 'transfer', 'vertex', 'vertex-finished', 'vertex-started'],
    output: 'said\n',
    check: { version: 1, findings: [{ rule: 'missing-program', root: 'ENTRYPOINT' }] },
    blame: { version: 1, known: true, origins: [{ kind: 'run', stage: 'build' }], files: [{ path: '/out', kind: 'file', bytes: 11 }] },
    ledger: { version: 1, names: ['made:latest'], files: [{ path: '/out', origin: { stage: 'build' } }] },
    targets: [
      ['build', ['docker.io/library/first:latest']],
      ['1', ['docker.io/library/second:latest']],
    ],
    context: { version: 1, contexts: [{ name: 'context' }] },
    plan: { version: 1, steps: [{ state: 'cached' }, { state: 'cached' }, { state: 'cached' }] },
    why: { version: 1, status: 'done' },
    record: { Version: 1, NumTotalSteps: 3 },
    entrypoint: ['/nothing'],
    images: [[{ repository: 'made', tag: 'latest' }], []],
    noFailure: true,
    failures: [
      ['ops/process-failed'],
      badOption('secrets.key', 'it is not of the type that it has to have'),
      badOption('tag', 'there is no such option'),
      badOption('targets', '"tags" is given, too'),
      ['engine/budget'],
      ['image/not-found'],
    ],
    failedStep: step,
    diff: {
      version: 1,
      changes: [
        { kind: 'added', path: '/made' },
        { kind: 'added', path: '/made/file' },
      ],
    },
    file: 'kept\n',
    fileFailures: [['library/not-a-file'], ['library/too-large'], ['engine/no-such-path']],
    ranOnce: [1, 2],
    cancelled: [ended, ended, ended, ended, 'Error: of the host', closed, closed],
  });
});

test('npx runs the tarball in an empty folder', async () => {
  await using sandbox = await openSandbox();
  const words = ['--yes', '--package', tarball, 'jettison', 'version'];
  const done = await runCommand('npx', words, { cwd: sandbox.folder, environment: { ...environment, ...sandbox.environment } });
  assert.equal(done.status, 0, done.stderr);
  assert.match(done.stdout, /0\.1\.0/u);
});

test('compiled code is kept, and kept code that is damaged, cut off or cannot be written does no harm', async () => {
  await using sandbox = await openSandbox();
  const home = join(sandbox.folder, 'home');
  const version = async (caches: string): Promise<Finished> =>
    await runCommand(installed, ['version'], {
      cwd: sandbox.folder,
      environment: { ...environment, ...sandbox.environment, XDG_CACHE_HOME: caches },
    });
  const first = await version(home);
  assert.equal(first.status, 0, first.stderr);
  const compiled = join(home, 'jettison/compile');
  const chunks = join(compiled, readdirSync(compiled).find((name) => name.startsWith('chunks-')) ?? '');
  const kept = readdirSync(chunks).map((name) => join(chunks, name));
  assert.ok(kept.length > 1, 'nothing was kept');
  const whole = kept.map((file) => readFileSync(file));
  const damages: readonly ((data: Buffer) => Uint8Array)[] = [
    (data) => data.map((byte, index) => (index > 40 && index % 7 === 0 ? byte ^ 0xff : byte)),
    (data) => data.subarray(0, data.length / 2),
    () => new Uint8Array(),
  ];
  for (const damage of damages) {
    const damaged = whole.map(damage);
    for (const [index, file] of kept.entries()) writeFileSync(file, damaged[index] ?? '');
    assert.deepEqual([(await version(home)).status, (await version(home)).stdout], [0, first.stdout]);
    const replaced = kept.map((file) => readFileSync(file));
    for (const [index, file] of kept.entries())
      assert.ok(!replaced[index]?.equals(damaged[index] ?? new Uint8Array()), `${file} was not replaced`);
    // What is there now is taken: else it would be written anew. Two compilations of one text may differ by some bytes.
    const written = kept.map((file) => statSync(file).mtimeMs);
    assert.equal((await version(home)).stdout, first.stdout);
    assert.deepEqual(
      kept.map((file) => statSync(file).mtimeMs),
      written,
    );
  }
  // No folder can be made there.
  for (const place of [tarball, '/proc/jettison-nowhere']) assert.equal((await version(place)).status, 0);
});

test('what a build loads is kept together, and a pack that is damaged or cut off is made anew', async () => {
  await using sandbox = await openSandbox();
  const home = join(sandbox.folder, 'home');
  const context = sandbox.files({ Dockerfile: 'FROM scratch\nCOPY a /\n', a: 'a' });
  const build = async (): Promise<string> => {
    const around = { ...environment, ...sandbox.environment, XDG_CACHE_HOME: home };
    const done = await runCommand(installed, ['build', '-q', context], { cwd: sandbox.folder, environment: around });
    assert.deepEqual([done.status, done.stderr], [0, '']);
    return done.stdout;
  };
  const first = await build();
  const chunks = join(
    home,
    'jettison/compile',
    readdirSync(join(home, 'jettison/compile')).find((name) => name.startsWith('chunks-')) ?? '',
  );
  const packs = () => readdirSync(chunks).filter((name) => name.endsWith('.pack'));
  assert.deepEqual(
    packs().map((name) => name.replace(/-[\w-]{8}\.cjs/u, '')),
    ['main.build.pack', 'worker.pack'],
  );
  const file = join(chunks, packs().find((name) => name.startsWith('main')) ?? '');
  const withoutCode = statSync(file).size;
  for (let round = 0; round < 4; round++) assert.equal(await build(), first);
  const whole = readFileSync(file);
  assert.ok(whole.length > withoutCode * 1.5, 'no code was kept');
  assert.equal(await build(), first);
  assert.deepEqual(readFileSync(file), whole, 'what has been learnt is not written again');
  for (const damaged of [
    whole.map((byte, index) => (index === whole.length >> 1 ? byte ^ 1 : byte)),
    whole.subarray(0, 20),
    whole.subarray(0, 8),
  ]) {
    writeFileSync(file, damaged);
    assert.equal(await build(), first);
    assert.ok(statSync(file).size <= withoutCode, 'it was not made anew');
    assert.equal(await build(), first);
    assert.ok(statSync(file).size > withoutCode * 1.5);
  }
  // Of another boot, with the time that it had: what a power cut leaves. All of it is looked at.
  for (let round = 0; round < 3; round++) assert.equal(await build(), first);
  const [sound, { mtime }] = [readFileSync(file), statSync(file)];
  const ofOtherBoot = (bytes: Uint8Array): void => {
    writeFileSync(file, Uint8Array.from(bytes).fill(0x78, 8, 44));
    utimesSync(file, mtime, mtime);
  };
  ofOtherBoot(sound);
  assert.equal(await build(), first);
  assert.deepEqual(readFileSync(file).subarray(8), sound.subarray(8), 'what is sound is of this boot from now on');
  ofOtherBoot(sound.map((byte, index) => (index === sound.length >> 1 ? byte ^ 1 : byte)));
  assert.equal(await build(), first);
  assert.ok(statSync(file).size <= withoutCode, 'it was not made anew');
});

test('kept code that others may have planted is neither read nor replaced', async () => {
  await using sandbox = await openSandbox();
  const home = join(sandbox.folder, 'home');
  const around = { ...environment, ...sandbox.environment, XDG_CACHE_HOME: home };
  const version = async () => await runCommand(installed, ['version'], { cwd: sandbox.folder, environment: around });
  const { stdout } = await version();
  const chunks = chunkFolder(home);
  const planted = new Uint8Array(12);
  for (const name of readdirSync(chunks)) writeFileSync(join(chunks, name), planted);
  const others: readonly ((place: string) => void)[] = [(place) => chmodSync(place, 0o777), (place) => chownSync(place, 12345, 12345)];
  for (const makeTheirs of process.geteuid?.() === 0 ? others : others.slice(0, 1)) {
    chmodSync(chunks, 0o700);
    makeTheirs(chunks);
    assert.equal((await version()).stdout, stdout);
    for (const name of readdirSync(chunks)) assert.equal(statSync(join(chunks, name)).size, planted.length, name);
  }
});

test('kept code that was not written for long goes when a version is new, and nothing else does', async () => {
  await using sandbox = await openSandbox();
  const home = join(sandbox.folder, 'home');
  const context = sandbox.files({ Dockerfile: 'FROM scratch\nCOPY a /\n', a: 'a' });
  const build = async (): Promise<void> => {
    const around = { ...environment, ...sandbox.environment, XDG_CACHE_HOME: home };
    const done = await runCommand(installed, ['build', '-q', context], { cwd: sandbox.folder, environment: around });
    assert.equal(done.status, 0, done.stderr);
  };
  await build();
  const chunks = chunkFolder(home);
  const compiled = dirname(chunks);
  mkdirSync(join(compiled, 'chunks-v1.0.0-x64'));
  const [old, another, young] = [join(chunks, 'old.cjs'), join(compiled, 'another'), join(chunks, 'young.cjs')];
  for (const file of [join(compiled, 'chunks-v1.0.0-x64/a.cjs'), old, another, young]) writeFileSync(file, '');
  const longAgo = Date.now() / 1000 - 31 * 24 * 3600;
  for (const path of [old, another, join(compiled, 'chunks-v1.0.0-x64')]) utimesSync(path, longAgo, longAgo);
  await build();
  assert.ok(existsSync(old), 'at any time');
  for (const name of readdirSync(chunks).filter((one) => one.endsWith('.pack'))) rmSync(join(chunks, name));
  await build();
  assert.deepEqual([old, another, young, join(compiled, 'chunks-v1.0.0-x64')].map(existsSync), [false, true, true, false]);
});

function chunkFolder(home: string): string {
  const compiled = join(home, 'jettison/compile');
  return join(compiled, readdirSync(compiled).find((name) => name.startsWith('chunks-')) ?? '');
}

/** What a command takes of the processor, the least of five, in milliseconds: what else the machine does is no fault of it. */
async function leastWork(command: string, words: readonly string[], around: Readonly<Record<string, string>>): Promise<number> {
  let least = Infinity;
  for (let times = 0; times < 5; times++) {
    const timed = ['-c', 'TIMEFORMAT="%U %S"; time "$@" 2>&1', 'bash', command, ...words];
    const done = await runCommand('bash', timed, { cwd: folder, environment: { ...environment, ...around } });
    assert.equal(done.status, 0, done.stdout);
    const [user = 0, system = 0] = done.stderr.trim().split(' ').map(Number);
    least = Math.min(least, (user + system) * 1000);
  }
  return least;
}

test('starting is quick', async (context: TestContext) => {
  await using sandbox = await openSandbox();
  await sandbox.base('busybox');
  const folderOf = sandbox.files({ Dockerfile: 'FROM busybox\nCOPY a /\nRUN cat a\n', a: 'a' });
  await run(sandbox, 'build', '-t', 'quick', folderOf);
  const node = await leastWork(process.execPath, ['-e', '0'], {});
  const version = await leastWork(installed, ['--version'], sandbox.environment);
  const rebuild = await leastWork(installed, ['build', '-t', 'quick', folderOf], sandbox.environment);
  context.diagnostic(
    `node ${node.toFixed(0)} ms, --version ${version.toFixed(0)} ms, build where nothing changed ${rebuild.toFixed(0)} ms`,
  );
  assert.ok(node > 0 && version > 0 && rebuild > version);
  assert.ok(version < node * 4 + 50, `--version took ${version} ms, node alone ${node} ms`);
  assert.ok(rebuild < node * 8 + 100, `a build where nothing changed took ${rebuild} ms, node alone ${node} ms`);
});
