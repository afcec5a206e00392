/** What the store takes up: seen, removed, and kept below a limit; beside running builds, and when the one who removes is killed. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'node:test';
import { openSandbox, type Sandbox } from '#test/kit/sandbox.ts';

const MB = 1024 * 1024;
const fill = (name: string, megabytes: number): string => `head -c ${megabytes * MB} /dev/urandom > ${name}`;

/** Without the logs of the databases, which come and go. */
function bytesOf(folder: string, without: readonly string[] = ['*.db-wal', '*.db-shm']): number {
  const words = ['-s', '--block-size=1', ...without.map((pattern) => `--exclude=${pattern}`), folder];
  return Number(spawnSync('du', words, { encoding: 'utf8' }).stdout.split('\t')[0]);
}

/** What a step has said that says when it runs. */
const hasBegun = (plain: string): boolean => /^#\d+ [\d.]+ begun$/mu.test(plain);

/** Without the databases, too: they take in their logs when the last one that has them open leaves, and grow by that. */
const bytesOfFiles = (folder: string): number => bytesOf(folder, ['*.db*']);

/** Until the process that tends the store after a command is through. */
async function tended(sandbox: Sandbox): Promise<void> {
  for (let count = 0; count < 400 && existsSync(join(sandbox.store, 'snapshots/untended')); count++) await sleep(25);
  spawnSync('flock', ['--wait', '30', join(sandbox.store, 'snapshots/tending'), 'true']);
}

test('du tells who holds what, prune frees the rest, and the images stay whole', async () => {
  await using sandbox = await openSandbox();
  await sandbox.base('busybox');
  const context = sandbox.files({
    Dockerfile: `FROM busybox AS stage
RUN ${fill('/big', 12)} && ${fill('/part', 6)}
RUN --mount=type=cache,id=packages,target=/c ${fill('/c/file', 3)}
FROM busybox
COPY --from=stage /part /part
CMD ["wc", "-c", "/part"]
`,
  });
  await sandbox.succeed(['build', '-t', 'app', context]);
  await tended(sandbox);
  const before = bytesOfFiles(sandbox.store);
  const list = await sandbox.succeed(['du']);
  assert.match(list, /^ID +RECLAIMABLE +SIZE +LAST ACCESSED\n/u);
  assert.match(list, /\n[0-9a-f]{16}-0\* +true +3\.\d+MB +/u);
  assert.match(list, /\nReclaimable: +22\.\d+MB\nTotal:/u);
  assert.match(await sandbox.succeed(['du', '--verbose', '--filter', 'type=exec.cachemount']), /Description: +packages\n/u);
  assert.equal(
    await sandbox.succeed(['du', '--filter', 'description~=12582912', '--format', '{{.Reclaimable}} {{.Type}}']),
    'true regular\n',
  );
  assert.match(
    await sandbox.succeed(['system', 'df']),
    /\nImages +2 +0 +\S+ +\S+ \(100%\)\nContainers +0 +0 +0B +0B\n[^]*\nBuild Cache +3 +0 +22\.\d+MB +22\.\d+MB\n/u,
  );

  assert.match(
    await sandbox.succeed(['prune'], { input: 'n\n' }),
    /^WARNING! This will remove all dangling build cache\. Are you sure.* \[y\/N\] $/u,
  );
  const pruned = await sandbox.succeed(['prune'], { input: 'y\n' });
  assert.match(pruned, /Deleted build cache objects:\n[^]*\n\nTotal reclaimed space: 15\.\d+MB\n$/u);
  // The file that the image has from the stage is the image's now; 12 and 3 of 22 MB are free.
  const freed = before - bytesOfFiles(sandbox.store);
  assert.ok(freed >= 15 * MB, `${freed}`);
  assert.match(await sandbox.succeed(['du']), /Private: +0B\nReclaimable: +0B\nTotal: +8\.\d+MB\n/u);
  assert.equal(await sandbox.succeed(['run', '--rm', 'app']), `${6 * MB} /part\n`);

  await sandbox.succeed(['run', '--name', 'kept', 'app']);
  const refused = await sandbox.jettison(['rmi', 'app']);
  assert.equal(refused.status, 1);
  assert.match(
    refused.stderr,
    /unable to remove repository reference "app:latest" \(must force\) - container [0-9a-f]{12} is using its referenced image/u,
  );
  assert.match(await sandbox.succeed(['image', 'prune', '-af']), /^Deleted Images:\nuntagged: busybox:latest\ndeleted: sha256:/u);
  assert.match(await sandbox.succeed(['container', 'prune', '-f']), /^Deleted Containers:\n[0-9a-f]{64}\n\nTotal reclaimed space: /u);
  const all = await sandbox.succeed(['system', 'prune', '-af']);
  assert.match(all, /untagged: app:latest\n/u);
  assert.ok(bytesOf(sandbox.store) < MB, `${bytesOf(sandbox.store)}`);
});

