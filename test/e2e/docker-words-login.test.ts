/** `login` and `logout` as docker has them, against a registry that wants a password, and with a credential helper. */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, readFileSync, readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { startDockerRegistry } from '#test/kit/docker-registry.ts';
import { openSandbox, runCommand, type Sandbox } from '#test/kit/sandbox.ts';
import { mainFile } from '#test/kit/main-file.ts';

/** bcrypt of `a:b c` for `ada`. */
const users = 'ada:$2b$05$abcdefghijklmnopqrstuu9TcsGdticVpdADOqGm32Mc7Wlb/1Snu\n';
const password = 'a:b c';

async function guardedRegistry(sandbox: Sandbox) {
  const folder = sandbox.files({ htpasswd: users }, 'registry');
  return await startDockerRegistry(`auth:\n  htpasswd:\n    realm: test\n    path: ${folder}/htpasswd\n`);
}

const configOf = (sandbox: Sandbox): string => join(sandbox.folder, 'docker/config.json');

test('login asks the registry first, keeps what it takes beside what was in the file, for its owner only; logout forgets it', async () => {
  await using sandbox = await openSandbox();
  await using registry = await guardedRegistry(sandbox);
  sandbox.files({ 'config.json': '{"detachKeys":"ctrl-x","auths":{"other.example":{"auth":"YTpi"}},"new":{"x":[1]}}' }, 'docker');
  chmodSync(configOf(sandbox), 0o644);
  const line = ['login', '-u', 'ada', '--password-stdin', registry.host];

  const wrong = await sandbox.jettison(line, { input: 'wrong\n' });
  assert.deepEqual([wrong.status, wrong.stdout], [1, '']);
  assert.match(wrong.stderr, /401|unauthorized/iu);
  assert.match(wrong.stderr, /\nCheck the user name and the password/u, 'who logs in is not told to log in');
  assert.ok(!readFileSync(configOf(sandbox), 'utf8').includes(registry.host), 'nothing is kept of what the registry refuses');

  const done = await sandbox.jettison(line, { input: `${password}\n` });
  assert.deepEqual([done.status, done.stdout], [0, 'Login Succeeded\n'], done.stderr);
  assert.match(done.stderr, /^\nWARNING! Your credentials are stored unencrypted in '.*\/docker\/config\.json'\.\n/u);
  assert.equal(statSync(configOf(sandbox)).mode & 0o777, 0o600);
  assert.deepEqual(readdirSync(join(sandbox.folder, 'docker')), ['config.json']);
  const auth = Buffer.from(`ada:${password}`).toString('base64');
  assert.deepEqual(JSON.parse(readFileSync(configOf(sandbox), 'utf8')), {
    detachKeys: 'ctrl-x',
    auths: { 'other.example': { auth: 'YTpi' }, [registry.host]: { auth } },
    new: { x: [1] },
  });

  const again = await sandbox.succeed(['login', `http://${registry.host}/v2/`]);
  assert.equal(again, 'Authenticating with existing credentials... [Username: ada]\n\nLogin Succeeded\n');
  sandbox.files({ Dockerfile: 'FROM scratch\nCOPY Dockerfile /\n' });
  await sandbox.succeed(['build', '-q', '-t', `${registry.host}/app`, join(sandbox.folder, 'context')]);
  await sandbox.succeed(['push', `${registry.host}/app`]);
  assert.match(await sandbox.succeed(['pull', `${registry.host}/app`]), /^latest: Pulling from app$/mu);

  assert.equal(await sandbox.succeed(['logout', registry.host]), `Removing login credentials for ${registry.host}\n`);
  assert.deepEqual(Object.keys(JSON.parse(readFileSync(configOf(sandbox), 'utf8')).auths), ['other.example']);
  assert.notEqual((await sandbox.jettison(['push', `${registry.host}/app`])).status, 0);
});

test('a password on the command line is warned of; options that contradict each other are refused in docker’s words', async () => {
  await using sandbox = await openSandbox();
  await using registry = await guardedRegistry(sandbox);
  const done = await sandbox.jettison(['login', '-u', 'ada', '-p', password, registry.host]);
  assert.deepEqual([done.status, done.stdout], [0, 'Login Succeeded\n']);
  assert.match(done.stderr, /^WARNING! Using --password via the CLI is insecure\. Use --password-stdin\.\n/u);
  for (const [words, message] of [
    [['-u', 'a', '-p', 'b', '--password-stdin'], 'conflicting options: cannot specify both --password and --password-stdin'],
    [['--password-stdin'], 'the --password-stdin option requires --username to be set'],
    [['-u', 'a'], undefined],
  ] as const) {
    const refused = await sandbox.jettison(['login', ...words, 'registry.invalid']);
    assert.deepEqual([refused.status, refused.stdout], [1, '']);
    // What is wrong with the surroundings of a command is said without a prefix.
    const expected = message === undefined ? 'Cannot perform an interactive login from a non TTY device\n' : `ERROR: ${message}\n`;
    assert.ok(refused.stderr.startsWith(expected), refused.stderr);
  }
});

