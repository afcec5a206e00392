/** Bytes of a store that are not what was written: found when they are used, said, made or fetched again, and never handed on. And who else may look into a store. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { processesOf } from '#test/kit/aftermath.ts';
import { startRegistry } from '#test/kit/registry.ts';
import { normalUser } from '#test/kit/normal-user.ts';
import { openSandbox, runCommand, type Finished, type Sandbox } from '#test/kit/sandbox.ts';
import { mainFile } from '#test/kit/main-file.ts';

const damages = {
  flipped: (path: string) =>
    change(path, (bytes) => {
      const at = bytes.length >> 1;
      return bytes.fill((bytes[at] ?? 0) ^ 1, at, at + 1);
    }),
  zeroed: (path: string) => change(path, (bytes) => bytes.fill(0, 4096, 8192)),
  truncated: (path: string) => change(path, (bytes) => bytes.subarray(0, bytes.length / 2)),
  empty: (path: string) => writeFileSync(path, ''),
  missing: (path: string) => rmSync(path),
  folder: (path: string) => {
    rmSync(path);
    mkdirSync(path);
  },
  link: (path: string) => {
    rmSync(path);
    symlinkSync('/etc/passwd', path);
  },
  fifo: (path: string) => {
    rmSync(path);
    execFileSync('mkfifo', [path]);
  },
} as const;

function change(path: string, work: (bytes: Buffer) => Buffer): void {
  writeFileSync(path, work(readFileSync(path)));
}

/** The process that tends the store may still be at work. */
async function idle(store: string): Promise<void> {
  for (let round = 0; processesOf(store).length > 0; round++) {
    assert.ok(round < 3000, 'the store is in use');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Ends what hangs: a FIFO that somebody opens. */
async function inTime(sandbox: Sandbox, words: readonly string[]): Promise<Finished> {
  let timer: NodeJS.Timeout | undefined;
  const done = await sandbox.jettison(words, {
    onStart: (process) => {
      timer = setTimeout(() => process.kill('SIGKILL'), 600_000);
    },
  });
  clearTimeout(timer);
  assert.equal(done.signal, null, `${words.join(' ')} hangs`);
  return done;
}

async function worked(sandbox: Sandbox, words: readonly string[], what: string): Promise<Finished> {
  const done = await inTime(sandbox, words);
  assert.equal(done.status, 0, `${what}: ${done.stderr}`);
  return done;
}

/** Each blob of an archive is what its name says. */
function assertWholeArchive(sandbox: Sandbox, file: string, what: string): void {
  const folder = join(sandbox.folder, 'archive');
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  execFileSync('tar', ['-xf', join(sandbox.folder, file), '-C', folder]);
  for (const name of readdirSync(join(folder, 'blobs/sha256')))
    assert.equal(
      createHash('sha256')
        .update(readFileSync(join(folder, 'blobs/sha256', name)))
        .digest('hex'),
      name,
      what,
    );
}

test('W6, W7: blobs, databases and what is remembered, each damaged in each way', async () => {
  await using sandbox = await openSandbox();
  await using registry = await startRegistry();
  sandbox.configure({ registries: { [registry.host]: { plainHttp: true } } });
  await sandbox.base('busybox');
  const base = `${registry.host}/busybox`;
  await sandbox.succeed(['tag', 'busybox', base]);
  await sandbox.succeed(['push', base]);
  await sandbox.succeed(['rmi', 'busybox', base]);
  const context = sandbox.files({ Dockerfile: `FROM ${base}\nRUN echo a > /a\n` });
  const [build, run, save] = [
    ['build', '-t', 'app', context],
    ['run', '--rm', 'app', 'cat', '/a'],
    ['save', '-o', 'app.tar', 'app'],
  ];
  await sandbox.succeed(build);
  await sandbox.succeed(save);
  const blobs = join(sandbox.store, 'content/blobs/sha256');
  const largest = readdirSync(blobs)
    .map((name) => join(blobs, name))
    .toSorted((a, b) => lstatSync(b).size - lstatSync(a).size)[0] as string;
  for (const damage of ['flipped', 'empty', 'folder', 'fifo'] as const) {
    damages[damage](largest);
    const done = await worked(sandbox, save, `a blob, ${damage}`);
    assert.equal(done.stderr.includes('were damaged and are thrown away'), damage === 'flipped', done.stderr);
    assertWholeArchive(sandbox, 'app.tar', damage);
  }

  for (const [file, kinds] of [
    ['runtime.json', ['flipped', 'folder', 'fifo']],
    ['snapshots/overlay', ['folder', 'fifo']],
  ] as const)
    for (const damage of kinds) {
      damages[damage](join(sandbox.store, file));
      assert.equal((await worked(sandbox, run, `${file}, ${damage}`)).stdout, 'a\n');
    }

  for (const [file, kinds] of [
    ['snapshots/snapshots.db', ['zeroed', 'empty', 'link']],
    ['engine.db', ['truncated', 'folder', 'fifo']],
  ] as const)
    for (const damage of kinds) {
      await idle(sandbox.store);
      const path = join(sandbox.store, file);
      for (const end of ['-wal', '-shm']) rmSync(path + end, { force: true });
      damages[damage](path);
      const first = await inTime(sandbox, run);
      if (first.status !== 0)
        assert.match(
          first.stderr,
          /^ERROR: .*(?:damaged|not in the store|No such image|is not there|pull access|not found|UNAUTHORIZED|Cannot find)/imu,
          `${file}, ${damage}`,
        );
      assert.doesNotMatch(first.stderr, /This is a bug/u);
      if (damage === 'folder' || damage === 'link') assert.match(first.stderr, /was damaged\. It was put aside as/u, `${file}, ${damage}`);
      await worked(sandbox, build, `${file}, ${damage}`);
      assert.equal((await worked(sandbox, run, `${file}, ${damage}`)).stdout, 'a\n');
    }
  assert.match(readFileSync('/etc/passwd', 'utf8'), /^root:/u, 'where the link led nothing was written');
});

test('W6: the config of an image whose bytes were changed is not sent out, and made or fetched again', async () => {
  await using sandbox = await openSandbox();
  await using registry = await startRegistry();
  sandbox.configure({ registries: { [registry.host]: { plainHttp: true } } });
  const name = `${registry.host}/app`;
  const context = sandbox.files({ Dockerfile: 'FROM scratch\nCOPY Dockerfile /\nENV A=right\n' });
  await sandbox.succeed(['build', '-t', name, context]);
  await sandbox.succeed(['push', name]);
  const damage = async (): Promise<void> => {
    await idle(sandbox.store);
    using database = new DatabaseSync(join(sandbox.store, 'engine.db'), { timeout: 10_000 });
    database.exec(`UPDATE images SET config = CAST(replace(CAST(config AS TEXT), 'A=right', 'A=wrong') AS BLOB)`);
  };
  await damage();
  for (const words of [
    ['save', '-o', 'x.tar', name],
    ['push', name],
    ['run', '--rm', name, '/x'],
  ])
    assert.match(
      (await inTime(sandbox, words)).stderr,
      /^ERROR: The config that is kept of image sha256:\w+ was damaged\n/mu,
      words.join(' '),
    );
  const next = sandbox.files({ Dockerfile: `FROM ${name}\nENV B=$A\n` }, 'next');
  await sandbox.succeed(['build', '-t', 'next', next]);
  assert.match(await sandbox.succeed(['inspect', 'next']), /B=right/u);
  await damage();
  await sandbox.succeed(['build', '-t', name, context]);
  await sandbox.succeed(['save', '-o', 'x.tar', name]);
  assertWholeArchive(sandbox, 'x.tar', 'built again');
});

test('what is loaded or pulled over layers whose files are gone brings them anew', async () => {
  await using sandbox = await openSandbox();
  await using registry = await startRegistry();
  sandbox.configure({ registries: { [registry.host]: { plainHttp: true } } });
  await using other = await openSandbox();
  other.configure({ registries: { [registry.host]: { plainHttp: true } } });
  const name = (image: string): string => `${registry.host}/${image}`;
  const base = other.files({ Dockerfile: 'FROM scratch\nCOPY Dockerfile /\n' }, 'base');
  await other.succeed(['build', '-t', name('base'), base]);
  for (const image of ['loaded', 'pulled']) {
    await other.succeed(['build', '-t', name(image), other.files({ Dockerfile: `FROM ${name('base')}\nCOPY . /\n`, image }, image)]);
    await other.succeed(['push', name(image)]);
  }
  await other.succeed(['push', name('base')]);
  await other.succeed(['save', '-o', 'loaded.tar', name('loaded')]);
  const bring: Readonly<Record<string, readonly string[]>> = {
    loaded: ['load', '-i', join(other.folder, 'loaded.tar')],
    pulled: ['pull', name('pulled')],
  };
  for (const [image, words] of Object.entries(bring)) {
    await sandbox.succeed(['pull', name('base')]);
    await idle(sandbox.store);
    for (const id of readdirSync(join(sandbox.store, 'snapshots/s'))) rmSync(join(sandbox.store, 'snapshots/s', id), { recursive: true });
    await worked(sandbox, words, image);
    await sandbox.succeed(['save', '-o', `${image}.tar`, name(image)]);
    assertWholeArchive(sandbox, `${image}.tar`, image);
    assert.equal((await sandbox.succeed(['inspect', '--format', '{{len .RootFS.Layers}}', name(image)])).trim(), '2');
  }
});

test('a file where a folder of the store should be is no bug', async () => {
  await using sandbox = await openSandbox();
  const context = sandbox.files({ Dockerfile: 'FROM scratch\nCOPY Dockerfile /\n' });
  await sandbox.succeed(['build', context]);
  for (const name of ['snapshots', 'content', 'builds', 'leases']) {
    await idle(sandbox.store);
    const path = join(sandbox.store, name);
    rmSync(path, { recursive: true, force: true });
    writeFileSync(path, '');
    const done = await inTime(sandbox, ['build', '--no-cache', context]);
    assert.doesNotMatch(done.stderr, /This is a bug|\bat .*\(file:/u, name);
    if (done.status !== 0) assert.ok(done.status === 1 && done.stderr.includes(path), `${name}: ${done.stderr}`);
    rmSync(path, { force: true });
    await sandbox.succeed(['build', '--no-cache', context]);
  }
});

/** What others may do with it, beside what they may not even reach. */
function openToOthers(folder: string): readonly string[] {
  // What is in a snapshot has the modes of the image.
  const own = readdirSync(folder, { recursive: true, withFileTypes: true }).filter(
    (entry) =>
      !`${entry.parentPath}/`.startsWith(join(folder, 'snapshots/s/')) && !`${entry.parentPath}/`.startsWith(join(folder, 'cache-mounts/')),
  );
  return [folder, ...own.filter((entry) => !entry.isSymbolicLink()).map((entry) => join(entry.parentPath, entry.name))]
    .filter((path) => (lstatSync(path).mode & 0o077) !== 0)
    .filter((path) => !path.startsWith(join(folder, 'snapshots/')))
    .map((path) => `${(lstatSync(path).mode & 0o7777).toString(8)} ${path.slice(folder.length)}`);
}

/** Sockets on which a process of this store listens. */
function listeners(folder: string): readonly string[] {
  const ids = processesOf(folder).map((line) => line.split(':', 1)[0] ?? '');
  const listening = new Set(
    ['tcp', 'tcp6', 'udp', 'udp6', 'unix'].flatMap((kind) =>
      readFileSync(`/proc/net/${kind}`, 'utf8')
        .split('\n')
        .slice(1)
        .map((line) => line.trim().split(/\s+/u))
        .filter((words) => (kind === 'unix' ? words[3] === '00010000' : kind.startsWith('tcp') ? words[3] === '0A' : words[3] === '07'))
        .map((words) => (kind === 'unix' ? words[6] : words[9])),
    ),
  );
  return ids.flatMap((id) => {
    try {
      const names = readdirSync(`/proc/${id}/fd`).map((fd) => readlinkSync(`/proc/${id}/fd/${fd}`));
      return names.filter((name) => listening.has(/^socket:\[(\d+)\]$/u.exec(name)?.[1] ?? '')).map((name) => `${id} ${name}`);
    } catch {
      return []; // it has ended
    }
  });
}

test('row 27: nobody else may look into a store, of root or of a normal user, and nothing listens while it is built', async () => {
  await using sandbox = await openSandbox();
  await sandbox.base('busybox');
  await sandbox.succeed(['save', '-o', 'busybox.tar', 'busybox']);
  execFileSync('chmod', ['755', sandbox.folder]);
  const context = sandbox.files({
    Dockerfile: 'FROM busybox\nRUN --mount=type=cache,target=/c echo out; touch /c/a; sleep 1\nCOPY Dockerfile /\n',
  });
  const user = normalUser(sandbox.folder);
  const store = join(sandbox.folder, 'home/store');
  mkdirSync(join(sandbox.folder, 'home'));
  user.owns(join(sandbox.folder, 'home'));
  const asUser: Sandbox['jettison'] = async (words, options) =>
    await runCommand(user.words[0], [...user.words.slice(1), process.execPath, mainFile, ...words], {
      ...options,
      cwd: join(sandbox.folder, 'home'),
      environment: { ...sandbox.environment, HOME: join(sandbox.folder, 'home'), JETTISON_STORE: store },
    });
  for (const [who, jettison, folder] of [
    ['root', async (words: readonly string[]) => await sandbox.jettison(words), sandbox.store],
    ['a normal user', asUser, store],
  ] as const) {
    await jettison(['load', '-i', join(sandbox.folder, 'busybox.tar')]);
    const found = new Set<string>();
    const timer = setInterval(() => listeners(folder).forEach((one) => found.add(one)), 200);
    const done = await jettison(['build', '-t', 'app', context]);
    clearInterval(timer);
    assert.equal(done.status, 0, `${who}: ${done.stderr}`);
    await idle(folder);
    assert.deepEqual([...found], [], who);
    assert.deepEqual(openToOthers(folder), [], who);
    assert.equal(lstatSync(folder).mode & 0o777, 0o700);
    assert.equal(lstatSync(join(folder, 'snapshots')).mode & 0o777, 0o700);
  }
});