test('rmi gives back what only the image held', async () => {
  await using sandbox = await openSandbox();
  await sandbox.base('busybox');
  const before = bytesOf(sandbox.store);
  await sandbox.succeed(['rmi', 'busybox']);
  await tended(sandbox);
  assert.ok(before > MB);
  assert.ok(bytesOf(sandbox.store) < MB / 2, `${bytesOf(sandbox.store)}`);
});

test('--cache-max is kept after a build: the least worth a byte goes, what the last build used stays, and why is remembered', async () => {
  await using sandbox = await openSandbox();
  await sandbox.base('busybox');
  const stage = (name: string, size: number, pause: string): string =>
    sandbox.files(
      { Dockerfile: `FROM busybox AS s\nRUN sleep ${pause} && ${fill('/f', size)}\nFROM scratch\nCOPY --from=s /etc/passwd /${name}\n` },
      name,
    );
  const cheap = stage('cheap', 20, '0');
  const dear = stage('dear', 10, '2');
  for (const context of [cheap, dear]) await sandbox.succeed(['build', '-t', 'app', context]);
  const last = sandbox.files({ Dockerfile: `FROM busybox\nRUN ${fill('/f', 15)}\n` }, 'last');
  await sandbox.succeed(['build', '--cache-max', '30m', '-t', 'last', last]);
  await sandbox.succeed(['rmi', 'last']);
  await tended(sandbox);
  // The limit holds for this build alone: 25 MB of results that nobody needs are within it.
  const kept = await sandbox.succeed(['du', '--format', '{{.Description}}']);
  assert.deepEqual(
    ['20971520', '10485760', '15728640'].map((size) => kept.includes(size)),
    [false, true, true],
  );
  using database = new DatabaseSync(join(sandbox.store, 'engine.db'), { readOnly: true, timeout: 10_000 });
  assert.deepEqual(
    database
      .prepare('SELECT DISTINCT rule FROM cache_eviction')
      .all()
      .map((row) => row['rule']),
    ['--cache-max 30m'],
  );
  assert.match((await sandbox.jettison(['build', '--cache-max', 'much', last])).stderr, /Cannot read the size "much"/u);
  // What the last build used stays, even when nothing may.
  await sandbox.succeed(['build', '--cache-max', '0', last]);
  sandbox.files({ Dockerfile: `FROM busybox\nRUN ${fill('/f', 15)}\nRUN true\n` }, 'last');
  await sandbox.succeed(['build', '--cache-max', '0', last]);
  await tended(sandbox);
  const least = await sandbox.succeed(['du', '--format', '{{.Description}}']);
  assert.deepEqual(
    ['10485760', '15728640', 'RUN true'].map((text) => least.includes(text)),
    [false, true, true],
  );
});