test('on a terminal name and password are asked for, and the password is not shown', async () => {
  await using sandbox = await openSandbox();
  await using registry = await guardedRegistry(sandbox);
  const command = `${process.execPath} ${mainFile} login ${registry.host}; echo "status $?"`;
  // Keys are typed when they are asked for.
  const keys = `until grep -q Username: typed; do sleep 0.05; done; echo ada; until grep -q Password: typed; do sleep 0.05; done; printf 'a:bX\\177 c\\r'; until grep -q status typed; do sleep 0.05; done`;
  const shown = await runCommand('sh', ['-c', `: > typed; (${keys}) | script -qfec '${command}' typed`], {
    cwd: sandbox.folder,
    environment: { ...sandbox.environment, TERM: 'xterm' },
  });
  assert.match(shown.stdout, /Username: ada\r\nPassword: \r?\n[^]*Login Succeeded\r\nstatus 0/u, shown.stdout + shown.stderr);
  assert.ok(!shown.stdout.includes('a:b'));
});

test('a credential helper is given what is kept, and asked to forget it; the file only says that somebody is logged in', async () => {
  await using sandbox = await openSandbox();
  await using registry = await guardedRegistry(sandbox);
  const programs = sandbox.files(
    {
      'docker-credential-test': {
        text: `#!/bin/sh
cd "$HELPED" || exit 1
case $1 in
store) cat > kept ;;
get) read key; [ -s kept ] && grep -q "\\"ServerURL\\":\\"$key\\"" kept && cat kept && exit 0; echo "credentials not found in native keychain"; exit 1 ;;
erase) read key; [ -s kept ] || { echo "credentials not found in native keychain"; exit 1; }; rm kept ;;
esac
`,
        mode: 0o755,
      },
    },
    'programs',
  );
  mkdirSync(join(sandbox.folder, 'docker'));
  writeFileSync(join(sandbox.folder, 'real.json'), JSON.stringify({ credHelpers: { [registry.host]: 'test' } }));
  symlinkSync('../real.json', configOf(sandbox));
  const environment = { HELPED: sandbox.folder, PATH: `${programs}:${process.env['PATH'] ?? ''}` };
  const done = await sandbox.jettison(['login', '-u', 'ada', '--password-stdin', registry.host], { input: password, environment });
  assert.deepEqual([done.status, done.stdout, done.stderr], [0, 'Login Succeeded\n', '']);
  assert.deepEqual(JSON.parse(readFileSync(join(sandbox.folder, 'kept'), 'utf8')), {
    ServerURL: registry.host,
    Username: 'ada',
    Secret: password,
  });
  assert.deepEqual(JSON.parse(readFileSync(join(sandbox.folder, 'real.json'), 'utf8')), {
    credHelpers: { [registry.host]: 'test' },
    auths: { [registry.host]: {} },
  });
  assert.match(await sandbox.succeed(['login', registry.host], { environment }), /existing credentials\.\.\. \[Username: ada\]/u);
  await sandbox.succeed(['logout', registry.host], { environment });
  assert.ok(!existsSync(join(sandbox.folder, 'kept')));
  const gone = await sandbox.jettison(['logout', registry.host], { environment });
  assert.deepEqual([gone.status, gone.stderr], [0, `Not logged in to ${registry.host}\n`]);
});

test('a credential helper that does not help: what it complains of is shown, and where it is named', async () => {
  await using sandbox = await openSandbox();
  await using registry = await guardedRegistry(sandbox);
  const programs = sandbox.files(
    {
      'docker-credential-locked': { text: '#!/bin/sh\ncat > /dev/null; echo "the vault is locked" >&2; exit 3\n', mode: 0o755 },
      'docker-credential-babbling': { text: '#!/bin/sh\ncat > /dev/null; echo "<html>"\n', mode: 0o755 },
    },
    'programs',
  );
  const environment = { PATH: `${programs}:${process.env['PATH'] ?? ''}` };
  for (const [helper, told] of [
    ['locked', /^ERROR: Cannot get credentials by docker-credential-locked: the vault is locked\n/mu],
    ['babbling', /^ERROR: Cannot read the answer of docker-credential-babbling: it is not JSON\n/mu],
    ['absent', /^ERROR: Cannot find the program "docker-credential-absent"\n/mu],
  ] as const) {
    sandbox.files({ 'config.json': JSON.stringify({ credsStore: helper }) }, 'docker');
    const refused = await sandbox.jettison(['pull', `${registry.host}/app`], { environment });
    assert.equal(refused.status, 1);
    assert.match(refused.stderr, told);
    assert.ok(refused.stderr.includes(`${configOf(sandbox)} names "${helper}"`), refused.stderr);
  }
});
