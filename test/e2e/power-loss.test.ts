/**
 * The power is cut: what the store says is complete is, the next build works without repair, and nothing is left of what was lost.
 * In namespaces of its own: the disk is seen by nobody else, and whoever is killed before the cut is of this test.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { assertTidySnapshots } from '#test/kit/aftermath.ts';
import { imageOf, tarOf } from '#test/kit/archives.ts';
import { inOwnNamespaces } from '#test/kit/own-namespaces.ts';
import { hasLoopDevices, makeDisk, pretendReboot, type Disk } from '#test/kit/power-cut.ts';
import { addImage, sha256, startRegistry } from '#test/kit/registry.ts';
import { openSandbox, type Sandbox } from '#test/kit/sandbox.ts';

type World = AsyncDisposable & {
  readonly sandbox: Sandbox;
  readonly disk: Disk;
  readonly store: string;
  readonly environment: { readonly JETTISON_STORE: string };
  /** Until the power is cut nobody tends the store, so nothing is synced but what must be. */
  untended(): Promise<void>;
  /** Waits for the journal, so that names are on the disk and most bytes are not, and cuts the power. */
  cut(wait: number): Promise<void>;
};

async function openWorld(): Promise<World> {
  await using opened = new AsyncDisposableStack();
  const sandbox = opened.use(await openSandbox());
  const disk = opened.use(makeDisk(sandbox.folder));
  const store = join(disk.folder, 'store');
  let holder: ReturnType<typeof spawn> | undefined;
  const release = async (): Promise<void> => {
    if (holder === undefined) return;
    const ended = once(holder, 'exit');
    if (holder.pid !== undefined) process.kill(-holder.pid, 'SIGKILL');
    await ended;
    holder = undefined;
  };
  const endAll = async (): Promise<void> => {
    for (let round = 0; round < 2000; round++) {
      const left = usersOf(disk.folder).filter((id) => id !== holder?.pid);
      if (left.length === 0) return;
      for (const id of left) process.kill(id, 'SIGKILL');
      await sleep(50);
    }
  };
  opened.defer(async () => {
    await endAll();
    await release();
  });
  const resources = opened.move();
  return {
    sandbox,
    disk,
    store,
    environment: { JETTISON_STORE: store },
    async untended() {
      holder = spawn('flock', [join(store, 'snapshots/tending'), 'sh', '-c', 'echo held; exec sleep 1000'], {
        stdio: ['ignore', 'pipe', 'ignore'],
        detached: true,
      });
      if (holder.stdout) await once(holder.stdout, 'data');
    },
    async cut(wait) {
      await sleep(wait);
      // First those that wait for their turn to tend.
      await endAll();
      await release();
      disk.cut();
      if (existsSync(store)) pretendReboot(store);
    },
    [Symbol.asyncDispose]: async () => await resources.disposeAsync(),
  };
}

/** Processes that were told of the folder. Only those of the test's own PID namespace are seen at all. */
function usersOf(folder: string): readonly number[] {
  assert.equal(process.pid, 1);
  return readdirSync('/proc')
    .filter((name) => /^\d+$/u.test(name) && name !== '1')
    .filter((id) => ['cmdline', 'environ'].some((file) => readIfThere(`/proc/${id}/${file}`).includes(folder)))
    .map(Number);
}

function readIfThere(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return ''; // it has ended meanwhile
  }
}

async function tended({ store }: World): Promise<void> {
  for (let round = 0; round < 6000 && (usersOf(store).length > 0 || existsSync(join(store, 'snapshots/untended'))); round++)
    await sleep(50);
  assert.equal(existsSync(join(store, 'snapshots/untended')), false);
}

const dockerfile = (text: string): string =>
  `FROM busybox\nRUN echo ${text} > /${text}; for i in 1 2 3 4 5 6 7 8; do seq 1000 > /n$i; done\nCOPY file /file\n`;
/** When the power is cut, in milliseconds after the build, and what has reached the disk by then. */
const cuts: readonly (readonly [number, readonly string[]])[] = [
  [0, []],
  [1500, []],
  [0, ['engine.db', 'engine.db-wal']],
  [0, ['engine.db', 'engine.db-wal', 'snapshots/snapshots.db', 'snapshots/snapshots.db-wal']],
];
const listed = ['sh', '-c', 'cat /*/../n? /file | md5sum; ls /'];