test('T8: a clock that was set back: what the last build used stays, all else can go, and no time is negative', async () => {
  await using sandbox = await openSandbox();
  await sandbox.base('busybox');
  const shift = sandbox.files({ clock: '3600000' }, 'shift');
  const hook = `import {readFileSync} from 'node:fs';const real=Date.now;Date.now=()=>real()+Number(readFileSync('${shift}/clock','latin1'))`;
  const environment = { NODE_OPTIONS: `--import data:text/javascript,${encodeURIComponent(hook)}` };
  const context = (name: string, script: string): string =>
    sandbox.files({ Dockerfile: `FROM busybox AS s\nRUN ${script}\nFROM scratch\nCOPY --from=s /etc/passwd /${name}\n` }, name);
  const early = context('early', fill('/early', 3));
  await sandbox.succeed(['build', '-t', 'early', early], { environment });
  await sandbox.succeed(['rmi', 'early'], { environment });
  await tended(sandbox);

  const slow = sandbox.jettison(['build', '--progress=plain', context('slow', 'echo begun; sleep 2; echo slow > /slow')], {
    environment,
    onStderr: (text) => void (hasBegun(text) && sandbox.files({ clock: '0' }, 'shift')),
  });
  const { stderr } = await slow;
  assert.match(stderr, /^built in [1-9][\d.]*s: .* longest chain [1-9][\d.]*s$/mu, stderr);
  assert.doesNotMatch(stderr, /-\d+\.\ds/u);
  await tended(sandbox);

  const late = context('late', fill('/late', 2));
  await sandbox.succeed(['build', '--cache-max', '0', late]);
  await tended(sandbox);
  const descriptions = await sandbox.succeed(['du', '--format', '{{.Description}}']);
  assert.deepEqual(
    ['> /late', '> /slow', '> /early'].map((name) => descriptions.includes(name)),
    [true, false, false],
    descriptions,
  );
  await sandbox.succeed(['image', 'prune', '-af']);
  await sandbox.succeed(['prune', '-af']);
  assert.deepEqual(readdirSync(join(sandbox.store, 'snapshots/s')), []);
});

/** A clock that is so much before the system's, for commands of this program. */
const off = (milliseconds: number) => ({
  NODE_OPTIONS: `--import data:text/javascript,${encodeURIComponent(`const real=Date.now;Date.now=()=>real()+${milliseconds}`)}`,
});

test('T8: prunes whose clocks are an hour off take nothing from a build that runs, and one whose clock jumps forward works', async () => {
  await using sandbox = await openSandbox();
  await sandbox.base('busybox');
  const context = sandbox.files({
    Dockerfile:
      'FROM busybox AS s\nRUN echo first > /first\nRUN echo begun; sleep 4; cat /first > /second\nFROM busybox\nCOPY --from=s /second /first /\n',
  });
  const begun = Promise.withResolvers<void>();
  const built = sandbox.jettison(['build', '--progress=plain', '-t', 'app', context], {
    onStderr: (text) => void (hasBegun(text) && begun.resolve()),
  });
  await Promise.race([begun.promise, built]);
  for (const hours of [1, -1]) await sandbox.succeed(['prune', '-af'], { environment: off(hours * 3_600_000) });
  const { status, stderr } = await built;
  assert.equal(status, 0, stderr);
  assert.equal(await sandbox.succeed(['run', '--rm', 'app', 'cat', '/first', '/second']), 'first\nfirst\n');
  // Jumps in the middle of its only step.
  const hook = `const real=Date.now;const end=performance.now()+1500;Date.now=()=>real()+(performance.now()>end?3600000:0)`;
  const environment = { NODE_OPTIONS: `--import data:text/javascript,${encodeURIComponent(hook)}` };
  const jumped = sandbox.files({ Dockerfile: 'FROM busybox\nRUN sleep 2; echo jumped > /file\n' }, 'jumped');
  await sandbox.succeed(['build', '-t', 'app', jumped], { environment });
  assert.match((await sandbox.jettison(['build', '--progress=plain', '-t', 'app', jumped])).stderr, /CACHED/u);
  assert.equal(await sandbox.succeed(['run', '--rm', 'app', 'cat', '/file']), 'jumped\n');
});

