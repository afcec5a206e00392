/**
 * kill -9 of a builder and its parts, at moments spread over what it does (KILLS says how many): the next command works without repair and gives what an undisturbed
 * one gives, and nothing of the killed one is left then. In namespaces of its own, where every process is one of this test. The rows of docs/testing.md, "Faults".
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { openDatabase } from '#stores/db/open.ts';
import { assertTidySnapshots } from '#test/kit/aftermath.ts';
import { imageOf, tarOf } from '#test/kit/archives.ts';
import { startDockerRegistry, type DockerRegistry } from '#test/kit/docker-registry.ts';
import { listImage, readImage } from '#test/kit/image-listing.ts';
import { inOwnNamespaces } from '#test/kit/own-namespaces.ts';
import { addImage, sha256, startRegistry } from '#test/kit/registry.ts';
import { removeWithStore } from '#test/kit/remove-store.ts';
import { openSandbox, runCommand, type Sandbox } from '#test/kit/sandbox.ts';
import { mainFile, programPatterns } from '#test/kit/main-file.ts';

const show = process.env['SHOW'] !== undefined;
const kills = Number(process.env['KILLS'] ?? 12);

/** What is killed: all of the command at once, the process that the user started, or the worker. */
type Victim = 'group' | 'engine' | 'worker';
/** Commands of one round, given the folder of its files; all are done again after the kill. */
type Scene = {
  readonly name: string;
  readonly victims: readonly Victim[];
  /** Of the moments, in twelfths. */
  readonly share: number;
  readonly lines: (place: string) => readonly (readonly string[])[];
  /** What came of it, as text to compare. */
  readonly look: (place: string, run: Run) => Promise<string>;
  /** A name that must be none, or that of the whole image, after the kill. */
  readonly tag?: string;
};
type Run = (...words: readonly string[]) => Promise<string>;

type World = {
  readonly sandbox: Sandbox;
  readonly registry: DockerRegistry;
  readonly context: string;
  readonly archive: string;
};

async function prepare(sandbox: Sandbox, registry: DockerRegistry): Promise<World> {
  await sandbox.base('busybox');
  const base = sandbox.files({ Dockerfile: 'FROM busybox\nRUN head -c 1000000 /dev/urandom > /noise; seq 100000 > /numbers\n' }, 'base');
  await sandbox.succeed(['build', '-q', '-t', `${registry.host}/base:v1`, base]);
  await sandbox.succeed(['push', '-q', `${registry.host}/base:v1`]);
  const archive = join(sandbox.folder, 'base.tar');
  await sandbox.succeed(['save', '-o', archive, `${registry.host}/base:v1`]);
  const context = sandbox.files({
    Dockerfile: `FROM ${registry.host}/base:v1 AS a
COPY files /files
RUN for i in 1 2 3 4; do cp -r /files /copy$i; done; sleep 0.1
FROM ${registry.host}/base:v1
RUN --mount=type=cache,target=/c echo b > /b; touch /c/used; sleep 0.1
COPY --from=a /copy4 /copy
COPY files /files
CMD ["cat", "/b"]
`,
    ...Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`files/${index}`, `${index}`.repeat(100)])),
  });
  return { sandbox, registry, context, archive };
}

function scenesOf({ registry, context, archive }: World): readonly Scene[] {
  const pushed = (place: string): string => `${registry.host}/app:${place.split('/').at(-1) ?? ''}`;
  return [
    {
      name: 'build then push',
      victims: ['group', 'engine', 'worker'],
      share: 6,
      lines: (place) => [
        ['build', '-q', '-t', pushed(place), context],
        ['push', '-q', pushed(place)],
      ],
      look: async (place) => await listArchive(`docker://${pushed(place)}`, place),
    },
    {
      name: 'build -o',
      victims: ['group', 'engine'],
      share: 3,
      lines: (place) => [['build', '-q', '-t', 'app', '-o', `type=oci,dest=${place}/out/image.tar`, context]],
      look: async (place) => await listArchive(`oci-archive:${place}/out/image.tar`, place),
      tag: 'app',
    },
    {
      name: 'load',
      victims: ['group', 'engine', 'worker'],
      share: 1,
      lines: () => [['load', '-q', '-i', archive]],
      look: async (_, run) => await run('run', '--rm', `${registry.host}/base:v1`, 'sh', '-c', 'cat /noise /numbers | md5sum'),
    },
    {
      name: 'pull',
      victims: ['group', 'engine', 'worker'],
      share: 2,
      lines: () => [['pull', '-q', `${registry.host}/base:v1`]],
      look: async (_, run) => await run('run', '--rm', `${registry.host}/base:v1`, 'sh', '-c', 'cat /noise /numbers | md5sum'),
    },
  ];
}

