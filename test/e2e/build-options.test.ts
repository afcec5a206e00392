/** Options of `build` that change what an image says of itself, or where its parts come from. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { existsSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openSandbox, type Sandbox } from '#test/kit/sandbox.ts';
import { serve } from '#test/kit/web.ts';

type Inspected = {
  readonly Id: string;
  readonly Created: string;
  readonly Config: { readonly Labels?: Readonly<Record<string, string>>; readonly Env?: readonly string[] };
};

async function inspect(sandbox: Sandbox, name: string): Promise<Inspected> {
  const [found] = JSON.parse(await sandbox.succeed(['inspect', name])) as readonly Inspected[];
  assert.ok(found);
  return found;
}

test('SOURCE_DATE_EPOCH: times of the image, a variable where it is declared, the same id from an empty store', async () => {
  const dockerfile =
    'FROM scratch AS base\nCOPY a /\nENV X=1\nFROM base\nARG SOURCE_DATE_EPOCH\nLABEL made=$SOURCE_DATE_EPOCH\nCOPY a /b\n';
  const ids: string[] = [];
  for (const given of ['argument', 'environment'] as const) {
    await using sandbox = await openSandbox();
    const context = sandbox.files({ Dockerfile: dockerfile, a: 'a' });
    utimesSync(join(context, 'a'), 1000, 1000);
    const words = given === 'argument' ? ['--build-arg', 'SOURCE_DATE_EPOCH=1700000000'] : [];
    const environment: Record<string, string> = given === 'argument' ? {} : { SOURCE_DATE_EPOCH: '1700000000' };
    await sandbox.succeed(['build', '-t', 'x', ...words, context], { environment });
    const found = await inspect(sandbox, 'x');
    assert.equal(found.Created, '2023-11-14T22:13:20Z');
    assert.equal(found.Config.Labels?.['made'], '1700000000');
    const history = await sandbox.succeed(['history', '--human=false', '--format', '{{.CreatedAt}}', 'x']);
    assert.deepEqual([...new Set(history.trim().split('\n'))], ['2023-11-14T22:13:20Z']);
    ids.push(found.Id);
    if (given === 'argument') continue;
    // What stands on it keeps its times, and says its own.
    const above = sandbox.files({ Dockerfile: 'FROM x\nENV Y=1\n' }, 'above');
    await sandbox.succeed(['build', '-t', 'y', '--build-arg', 'SOURCE_DATE_EPOCH=1', above]);
    assert.equal((await inspect(sandbox, 'y')).Created, '1970-01-01T00:00:01Z');
    const times = await sandbox.succeed(['history', '--human=false', '--format', '{{.CreatedAt}}', 'y']);
    assert.deepEqual(times.trim().split('\n').slice(0, 2), ['1970-01-01T00:00:01Z', '2023-11-14T22:13:20Z']);
    for (const bad of ['soon', '-1', '1.5', '999999999999']) {
      const refused = await sandbox.jettison(['build', '--build-arg', `SOURCE_DATE_EPOCH=${bad}`, context]);
      assert.match(refused.stderr, /Invalid SOURCE_DATE_EPOCH/u);
    }
  }
  assert.equal(ids[0], ids[1]);
});

test('build arguments: files, the environment, those that nobody asks for', async () => {
  await using sandbox = await openSandbox();
  const context = sandbox.files({
    Dockerfile: 'ARG G\nFROM scratch\nARG A\nARG B\nARG C\nARG D=4\nLABEL a=$A b=$B c=$C d=$D\n',
    'args.conf': '# comment\n\nA=file\nB=file\nC\nE\n',
  });
  const words = ['--build-arg-file', join(context, 'args.conf'), '--build-arg', 'B=line', '--build-arg', 'E', '--build-arg', 'G=x'];
  const spare = ['--build-arg', 'zed=1', '--build-arg', 'HTTPS_PROXY=http://p', '--build-arg', 'BUILDKIT_CACHE_MOUNT_NS=n'];
  const done = await sandbox.jettison(['build', '-t', 'x', ...words, ...spare, context], { environment: { C: 'environment' } });
  assert.equal(done.status, 0, done.stderr);
  assert.match(done.stderr, /^\[Warning\] One or more build-args \[zed\] were not consumed$/mu);
  assert.deepEqual((await inspect(sandbox, 'x')).Config.Labels, { a: 'file', b: 'line', c: 'environment', d: '4' });
  assert.match((await sandbox.jettison(['build', '--build-arg-file', '/none', context])).stderr, /Cannot read the build arguments/u);
  assert.doesNotMatch((await sandbox.jettison(['build', '--build-arg', 'A=1', context])).stderr, /Warning/u);
});

test('a stage of --no-cache-filter that is not there is told, one that is needed by nobody is not', async () => {
  await using sandbox = await openSandbox();
  const context = sandbox.files({ Dockerfile: 'FROM scratch AS one\nLABEL a=b\nFROM scratch\nLABEL a=c\n' });
  const filters = ['ONE', '1', 'oen', '2'].flatMap((name) => ['--no-cache-filter', name]);
  const { status, stderr } = await sandbox.jettison(['build', ...filters, context]);
  assert.equal(status, 0, stderr);
  assert.deepEqual(
    stderr.match(/^\[Warning\].*$/gmu),
    ['oen', '2'].map((name) => `[Warning] --no-cache-filter: there is no stage "${name}"`),
  );
});

test('what asks for something that is not built is refused by its name', async () => {
  await using sandbox = await openSandbox();
  const context = sandbox.files({ Dockerfile: 'FROM scratch\nLABEL a=b\n' });
  const refused = async (words: readonly string[], environment: Readonly<Record<string, string>> = {}): Promise<string> => {
    const done = await sandbox.jettison(['build', ...words, context], { environment });
    assert.notEqual(done.status, 0, words.join(' '));
    return done.stderr;
  };
  assert.match(await refused(['--build-arg', 'BUILDKIT_MULTI_PLATFORM=true']), /"BUILDKIT_MULTI_PLATFORM" is not built yet/u);
  assert.match(await refused(['--build-arg', 'BUILDKIT_SYNTAX=example/other']), /Syntax image "example\/other"/u);
  assert.match(await refused([], { DOCKER_BUILDKIT: 'perhaps' }), /DOCKER_BUILDKIT expects a boolean/u);
  assert.match(await refused([], { BUILDKIT_PROGRESS: 'loud' }), /Invalid BUILDKIT_PROGRESS "loud"/u);
  const accepted = [
    '--rm',
    '--force-rm',
    '--compress',
    '--build-arg',
    'BUILDKIT_INLINE_CACHE=0',
    '--build-arg',
    'BUILDKIT_MULTI_PLATFORM=0',
  ];
  await sandbox.succeed(['build', ...accepted, context], { environment: { DOCKER_BUILDKIT: '1', BUILDKIT_PROGRESS: 'plain' } });
});

test('--pull: policies, and how often a registry is asked', async () => {
  await using sandbox = await openSandbox();
  // A port on which nobody listens.
  const gone = '127.0.0.1:9';
  const here = sandbox.files({ Dockerfile: 'FROM scratch\nLABEL a=b\n' }, 'here');
  await sandbox.succeed(['build', '-t', `${gone}/here`, here]);
  const local = sandbox.files({ Dockerfile: `FROM ${gone}/here\nLABEL c=d\n` }, 'local');
  const away = sandbox.files({ Dockerfile: `FROM ${gone}/away\nLABEL c=d\n` }, 'away');
  const run = async (...words: readonly string[]) => await sandbox.jettison(['build', '--retry=0', ...words]);
  for (const policy of ['--pull=false', '--pull=missing', '--pull=never', '--pull=newer']) {
    const done = await run(policy, local);
    assert.equal(done.status, 0, `${policy}: ${done.stderr}`);
  }
  for (const policy of ['--pull', '--pull=always', '--pull=true'])
    assert.match((await run(policy, local)).stderr, /127\.0\.0\.1:9/u, policy);
  assert.match((await run('--pull=never', away)).stderr, /is not in the store, and "--pull=never"/u);
  assert.match((await run('--pull=sometimes', away)).stderr, /invalid argument "sometimes" for "--pull" flag/u);
  await using busy = await serve((_, response) => void response.writeHead(503).end());
  const tried = async (words: readonly string[]): Promise<number> => {
    const before = busy.seen.length;
    assert.equal((await sandbox.jettison(words)).status, 1);
    return busy.seen.length - before;
  };
  const asking = sandbox.files({ Dockerfile: `FROM ${busy.host}/away\n` }, 'asking');
  const once = await tried(['build', '--retry=0', asking]);
  assert.equal(await tried(['build', '--retry=2', '--retry-delay=10ms', asking]), once + 2);
  assert.equal(await tried(['pull', '--retry=3', '--retry-delay=10ms', `${busy.host}/away`]), once + 3);
  assert.match((await run('--retry=many', away)).stderr, /invalid argument "many" for "--retry" flag/u);
  assert.match((await run('--retry-delay=5', away)).stderr, /use a number with a unit/u);
});

test('hosts, labels without a value, several names, the id file of a build that failed', async () => {
  await using sandbox = await openSandbox();
  await sandbox.base('busybox');
  const context = sandbox.files({ Dockerfile: 'FROM busybox\nRUN cat /etc/hosts > /hosts\nCMD ["cat", "/hosts"]\n' });
  const hosts = ['--add-host', 'one:10.0.0.1', '--add-host', 'two=10.0.0.2', '--add-host', 'six:fe80::1', '--add-host', 'box=[fe80::2]'];
  const idFile = join(sandbox.folder, 'id');
  const names = ['-t', 'first', '-t', 'second:2', '--label', 'empty', '--label', 'full=1', '--iidfile', idFile];
  await sandbox.succeed(['build', ...hosts, '--add-host', 'host.docker.internal:host-gateway', ...names, context]);
  const printed = await sandbox.succeed(['run', '--rm', 'second:2']);
  for (const line of ['10.0.0.1\tone', '10.0.0.2\ttwo', 'fe80::1\tsix', 'fe80::2\tbox', '127.0.0.1\thost.docker.internal'])
    assert.ok(printed.includes(line), `${line} is not in ${printed}`);
  const found = await inspect(sandbox, 'first');
  assert.deepEqual(found.Config.Labels, { empty: '', full: '1' });
  assert.equal(readFileSync(idFile, 'utf8'), found.Id);
  const broken = sandbox.files({ Dockerfile: 'FROM busybox\nRUN false\n' }, 'broken');
  assert.notEqual((await sandbox.jettison(['build', '--iidfile', idFile, broken])).status, 0);
  assert.equal(existsSync(idFile), false);
});

test('a folder that COPY makes takes no special bits of --chmod, as with BuildKit; the namespace of cache mounts', async () => {
  await using sandbox = await openSandbox();
  await sandbox.base('busybox');
  const context = sandbox.files({
    Dockerfile:
      'FROM busybox\nARG N\nCOPY --chmod=1777 a /new/a\nRUN stat -c %a /new > /mode\nRUN --mount=type=cache,target=/c echo $N >> /c/seen; cat /c/seen > /seen\n',
    a: '',
  });
  const built = async (...words: readonly string[]): Promise<string> => {
    await sandbox.succeed(['build', '-t', 'x', ...words, context]);
    return await sandbox.succeed(['run', '--rm', 'x', 'cat', '/mode', '/seen']);
  };
  assert.equal(await built('--build-arg', 'N=1'), '755\n1\n');
  assert.equal(await built('--build-arg', 'N=2'), '755\n1\n2\n');
  assert.equal(await built('--build-arg', 'N=3', '--build-arg', 'BUILDKIT_CACHE_MOUNT_NS=other'), '755\n3\n');
});

test('a source policy: what it denies is an error with its line, what it converts is used, counts in keys and shows in provenance', async () => {
  await using sandbox = await openSandbox();
  await using web = await serve((request, response) => void response.end(request.url?.slice(1)));
  const origin = `http://${web.host}`;
  const context = sandbox.files({
    Dockerfile: `FROM scratch AS base\nADD ${origin}/one /file\nFROM base\n`,
    'other/Dockerfile': 'FROM old:1\nCOPY Dockerfile /\n',
  });
  const policy = (name: string, ...rules: readonly object[]): string =>
    join(sandbox.files({ [name]: JSON.stringify({ rules }) }, 'policies'), name);
  const denied = policy('deny.json', { action: 'DENY', selector: { identifier: `${origin}/*` } });
  const two = policy('two.json', {
    action: 'CONVERT',
    selector: { identifier: `${origin}/one` },
    updates: { identifier: `${origin}/two`, attrs: { 'http.checksum': `sha256:${hash('sha256', 'two')}` } },
  });
  const files = async (words: readonly string[], environment: Record<string, string> = {}): Promise<string> => {
    const out = join(sandbox.folder, 'out');
    await sandbox.succeed(['build', '--provenance=mode=max', '-o', out, ...words, context], { environment });
    return `${readFileSync(join(out, 'file'), 'utf8')} ${/"uri":\s*"([^"]*\/(?:one|two))"/u.exec(readFileSync(join(out, 'provenance.json'), 'utf8'))?.[1]}`;
  };
  assert.equal(await files([]), `one ${origin}/one`);
  assert.equal(await files(['--source-policy-file', two]), `two ${origin}/two`);
  assert.equal(await files([], { EXPERIMENTAL_BUILDKIT_SOURCE_POLICY: two }), `two ${origin}/two`);
  const refused = await sandbox.jettison(['build', '--source-policy-file', denied, context]);
  assert.match(
    refused.stderr,
    /^Dockerfile:2\n[^]*>>> ADD http[^]*\nERROR: source "http:\/\/[^"]*\/one" denied by policy\nRule 1 of "[^"]*deny\.json" denies it/mu,
  );
  assert.equal(refused.status, 1);

  await sandbox.succeed(['build', '-q', '-t', 'new:2', context]);
  const image = policy('image.json', {
    action: 'CONVERT',
    selector: { identifier: 'docker-image://docker.io/library/old:*' },
    updates: { identifier: 'docker-image://docker.io/library/new:2' },
  });
  const other = join(context, 'other');
  await sandbox.succeed(['build', '-q', '-t', 'made', '--source-policy-file', image, other]);
  assert.equal((await sandbox.succeed(['inspect', '--format', '{{len .RootFS.Layers}}', 'made'])).trim(), '2');
  const local = policy('local.json', { action: 'DENY', selector: { identifier: 'docker-image://*' } });
  assert.match(
    (await sandbox.jettison(['build', '--source-policy-file', local, other])).stderr,
    />>> FROM old:1[^]*ERROR: source "docker-image:\/\/docker\.io\/library\/old:1" denied by policy/u,
  );
  const all = policy('all.json', { action: 'DENY', selector: { identifier: '*' } });
  assert.match(
    (await sandbox.jettison(['build', '--source-policy-file', all, other])).stderr,
    /ERROR: source "local:\/\/dockerfile" denied by policy/u,
  );
  assert.match(
    (await sandbox.jettison(['plan', '--source-policy-file', 'missing.json', other])).stderr,
    /failed to read policy file: open missing\.json/u,
  );
});

test('several targets are built in one graph: what they share once, each with its names and outputs, and all named together or none', async () => {
  await using sandbox = await openSandbox();
  await sandbox.base('busybox');
  const { folder } = sandbox;
  sandbox.files({ Dockerfile: twoTargets('true') });
  const build = async (...words: string[]) =>
    await sandbox.jettison(['build', '--target', 'app,tools', ...words, 'context'], { cwd: folder });
  const names = ['-t', 'app=shop', '-t', 'app=shop:2', '-t', 'TOOLS=shop-tools'];
  const made = await build(
    ...names,
    '-q',
    '--iidfile',
    'ids',
    '--metadata-file',
    'told',
    '-o',
    'type=image',
    '-o',
    'tools=type=oci,dest=tools.tar',
  );
  assert.equal(made.status, 0, made.stderr);
  const ids = made.stdout.trim().split('\n');
  assert.equal(ids.length, 2);
  assert.equal(readFileSync(join(folder, 'ids'), 'utf8'), ids.join('\n'));
  const told = JSON.parse(readFileSync(join(folder, 'told'), 'utf8')) as Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  assert.deepEqual(Object.keys(told), ['app', 'tools']);
  assert.equal(told['app']?.['containerimage.config.digest'], ids[0]);
  assert.equal(told['app']?.['image.name'], 'docker.io/library/shop,docker.io/library/shop:2');
  assert.equal(told['tools']?.['containerimage.config.digest'], ids[1]);
  const read = async (name: string): Promise<string> => await sandbox.succeed(['run', '--rm', name, 'cat', '/own', '/shared']);
  const [app, tools] = [await read('shop:2'), await read('shop-tools')];
  assert.deepEqual([app.split('\n')[0], tools.split('\n')[0]], ['app', 'tools']);
  assert.equal(app.split('\n')[1], tools.split('\n')[1], 'shared steps run once');
  assert.ok(existsSync(join(folder, 'tools.tar')));

  // Folders, for each platform.
  assert.equal((await build('--platform', 'linux/amd64,linux/arm64', '-o', 'out')).status, 0);
  for (const place of ['app/linux_amd64', 'app/linux_arm64', 'tools/linux_amd64', 'tools/linux_arm64'])
    assert.equal(readFileSync(join(folder, 'out', place, 'own'), 'utf8'), `${place.split('/')[0]}\n`);

  // Limits are those of each image, and it is said which one is over them.
  const over = await build(...names, '--platform', 'linux/amd64,linux/arm64', '--budget', 'layers<=1');
  assert.equal(over.status, 4, over.stderr);
  for (const which of ['app linux/amd64', 'app linux/arm64', 'tools linux/amd64', 'tools linux/arm64'])
    assert.match(over.stderr, new RegExp(`over its budget: \\[${which}\\] \\d+ layers`, 'u'));

  // No name moves when a gate fails, or what is written of another target.
  const images = async (): Promise<string> =>
    await sandbox.succeed(['images', '-f', 'dangling=false', '--format', '{{.Repository}}:{{.Tag}} {{.ID}}']);
  const before = await images();
  sandbox.files({ Dockerfile: twoTargets('exit 3').replace('echo app', 'echo other') });
  assert.match((await build(...names, '--gate', 'test')).stderr, /exit code: 3/u);
  writeFileSync(join(folder, 'file'), '');
  assert.equal((await build(...names, '-o', 'app=type=image', '-o', 'tools=type=oci,dest=file/tools.tar')).status, 1);
  assert.equal(await images(), before);

  const refused = async (...words: string[]): Promise<string> => (await build(...words)).stderr.split('\n').slice(0, 2).join('|');
  assert.match(await refused('-t', 'x'), /does not say which of the targets it names: "app", "tools"\|Write "-t app=x"/u);
  assert.match(await refused('-t', 'ap=x'), /names the target "ap", which is not built/u);
  assert.match(await refused('-o', 'type=tar,dest=x'), /one place for several targets\|Say whose it is: "-o app=type=tar,dest=x"/u);
  assert.match(await refused('--push', '-t', 'app=localhost:1/x'), /tag is needed.*\|.*"-t tools=NAME"/u);
  assert.match(await refused('--progress', 'classic'), /of one target only/u);
});

function twoTargets(last: string): string {
  return `FROM --platform=$BUILDPLATFORM busybox AS base\nRUN cat /proc/sys/kernel/random/uuid > /shared\nFROM base AS app\nRUN echo app > /own\nFROM base AS tools\nRUN echo tools > /own\nFROM base AS test\nRUN ${last}\n`;
}
