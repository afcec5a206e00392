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
  for (const [line, message] of [
    ['biuld .', 'ERROR: Unknown command "biuld"\nDid you mean "build"?'],
    ['image', 'ERROR: "jettison image" needs a command'],
    ['image lss', 'ERROR: Unknown command "image lss"\nDid you mean "image ls"?'],
    ['login', 'ERROR: "jettison login" is not built yet'],
    ['build', 'ERROR: "jettison build" requires exactly 1 argument'],
    ['build --squash .', 'ERROR: "--squash" is not built yet'],
    ['build --tga x .', 'ERROR: Unknown flag: --tga\nDid you mean "--tag"?'],
    ['build https://example.com/x.git#-x', 'ERROR: Cannot use the Git address "https://example.com/x.git#-x"'],
    ['build -f - -', 'ERROR: Context and Dockerfile cannot both come from standard input'],
    ['build --progress tty .', 'ERROR: Invalid argument "tty"'],
    ['images --filter colour=red', 'ERROR: Unknown filter "colour"'],
    ['--frob', 'ERROR: Unknown flag: --frob'],
  ] as const) {
    const { code, stdout, stderr } = await cli(...line.split(' '));
    assert.deepEqual([code, stdout], [1, ''], line);
    assert.ok(stderr.startsWith(message), stderr);
    assert.equal(stderr.split('ERROR').length, 2);
  }
  assert.equal((await cli('run', '--privileged', 'x')).code, 125, 'as docker run');
});

test('an error shows notes made harmless, then itself, then what to do; a bug shows its stack', () => {
  const error = new JettisonError('x/y', 'It broke\u001b[2J', { hint: 'Mend it', notes: ['out\u001b[2Jput\nDockerfile:1'] });
  assert.equal(describeError(error, true), 'output\nDockerfile:1\nERROR: It broke\u{fffd}[2J\nMend it\n');
  const bug = describeError(new TypeError('x is not a function'), false);
  assert.match(bug, /^ERROR: x is not a function\nTypeError: x is not a function\n {4}at .*This is a bug of jettison/su);
  assert.doesNotMatch(describeError(Object.assign(new Error('ENOSPC: no space left'), { code: 'ENOSPC' }), false), /bug/u);
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
