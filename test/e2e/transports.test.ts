/** `pull` and `push` between the store and files, folders and other names, in the words of Buildah and skopeo, which read what is written and write what is read. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { startRegistry } from '#test/kit/registry.ts';
import { openSandbox, type Sandbox } from '#test/kit/sandbox.ts';

function skopeo(sandbox: Sandbox, ...words: readonly string[]): string {
  return execFileSync('skopeo', words, { cwd: sandbox.folder, encoding: 'utf8' });
}

async function buildApp(sandbox: Sandbox): Promise<string> {
  const context = sandbox.files({ Dockerfile: 'FROM scratch\nCOPY a /\nCOPY b /\nCMD ["/a"]\n', a: 'a', b: 'b' });
  await sandbox.succeed(['build', '-q', '-t', 'app:1', context]);
  return await idOf(sandbox, 'app:1');
}

async function idOf(sandbox: Sandbox, name: string): Promise<string> {
  return (await sandbox.succeed(['images', '-q', '--no-trunc', name])).trim();
}

const places = [
  ['docker-archive:a.tar:app:1', 'docker.io/library/app:1'],
  ['oci-archive:b.tar:v1', undefined],
  ['oci:layout:v1', undefined],
  ['dir:files', undefined],
] as const;

test('what is pushed to a file or folder is read by skopeo, and what skopeo made of it is pulled', async () => {
  await using sandbox = await openSandbox();
  const id = await buildApp(sandbox);
  for (const [place, name] of places) {
    const pushed = await sandbox.succeed(['push', 'app:1', place]);
    const manifest = skopeo(sandbox, 'inspect', '--raw', place);
    if (!place.startsWith('docker-archive'))
      assert.match(pushed, new RegExp(`^${place}: digest: sha256:[0-9a-f]{64} size: ${manifest.length}\n`, 'mu'));
    const kind = place.slice(0, place.indexOf(':'));
    const copy = `${kind}:copy-${kind}${kind === 'dir' ? '' : ':v2'}`;
    skopeo(sandbox, 'copy', '-q', place, copy);
    await sandbox.succeed(['rmi', '-f', id]);
    const named = await sandbox.succeed(['pull', '-q', copy]);
    assert.equal(named, kind === 'docker-archive' ? 'v2:latest\n' : `${id}\n`, copy);
    if (name !== undefined) await sandbox.succeed(['pull', '-q', place]);
    await sandbox.succeed(['tag', id, 'app:1']);
    assert.equal(await idOf(sandbox, 'app:1'), id, place);
  }
  assert.deepEqual(
    readdirSync(join(sandbox.folder, 'files'))
      .map((one) => (/^[0-9a-f]{64}$/u.test(one) ? 'blob' : one))
      .toSorted(),
    ['blob', 'blob', 'blob', 'manifest.json', 'version'],
  );
});

test('several platforms go into a folder and come back as one index', async () => {
  await using sandbox = await openSandbox();
  const context = sandbox.files({ Dockerfile: 'FROM scratch\nARG TARGETARCH\nCOPY a /$TARGETARCH\n', a: 'a' });
  await sandbox.succeed(['build', '-q', '--provenance', 'mode=min', '--platform', 'linux/amd64,linux/arm64', '-t', 'both', context]);
  const all = ['dir:files', 'oci:layout:both', 'oci-archive:both.tar'];
  for (const [number, place] of all.entries()) {
    await sandbox.succeed(['push', 'both', place]);
    const index = JSON.parse(skopeo(sandbox, 'inspect', '--raw', place)) as { manifests: unknown[] };
    assert.equal(index.manifests.length, 4, place);
    skopeo(sandbox, 'copy', '-q', '--all', place, `dir:copy${number}`);
  }
  await sandbox.succeed(['rmi', 'both']);
  for (const place of [...all, ...all.map((_, number) => `dir:copy${number}`)]) {
    const id = (await sandbox.succeed(['pull', '-q', '--platform', 'linux/arm64', place])).trim();
    assert.equal((await sandbox.succeed(['inspect', '--format', '{{.Architecture}}', id])).trim(), 'arm64', place);
    await sandbox.succeed(['rmi', id]);
  }
});

test('an image goes to a registry under another name; docker:// is a name', async () => {
  await using sandbox = await openSandbox();
  await using registry = await startRegistry();
  const id = await buildApp(sandbox);
  for (const place of [`docker://${registry.host}/one:1`, `${registry.host}/two:1`]) {
    assert.match(await sandbox.succeed(['push', id, place]), /digest: sha256:/u);
  }
  await sandbox.succeed(['rmi', '-f', id]);
  await sandbox.succeed(['pull', `docker://${registry.host}/one:1`]);
  assert.equal(await idOf(sandbox, `${registry.host}/one:1`), id);
});

test('places that are none, and names that are no places', async () => {
  await using sandbox = await openSandbox();
  await buildApp(sandbox);
  await sandbox.succeed(['push', 'app:1', 'docker-archive:a.tar:app:1']);
  mkdirSync(join(sandbox.folder, 'full'));
  writeFileSync(join(sandbox.folder, 'full/mine'), 'kept');
  for (const [words, message] of [
    [['pull', 'containers-storage:app'], /"containers-storage:" is no place .*\n.*podman save/u],
    [['push', 'app:1', 'docker-daemon:app:1'], /"docker-daemon:" is no place .*\n.*docker load/u],
    [['pull', 'docker-archive:a.tar:other'], /a\.tar" has no image "other"\nIt has: app:1/u],
    [['pull', 'docker-archive:a.tar:@7'], /has no image 7/u],
    [['pull', 'oci-archive:a.tar:other'], /no image for "other"/u],
    [['pull', 'oci:./missing:1'], /missing": it has no index\.json/u],
    [['pull', 'dir:./full'], /it has no manifest\.json/u],
    [['push', 'app:1', 'dir:full'], /holds something else than an image: "mine"/u],
    [['push', 'app:1', 'dir:/proc/none'], /Cannot write the image to "\/proc\/none"/u],
    [['push', 'app:1', 'oci:/proc/none'], /Cannot write the image to "\/proc\/none"/u],
    [['push', 'app:1', 'oci:'], /the path is missing/u],
    [['push', 'app:1', 'docker:app'], /comes "\/\/"/u],
    [['push', 'app:1', 'sif:x'], /"sif:" is no place/u],
    [['build', '-t', 'oci:./out:1', '.'], /is a place, and "--tag" names images/u],
  ] as const) {
    const refused = await sandbox.jettison(words);
    assert.match(refused.stderr, message, words.join(' '));
    assert.equal(refused.status, 1, words.join(' '));
  }
  assert.equal(readFileSync(join(sandbox.folder, 'full/mine'), 'utf8'), 'kept');
});
