/** `jettison check` and the check at the end of a build: what it says of a start is what the runtime does. */
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkImage } from '#engine/check-payload.ts';
import { openEngine } from '#engine/open.ts';
import { payloadCases } from '#test/kit/payload-cases.ts';
import { buildPayloads, runPayloads, usualPath } from '#test/kit/payload-world.ts';
import { openSandbox, runCommand, type Sandbox } from '#test/kit/sandbox.ts';

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
  await sandbox.succeed(['build', '--progress', 'plain', context], { environment: { NODE_V8_COVERAGE: coverage } });
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
  const { version, findings } = JSON.parse(stdout) as {
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