/** Regular files of snapshots. */
function files(store: string): readonly { readonly path: string; readonly size: number }[] {
  return readdirSync(join(store, 'snapshots/s'), { recursive: true, withFileTypes: true }).flatMap((entry) => {
    const path = join(entry.parentPath, entry.name);
    return entry.isFile() ? [{ path, size: statSync(path).size }] : [];
  });
}

if (hasLoopDevices) inOwnNamespaces(fileURLToPath(import.meta.url), tests);
else test('needs loop devices', { skip: true }, () => {});

function tests(): void {
  test('W1, W2, W3, W5: after a power cut at any time the next build gives the right image', async () => {
    await using world = await openWorld();
    const { sandbox, environment, store } = world;
    const run = async (...words: readonly string[]): Promise<string> => await sandbox.succeed(words, { environment });
    const context = sandbox.files({ Dockerfile: dockerfile('one'), file: 'text\n' });
    await sandbox.base('busybox');
    await sandbox.succeed(['save', '-o', join(sandbox.folder, 'busybox.tar'), 'busybox']);
    await run('load', '-i', join(sandbox.folder, 'busybox.tar'));
    await tended(world);
    await run('build', '-q', '-t', 'good', '--no-cache', context);
    const expected = await run('run', '--rm', 'good', ...listed);
    await run('system', 'prune', '-af');
    await run('load', '-i', join(sandbox.folder, 'busybox.tar'));
    await tended(world);
    let lost = 0;
    for (const [wait, synced] of cuts) {
      await world.untended();
      await run('build', '-q', '-t', 'app', context);
      const before = files(store);
      // The kernel writes files in whatever order it likes.
      const logs = synced.map((name) => join(store, name)).filter((path) => existsSync(path));
      if (logs.length > 0) execFileSync('sync', logs);
      await world.cut(wait);
      lost += before.filter(({ path, size }) => size > 0 && statSync(path, { throwIfNoEntry: false })?.size === 0).length;
      await run('build', '-q', '-t', 'app', context);
      assert.equal(await run('run', '--rm', 'app', ...listed), expected);
      await tended(world);
      await assertTidySnapshots(store);
      await run('rmi', 'app');
      await run('prune', '-af');
    }
    assert.ok(lost > 0, 'the cut left files that had lost their bytes, or this shows nothing');
  });

  test('W1, W4, W5: pulled blobs, output files and cache mounts after a power cut', async () => {
    await using world = await openWorld();
    await using registry = await startRegistry();
    const { sandbox, environment, store } = world;
    const run = async (...words: readonly string[]): Promise<string> => await sandbox.succeed(words, { environment });
    await sandbox.base('busybox');
    const archive = join(sandbox.folder, 'busybox.tar');
    await sandbox.succeed(['save', '-o', archive, 'busybox']);
    await run('load', '-i', archive);
    await tended(world);
    const layers = ['one', 'other'].map((name) => tarOf([[name, 'file', randomBytes(300_000)]]));
    addImage(registry, 'app:v1', imageOf({ layers }));
    const name = `${registry.host}/app:v1`;
    const blobs = layers.map((layer) => join(store, 'content/blobs', sha256(layer).replace(':', '/')));
    const step = 'if [ -e /c/file ]; then [ -s /c/file ] || exit 7; else seq 1000 > /c/file; fi';
    const context = sandbox.files({ Dockerfile: `FROM busybox\nARG N\nRUN --mount=type=cache,target=/c : $N; ${step}\n` });
    const output = join(world.disk.folder, 'out.tar');
    let lost = 0;
    for (const [round, wait] of [0, 1500].entries()) {
      await world.untended();
      await run('pull', '-q', name);
      await run('build', '-q', '--build-arg', `N=${round}`, context);
      execFileSync('sync', [join(store, 'engine.db'), join(store, 'engine.db-wal')]);
      await sleep(wait);
      await run('save', '-o', output, 'busybox');
      await world.cut(0);
      assert.ok(readFileSync(output).equals(readFileSync(archive)), 'whoever is told that a file was written has it');
      lost += blobs.filter((blob) => (statSync(blob, { throwIfNoEntry: false })?.size ?? 0) === 0).length;
      await run('build', '-q', '--build-arg', `N=${round} again`, context);
      await run('pull', '-q', name);
      await run('save', '-o', join(sandbox.folder, 'app.tar'), name);
      const names = execFileSync('tar', ['-tf', join(sandbox.folder, 'app.tar')], { encoding: 'utf8' });
      for (const layer of layers) assert.ok(names.includes(sha256(layer).slice(7)));
      await tended(world);
      await run('rmi', name);
    }
    assert.ok(lost > 0, 'the cut took blobs, or this shows nothing');
  });
}
