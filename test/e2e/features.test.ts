/** What `jettison build` can do beside the main path, typed as people type it. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { filesOf } from '#test/kit/archive-files.ts';
import { serve } from '#test/kit/web.ts';
import { openSandbox, runCommand } from '#test/kit/sandbox.ts';

test('--check tells findings with their lines and exits with 1; nothing is built', async () => {
  await using sandbox = await openSandbox();
  const context = sandbox.files({
    Dockerfile: 'FROM scratch AS First\nCOPY notes.md /\nFROM scratch\nCMD run me\n',
    '.dockerignore': '*.md\n',
    'notes.md': '',
  });
  const found = await sandbox.jettison(['build', '--check', context]);
  assert.equal(found.status, 1, found.stderr);
  assert.match(found.stdout, /^Check complete, 3 warnings have been found!$/mu);
  const rules = [...found.stdout.matchAll(/^WARNING: (\w+) - https:.*\n.*\nDockerfile:(\d+)$/gmu)].map(
    (match) => `${match[1]}:${match[2]}`,
  );
  assert.deepEqual(rules, ['StageNameCasing:1', 'CopyIgnoredFile:2', 'JSONArgsRecommended:4']);
  assert.match(found.stdout, /^ 4 \| >>> CMD run me$/mu);

  const json = await sandbox.jettison(['build', '--call=check,format=json,ignorestatus=true', context]);
  assert.equal(json.status, 0);
  assert.deepEqual(
    [...json.stdout.matchAll(/"ruleName": "(\w+)"/gu)].map((match) => match[1]),
    ['StageNameCasing', 'CopyIgnoredFile', 'JSONArgsRecommended'],
  );
  assert.equal((await sandbox.succeed(['images', '-q', '-a'])).trim(), '');

  const clean = sandbox.files({ Dockerfile: 'FROM scratch\nLABEL a=b\n' }, 'clean');
  assert.equal(await sandbox.succeed(['build', '--check', clean]), 'Check complete, no warnings found.\n');
  const broken = await sandbox.jettison(['build', '--check', sandbox.files({ Dockerfile: 'FROM scratch\nUSR x\n' }, 'broken')]);
  assert.equal(broken.status, 1);
  assert.match(broken.stdout, /ERROR: Unknown instruction: "USR"\nDockerfile:2:1\n/u);
});

/** As BuildKit says where something stands. */
function at(line: number) {
  return { location: { ranges: [{ start: { line }, end: { line } }] } };
}

test('--call=targets lists the stages, --call=outline what one of them takes; what cannot be called is refused', async () => {
  await using sandbox = await openSandbox();
  const context = sandbox.files({ Dockerfile: '# tools for the rest\nFROM scratch AS tools\nFROM tools\n' });
  assert.equal(await sandbox.succeed(['build', '--call=targets', context]), 'TARGET    DESCRIPTION\ntools     for the rest\n(default) \n');
  assert.match(await sandbox.succeed(['build', '--call=subrequests.describe', context]), /^NAME +VERSION DESCRIPTION\noutline +1\.0\.0 /u);
  assert.match((await sandbox.jettison(['build', '--call=outlin', context])).stderr, /use "build", "check", "outline"/u);
  const outlined = sandbox.files(
    {
      Dockerfile:
        '# A is one\nARG A=1\n# b makes it\nFROM scratch AS b\nARG A\nRUN --mount=type=secret,id=s x\nFROM b AS c\nRUN --mount=type=ssh y\n',
    },
    'outlined',
  );
  assert.equal(
    await sandbox.succeed(['build', '--call=outline', '--target=b', '--build-arg=A=22', outlined]),
    'TARGET:      b\nDESCRIPTION: makes it\n\nBUILD ARG   VALUE   DESCRIPTION\nA           22      \n\nSECRET   REQUIRED\ns        \n\n',
  );
  const outline: unknown = JSON.parse(await sandbox.succeed(['build', '--call=outline,format=json', outlined]));
  const [source] = (outline as { readonly sources: readonly string[] }).sources;
  assert.deepEqual(outline, {
    name: 'c',
    args: [{ name: 'A', description: 'is one', value: '1', ...at(2) }],
    secrets: [{ name: 's', ...at(6) }],
    ssh: [{ name: 'default', ...at(8) }],
    sources: [source],
  });
  assert.equal((await sandbox.jettison(['build', '--call=outline', '--target=gone', outlined])).status, 1);
});

