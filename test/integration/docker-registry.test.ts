/** Pull and push with the distribution project's own registry (Debian's docker-registry) and with skopeo as a witness. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createHash } from 'node:crypto';
import { digestOf } from '#ground/base/digest.ts';
import { isCode } from '#ground/base/errors.ts';
import { mediaTypes } from '#formats/oci/media-types.ts';
import { parseReference } from '#formats/oci/reference.ts';
import type { TransferProgress } from '#formats/progress/event.ts';
import { openContentStore, type ContentStore } from '#stores/content/store.ts';
import type { RegistryClient } from '#stores/registry/client.ts';
import { createCredentials } from '#stores/registry/credentials.ts';
import { createRegistryClient } from '#stores/registry/client.ts';
import { decodeRegistryConfig } from '#stores/registry/config.ts';
import { pullImage } from '#stores/transfer/pull.ts';
import { pushImage } from '#stores/transfer/push.ts';
import { sampleImage, type SampleImage } from '#test/kit/registry.ts';
import { startDockerRegistry } from '#test/kit/docker-registry.ts';
import { amd64, clientFor, quiet, signal, temporary } from '#test/kit/transfer.ts';

const run = promisify(execFile);

async function push(name: string, image: SampleImage, content: ContentStore, client: RegistryClient, mountFrom: string[] = []) {
  const states = new Map<string, string>();
  for (const blob of [image.config, ...image.layers]) await content.put(blob, signal);
  await pushImage(
    {
      reference: parseReference(name),
      manifest: { bytes: image.manifest, mediaType: image.mediaType },
      openBlob: (digest, offset, own) => content.openStream(digest, offset, own),
      client,
      mountFrom,
    },
    (event) => void (event.kind === 'transfer' && states.set(event.item, (event satisfies TransferProgress).state)),
    signal,
  );
  return [...states.values()];
}

test('an image pushed to docker-registry is read by skopeo, mounted into another repository, and pulled again', async () => {
  using folder = temporary();
  await using registry = await startDockerRegistry();
  const content = openContentStore({ folder: join(folder.path, 'one') });
  using client = clientFor();
  const image = sampleImage([20 << 20, 50_000]);
  assert.deepEqual(new Set(await push(`${registry.host}/team/app:v1`, image, content, client)), new Set(['done']));
  const { stdout } = await run('skopeo', ['inspect', '--tls-verify=false', '--raw', `docker://${registry.host}/team/app:v1`]);
  assert.equal(stdout, Buffer.from(image.manifest).toString());
  await run('skopeo', ['copy', '-q', '--src-tls-verify=false', `docker://${registry.host}/team/app:v1`, `dir:${folder.path}/copy`]);

  assert.deepEqual(new Set(await push(`${registry.host}/other/app:v1`, image, content, client, ['team/app'])), new Set(['mounted']));
  assert.deepEqual(new Set(await push(`${registry.host}/other/app:v2`, image, content, client)), new Set(['exists']));
  const again = openContentStore({ folder: join(folder.path, 'two') });
  const pulled = await pullImage(
    { reference: parseReference(`${registry.host}/other/app:v2`), platform: amd64, client, content: again },
    quiet,
    signal,
  );
  assert.equal(pulled.manifest.digest, image.digest);
  assert.deepEqual(
    [...again.list()].map(({ digest }) => digest).toSorted(),
    [image.manifest, image.config, ...image.layers].map((blob) => digestOf(blob)).toSorted(),
  );
  await assert.rejects(
    pullImage({ reference: parseReference(`${registry.host}/other/app:v3`), platform: amd64, client, content: again }, quiet, signal),
    (error) => isCode(error, 'registry/not-found') && error.message.includes('MANIFEST_UNKNOWN'),
  );
});

test('an image that skopeo pushed, as Docker schema 2, is pulled as docker.io through a mirror', async () => {
  using folder = temporary();
  await using registry = await startDockerRegistry();
  const layout = join(folder.path, 'layout');
  writeLayout(layout, sampleImage([70_000, 3000]));
  await run('skopeo', [
    'copy',
    '-q',
    '--dest-tls-verify=false',
    '--format',
    'v2s2',
    `oci:${layout}:v1`,
    `docker://${registry.host}/library/app:v1`,
  ]);
  using client = clientFor({ 'docker.io': { mirrors: [`http://${registry.host}`] } });
  const content = openContentStore({ folder: join(folder.path, 'content') });
  const pulled = await pullImage({ reference: parseReference('app:v1'), platform: amd64, client, content }, quiet, signal);
  assert.equal(pulled.manifest.mediaType, mediaTypes.dockerManifest);
  assert.equal(pulled.layers.length, 2);
  for (const { digest } of content.list()) await content.verify(digest, signal);
});

test('docker-registry with basic auth takes what config.json or a credential helper knows, and nothing else', async () => {
  using folder = temporary();
  const password = 'a:b c';
  const htpasswd = join(folder.path, 'htpasswd');
  writeFileSync(htpasswd, 'ada:$2b$05$abcdefghijklmnopqrstuu9TcsGdticVpdADOqGm32Mc7Wlb/1Snu\n');
  await using registry = await startDockerRegistry(`auth:\n  htpasswd:\n    realm: test\n    path: ${htpasswd}\n`);
  const image = sampleImage([1000]);
  const content = openContentStore({ folder: join(folder.path, 'content') });
  const clientOf = (config: object): RegistryClient => {
    const home = join(folder.path, createHash('sha256').update(JSON.stringify(config)).digest('hex').slice(0, 8));
    mkdirSync(home);
    writeFileSync(join(home, 'config.json'), JSON.stringify(config));
    const environment = { DOCKER_CONFIG: home, PATH: `${folder.path}:${process.env['PATH'] ?? ''}` };
    return createRegistryClient({ config: decodeRegistryConfig({}), findCredential: createCredentials({ environment }), environment: {} });
  };
  using known = clientOf({ auths: { [registry.host]: { auth: btoa(`ada:${password}`) } } });
  await push(`${registry.host}/app:v1`, image, content, known);

  writeFileSync(
    join(folder.path, 'docker-credential-test'),
    `#!/bin/sh\nread host; [ "$1" = get ] && printf '{"ServerURL":"%s","Username":"ada","Secret":"${password}"}' "$host"\n`,
    { mode: 0o755 },
  );
  using helped = clientOf({ credsStore: 'test', auths: { [registry.host]: {} } });
  await helped.ping(registry.host, signal);
  for (const config of [
    {},
    { auths: { [registry.host]: { auth: btoa('ada:wrong') } } },
    { auths: { 'other.example': { auth: btoa(`ada:${password}`) } } },
  ]) {
    using client = clientOf(config);
    await assert.rejects(
      client.ping(registry.host, signal),
      (error) => isCode(error, 'registry/unauthorized') && error.message.includes(registry.host),
    );
  }
});

function writeLayout(folder: string, image: SampleImage): void {
  mkdirSync(join(folder, 'blobs/sha256'), { recursive: true });
  writeFileSync(join(folder, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  const blobs = [image.config, ...image.layers, image.manifest];
  for (const blob of blobs) writeFileSync(join(folder, 'blobs/sha256', digestOf(blob).slice(7)), blob);
  const entry = {
    mediaType: image.mediaType,
    digest: image.digest,
    size: image.manifest.length,
    annotations: { 'org.opencontainers.image.ref.name': 'v1' },
  };
  writeFileSync(join(folder, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests: [entry] }));
}
