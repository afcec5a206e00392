/** What is kept of builds, and what is said of the next: builds, why, plan, progress for programs; typed as people type it. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { openSandbox, type Sandbox } from '#test/kit/sandbox.ts';
import { readDocument } from '#test/kit/schemas.ts';

const dockerfile = `FROM busybox AS build
ARG MODE=fast
COPY src /src
RUN i=0; while [ $i -lt 3000 ]; do echo "line $i $MODE"; i=$((i+1)); done; echo error >&2
RUN cp /src/a.c /out
FROM scratch
COPY --from=build /out /out
`;

async function openProject(): Promise<Sandbox & { readonly context: string }> {
  const sandbox = await openSandbox();
  await sandbox.base('busybox');
  const context = sandbox.files({ Dockerfile: dockerfile, 'src/a.c': 'a', 'src/b.c': 'b' });
  return { ...sandbox, context };
}

test('why: one line a cause at the end of a build, and more when asked', async () => {
  await using sandbox = await openProject();
  const { context } = sandbox;
  const build = async (...words: string[]) => (await sandbox.jettison(['build', '-t', 'x', ...words, context])).stderr;
  const first = await build();
  assert.doesNotMatch(first, /^why:/mu);
  assert.match(first, /^built in .*: 0 of 5 steps cached; longest chain .*; read 2B\n$/mu);
  assert.equal(await sandbox.succeed(['why']).then((text) => /nothing like it was built before/u.test(text)), true);

  sandbox.files({ Dockerfile: `${dockerfile}FROM busybox AS other\nRUN echo never seen before\n` });
  assert.doesNotMatch(await build(), /^why:/mu);
  assert.match(await sandbox.succeed(['why']), /stage other was never seen/u);
  sandbox.files({ Dockerfile: dockerfile });

  const again = await build();
  assert.match(again, /\n\n(?:payload: .*\n)+built in \d+\.\ds: 5 of 5 steps cached(?:; read 2B)?\n$/u);
  assert.match(await sandbox.succeed(['why']), /nothing ran, 5 of 5 steps were cached/u);

  sandbox.files({ 'src/b.c': 'changed' });
  const why = /^why: COPY src \/src \(Dockerfile:3\) ran again: src\/b\.c changed \(content\); cost \d+\.\ds with 2 steps behind it$/mu;
  assert.match(await build(), why);
  const told = await sandbox.succeed(['why', '--json']);
  const { roots, ran } = readDocument('why', told) as {
    readonly roots: readonly { readonly changes: unknown }[];
    readonly ran: readonly unknown[];
  };
  assert.deepEqual(
    roots.map(({ changes }) => changes),
    [[{ class: 'file', object: 'src/b.c', from: 'context', change: 'content', before: '1 bytes', after: '7 bytes' }]],
  );
  assert.equal(ran.length, 3);
  assert.match(await sandbox.succeed(['why', '5']), /^RUN cp .* ran for .*:\n {2}- COPY src .*: src\/b\.c changed/u);
  assert.equal((await sandbox.jettison(['why', 'nothing like it'])).status, 1);
  readDocument('build-record', await sandbox.succeed(['builds', 'inspect', '--format', 'json']));

  assert.match(await build('--build-arg', 'MODE=slow'), /^why: RUN .* \(Dockerfile:4\) ran again: ARG MODE changed: fast -> slow;/mu);
  assert.match(
    await build('--no-cache-filter', 'build'),
    /^why: COPY src \/src \(Dockerfile:3\) ran again: --no-cache-filter was given;/mu,
  );
  await sandbox.succeed(['builder', 'prune', '-a', '-f']);
  await sandbox.succeed(['rmi', '-f', 'x']);
  await sandbox.succeed(['builder', 'prune', '-a', '-f']);
  assert.match(await build(), /^why: COPY src .* ran again: its result was removed from the cache at 20.*: /mu);
});

test('a build that fails says why its steps ran, too', async () => {
  await using sandbox = await openProject();
  const { context } = sandbox;
  await sandbox.succeed(['build', '-t', 'x', context]);
  sandbox.files({ 'src/b.c': 'changed', Dockerfile: dockerfile.replace('cp /src', 'exit 3; cp /src') });
  const failed = await sandbox.jettison(['build', '-t', 'x', '--progress=plain', context]);
  assert.equal(failed.status, 1);
  // After the progress, before the error.
  assert.match(
    failed.stderr,
    /\nwhy: COPY src \/src \(Dockerfile:3\) ran again: src\/b\.c changed \(content\);.*\n(?:why: .*\n)*[^]*ERROR:/u,
  );
  assert.match(failed.stderr, /^why: RUN exit 3.* \(Dockerfile:5\) ran again: the instruction changed: /mu);
  assert.match(await sandbox.succeed(['why']), /^COPY src .*: src\/b\.c changed/mu);
  assert.match(await sandbox.succeed(['builds', 'inspect']), /^why: COPY src .*: src\/b\.c changed/mu);
  // The same again: what failed is tried again, and nothing else runs.
  const again = await sandbox.jettison(['build', '-t', 'x', '--progress=plain', context]);
  assert.deepEqual(
    [...again.stderr.matchAll(/^why: .*$/gmu)].map(([line]) => line.replace(/; cost.*/u, '')),
    ['why: RUN exit 3; cp /src/a.c /out (Dockerfile:5) ran again: it failed the last time'],
  );
  const raw = await sandbox.jettison(['build', '-t', 'x', '--progress=rawjson', context]);
  assert.doesNotMatch(raw.stderr, /why:/u);
  // A step by its place, its stage, its words.
  for (const word of ['build 4/4', '4/4', '5', 'Dockerfile:5', 'build', 'exit 3']) {
    assert.match(await sandbox.succeed(['why', word]), /^RUN exit 3; cp .* ran for .*:\n {2}- it failed the last time$/mu, word);
  }
});