test('a build ends with its warnings', async () => {
  await using sandbox = await openSandbox();
  const context = sandbox.files({ Dockerfile: 'FROM scratch\nCOPY a /\nCMD run me\n', a: '' });
  const done = await sandbox.jettison(['build', '--progress=plain', context]);
  assert.equal(done.status, 0, done.stderr);
  assert.match(
    done.stderr,
    / 1 warning found \(use jettison build --check to expand\):\n - JSONArgsRecommended: .* \(line 3\)\n\ncheck: ERROR: CMD: "\/bin\/sh" is not in the image\..*\npayload: 0B\nbuilt in .*\n$/u,
  );
});

test('--build-context: a folder with its own ignore file, an image for an image, a layout for a stage', async () => {
  await using sandbox = await openSandbox();
  sandbox.files({ '.dockerignore': '*.log\n.dockerignore\n', kept: 'kept', 'left.log': 'left' }, 'more');
  const one = sandbox.files({ Dockerfile: 'FROM scratch\nCOPY who /who\nENV WHO=one\nONBUILD COPY extra /extra\n', who: 'one' }, 'one');
  await sandbox.succeed(['build', '-t', 'one', '-t', 'spare:2', one]);
  await sandbox.succeed([
    'build',
    '-o',
    `type=oci,dest=${sandbox.folder}/two.tar`,
    sandbox.files({ Dockerfile: 'FROM scratch\nCOPY two /two\n', two: 'two' }, 'two'),
  ]);
  const layout = `${sandbox.folder}/layout`;
  mkdirSync(layout);
  execFileSync('tar', ['-xf', `${sandbox.folder}/two.tar`, '-C', layout]);

  const context = sandbox.files({
    Dockerfile: [
      'FROM nowhere.example/gone AS tools',
      'RUN never',
      'FROM tools AS built',
      'FROM debian:12',
      'COPY --from=more . /more/',
      'COPY --from=built /two /two',
      'COPY --from=more kept /kept-$WHO',
    ].join('\n'),
    extra: 'from a trigger',
  });
  const names = ['--build-context', 'more=more', '--build-context', 'docker.io/library/debian:12=docker-image://spare:2'];
  await sandbox.succeed([
    'build',
    ...names,
    '--build-context',
    `tools=oci-layout://${layout}`,
    '-t',
    'mixed',
    '-o',
    `type=docker,dest=${sandbox.folder}/out.tar`,
    context,
  ]);
  assert.deepEqual(filesOf(`${sandbox.folder}/out.tar`, sandbox.folder), ['extra', 'kept-one', 'more/', 'more/kept', 'two', 'who']);

  const rebuilt = await sandbox.jettison([
    'build',
    ...names,
    '--build-context',
    `tools=oci-layout://${layout}`,
    '--progress=plain',
    context,
  ]);
  assert.equal(rebuilt.stderr.match(/ CACHED$/gmu)?.length, 6, rebuilt.stderr);
  sandbox.files({ kept: 'changed' }, 'more');
  const changed = await sandbox.jettison([
    'build',
    ...names,
    '--build-context',
    `tools=oci-layout://${layout}`,
    '--progress=plain',
    context,
  ]);
  assert.equal(changed.status, 0, changed.stderr);
  assert.match(changed.stderr, /COPY --from=built \/two \/two\n#\d+ DONE/u, 'what stands on a changed copy runs again');

  const based = sandbox.files({ Dockerfile: 'FROM more\nCOPY a /\n', a: '' }, 'based');
  await sandbox.succeed(['build', '--build-context', 'more=more', '-o', `type=docker,dest=${sandbox.folder}/based.tar`, based]);
  assert.deepEqual(filesOf(`${sandbox.folder}/based.tar`, sandbox.folder), ['a', 'kept']);

  const refuse = async (value: string): Promise<string> => (await sandbox.jettison(['build', '--build-context', value, based])).stderr;
  assert.match(await refuse('more=target:x'), /is not built yet/u);
  assert.match(await refuse('more'), /use "NAME=PATH"/u);
  assert.match(await refuse('No=more'), /cannot be the name/u);
  assert.match(await refuse('more=missing'), /not there: .*missing/u);
  assert.match(await refuse(`more=oci-layout://${layout}:3`), /no image for tag "3"/u);
});

test('--secret: a file and a variable for one step; nothing of them stays', async () => {
  await using sandbox = await openSandbox();
  await sandbox.base('busybox');
  const context = sandbox.files({
    Dockerfile: [
      'FROM busybox',
      'ARG N=1',
      'RUN --mount=type=secret,id=key,required=true --mount=type=secret,id=token,env=TOKEN,required=true \\',
      '    cat /run/secrets/key && stat -c %a /run/secrets/key && echo "token is $TOKEN" && printf %s "$(cat /run/secrets/key)$TOKEN" | sha256sum | grep -q 0d7f98d29501f356eecbf05d10963b396026ebcf282fead7d1284b72848888bb && echo $N',
      'RUN test ! -s /run/secrets/key && test -z "$TOKEN"',
    ].join('\n'),
  });
  const file = join(sandbox.files({ key: 'KEY-oxoxo\n' }, 'elsewhere'), 'key');
  const words = ['build', '--progress=plain', '--secret', `id=key,src=${file}`, '--secret', 'id=token,env=MY_TOKEN', '-t', 'with', context];
  const done = await sandbox.jettison(words, { environment: { MY_TOKEN: 'TOK-ixixi' } });
  assert.equal(done.status, 0, done.stderr);
  assert.match(done.stderr, / 400\n/u);
  assert.match(done.stderr, /token is \*\*\*/u);
  const traces = await runCommand('grep', ['-rlE', 'KEY-oxoxo|TOK-ixixi', sandbox.store]);
  assert.equal(traces.stdout, '', 'nothing of a secret is in the store');
  assert.doesNotMatch(done.stdout + done.stderr + (await sandbox.succeed(['history', '--no-trunc', 'with'])), /KEY-oxoxo|TOK-ixixi/u);

  const other = await sandbox.jettison(words, { environment: { MY_TOKEN: 'another value' } });
  assert.equal(other.stderr.match(/ CACHED$/gmu)?.length, 3, `the value does not count for the cache:\n${other.stderr}`);

  const refused = await sandbox.jettison(['build', '--build-arg', 'N=2', '--secret', `id=key,src=${file}`, context]);
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, /Secret "token" is required, but was not given/u);
  assert.match(refused.stderr, />>> RUN --mount=type=secret/u);
  assert.match((await sandbox.jettison(['build', '--secret', 'id=key,src=/nowhere', context])).stderr, /Cannot read the secret "key"/u);
});

