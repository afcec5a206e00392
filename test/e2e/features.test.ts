/** What `jettison build` can do beside the main path, typed as people type it. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { openSandbox } from '#test/kit/sandbox.ts';

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
  assert.match(broken.stdout, /ERROR: Unknown instruction: "USR"\nDockerfile:2\n/u);
});

test('--call=targets lists the stages; what cannot be called is refused', async () => {
  await using sandbox = await openSandbox();
  const context = sandbox.files({ Dockerfile: '# tools for the rest\nFROM scratch AS tools\nFROM tools\n' });
  assert.equal(
    await sandbox.succeed(['build', '--call=targets', context]),
    'TARGET       DESCRIPTION\ntools        for the rest\n(default)\n',
  );
  assert.match((await sandbox.jettison(['build', '--call=outline', context])).stderr, /"--call=outline" is not built yet/u);
});

test('a build ends with its warnings', async () => {
  await using sandbox = await openSandbox();
  const context = sandbox.files({ Dockerfile: 'FROM scratch\nCOPY a /\nCMD run me\n', a: '' });
  const done = await sandbox.jettison(['build', '--progress=plain', context]);
  assert.equal(done.status, 0, done.stderr);
  assert.match(done.stderr, / 1 warning found \(use jettison build --check to expand\):\n - JSONArgsRecommended: .* \(line 3\)\n$/u);
});