test('builds: what each was, and the whole log of a step, also when it was cached', async () => {
  await using sandbox = await openProject();
  const { context } = sandbox;
  await sandbox.succeed(['build', '-t', 'x', context]);
  await sandbox.succeed(['build', '-t', 'x', context]);
  sandbox.files({ Dockerfile: `${dockerfile}RUN false\n` });
  assert.equal((await sandbox.jettison(['build', context])).status, 1);
  const rows = (await sandbox.succeed(['history', 'builds', '--format', '{{.Status}} {{.Steps}} {{.Cached}} {{.ID}}'])).trim().split('\n');
  assert.deepEqual(
    rows.map((row) => row.split(' ').slice(0, 3)),
    [
      ['Error', '6', '5'],
      ['Completed', '5', '5'],
      ['Completed', '5', '0'],
    ],
  );
  assert.match(await sandbox.succeed(['builds']), /^BUILD ID +NAME +STATUS +CREATED +DURATION +STEPS +CACHED\n/u);
  const ids = rows.map((row) => row.split(' ')[3] ?? '');
  for (const id of ids.slice(1)) {
    const logs = await sandbox.succeed(['builds', 'logs', id]);
    assert.equal([...logs.matchAll(/^#\d+ \d+\.\d+ line \d+ fast$/gmu)].length, 3000);
  }
  // In the words of buildx.
  const listed = async (...words: string[]) =>
    (await sandbox.succeed(['buildx', 'history', 'ls', '-q', ...words])).split('\n').slice(0, -1);
  assert.deepEqual(await listed('--no-trunc'), ids);
  assert.deepEqual(await listed('--filter', 'status=error'), ids.slice(0, 1));
  assert.deepEqual(await listed('--filter', 'status!=error', '--filter', `ref=${ids[2] ?? ''}`), ids.slice(2));
  assert.deepEqual(await listed('--local'), ids);
  const elsewhere = sandbox.files({ Dockerfile: 'FROM scratch' }, 'elsewhere');
  assert.equal(await sandbox.succeed(['builds', '-q', '--local'], { cwd: elsewhere }), '');
  assert.equal((await sandbox.jettison(['builds', '--filter', 'status=success'])).status, 1);
  assert.match(await sandbox.succeed(['buildx', 'history', 'inspect', '^1']), new RegExp(`^Build: +${ids[1] ?? ''}$`, 'mu'));
  assert.match(await sandbox.succeed(['buildx', 'history', 'logs', '^2']), /^#\d+ \d\.\d+ line 1 fast$/mu);
  const raw = await sandbox.succeed(['builds', 'logs', '--progress', 'rawjson', ids[1]?.slice(0, 6) ?? '']);
  assert.ok(
    raw
      .trim()
      .split('\n')
      .every((line) => typeof JSON.parse(line) === 'object'),
  );
  const inspected = JSON.parse(await sandbox.succeed(['builds', 'inspect', '--format', 'json', ids[0] ?? ''])) as Record<string, unknown>;
  assert.equal(inspected['Status'], 'failed');
  assert.match(JSON.stringify(inspected['Error']), /exit code|did not complete|127|false/u);
  assert.match(await sandbox.succeed(['builds', 'inspect']), /^failed +\d+\.\ds +\[stage-1 2\/2\] RUN false$/mu);
  assert.equal(await sandbox.succeed(['buildx', 'history', 'rm', '^1']), `${ids[1] ?? ''}\n`);
  assert.equal((await sandbox.jettison(['builds', 'inspect', ids[1] ?? ''])).status, 1);
  assert.equal((await sandbox.jettison(['builds', 'rm'])).status, 1);
  await sandbox.succeed(['builds', 'rm', '--all']);
  assert.equal(await sandbox.succeed(['builds', '-q']), '');
});

test('plan says what would run, and changes nothing', async () => {
  await using sandbox = await openProject();
  const { context, store } = sandbox;
  const plan = async (...words: string[]) => {
    const { steps, ...rest } = readDocument('plan', await sandbox.succeed(['plan', '--format', 'json', ...words, context])) as {
      readonly steps: readonly { readonly state: string }[];
      readonly expected: number;
      readonly pull: number;
    };
    return { ...rest, states: steps.map(({ state }) => state) };
  };
  const [run, perhaps, cached] = ['run', 'unknown', 'cached'];
  assert.deepEqual((await plan()).states, [run, run, run, run, perhaps]);
  await sandbox.succeed(['build', context]);
  assert.deepEqual(await plan().then(({ states, expected, pull }) => [states, expected, pull]), [
    [cached, cached, cached, cached, cached],
    0,
    0,
  ]);
  sandbox.files({ 'src/a.c': 'other' });
  const files = (): string => {
    // The snapshots are tended by another process meanwhile.
    const list = execFileSync('sh', ['-c', 'find builds content contexts downloads -type f 2>/dev/null | sort | xargs md5sum'], {
      cwd: store,
      encoding: 'utf8',
    });
    using database = new DatabaseSync(join(store, 'engine.db'), { readOnly: true, timeout: 10_000 });
    const rows = ['build', 'step_key', 'cache_record', 'cache_key', 'folder_digests', 'images'].map((table) =>
      database.prepare(`SELECT * FROM ${table}`).all(),
    );
    return `${list}${JSON.stringify(rows, (_, value: unknown) => (value instanceof Uint8Array ? value.length : value))}`;
  };
  const before = files();
  const changed = await plan();
  assert.deepEqual(changed.states, [cached, run, run, run, perhaps]);
  assert.ok(changed.expected > 0);
  assert.equal(files(), before);
  assert.deepEqual((await plan('--target', 'build', '--no-cache')).states.slice(1), [run, run, run]);
  assert.match(await sandbox.succeed(['plan', context]), /^3 of 5 steps would run; 1 more perhaps: /mu);
  // A cache that cannot be read is told of; a context from elsewhere is fetched, since nothing can be said without.
  const away = await sandbox.jettison(['plan', '--cache-from=type=local,src=nowhere', context]);
  assert.match(away.stderr, /^Warning: cannot use the cache .*nowhere: /u);
  const archive = execFileSync('tar', ['-C', context, '-c', '.']);
  assert.match(await sandbox.succeed(['plan', '-'], { input: archive }), /^3 of 5 steps would run; /mu);
});

test('--progress rawjson: every line of standard error is a status, and the output in it is whole', async () => {
  await using sandbox = await openProject();
  const { stderr, status } = await sandbox.jettison(['build', '--progress', 'rawjson', sandbox.context]);
  assert.equal(status, 0);
  type Status = {
    readonly vertexes?: readonly { readonly name: string; readonly completed?: string }[];
    readonly logs?: readonly { readonly data: string }[];
  };
  const lines = stderr
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Status);
  const output = lines.flatMap(({ logs = [] }) => logs.map(({ data }) => Buffer.from(data, 'base64').toString())).join('');
  assert.equal([...output.matchAll(/^line \d+ fast$/gmu)].length, 3000);
  const done = new Set(
    lines.flatMap(({ vertexes = [] }) => vertexes.flatMap(({ name, completed }) => (completed === undefined ? [] : [name]))),
  );
  assert.ok(done.has('[build 2/4] COPY src /src') && done.has('exporting to image'), [...done].join('\n'));
});