test('ADD of a URL: kept while the server says it is the same, checked, unpacked when asked for', async () => {
  await using sandbox = await openSandbox();
  let page = 'one';
  const tarball = execFileSync('tar', ['-cz', '-C', sandbox.files({ inside: 'x' }, 'packed'), 'inside']);
  await using server = await serve((request, response) => {
    if (request.url === '/t.tgz') response.end(tarball);
    else if (request.headers['if-none-match'] === page) response.writeHead(304).end();
    else response.writeHead(200, { etag: page }).end(page);
  });
  const context = sandbox.files({
    Dockerfile: 'FROM scratch\nARG AT\nADD $AT/page $AT/t.tgz /in/\nADD --unpack $AT/t.tgz /out/\n',
  });
  const archive = join(sandbox.folder, 'out.tar');
  const build = async (): Promise<string> => {
    const words = [
      'build',
      '--progress=plain',
      '--build-arg',
      `AT=http://me:hunter2@${server.host}`,
      '-t',
      'web',
      '-o',
      `type=docker,dest=${archive}`,
    ];
    const done = await sandbox.jettison([...words, context]);
    assert.equal(done.status, 0, done.stderr);
    assert.doesNotMatch(done.stderr, /hunter2/u);
    return done.stderr;
  };
  await build();
  assert.deepEqual(filesOf(archive, sandbox.folder), ['in/', 'in/page', 'in/t.tgz', 'out/', 'out/inside']);
  const again = await build();
  assert.match(again, /ADD http.*\/in\/\n#\d+ CACHED/u);
  page = 'two';
  assert.match(await build(), /ADD http.*\/in\/\n#\d+ DONE/u);

  const wrong = sandbox.files(
    { Dockerfile: `FROM scratch\nADD --checksum=sha256:${'0'.repeat(64)} http://${server.host}/page /\n` },
    'wrong',
  );
  const refused = await sandbox.jettison(['build', wrong]);
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, /Digest mismatch/u);
  assert.match(refused.stderr, />>> ADD --checksum/u);
});

test('a Dockerfile or a whole context from standard input', async () => {
  await using sandbox = await openSandbox();
  const archive = join(sandbox.folder, 'out.tar');
  const context = sandbox.files({
    a: 'a',
    'sub/Other': 'FROM scratch\nCOPY a /other\n',
    Dockerfile: 'FROM scratch\nCOPY . /in/\n',
    '.dockerignore': 'sub\n.dockerignore\n',
  });
  const output = ['-o', `type=docker,dest=${archive}`];
  await sandbox.succeed(['build', '-f', '-', ...output, context], { input: 'FROM scratch\nCOPY a /piped\n' });
  assert.deepEqual(filesOf(archive, sandbox.folder), ['piped']);
  await sandbox.succeed(['build', ...output, '-'], { input: 'FROM scratch\nCOPY <<E /text\nhello\nE\n' });
  assert.deepEqual(filesOf(archive, sandbox.folder), ['text']);
  for (const packed of [[], ['-z'], ['--zstd']]) {
    const input = execFileSync('tar', ['-c', ...packed, '-C', context, '.']);
    await sandbox.succeed(['build', ...output, '-'], { input });
    const all = ['in/', 'in/.dockerignore', 'in/Dockerfile', 'in/a', 'in/sub/', 'in/sub/Other'];
    assert.deepEqual(filesOf(archive, sandbox.folder).toSorted(), all, 'an ignore file in an archive does not count');
    await sandbox.succeed(['build', '-f', 'sub/Other', ...output, '-'], { input });
    assert.deepEqual(filesOf(archive, sandbox.folder), ['other']);
  }
  const broken = await sandbox.jettison(['build', '-'], { input: 'FROM scratch\nCOPY gone /\n' });
  assert.equal(broken.status, 1);
  assert.match(broken.stderr, />>> COPY gone/u);
  assert.deepEqual(readdirSync(join(sandbox.store, 'contexts')), [], 'nothing of a context stays');
});

test('--no-cache-filter, --shm-size and --add-host', async () => {
  await using sandbox = await openSandbox();
  await sandbox.base('busybox');
  const context = sandbox.files({
    Dockerfile: [
      'FROM busybox AS one',
      'RUN df -k /dev/shm | tail -1 | tr -s " " | cut -d" " -f2; cat /etc/hosts',
      'FROM busybox AS two',
      'COPY --from=one /etc/group /g',
    ].join('\n'),
  });
  const words = ['build', '--progress=plain', '--shm-size=32m', '--add-host', 'db.local:10.1.2.3', '--add-host', 'six=[::1]', context];
  const first = await sandbox.jettison(words);
  assert.equal(first.status, 0, first.stderr);
  assert.match(first.stderr, / 32768\n/u);
  assert.match(first.stderr, /10\.1\.2\.3\s+db\.local/u);
  assert.match(first.stderr, /::1\s+six/u);
  assert.doesNotMatch((await sandbox.jettison(words)).stderr, /RUN df.*\n#\d+ DONE/u);
  const again = await sandbox.jettison([...words, '--no-cache-filter', 'two,one']);
  assert.match(again.stderr, / 32768\n/u);
  for (const bad of ['--shm-size=much', '--add-host=db', '--add-host=db:host', '--ulimit=nofile=1']) {
    assert.ok([1, 125].includes((await sandbox.jettison(['build', bad, context])).status ?? 0), bad);
  }
});
