/** `npm run demo`: builds examples/launchpad thick and thin, compares the sizes, runs the tests' stage and the result. Leaves nothing behind. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeBase } from '#test/kit/bases.ts';
import { removeWithStore } from '#test/kit/remove-store.ts';

const example = 'examples/launchpad';
const store = mkdtempSync(join(tmpdir(), 'jettison-demo-'));
const environment = { ...process.env, JETTISON_STORE: store };

function jettison(...words: readonly string[]): void {
  console.log(`\n$ jettison ${words.map((word) => (/^[\w@%+=:,./-]+$/u.test(word) ? word : `'${word}'`)).join(' ')}`);
  const done = spawnSync(process.execPath, ['src/main.ts', ...words], { stdio: ['ignore', 'inherit', 'inherit'], env: environment });
  if (done.status !== 0) throw new Error(`jettison ${words[0]} ended with ${done.status ?? done.signal}`);
}

/** Does Docker Hub answer within three seconds? */
async function isDockerHubThere(): Promise<boolean> {
  try {
    const answer = await fetch('https://registry-1.docker.io/v2/', { signal: AbortSignal.timeout(3000) });
    return answer.status === 401 || answer.ok;
  } catch {
    return false;
  }
}

async function makeOwnBases(): Promise<readonly string[]> {
  console.log('Docker Hub does not answer from here: making the base images from Debian packages (busybox-static; gcc on Debian trixie).');
  for (const name of ['busybox', 'debian-gcc'] as const) {
    await makeBase(name, { cache: '.cache/bases', tag: name, build: ({ context, tag }) => jettison('build', '-t', tag, context) });
  }
  return ['--build-arg', 'BUILDER=debian-gcc'];
}

try {
  const args = (await isDockerHubThere()) ? [] : await makeOwnBases();
  jettison('build', ...args, '-t', 'launchpad:thick', '-f', `${example}/Dockerfile.thick`, example);
  jettison('build', ...args, '-t', 'launchpad:thin', example);
  jettison('build', ...args, '--target', 'test', '-t', 'launchpad:test', example);
  console.log('\nThe same build again: nothing has changed, so nothing runs.');
  jettison('build', ...args, '-t', 'launchpad:thin', example);
  jettison('images', 'launchpad');
  jettison('history', 'launchpad:thin');
  jettison('run', '--rm', 'launchpad:thin');
} catch (error) {
  console.error(`\ndemo: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
} finally {
  removeWithStore(store, store);
}
