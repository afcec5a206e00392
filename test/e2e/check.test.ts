/** `jettison check` and the check at the end of a build: what it says of a start is what the runtime does. */
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkImage } from '#engine/check-payload.ts';
import { openEngine } from '#engine/open.ts';
import { sourceFile } from '#test/kit/main-file.ts';
import { payloadCases } from '#test/kit/payload-cases.ts';
import { buildPayloads, runPayloads, usualPath } from '#test/kit/payload-world.ts';
import { openSandbox, runCommand, type Sandbox } from '#test/kit/sandbox.ts';
import { readDocument } from '#test/kit/schemas.ts';

const never = new AbortController().signal;
let sandbox: Sandbox;

before(async () => {
  sandbox = await openSandbox();
  await buildPayloads(sandbox);
});
after(async () => await sandbox[Symbol.asyncDispose]());

test('an error is said of exactly those starts that fail', async (t) => {
  await using engine = await openEngine({ environment: { ...process.env, ...sandbox.environment }, currentFolder: sandbox.folder });
  const wrong: string[] = [];
  const ran = runPayloads(sandbox, payloadCases);
  for (const [index, one] of payloadCases.entries()) {
    const start = {
      Entrypoint: one.words,
      Cmd: [],
      Env: [usualPath, ...(one.environment ?? [])],
      User: one.user === undefined ? '' : `${one.user}:${one.user}`,
      WorkingDir: one.folder ?? '/',
    };
    const { findings } = await checkImage(engine, { name: one.tree, platform: undefined, start }, () => undefined, never);
    const errors = findings.filter(({ severity }) => severity === 'error').map(({ message }) => message);
    const { starts, said } = ran[index] ?? { starts: false, said: 'nothing' };
    if (one.starts !== undefined && one.starts !== starts) wrong.push(`${one.name}: the case says ${one.starts}, the runtime: ${said}`);
    if (starts !== (errors.length === 0)) wrong.push(`${one.name}: said ${JSON.stringify(errors)}, the runtime: ${said}`);
  }
  t.diagnostic(`${payloadCases.length} starts, ${ran.filter(({ starts }) => !starts).length} of them fail`);
  assert.ok(payloadCases.length >= 60);
  assert.deepEqual(wrong, []);
});

/** What the image lacks comes out of the stage: a library beside the program, a loader, a shell with its libraries. */
const lacking: Readonly<Record<string, readonly string[]>> = {
  loader: ['FROM busybox', 'COPY --from=build /p/bin/dynamic /app/run', 'ENTRYPOINT ["/app/run"]'],
  library: ['FROM debian', 'COPY --from=build /p/bin/foo-braces /app/bin/run', 'ENTRYPOINT ["/app/bin/run"]'],
  script: ['FROM scratch', 'COPY --from=build /p/scripts/bash /start', 'ENTRYPOINT ["/start"]'],
  env: ['FROM scratch AS end', 'COPY --from=build /p/scripts/env /start', 'ENTRYPOINT ["/start"]', '# the end'],
  relative: ['FROM debian', 'WORKDIR /app/bin', 'COPY --from=build /p/bin/foo-braces run', 'ENTRYPOINT ["/app/bin/run"]'],
  strange: ['FROM debian', 'COPY --from=build /p/bin/foo-strange /app/run', 'ENTRYPOINT ["/app/run"]'],
  dollar: ['FROM debian', 'COPY --from=build /p/bin/foo-dollar /app/run', 'ENTRYPOINT ["/app/run"]'],
  forgotten: ['FROM busybox', 'COPY --from=build /p/scripts/sh /other', 'CMD ["/p/bin/fixed"]'],
};

test('with the lines that are printed it starts', async () => {
  const [build = ''] = readFileSync(join(sandbox.folder, 'payloads/Dockerfile'), 'utf8').split('\n\n');
  for (const [name, final] of Object.entries(lacking)) {
    const file = `Dockerfile.${name}`;
    const context = sandbox.files({ [file]: `${build}\n\n${final.join('\n')}\n` }, 'payloads');
    const built = await sandbox.jettison(['build', '--progress', 'plain', '-t', name, '-f', join(context, file), context]);
    assert.equal(built.status, 0, built.stderr);
    assert.match(built.stderr, /^check: ERROR: /mu, name);
    assert.match(built.stderr, /^check: {3}COPY --from=build /mu, name);
    if (name === 'loader') readDocument('check', (await sandbox.jettison(['check', '--json', name])).stdout);
    const checked = await sandbox.jettison(['check', '--fix', '-f', file, name], { cwd: context });
    assert.equal(checked.status, 1);
    const patched = await runCommand('git', ['apply', '-'], { cwd: context, input: checked.stdout });
    assert.equal(patched.status, 0, patched.stderr + checked.stdout);
    const better = await sandbox.jettison([
      'build',
      '--progress',
      'plain',
      '--check=error',
      '-t',
      name,
      '-f',
      join(context, file),
      context,
    ]);
    assert.equal(better.status, 0, better.stderr);
    assert.equal((await sandbox.succeed(['run', '--rm', name])).trim(), 'started', name);
  }
});