/** Reads all of an image, checking digests, and lists it; compared without times, which differ. */
async function listArchive(source: string, place: string): Promise<string> {
  const file = join(place, `listed-${readdirSync(place).length}.tar`);
  const done = await runCommand('skopeo', ['copy', '-q', '--src-tls-verify=false', '--insecure-policy', source, `docker-archive:${file}`]);
  assert.equal(done.status, 0, done.stderr);
  const image = readImage(file);
  return listImage(image, { ...image, config: { ...image.config, rootfs: { diff_ids: ['none'] } } });
}

/** Starts the lines as one shell command in a process group of its own; gives its end, and what it said. */
function start(world: World, place: string, lines: Scene['lines']): { readonly pid: number; readonly ended: Promise<string> } {
  const script = lines(place)
    .map((words) => [process.execPath, mainFile, ...words].map((word) => `'${word}'`).join(' '))
    .join(' && ');
  const child = spawn('sh', ['-c', script], {
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    cwd: place,
    env: { ...process.env, ...environmentOf(world, place) },
  });
  const output: Uint8Array[] = [];
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Uint8Array) => output.push(chunk));
  assert.ok(child.pid !== undefined);
  return { pid: child.pid, ended: once(child, 'close').then(([code]) => `${String(code)} ${Buffer.concat(output).toString()}`) };
}

function environmentOf({ sandbox }: World, place: string): Readonly<Record<string, string>> {
  const home = join(place, 'home');
  return { ...sandbox.environment, JETTISON_STORE: join(place, 'store'), TMPDIR: join(place, 'tmp'), HOME: home, XDG_CACHE_HOME: home };
}

function makePlace({ sandbox }: World, name: string): string {
  const place = join(sandbox.folder, name);
  for (const folder of ['tmp', 'out', 'home']) mkdirSync(join(place, folder), { recursive: true });
  return place;
}

/** Ids of running processes, other than this one and zombies, by what they were started as. */
function running(): readonly { readonly id: number; readonly words: string }[] {
  assert.equal(process.pid, 1, 'these are all of this test');
  return (
    readdirSync('/proc')
      .filter((name) => /^\d+$/u.test(name) && name !== '1')
      .map((id) => ({ id: Number(id), words: readIfThere(`/proc/${id}/cmdline`).replaceAll('\0', ' ') }))
      // Who is just becoming another program has no words for a moment.
      .filter(({ id, words }) => !/\) [ZX] /u.test(readIfThere(`/proc/${id}/stat`)) && !words.startsWith('docker-registry'))
  );
}

function readIfThere(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return ''; // it has ended meanwhile
  }
}

function strike(victim: Victim, group: number): void {
  if (victim === 'group') process.kill(-group, 'SIGKILL');
  const pattern = programPatterns[victim === 'engine' ? 'engine' : 'worker'];
  const found = running().filter(({ words }) => pattern.test(words) && !words.startsWith('sh -c') && !/^(?:setpriv|unshare)/u.test(words));
  if (victim !== 'group') for (const { id } of found) process.kill(id, 'SIGKILL');
}

/** Removes what the runtime has written of its container, in the worker's mount namespace. */
function forgetContainer({ id, words }: { readonly id: number; readonly words: string }): void {
  for (const name of ['root', 'pid-file']) {
    const path = new RegExp(`--${name} (\\S+)`, 'u').exec(words)?.[1];
    assert.ok(path !== undefined, words);
    rmSync(join(`/proc/${id}/root`, path), { recursive: true, force: true });
  }
}

async function quiet(): Promise<void> {
  // What tends a store has the lowest priority.
  for (let round = 0; round < 6000 && running().length > 0; round++) await sleep(50);
  assert.deepEqual(running(), [], 'no process left');
}

/** Files that two processes need only when they meet, or while one has the database open; where containers are while they run. */
const sometimes = ['engine.db-wal', 'engine.db-shm', 'snapshots/snapshots.db-wal', 'snapshots/snapshots.db-shm', 'containers'];

/** Names in a store, but for the files of snapshots; what is different each time is left out of them. */
function shapeOf(store: string): readonly string[] {
  const names = readdirSync(store, { recursive: true, encoding: 'utf8' }).filter((path) => !/^snapshots\/[a-z]\/./u.test(path));
  return [...new Set(names.map((path) => path.replaceAll(/[0-9a-f]{8,}|\d+/gu, 'N')))].toSorted();
}

/** There is nothing in the store that is not in one whose commands were left alone. Little that a `run` gave up may lie in the trash until there is more; all else in there has a mark, which no store that was tended has. */
function assertTidyStore(store: string, good: readonly string[]): void {
  const known = new Set([...good, ...sometimes]);
  assert.deepEqual(
    shapeOf(store).filter((path) => !known.has(path) && !path.startsWith('snapshots/trash/')),
    [],
    'strange things in the store',
  );
}

