import assert from 'node:assert/strict';
import { mkdtempDisposableSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { version } from '#engine/version.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { commandTable } from './commands.ts';
import { describeError } from './output/error.ts';
import { runCli } from './run.ts';

test('the version is that of the package', async () => {
  const manifest: unknown = JSON.parse(readFileSync('package.json', 'utf8'));
  assert.equal((manifest as { version: string }).version, version);
  assert.deepEqual(await cli('--version'), { code: 0, stdout: `jettison version ${version}\n`, stderr: '' });
});

test('every command has help with a usage line, by every name', async () => {
  const general = await cli('help');
  for (const { names } of commandTable) {
    for (const name of names) {
      const { code, stdout, stderr } = await cli(...name.split(' '), '--help');
      assert.deepEqual([code, stderr], [0, ''], name);
      assert.match(stdout, /^Usage: {2}jettison /u);
      assert.ok(
        stdout.split('\n').every((line) => line.length <= 102),
        name,
      );
    }
    assert.ok(names[0]?.includes(' ') || general.stdout.includes(`  ${names[0]} `));
  }
});

test('mistakes on the command line: exit code 1, one error, nothing on stdout', async () => {
  for (const [line, message, expected] of [
    ['biuld .', 'jettison: unknown command: jettison biuld\nDid you mean "build"?\n\nRun \'jettison --help\' for more information\n', 1],
    [
      'image lss',
      'jettison: unknown command: jettison image lss\nDid you mean "image ls"?\n\nUsage:  jettison image\n\nRun \'jettison image --help\'',
      1,
    ],
    ['swarm init', 'ERROR: "jettison swarm" is not part of jettison\njettison runs containers on this machine only', 1],
    ['compose -f x up', 'ERROR: "jettison compose" is not part of jettison\nBuild each service', 1],
    ['buildx bake', 'ERROR: "jettison buildx bake" is not part of jettison\n', 1],
    ['volume update', 'ERROR: "jettison volume update" is not built yet', 1],
    ['help frob', 'jettison: unknown command: jettison frob\n', 1],
    ['build', "jettison: 'jettison build' requires 1 argument\n\nUsage:  jettison build", 1],
    [
      'rmi',
      "jettison: 'jettison rmi' requires at least 1 argument\n\nUsage:  jettison rmi [OPTIONS] IMAGE [IMAGE...]\n\nSee 'jettison rmi --help'",
      1,
    ],
    ['build --squash .', 'ERROR: "--squash" is not built yet', 1],
    ['build --tga x .', 'unknown flag: --tga\nDid you mean "--tag"?\n\nUsage:  jettison build', 125],
    ['build --tls-verify=false .', 'unknown flag: --tls-verify\nLeave it out: for plain HTTP see', 125],
    ['push --creds a:b x', 'unknown flag: --creds\nLeave it out: what "jettison login"', 125],
    ['build --manifest x .', 'unknown flag: --manifest\nBuild all platforms at once: ', 125],
    [
      'images -z',
      "unknown shorthand flag: 'z' in -z\n\nUsage:  jettison images [OPTIONS] [REPOSITORY[:TAG]]\n\nRun 'jettison images --help'",
      125,
    ],
    ['build https://example.com/x.git#-x', 'ERROR: Cannot use the Git address "https://example.com/x.git#-x"', 1],
    ['build -f - -', 'ERROR: Context and Dockerfile cannot both come from standard input', 1],
    ['build --progress tty .', 'ERROR: invalid argument "tty" for "--progress" flag', 1],
    [
      'buildx imagetools inspect --format {{.Nope}} x',
      "ERROR: template: executing at <.Nope>: can't evaluate field Nope\nThere is .Name .Manifest .Image .Provenance .SBOM\n",
      1,
    ],
    ['--frob', 'unknown flag: --frob\n\nUsage:  jettison [OPTIONS] COMMAND [ARG...]\n', 125],
    ['-x images', "unknown shorthand flag: 'x' in -x\n", 125],
    ['image --frob', 'unknown flag: --frob\n\nUsage:  jettison image COMMAND\n', 125],
    ['-H tcp://1.2.3.4 images', 'ERROR: "-H" is not part of jettison\nLeave it out: jettison has no daemon', 1],
    ['--tlsverify images', 'ERROR: "--tlsverify" is not part of jettison\n', 1],
    ['--context other images', 'ERROR: context "other": context not found\n', 1],
    ['--log-level loud images', 'ERROR: Unable to parse logging level: loud\n', 1],
    ['--config', 'flag needs an argument: --config\n', 125],
  ] as const) {
    const { code, stdout, stderr } = await cli(...line.split(' '));
    assert.deepEqual([code, stdout], [expected, ''], line);
    assert.ok(stderr.startsWith(message), stderr);
    assert.ok(stderr.split('ERROR').length <= 2);
  }
  assert.equal((await cli('run', '--privileged', 'x')).code, 125, 'as docker run');
});

test('a word before commands lists them: on stdout when asked for, else on stderr', async () => {
  const asked = await cli('image', '--help');
  assert.deepEqual([asked.code, asked.stderr], [0, '']);
  assert.match(
    asked.stdout,
    /^Usage: {2}jettison image COMMAND\n\nManage images\n\nCommands:\n(?: {2}\S+ .*\n)+\nRun 'jettison image COMMAND --help'/u,
  );
  assert.match(asked.stdout, /^ {2}ls +List images$/mu);
  assert.deepEqual(await cli('image'), { code: 0, stdout: '', stderr: asked.stdout });
  assert.deepEqual(await cli('help', 'image'), asked);
  assert.match((await cli()).stderr, /^Usage: {2}jettison \[OPTIONS\] COMMAND\n[^]*Common Commands:\n {2}run /u);
});

test('what stands before the command: debugging, the folder of credentials, the one context', async () => {
  const line = ['-D', '--log-level=warn', '-c', 'default', '--config', '/nowhere', '-l', 'debug', 'context', 'show'];
  assert.deepEqual(await cli(...line), { code: 0, stdout: 'default\n', stderr: '' });
  assert.match((await cli('--debug', 'inspect', 'nope')).stderr, /No such object: nope\n/u);
  assert.match((await cli('-D', 'context', 'use', 'x')).stderr, /^ERROR: context "x": context not found\n.*\nJettisonError: .*\n {4}at /u);
  assert.deepEqual(await cli('-v'), await cli('--version'));
});

test('an error shows notes made harmless, then itself, then what to do; a bug shows its stack', () => {
  const error = new JettisonError('x/y', 'It broke\u001b[2J', { hint: 'Mend it', notes: ['out\u001b[2Jput\nDockerfile:1'] });
  assert.equal(describeError(error, true), 'output\nDockerfile:1\nERROR: It broke\u{fffd}[2J\nMend it\n');
  const bug = describeError(new TypeError('x is not a function'), false);
  assert.match(bug, /^ERROR: x is not a function\nTypeError: x is not a function\n {4}at .*This is a bug of jettison/su);
  for (const code of ['ENOSPC', 'EACCES'])
    assert.equal(describeError(Object.assign(new Error(`${code}: no`), { code }), false).split('\n')[0], `ERROR: ${code}: no`);
  for (const code of ['ENOSPC', 'EACCES']) assert.doesNotMatch(describeError(Object.assign(new Error(code), { code }), false), /bug/u);
});

async function cli(...words: readonly string[]): Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }> {
  const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()];
  // Never the store of whoever runs the tests.
  using folder = mkdtempDisposableSync(join(tmpdir(), 'jettison-cli-'));
  const environment = { JETTISON_STORE: join(folder.path, 'store'), JETTISON_CONFIG: join(folder.path, 'config.json') };
  const code = await runCli(words, environment, { stdin, stdout, stderr });
  stdout.end();
  stderr.end();
  return { code, stdout: await text(stdout), stderr: await text(stderr) };
}
