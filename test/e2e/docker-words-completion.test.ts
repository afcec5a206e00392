/** What shells offer at the cursor, asked of the shells themselves. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { openSandbox, runCommand, type Sandbox } from '#test/kit/sandbox.ts';
import { mainFile } from '#test/kit/main-file.ts';

async function shellSandbox(): Promise<Sandbox> {
  const sandbox = await openSandbox();
  sandbox.files({ Dockerfile: 'FROM scratch\nCOPY Dockerfile /\nCMD ["/x"]\n', 'a file': '' });
  await sandbox.succeed(['build', '-q', '-t', 'team/app:1.0', '-t', 'team/web:2', join(sandbox.folder, 'context')]);
  sandbox.files({ jettison: { text: `#!/bin/sh\nexec '${process.execPath}' '${mainFile}' "$@"\n`, mode: 0o755 } }, 'bin');
  return sandbox;
}

async function run(sandbox: Sandbox, shell: readonly [string, ...string[]]): Promise<string> {
  const [program, ...words] = shell;
  const environment = {
    ...sandbox.environment,
    PATH: `${join(sandbox.folder, 'bin')}:${process.env['PATH'] ?? ''}`,
    HOME: sandbox.folder,
    TERM: 'xterm',
  };
  const done = await runCommand(program, words, { cwd: join(sandbox.folder, 'context'), environment });
  assert.equal(done.status, 0, done.stdout + done.stderr);
  return done.stdout;
}

const asks = (line: string): string => `COMP_LINE='${line}' COMP_POINT=${line.length}; _jettison; echo "\${COMPREPLY[*]}"`;

test('bash: commands, groups, options, images also behind a colon', async () => {
  await using sandbox = await shellSandbox();
  const lines = [
    'jettison imag',
    'jettison image l',
    'jettison images --no',
    'jettison rmi team/a',
    'jettison rmi team/app:',
    'jettison run --rm team/w',
    'jettison -D login --p',
    'jettison save -o x team/',
  ];
  const shown = await run(sandbox, ['bash', '--norc', '-c', `source <(jettison completion bash)\n${lines.map(asks).join('\n')}`]);
  assert.deepEqual(shown.split('\n').slice(0, -1), [
    'image images imagetools',
    'list load ls',
    '--no-trunc',
    'team/app:1.0',
    '1.0',
    'team/web:2',
    '--password --password-stdin',
    'team/app:1.0 team/web:2',
  ]);
});

test('fish: words with what they are', async () => {
  await using sandbox = await shellSandbox();
  const lines = ['jettison tag team/', 'jettison system d', 'jettison completion z', 'jettison build a'];
  const shown = await run(sandbox, [
    'fish',
    '--no-config',
    '-c',
    `jettison completion fish | source; ${lines.map((line) => `complete -C '${line}'`).join('; ')}`,
  ]);
  assert.match(shown, /^team\/app:1\.0\t[0-9a-f]{12}\nteam\/web:2\t[0-9a-f]{12}\ndf\t.*\nzsh.*\na\\? file\n$/u, shown);
});

test('zsh: a word that only one thing can be is completed', async () => {
  await using sandbox = await shellSandbox();
  const script = `
zmodload zsh/zpty
zpty shell zsh -f
zpty -w shell "PROMPT='> '; autoload -Uz compinit; compinit -u -D; source <(jettison completion zsh); echo rea''dy"
zpty -r -m shell out '*ready*'
zpty -w -n shell $'jettison image inspect team/w\\t'
zpty -r -m shell out '*team/web:2*'
zpty -w -n shell $'\\C-ujettison login --userna\\t'
zpty -r -m shell out '*--username*'
echo completed
zpty -d shell
`;
  assert.equal(await run(sandbox, ['timeout', '-s', 'KILL', '600', 'zsh', '-f', '-c', script]), 'completed\n');
});

test('without a store nothing is made by looking; what cannot be completed is silent', async () => {
  await using sandbox = await openSandbox();
  assert.equal(await sandbox.succeed(['__complete', 'rmi', '']), '');
  assert.equal(await sandbox.succeed(['__complete', 'frobnicate', 'x']), '');
  assert.deepEqual((await runCommand('sh', ['-c', `test -e '${sandbox.store}'`])).status, 1);
  const refused = await sandbox.jettison(['completion', 'powershell']);
  assert.deepEqual([refused.status, refused.stdout], [1, '']);
});