/** What is left of the killed command, and of the one after it. */
async function assertNothingStays(world: World, place: string, good: readonly string[]): Promise<void> {
  await quiet();
  const store = join(place, 'store');
  assert.ok(!readFileSync('/proc/mounts', 'utf8').includes(store), 'no mount');
  await assertTidySnapshots(store);
  assertTidyStore(store, good);
  assert.deepEqual(readdirSync(join(place, 'tmp')), [], 'no temporary file');
  const drafts = readdirSync(join(place, 'out')).filter((name) => name !== 'image.tar');
  assert.deepEqual(drafts, [], 'no draft of the output');
  const strange = (): readonly string[] =>
    readdirSync(join(place, 'home'), { recursive: true, encoding: 'utf8' }).filter((name) =>
      // Chunks of the bundle have names of their own.
      name.endsWith('.cjs') ? false : /tmp|draft|new/u.test(name),
    );
  assert.deepEqual(strange(), [], 'no draft in the cache folder');
  assert.deepEqual(
    readdirSync(world.context).filter((name) => !['Dockerfile', 'files'].includes(name)),
    [],
  );
}

function tests(): void {
  test('K1, K9: kill -9 at any moment of build, push, -o, load and pull: the next one works and gives the same, and nothing is left', async () => {
    await using sandbox = await openSandbox();
    await using registry = await startDockerRegistry();
    const world = await prepare(sandbox, registry);
    for (const scene of scenesOf(world)) {
      const good = makePlace(world, `good-${scene.name.replaceAll(/\W/gu, '')}`);
      const runIn = (place: string): Run => {
        return async (...words) => await sandbox.succeed(words, { environment: environmentOf(world, place), cwd: place });
      };
      const before = performance.now();
      assert.match(await start(world, good, scene.lines).ended, /^0 /u);
      const whole = performance.now() - before;
      const expected = await scene.look(good, runIn(good));
      await quiet();
      const shape = shapeOf(join(good, 'store'));
      removeWithStore(good, join(good, 'store'));
      const count = Math.max(1, Math.round((kills * scene.share) / 12));
      for (let round = 0; round < count; round++) {
        const victim = scene.victims[round % scene.victims.length] ?? 'group';
        const at = (whole * (round + 0.5)) / count;
        const place = makePlace(world, `round-${round}`);
        const run = runIn(place);
        const begun = start(world, place, scene.lines);
        await sleep(at);
        try {
          strike(victim, begun.pid);
        } catch {
          // It had ended.
        }
        const said = await begun.ended;
        if (show)
          console.log(
            `${scene.name}: ${victim} after ${Math.round(at)} of ${Math.round(whole)} ms: ${said.trim().split('\n').slice(0, 2).join(' | ')}`,
          );
        await sleep(50);
        const output = join(place, 'out/image.tar');
        if (existsSync(output)) assert.equal(await listArchive(`oci-archive:${output}`, place), expected, 'no half of a file');
        if (scene.tag !== undefined && existsSync(join(place, 'store')) && (await run('images', '-q', scene.tag)) !== '')
          assert.equal(await run('run', '--rm', scene.tag), 'b\n');
        assert.match(await start(world, place, scene.lines).ended, /^0 /u);
        assert.equal(await scene.look(place, run), expected);
        await assertNothingStays(world, place, shape);
        await quiet();
        removeWithStore(place, join(place, 'store'));
      }
    }
  });

  test('K3: kill -9 while the database is written: it opens without repair and has the last transaction that was reported, or one more', async () => {
    await using sandbox = await openSandbox();
    const folder = sandbox.files({ go: '' }, 'databases');
    const migrations = ['CREATE TABLE item (number INTEGER PRIMARY KEY, half TEXT NOT NULL, text TEXT NOT NULL) STRICT'];
    const program = `
      const { openDatabase } = await import(${JSON.stringify(import.meta.resolve('#stores/db/open.ts'))});
      const { writeSync } = await import('node:fs');
      const database = openDatabase({ file: process.argv[1], migrations: ${JSON.stringify(migrations)} });
      const insert = database.prepare('INSERT INTO item (half, text) VALUES (?, ?)');
      let number = Number(database.prepare('SELECT count(*) AS n FROM item').get().n) / 2;
      for (;;) {
        database.transaction(() => { for (const half of ['one', 'other']) insert.run(half, 'x'.repeat(Math.random() * 9000)); });
        writeSync(1, ++number + '\\n');
      }`;
    const rounds = Math.ceil((kills * 200) / 60);
    for (let round = 0; round < rounds; round++) {
      // A few in a row on one file: a log that is long by then, and is worked off in between.
      const file = join(folder, `${Math.floor(round / 8)}.db`);
      const child = spawn(process.execPath, ['--input-type=module', '-e', program, file], { stdio: ['ignore', 'pipe', 'inherit'] });
      let said = '';
      child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text));
      await once(child.stdout, 'data');
      await sleep(Math.random() * 30);
      child.kill('SIGKILL');
      await once(child, 'close');
      using database = openDatabase({ file, migrations });
      assert.deepEqual(database.notes, []);
      assert.deepEqual(
        database
          .prepare('PRAGMA integrity_check')
          .all()
          .map((row) => row['integrity_check']),
        ['ok'],
      );
      const rows = Number(database.prepare('SELECT count(*) AS n FROM item').get()?.['n']);
      const last = Number(said.trimEnd().split('\n').at(-1));
      assert.ok(rows === 2 * last || rows === 2 * (last + 1), `${rows} rows, ${last} transactions`);
    }
  });

  test('K8: a pull that is killed in its third layer of five does not fetch the first two again', async () => {
    await using sandbox = await openSandbox();
    // Of long blobs one half is sent, and no more.
    await using registry = await startRegistry('stall');
    const layers = [100, 200, 400_000, 400_001, 400_002].map((size, index) => tarOf([[`file${index}`, 'file', randomBytes(size)]]));
    addImage(registry, 'app:v1', imageOf({ layers }));
    const name = `${registry.host}/app:v1`;
    const blobs = layers.map((layer) => sha256(layer));
    const isHere = (digest: string): boolean => existsSync(join(sandbox.store, 'content/blobs', digest.replace(':', '/')));
    const asked = (digest: string): number => registry.seen.filter(({ method, url }) => method === 'GET' && url.endsWith(digest)).length;
    const killed = await sandbox.jettison(['pull', '-q', name], {
      onStart: (child) =>
        void (async () => {
          while (!blobs.slice(0, 2).every(isHere) || asked(blobs[2] ?? '') === 0) await sleep(5);
          child.kill('SIGKILL');
        })(),
    });
    assert.equal(killed.signal, 'SIGKILL');
    assert.deepEqual(blobs.map(isHere), [true, true, false, false, false]);
    registry.fault = 'good';
    await sandbox.succeed(['pull', '-q', name]);
    assert.deepEqual(blobs.slice(0, 2).map(asked), [1, 1]);
    assert.deepEqual(readdirSync(join(sandbox.store, 'content/ingest')), []);
    await quiet();
  });

  for (const [what, pattern, says] of [
    ['only the runtime', /^\/usr\/(?:local\/)?bin\/(?:crun|runc) .* run /u, /(?:crun|runc) was killed by signal SIGKILL/u],
    [
      'only the runtime, before it writes down what it has started',
      /^\/usr\/(?:local\/)?bin\/(?:crun|runc) .* run /u,
      /(?:crun|runc) was killed by signal SIGKILL/u,
    ],
    ['only RUN’s init', /^\/?\S*sh -c sleep 4242/u, /killed by signal SIGKILL \(exit code 137\)/u],
    ['only the worker', new RegExp(`^\\S*node .*${programPatterns.worker.source}`, 'u'), /The worker process ended unexpectedly/u],
  ] as const) {
    test(`K2: kill -9 of ${what}: the step fails and says so, and nothing is left`, async () => {
      await using sandbox = await openSandbox();
      await sandbox.base('busybox');
      const next = sandbox.files({ Dockerfile: 'FROM busybox\nARG N\nRUN true $N\n' }, 'next');
      await sandbox.succeed(['build', '-q', next]);
      await quiet();
      const shape = shapeOf(sandbox.store);
      const context = sandbox.files({ Dockerfile: 'FROM busybox\nRUN sleep 4242; true\n' });
      let isOver = false;
      const killing = (async () => {
        while (!isOver) {
          const isAtWork = running().some(({ words }) => /^\/?\S*sh -c sleep 4242/u.test(words));
          const [found] = isAtWork ? running().filter(({ words }) => pattern.test(words)) : [];
          if (found !== undefined && what.includes('before')) forgetContainer(found);
          if (found !== undefined) return process.kill(found.id, 'SIGKILL');
          await sleep(20);
        }
        return false;
      })();
      const done = await sandbox.jettison(['build', '--progress', 'plain', context]);
      isOver = true;
      assert.ok(await killing, 'nobody was killed');
      if (show) console.log(done.stderr);
      assert.equal(done.status, 1, done.stderr);
      assert.match(done.stderr, says);
      assert.ok(!running().some(({ words }) => words.includes('4242')), 'the step has ended');
      await sandbox.succeed(['build', '-q', '--build-arg', 'N=2', next]);
      await quiet();
      await assertTidySnapshots(sandbox.store);
      assertTidyStore(sandbox.store, shape);
    });
  }
}

if (process.getuid?.() === 0) inOwnNamespaces(fileURLToPath(import.meta.url), tests);
else test('needs root', { skip: true }, () => {});