test('a build fails only when it is told to, then without an image; the end of a build without anything new loads nothing of it', async () => {
  const context = sandbox.files({ Dockerfile: 'FROM busybox\nENTRYPOINT ["/nothing"]\n' }, 'modes');
  const refused = await sandbox.jettison(['build', '--check=error', '-t', 'modes', context]);
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, /^ERROR: The image would not start: "\/nothing" is not in the image$/mu);
  assert.doesNotMatch(await sandbox.succeed(['images']), /modes/u);
  assert.doesNotMatch(
    (await sandbox.jettison(['build', '--check=off', '--progress', 'plain', '-t', 'modes', context])).stderr,
    /^check: /mu,
  );
  const coverage = join(sandbox.folder, 'coverage');
  const environment = { ...sandbox.environment, NODE_V8_COVERAGE: coverage };
  assert.equal((await runCommand(process.execPath, [sourceFile, 'build', '--progress', 'plain', context], { environment })).status, 0);
  const loaded = readdirSync(coverage).map((name) => readFileSync(join(coverage, name), 'utf8'));
  assert.ok(loaded.some((text) => text.includes('/engine/deliver.ts')));
  assert.ok(loaded.every((text) => !/\/(?:payload[^/]*|check-built|check-payload)\.ts"|\/formats\/(?:elf|payload)\//u.test(text)));
  assert.equal((await sandbox.jettison(['build', '--check=error', '-t', 'modes', context])).status, 1, 'although nothing is new');
  const again = async (...words: readonly string[]): Promise<string> =>
    (await sandbox.jettison(['build', '--progress', 'plain', '-t', 'modes', ...words, context])).stderr;
  assert.doesNotMatch(await again('--label', 'a=b'), /^check: /mu, 'it starts as the one before it did');
  assert.match(await again('--label', 'a=b', '--label', 'b=c', '--check=error'), /would not start/u);
  sandbox.files({ Dockerfile: 'FROM busybox\nENV TZ=Europe/Nowhere\nENTRYPOINT ["/nothing"]\n' }, 'modes');
  assert.match(await again(), /^check: ERROR: /mu, 'another variable');
  assert.equal((await sandbox.jettison(['build', '--check', context])).status, 0, 'docker’s switch looks at the Dockerfile alone');
  assert.equal((await sandbox.jettison(['build', '--check=perhaps', context])).status, 125);
});

test('what is found is there as a document, with the line that brought the file', async () => {
  const context = sandbox.files(
    {
      Dockerfile: 'FROM busybox\nCOPY start /start\nENV TZ=Europe/Nowhere\nUSER nobody-here\nENTRYPOINT ["/start"]\n',
      start: { text: '#!/bin/sh\r\necho\r\n', mode: 0o755 },
    },
    'document',
  );
  await sandbox.succeed(['build', '-q', '-t', 'document', context]);
  const { status, stdout } = await sandbox.jettison(['check', '--json', 'document']);
  assert.equal(status, 1);
  const { version, findings } = readDocument('check', stdout) as {
    version: number;
    findings: { rule: string; severity: string; origin: { line: number } | null }[];
  };
  assert.equal(version, 1);
  assert.deepEqual(
    findings.map(({ rule, severity, origin }) => [rule, severity, origin?.line]),
    [
      ['unknown-user', 'error', undefined],
      ['carriage-return', 'error', 2],
      ['no-time-zone', 'warning', undefined],
    ],
  );
});

test('what may be brought by then, or may never be reached, is warned of; what is missing only where a stage has it', async () => {
  const stage = 'FROM busybox AS build\nRUN echo "#!/bin/sh" >/serve && chmod 755 /serve && cp /serve /bin/migrate\n';
  const entry = { text: '#!/bin/sh\nif [ -z "$A" ]; then\n  A=1\nfi\n\nexec "$@"\n', mode: 0o755 };
  const found = async (name: string, settings: string): Promise<unknown> => {
    const final = `FROM busybox\nCOPY entry /entry\nCOPY --from=build /bin/migrate /bin/\n${settings}\n`;
    await sandbox.succeed(['build', '-q', '-t', name, sandbox.files({ Dockerfile: stage + final, entry }, name)]);
    const { status, stdout } = await sandbox.jettison(['check', '--json', name]);
    const { findings } = readDocument('check', stdout) as {
      findings: { severity: string; missing: string | null; fixes: { line: string }[] }[];
    };
    return [status, findings.map(({ severity, missing, fixes }) => [severity, missing, fixes.map(({ line }) => line)])];
  };
  const warned = [0, [['warning', '/serve', ['COPY --from=build /serve /serve']]]];
  assert.deepEqual(await found('handed-on', 'ENTRYPOINT ["/entry"]\nCMD ["/serve"]'), warned);
  assert.deepEqual(await found('in-a-list', 'CMD migrate && /serve'), warned);
  assert.deepEqual(await found('of-nobody', 'CMD migrate && /nothing'), [0, []]);
  assert.deepEqual(await found('perhaps', 'CMD migrate || /serve'), [0, []]);
  assert.deepEqual(await found('other-words', 'ENTRYPOINT ["/entry"]\nCMD ["migrate"]'), [0, []]);
});

const severalTargets = `FROM scratch AS tools
COPY --chmod=755 busybox /bin/busybox
COPY --chmod=755 start /start
FROM scratch AS one
COPY --from=tools /start /one
ENTRYPOINT ["/one"]
# jettison:gate
FROM tools AS test
COPY start /tested
FROM scratch AS two
COPY --from=tools /start /two
ENTRYPOINT ["/two"]
`;

test('of several targets for several platforms, beside a gate, each image is looked at by its own stages', async () => {
  const start = '#!/bin/busybox sh\necho started\n';
  const context = sandbox.files({ several: severalTargets, start, busybox: readFileSync('/bin/busybox') }, 'several');
  const build = async (...words: string[]): Promise<string> => {
    const targets = ['--target', 'one,two', '-t', 'one=one', '-t', 'two=two', '-f', join(context, 'several'), context];
    const { status, stderr } = await sandbox.jettison(['build', '--progress', 'plain', ...words, ...targets]);
    assert.equal(status, 0, stderr);
    return stderr;
  };
  const said = await build('--platform', 'linux/amd64,linux/arm64');
  const interpreter = 'needs the interpreter|"/bin/busybox"';
  for (const which of ['one linux/amd64', 'one linux/arm64', 'two linux/amd64', 'two linux/arm64'])
    assert.match(said, new RegExp(`^check: \\[${which}\\] ERROR: ENTRYPOINT: .*(?:${interpreter})`, 'mu'));
  assert.match(said, /^check: {3}COPY --from=tools \/bin\/busybox \/bin\/busybox$/mu);
  assert.match(said, /^payload: \[two linux\/arm64\] .* of stage tools \(/mu);
  for (const [name, line] of [
    ['one', 5],
    ['two', 11],
  ] as const) {
    const { findings } = readDocument('check', (await sandbox.jettison(['check', '--json', name])).stdout) as {
      findings: { origin: { stage: string; line: number } }[];
    };
    assert.deepEqual(
      findings.map(({ origin: { stage, line: at } }) => [stage, at]),
      [[name, line]],
    );
  }
  // The Dockerfile of the build, by its name, and in it the stage of each image.
  for (const name of ['two', 'one']) {
    const { stdout } = await sandbox.jettison(['check', '--fix', name], { cwd: context });
    const patched = await runCommand('git', ['apply', '-'], { cwd: context, input: stdout });
    assert.equal(patched.status, 0, patched.stderr + stdout);
  }
  await build('--check=error');
  for (const name of ['one', 'two']) assert.equal((await sandbox.succeed(['run', '--rm', name])).trim(), 'started');
});

/** Programs on bases that lack what they need: a line each, and what starts. */
const withLibs: Readonly<Record<string, readonly [base: string, copy: string, words: readonly string[]]>> = {
  empty: ['scratch', '/p/bin/dynamic /usr/local/bin/', ['/usr/local/bin/dynamic']],
  'other-system': ['busybox', '/p/bin/dynamic /usr/local/bin/', ['/usr/local/bin/dynamic']],
  'same-system': ['debian', '/p/bin/dynamic /usr/local/bin/', ['/usr/local/bin/dynamic']],
  'own-folder': ['debian', '/p/bin/foo-braces /app/bin/run', ['/app/bin/run']],
  'own-folder-empty': ['scratch', '/p/bin/foo-braces /app/bin/run', ['/app/bin/run']],
  script: ['scratch', '--chmod=755 /p/scripts/bash /start', ['/start']],
  env: ['scratch', '/p/scripts/env /start', ['/start']],
  musl: ['scratch', '/p/musl/foo-origin /bin/run', ['/bin/run']],
  'musl-beside-glibc': ['debian', '/p/musl/foo-origin /bin/run', ['/bin/run']],
  pattern: ['scratch', '/p/bin/dynami[c] /p/bin/foo-rpat* /run/', ['/run/foo-rpath']],
  folder: ['scratch', '--link --exclude=*nowhere /p/bin /run', ['/run/dynamic']],
};

function libs(context: string): readonly string[] {
  return ['-f', join(context, 'Dockerfile.libs'), context];
}

function libsFile(more = ''): string {
  const [build = ''] = readFileSync(join(sandbox.folder, 'payloads/Dockerfile'), 'utf8').split('\n\n');
  const stages = Object.entries(withLibs).map(
    ([name, [base, copy, words]]) => `FROM ${base} AS ${name}\nCOPY --from=build --libs ${copy}\nENTRYPOINT ${JSON.stringify(words)}\n`,
  );
  return `${build}\n${more}\n${stages.join('\n')}`;
}

test('what is copied with --libs starts, whatever the base has', async () => {
  const context = sandbox.files({ 'Dockerfile.libs': libsFile() }, 'payloads');
  for (const name of Object.keys(withLibs)) {
    const built = await sandbox.jettison(['build', '--progress', 'plain', '--check=error', '-t', name, '--target', name, ...libs(context)]);
    assert.equal(built.status, 0, name + built.stderr);
    if (name === 'same-system') assert.match(built.stderr, /--libs: nothing is missing/u);
    if (name === 'folder') assert.match(built.stderr, /Warning: --libs: .*libfoo\.so\.1/u);
    if (name === 'own-folder') assert.match(built.stderr, /--libs brings \d files?, .*: \/app\/lib\/libfoo\.so\.1/u);
    assert.equal((await sandbox.succeed(['run', '--rm', name])).trim(), 'started', name);
  }
});

test('the plain lines that check --libs prints bring the same', async () => {
  const [build = ''] = readFileSync(join(sandbox.folder, 'payloads/Dockerfile'), 'utf8').split('\n\n');
  for (const name of ['own-folder-empty', 'env']) {
    const [base, , words] = withLibs[name] ?? ['', '', []];
    const lines = await sandbox.succeed(['check', '--libs', name]);
    assert.match(
      lines,
      /^# Dockerfile\.libs:\d+: COPY --from=build --libs .*\nCOPY --from=build \/p\/[^]*\nCOPY --from=build \/\S+ \/lib64\//u,
    );
    const plain = `${build}\n\nFROM ${base}\n${lines}ENTRYPOINT ${JSON.stringify(words)}\n`;
    const context = sandbox.files({ 'Dockerfile.libs': plain }, 'payloads');
    await sandbox.succeed(['build', '-q', '-t', 'plain', ...libs(context)]);
    assert.equal((await sandbox.succeed(['run', '--rm', 'plain'])).trim(), 'started', name);
  }
  assert.match((await sandbox.jettison(['check', '--libs', 'plain'])).stderr, /was built without "COPY --libs"/u);
  assert.match(await sandbox.succeed(['check', '--libs', 'same-system']), /^# Dockerfile\.libs:\d+: .*\nCOPY --from=build \S+ \S+\n$/u);
});

test('the lines for one program of an image bring it into an empty one', async () => {
  const context = sandbox.files({}, 'payloads');
  await sandbox.succeed(['build', '-q', '-t', 'whole:1', '--target', 'build', context]);
  for (const path of ['/p/bin/foo-braces', '/p/scripts/env']) {
    const lines = await sandbox.succeed(['check', '--libs', `whole:1:${path}`]);
    assert.ok(lines.startsWith(`COPY --from=whole:1 ${path} ${path}\nCOPY --from=whole:1 /`), lines);
    const one = sandbox.files({ Dockerfile: `FROM scratch\n${lines}ENTRYPOINT ["${path}"]\n` }, 'one-program');
    await sandbox.succeed(['build', '-q', '-t', 'one-program', one]);
    assert.equal((await sandbox.succeed(['run', '--rm', 'one-program'])).trim(), 'started', path);
  }
  assert.equal(await sandbox.succeed(['check', '--libs', 'busybox:/bin/busybox']), 'COPY --from=busybox /bin/busybox /bin/busybox\n');
  const gone = await sandbox.jettison(['check', '--libs', 'busybox:/bin/busybix']);
  assert.equal(gone.status, 1);
  assert.match(gone.stderr, /Did you mean "\/bin\/busybox"\?/u);
  assert.match((await sandbox.jettison(['check', 'busybox:/bin/busybox'])).stderr, /"IMAGE:\/PATH" is for "--libs"/u);
});

test('what a step of another store brought is not known, and check --libs says so', async () => {
  const context = sandbox.files(
    { Dockerfile: 'FROM busybox AS build\nFROM scratch\nCOPY --from=build --libs /bin/busybox /bin/\n' },
    'static',
  );
  const cache = `type=local,dest=${join(sandbox.folder, 'cache')}`;
  await sandbox.succeed(['build', '-q', '-t', 'static', '--cache-to', cache, context]);
  assert.match(
    await sandbox.succeed(['check', '--libs', 'static']),
    /\nCOPY --from=build \/bin\/busybox \/bin\/\n$/u,
    'nothing is missing',
  );
  await using other = await openSandbox();
  await other.base('busybox');
  const built = await other.jettison(['build', '-t', 'static', '--cache-from', cache.replace('dest', 'src'), context]);
  assert.match(built.stderr, /2 of 2 steps cached/u);
  const { status, stderr } = await other.jettison(['check', '--libs', 'static']);
  assert.equal(status, 1);
  assert.match(stderr, /is not known in this store/u);
});

test('a step with --libs runs again for another library, and not for anything else of its stage', async () => {
  const build = async (more: string): Promise<string> => {
    const context = sandbox.files({ 'Dockerfile.libs': libsFile(more) }, 'payloads');
    return (await sandbox.jettison(['build', '--progress', 'plain', '-t', 'again', '--target', 'own-folder', ...libs(context)])).stderr;
  };
  await build('');
  assert.match(await build('RUN touch /else'), /\[own-folder 2\/2\] COPY .*\n#\d+ CACHED/u, 'found by what it takes');
  const changed = await build('RUN printf more >> /p/lib/libbar.so.1');
  assert.match(changed, /--libs brings/u, 'the library of a library is another one');
  assert.match(await sandbox.succeed(['run', '--rm', '--entrypoint', 'tail', 'again', '-c', '4', '/app/lib/libbar.so.1']), /^more$/u);
});

test('what --libs cannot bring is an error that names it, and replaces nothing', async () => {
  const [build = ''] = readFileSync(join(sandbox.folder, 'payloads/Dockerfile'), 'utf8').split('\n\n');
  const failing: Readonly<Record<string, readonly [lines: readonly string[], said: RegExp]>> = {
    nowhere: [['FROM scratch', 'COPY --from=build --libs /p/bin/foo-nowhere /'], /needs "libfoo\.so\.1"/u],
    'in-the-way': [
      ['FROM scratch', 'COPY Dockerfile /app/lib/libfoo.so.1', 'COPY --from=build --libs /p/bin/foo-braces /app/bin/'],
      /in the place of another file, "\/app\/lib\/libfoo\.so\.1"/u,
    ],
    context: [['FROM scratch', 'COPY --libs Dockerfile /'], /copies from neither/u],
  };
  for (const [name, [lines, said]] of Object.entries(failing)) {
    const context = sandbox.files({ 'Dockerfile.libs': `${build}\n\n${lines.join('\n')}\n` }, 'payloads');
    const built = await sandbox.jettison(['build', '--progress', 'plain', ...libs(context)]);
    assert.equal(built.status, 1, name);
    assert.match(built.stderr, said, name);
  }
  const left = sandbox.files(
    {
      'Dockerfile.libs': `${build}\n\nFROM scratch\nCOPY --from=build --libs --exclude=**/libfoo.so.1 --exclude=**/libc.so.6 /p/bin/foo-braces /bin/\n`,
    },
    'payloads',
  );
  const without = await sandbox.jettison(['build', '--progress', 'plain', ...libs(left)]);
  assert.match(without.stderr, /--libs brings 1 file, .*: \/lib64\/ld-linux/u);
});
