/** `type=gha`: the cache of GitHub Actions, against a server that is as strict as its protocol is documented (test/kit/actions-service.ts); GitHub's own was never asked. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { actionsToken, startActionsService, type ActionsCall, type ActionsFault, type ActionsService } from '#test/kit/actions-service.ts';
import { answer, openProject, ran } from '#test/kit/cache-project.ts';
import type { Sandbox } from '#test/kit/sandbox.ts';

async function openJob(service: ActionsService) {
  return await openProject('busybox', { environment: service.environment });
}

/** Keys of what was downloaded since `from`. */
function downloads({ calls }: ActionsService, from: number): readonly string[] {
  return [...new Set(calls.slice(from).flatMap(({ kind, key }) => (kind === 'get' ? [key] : [])))];
}

/** Nothing that is kept or was printed holds a token. */
function assertSecret(service: ActionsService, sandbox: Sandbox, ...printed: readonly string[]): void {
  for (const secret of [service.token, service.token.split('.')[1] ?? '', service.apiToken]) {
    for (const text of printed) assert.equal(text.includes(secret), false, text);
    const found = spawnSync('grep', ['-rlF', '-e', secret, sandbox.store], { encoding: 'utf8' });
    assert.equal(found.stdout, '');
  }
}

for (const version of [2, 1] as const) {
  test(`version ${version}: the second store runs nothing and downloads the index and the layers of the image; tokens stay where they belong`, async () => {
    await using service = await startActionsService({ version });
    await using one = await openJob(service);
    const first = await one.build('--cache-to=type=gha,mode=max');
    assert.match(
      first.plain,
      /exporting to GitHub Actions Cache\n.*preparing build cache for export\n(?:.*writing layer sha256:[0-9a-f]{64} done\n)+/u,
    );
    assert.match(first.plain, /writing cache index index-buildkit-1-[0-9a-f]{8} done/u);
    assert.deepEqual(service.complaints, []);
    assert.ok(
      service.keys().every((key) => /^(?:buildkit-blob-1-sha256:[0-9a-f]{64}|index-buildkit-1-[0-9a-f]{8}#1)$/u.test(key)),
      service.keys().join(),
    );

    await using two = await openJob(service);
    const before = service.calls.length;
    const second = await two.build('--cache-from=type=gha');
    assert.deepEqual(ran(second.plain), []);
    assert.equal(second.id, first.id);
    assert.match(second.plain, /importing cache manifest from gha:buildkit\n#\d+ DONE/u);
    assert.equal(downloads(service, before).filter((key) => key.startsWith('buildkit-blob-')).length, 5, 'those that the last stage made');
    assert.equal(downloads(service, before).filter((key) => key.startsWith('index-')).length, 1);
    assert.equal(await two.succeed(['run', '--rm', 'app', 'cat', '/srv/all']), answer);

    const quiet = service.calls.length;
    await two.build('--cache-from=type=gha');
    assert.equal(service.calls.length, quiet, 'a goal that is known here asks nobody');

    // What is there already is not written again, and the next index has the next number.
    writeFileSync(`${two.folder}/context/conf`, 'other\n');
    const third = await two.build('--cache-from=type=gha', '--cache-to=type=gha,mode=max');
    assert.deepEqual(new Set(ran(third.plain)), new Set(['COPY --link conf /conf', 'RUN cat app report /conf > all']));
    assert.equal(service.keys().at(-1)?.endsWith('#2'), true);
    const reserved = service.calls.slice(quiet).filter(({ kind }) => kind === 'reserve');
    assert.equal(reserved.length, 4, 'two layers, what the steps were made of, and the index');
    assert.match(third.plain, /^why: COPY --link conf \/conf \(Dockerfile:\d+\) ran again: conf changed \(content\)/mu);
    assert.deepEqual(service.complaints, []);
    assertSecret(service, one, first.plain);
    assertSecret(service, two, second.plain, third.plain);
  });
}

test('scopes: caches of other names, and what another branch wrote, stay; a branch reads those that its token opens', async () => {
  const token = actionsToken([
    ['refs/heads/topic', 3],
    ['refs/heads/main', 1],
  ]);
  await using service = await startActionsService({ token });
  await using one = await openJob(service);
  await one.build('--cache-to=type=gha,scope=a');
  await one.build('--cache-to=type=gha,scope=b');
  const indexes = service.keys().filter((key) => key.startsWith('index-'));
  assert.deepEqual(
    indexes.map((key) => key.replace(/[0-9a-f]{8}#/u, '')),
    ['index-a-1-1', 'index-b-1-1'],
  );
  await using two = await openJob(service);
  const before = service.calls.length;
  const missed = await two.build('--cache-from=type=gha,scope=c', '--target=deps');
  assert.match(missed.plain, /Warning: gha:c has no cache/u);
  assert.equal(service.calls.slice(before).filter(({ kind }) => kind === 'find').length, 2, 'an index of each scope');
  const found = await two.build('--cache-from=type=gha,scope=c', '--cache-from=type=gha,scope=b');
  assert.equal(ran(found.plain).includes('RUN cat app report /conf > all'), false, found.plain);
});

/** What a warning must say, and whether the steps that read layers of the cache ran again. */
const importFaults: readonly (readonly [string, (call: ActionsCall) => ActionsFault | undefined, RegExp])[] = [
  ['401', () => ({ status: 401 }), /cannot use the cache gha:buildkit: .*401/u],
  [
    '429',
    () => ({ status: 429, headers: { 'retry-after': '0' }, body: '{"code":"resource_exhausted","msg":"slow down"}' }),
    /cannot use the cache gha:buildkit: .*429.*slow down/u,
  ],
  [
    'an index that is none',
    ({ kind, key }) => (kind === 'get' && key.startsWith('index') ? { status: 200, body: '<html>' } : undefined),
    /cannot use the cache gha:buildkit: .*JSON/u,
  ],
  [
    'layers that are gone',
    ({ kind, key }) => (kind === 'find' && key.startsWith('buildkit-blob') ? { status: 404 } : undefined),
    /has no "buildkit-blob-1-sha256/u,
  ],
  [
    'layers of other bytes',
    ({ kind, key }) => (kind === 'get' && key.startsWith('buildkit-blob') ? 'damage' : undefined),
    /wrong bytes for sha256/u,
  ],
  [
    'a storage that is down',
    ({ kind, key }) => (kind === 'get' && key.startsWith('buildkit-blob') ? { status: 503, headers: { 'retry-after': '0' } } : undefined),
    /it cannot be read any more: .*503/u,
  ],
];

test('a cache that cannot be read, wholly or in part, is a warning, and the image is right', async () => {
  await using service = await startActionsService();
  await using one = await openJob(service);
  const first = await one.build('--cache-to=type=gha,mode=max');
  for (const [name, choose, warning] of importFaults) {
    await using two = await openJob(service);
    service.fail(choose);
    const done = await two.build('--cache-from=type=gha');
    assert.match(done.plain, /Warning: /u, name);
    assert.match(done.plain, warning, name);
    assert.equal(await two.succeed(['run', '--rm', 'app', 'cat', '/srv/all']), answer, name);
    assertSecret(service, two, done.plain);
  }
  assert.deepEqual(service.complaints, []);
  assert.ok(first.id);
});

test('a download that breaks off goes on where it was; an address that is not good any more is asked for anew', async () => {
  await using service = await startActionsService();
  await using one = await openJob(service);
  const first = await one.build('--cache-to=type=gha');
  const seen = new Map<string, number>();
  service.fail(({ kind, key }) => {
    if (kind !== 'get' || !key.startsWith('buildkit-blob')) return undefined;
    const count = (seen.get(key) ?? 0) + 1;
    seen.set(key, count);
    return count === 1 ? 'cut' : count === 2 ? { status: 403, body: 'AuthenticationFailed' } : undefined;
  });
  await using two = await openJob(service);
  const second = await two.build('--cache-from=type=gha');
  assert.equal(second.id, first.id);
  assert.equal(/Warning/u.test(second.plain), false, second.plain);
  assert.deepEqual(service.complaints, []);
});

test('an export that fails is an error, or a warning if it is said that it does not matter; one that was done by somebody else is none', async () => {
  await using service = await startActionsService();
  await using one = await openJob(service);
  service.fail(({ kind }) =>
    kind === 'reserve' ? { status: 403, body: `{"code":"permission_denied","msg":"not with ${service.token}"}` } : undefined,
  );
  const context = `${one.folder}/context`;
  const failed = await one.jettison(['build', '-t', 'app', '--cache-to=type=gha', context], { environment: service.environment });
  assert.equal(failed.status, 1);
  assert.match(failed.stderr, /403 .*not with \*\*\*/u);
  assert.match(failed.stderr, /Check the credentials/u);
  assertSecret(service, one, failed.stderr);
  assert.equal((await one.jettison(['inspect', 'app'])).status, 1, 'the name has not moved');
  const ignored = await one.build('--cache-to=type=gha,ignore-error=true');
  assert.match(ignored.plain, /Warning: the cache was not exported to gha:buildkit: .*403/u);

  // Another job has reserved the layers, but its index is not there yet.
  service.fail(undefined);
  await one.build('--cache-to=type=gha,scope=first');
  service.fail(({ kind, key }) => (kind === 'find' && key.startsWith('buildkit-blob') ? { status: 404 } : undefined));
  await one.build('--cache-to=type=gha,scope=second');
  assert.equal(
    service.keys().some((key) => key.startsWith('index-second-')),
    true,
  );
  assert.deepEqual(service.complaints, []);
});

test('with a repository and a token GitHub’s API says what is there, and the cache service is not asked', async () => {
  await using service = await startActionsService();
  const environment = { ...service.environment, GITHUB_API_URL: service.api };
  await using one = await openProject('busybox', { environment });
  const option = `--cache-to=type=gha,mode=max,repository=owner/name,ghtoken=${service.apiToken}`;
  const first = await one.build(option);
  const before = service.calls.length;
  const second = await one.build(option);
  const kinds = new Set(service.calls.slice(before).map(({ kind, key }) => `${kind} ${key.slice(0, 13)}`));
  assert.deepEqual(
    kinds,
    new Set(['list buildkit-blob', 'find index-buildki', 'reserve index-buildki', 'put index-buildki', 'commit index-buildki']),
  );
  assertSecret(service, one, first.plain, second.plain);
  assert.deepEqual(service.complaints, []);
  const lost = { environment: { ...environment, GITHUB_API_URL: 'api.github.com' } };
  const refused = await one.jettison(['build', option, `${one.folder}/context`], lost);
  assert.match(refused.stderr, /GitHub's API is no web address/u);
});

test('outside of a job it is left aside with a warning; what cannot be is refused without showing a token', async () => {
  const nothing = { ACTIONS_RUNTIME_TOKEN: '', ACTIONS_RESULTS_URL: '', ACTIONS_CACHE_URL: '', ACTIONS_CACHE_SERVICE_V2: '' };
  await using one = await openProject('busybox', { environment: nothing });
  const done = await one.build('--cache-to=type=gha', '--cache-from=type=gha');
  assert.match(done.plain, /Warning: cannot use the cache gha:buildkit: .*ACTIONS_RUNTIME_TOKEN/u);
  assert.match(done.plain, /Warning: the cache is not exported to gha:buildkit: .*ACTIONS_RUNTIME_TOKEN/u);
  for (const [option, reason] of [
    ['--cache-to=type=gha,token=SECRET,mode=most', /mode is "min" or "max"/u],
    ['--cache-to=type=gha,token=SECRET,image-manifest=true', /"image-manifest" means nothing here/u],
    ['--cache-from=type=gha,token=SECRET,mode=max', /"mode" means nothing here/u],
    ['--cache-from=type=gha,token=SECRET,timeout=soon', /timeout is a duration/u],
    ['--cache-from=type=gha,token=SECRET,version=3', /version is "1" or "2"/u],
    ['--cache-from=type=gha,token=SECRET,"scope=a,b"', /scope is a name without commas/u],
    ['--cache-from=type=gha,token=SECRET,"scope', /cannot be read as fields/u],
    ['--cache-to=type=gha,ghtoken=SECRET', /"repository" and "ghtoken" go together/u],
    ['--cache-to=type=gha,ghtoken=SECRET,repository=../..', /repository is "OWNER\/NAME"/u],
    ['--cache-to=type=gha,token=SECRET,url=ftp://host/', /no web address/u],
    ['--cache-to=type=gha,token=SECRET,url=http://127.0.0.1:9/', /no JSON Web Token/u],
    [`--cache-to=type=gha,token=${actionsToken([], { to: -10 })},url=http://127.0.0.1:9/`, /it has expired/u],
  ] as const) {
    const refused = await one.jettison(['build', option, `${one.folder}/context`], { environment: nothing });
    assert.equal(refused.status === 0, false, option);
    assert.match(refused.stderr, reason, option);
    assert.equal(/SECRET|eyJ/u.test(refused.stderr), false, refused.stderr);
  }
});
