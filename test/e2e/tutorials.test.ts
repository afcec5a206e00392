/**
 * The tutorials of test/tutorials, typed as they stand (`jettison replay`): what five public tutorials on multi-stage builds type and show, in our words. Only base images
 * differ (Debian's and busybox for Alpine's, apt-get for apk), served by a registry on 127.0.0.1 that stands in for docker.io. The comments `case N` in them say which
 * of the 75 cases that we hold ourselves to stand there.
 */
import { after, before, suite, test } from 'node:test';
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startDockerRegistry, type DockerRegistry } from '#test/kit/docker-registry.ts';
import { openSandbox, type Sandbox } from '#test/kit/sandbox.ts';

const tutorials = fileURLToPath(new URL('../tutorials', import.meta.url));
const launchpad = fileURLToPath(new URL('../../examples/launchpad', import.meta.url));
let registry: DockerRegistry;

/** Cases that are tests elsewhere: the file, and the beginning of the test's name. */
const elsewhere: ReadonlyMap<number, readonly [file: string, name: string]> = new Map([
  // "Buildah instead of docker build": what it builds is an image here, and the other way round. Podman, crane and oras by scripts/exchange-images.sh.
  [1, ['interop.test.ts', 'an image built here is read by skopeo, unpacked by umoci and run by buildah']],
]);
/** Cases that nothing here can show. */
const untested: ReadonlyMap<number, string> = new Map([
  [43, 'lazydocker lists and starts containers by the HTTP API on the socket of an engine: there is no such socket'],
  [67, 'says in which version Docker got stages: nothing that could be run'],
]);

before(async () => {
  registry = await startDockerRegistry();
  await using maker = await openSandbox();
  for (const name of ['busybox', 'debian', 'debian-gcc'] as const) await maker.base(name);
  maker.configure(stoodIn());
  maker.files({
    'golang/Dockerfile': 'FROM debian\nRUN apt-get update -qq && apt-get install -y -qq --no-install-recommends golang-go\nWORKDIR /go\n',
    'counter/Dockerfile': 'FROM busybox\nCMD ["echo", "{\\"internal\\":197,\\"external\\":32}"]\n',
  });
  await maker.succeed(['tag', 'debian-gcc', 'gcc']);
  await maker.succeed(['tag', 'debian', 'debian:release']);
  await maker.succeed(['build', '-q', '-t', 'golang', join(maker.folder, 'context/golang')]);
  await maker.succeed(['build', '-q', '-t', 'me/href-counter', join(maker.folder, 'context/counter')]);
  for (const name of ['busybox', 'debian', 'debian:release', 'gcc', 'golang', 'me/href-counter']) await maker.succeed(['push', '-q', name]);
});
after(async () => await registry[Symbol.asyncDispose]());

function stoodIn(): object {
  return { registries: { 'docker.io': { location: `http://${registry.host}` } } };
}

test('each case has its place', () => {
  const found = new Set<number>([...elsewhere.keys(), ...untested.keys()]);
  for (const [file, name] of elsewhere.values())
    assert.ok(readFileSync(join(import.meta.dirname, file), 'utf8').includes(`test('${name}`), name);
  for (const name of readdirSync(tutorials)) {
    const text = readFileSync(join(tutorials, name), 'utf8');
    for (const [, numbers = ''] of text.matchAll(/<!-- case ([\d ]+)-->/gu))
      for (const number of numbers.trim().split(' ')) found.add(Number(number));
  }
  assert.deepEqual(
    Array.from({ length: 75 }, (_, index) => index + 1).filter((number) => !found.has(number)),
    [],
  );
});

// Last of all files, so two at a time.
suite('each tutorial, typed', { concurrency: 2 }, () => {
  for (const name of readdirSync(tutorials)) {
    test(`${name} shows what its commands print`, async (context) => {
      await using sandbox = await openSandbox();
      sandbox.configure(stoodIn());
      const files = copiedFiles(name, sandbox);
      const done = await sandbox.jettison(['replay', '--force', ...files, join(tutorials, name)]);
      context.diagnostic(done.stdout.trimEnd().split('\n').at(-1) ?? '');
      assert.equal(done.status, 0, `${done.stdout}\n${done.stderr}`);
    });
  }
});

/** The first tutorial's reader has the sources of its two programs. */
function copiedFiles(name: string, sandbox: Sandbox): readonly string[] {
  if (!name.startsWith('1-')) return [];
  const files = { 'countdown.c': source('countdown.c'), 'telemetry.c': source('telemetry.c'), 'pad/mission.txt': source('mission.txt') };
  return ['--copy', sandbox.files(files, 'launchpad')];
}

function source(file: string): string {
  return readFileSync(join(launchpad, file), 'utf8');
}