test('T3: fifty builds beside one prune after another: each one works and gives the right image', async () => {
  await using sandbox = await openSandbox();
  await sandbox.base('busybox');
  let isOver = false;
  let prunes = 0;
  const pruning = (async () => {
    for (; !isOver; prunes++) await sandbox.succeed(prunes % 2 === 0 ? ['prune', '-af'] : ['prune', '-f', '--keep-storage', '8k']);
  })();
  const contexts = ['one', 'two'].map((name) =>
    sandbox.files(
      {
        Dockerfile: `FROM busybox AS s\nRUN echo ${name} > /a\nRUN cat /a /a > /b\nFROM busybox\nCOPY --from=s /b /b\nARG n\nRUN cat /b /b > /c\n`,
      },
      name,
    ),
  );
  try {
    // Both often enough, whichever is quicker.
    for (let round = 0; round < 25 || prunes <= 10; round++) {
      await Promise.all(
        contexts.map(
          async (context, index) => await sandbox.succeed(['build', '-q', '-t', `app${index}`, '--build-arg', `n=${round % 3}`, context]),
        ),
      );
      if (round % 5 === 0) assert.equal(await sandbox.succeed(['run', '--rm', 'app1', 'cat', '/c']), 'two\n'.repeat(4));
    }
  } finally {
    isOver = true;
  }
  await pruning;
});

test('what a prune that was killed had thrown away goes with the next one, which finds nothing else', async () => {
  await using sandbox = await openSandbox();
  await sandbox.base('busybox');
  await sandbox.succeed(['system', 'prune', '-af']);
  await tended(sandbox);
  // As a prune leaves it between its rename and the deletion.
  const batch = join(sandbox.store, 'snapshots/trash/0123456789ab');
  mkdirSync(join(batch, '0'), { recursive: true });
  for (const [name, text] of [
    ['users', ''],
    ['0/file', 'x'.repeat(MB)],
  ] as const)
    writeFileSync(join(batch, name), text);
  writeFileSync(join(sandbox.store, 'snapshots/untended'), '');
  assert.match(await sandbox.succeed(['prune', '-af']), /Total reclaimed space: 0B\n/u);
  await tended(sandbox);
  assert.deepEqual(readdirSync(join(sandbox.store, 'snapshots/trash')), []);
});

test('K7: a prune that is killed leaves a store that works, and the next one ends its work', async () => {
  await using sandbox = await openSandbox();
  await sandbox.base('busybox');
  const context = sandbox.files({
    Dockerfile: `FROM busybox AS s\nRUN ${fill('/f', 2)}\nRUN for i in $(seq 300); do echo $i > /$i; done\nFROM busybox\nCOPY --from=s /f /f\n`,
  });
  await sandbox.succeed(['build', '-q', '-t', 'app', context]);
  for (const delay of [40, 80, 120, 160, 200, 250, 300, 400]) {
    await sandbox.jettison(['prune', '-af'], { onStart: (prune) => void setTimeout(() => prune.kill('SIGKILL'), delay) });
    await sandbox.succeed(['build', '-q', '-t', 'app', context]);
    assert.equal(await sandbox.succeed(['run', '--rm', 'app', 'wc', '-c', '/f']), `${2 * MB} /f\n`);
  }
  await sandbox.succeed(['system', 'prune', '-af']);
  await tended(sandbox);
  assert.ok(!existsSync(join(sandbox.store, 'snapshots/untended')));
  await sandbox.succeed(['prune', '-af']);
  assert.deepEqual(readdirSync(join(sandbox.store, 'snapshots/s')), []);
  assert.deepEqual(readdirSync(join(sandbox.store, 'snapshots/trash')), []);
  assert.ok(bytesOf(sandbox.store) < MB, `${bytesOf(sandbox.store)}`);
});
