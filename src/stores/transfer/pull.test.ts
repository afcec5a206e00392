import { test } from 'node:test';
import assert from 'node:assert/strict';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseDigest } from '#ground/base/digest.ts';
import { isCode } from '#ground/base/errors.ts';
import { parseReference } from '#formats/oci/reference.ts';
import type { ProgressEvent } from '#formats/progress/event.ts';
import { openContentStore, type ContentStore } from '#stores/content/store.ts';
import type { RegistryClient } from '#stores/registry/client.ts';
import {
  addImage,
  addManifest,
  encodeJson,
  sampleImage,
  sha256,
  startRegistry,
  type SampleImage,
  type TestRegistry,
} from '#test/kit/registry.ts';
import { amd64, clientFor, pullAndCheck, quiet, signal, temporary } from '#test/kit/transfer.ts';
import { pullImage, type PullRequest } from './pull.ts';
import { resolveImage } from './resolve.ts';

test('redirect to another host: credentials do not follow', async () => {
  using folder = temporary();
  await using registry = await startRegistry('basic');
  const first = sampleImage([50_000]);
  const second = sampleImage([50_000]);
  addImage(registry, 'app:v1', first);
  const content = openContentStore({ folder: folder.path });
  using client = clientFor({}, { kind: 'password', ...registry.credential });
  await pullAndCheck(registry.host, first, content, client);
  addImage(registry, 'app:v1', second);
  registry.fault = 'redirect';
  registry.seen.length = 0;
  await pullAndCheck(registry.host, second, content, client);
  assert.ok(registry.seen.every(({ authorization }) => authorization?.startsWith('Basic ') === true));
  assert.deepEqual(
    registry.seenElsewhere.map(({ authorization }) => authorization),
    [undefined],
  );
});

const failing: PullRequest['onLayer'] = async ({ index }) => {
  if (index === 1) await Promise.reject(new Error('cannot unpack'));
};

test('layers are handed out bottom first while others still come', async () => {
  using folder = temporary();
  await using registry = await startRegistry();
  const image = sampleImage([400_000, 10, 20, 30]);
  addImage(registry, 'app:v1', image);
  const content = openContentStore({ folder: folder.path });
  using client = clientFor();
  const order: number[] = [];
  const onLayer: PullRequest['onLayer'] = async ({ index, complete, descriptor }) => {
    order.push(index);
    assert.equal(await complete, content.path(descriptor.digest));
  };
  await pullAndCheck(registry.host, image, content, client, { onLayer });
  assert.deepEqual(order, [0, 1, 2, 3]);
  await assert.rejects(pullAndCheck(registry.host, image, content, client, { onLayer: failing }), /cannot unpack/u);
});

test('eight pulls at once fetch each blob once; a second pull fetches none', async () => {
  using folder = temporary();
  await using registry = await startRegistry();
  const image = sampleImage([300_000, 50_000]);
  addImage(registry, 'app:v1', image);
  const content = openContentStore({ folder: folder.path });
  const other = openContentStore({ folder: folder.path });
  using client = clientFor();
  await Promise.all(
    Array.from({ length: 8 }, async (_, index) => await pullAndCheckQuietly(registry, image, index % 2 ? other : content, client)),
  );
  const blobs = registry.seen.filter(({ method, url }) => method === 'GET' && url.includes('/blobs/'));
  assert.equal(blobs.length, 3);
  const before = registry.seen.length;
  await pullAndCheck(registry.host, image, content, client);
  assert.deepEqual(
    registry.seen.slice(before).map(({ method }) => method),
    ['HEAD'],
  );
  await resolveImage({ reference: parseReference(`${registry.host}/app@${image.digest}`), platform: amd64, client, content }, signal);
  assert.equal(registry.seen.length, before + 1);
});

async function pullAndCheckQuietly(
  registry: TestRegistry,
  image: SampleImage,
  content: ContentStore,
  client: RegistryClient,
): Promise<void> {
  const reference = parseReference(`${registry.host}/app:v1`);
  const pulled = await pullImage({ reference, platform: amd64, client, content }, quiet, signal);
  assert.equal(pulled.manifest.digest, image.digest);
}

test('a kept blob that was damaged or cut short is fetched again', async () => {
  using folder = temporary();
  await using registry = await startRegistry();
  const image = sampleImage([50_000]);
  addImage(registry, 'app:v1', image);
  const content = openContentStore({ folder: folder.path });
  using client = clientFor();
  await pullAndCheck(registry.host, image, content, client);
  for (const blob of [image.manifest, image.config]) writeFileSync(content.path(parseDigest(sha256(blob))), Buffer.alloc(blob.length));
  for (const layer of image.layers) writeFileSync(content.path(parseDigest(sha256(layer))), 'short');
  await pullAndCheck(registry.host, image, content, client);
});

test('cancelling a pull ends it at once and leaves nothing', async () => {
  using folder = temporary();
  await using registry = await startRegistry('stall');
  addImage(registry, 'app:v1', sampleImage([300_000]));
  const content = openContentStore({ folder: folder.path });
  using client = clientFor();
  const controller = new AbortController();
  const report = (event: ProgressEvent): void => {
    if (event.kind === 'transfer' && event.state === 'running' && event.total === 300_000) controller.abort(new Error('enough'));
  };
  const request = { reference: parseReference(`${registry.host}/app:v1`), platform: amd64, client, content };
  await assert.rejects(pullImage(request, report, controller.signal), /enough/u);
  await new Promise(setImmediate);
  assert.deepEqual(readdirSync(join(folder.path, 'ingest')), []);
});

test('docker.io through a mirror; what the mirror lacks or breaks is said', async () => {
  using folder = temporary();
  await using registry = await startRegistry();
  const image = sampleImage([50_000]);
  addImage(registry, 'library/app:v1', image);
  addImage(registry, 'cache/hub/library/app:v1', image);
  const content = openContentStore({ folder: folder.path });
  for (const mirror of [`http://${registry.host}`, `http://${registry.host}/cache/hub`]) {
    using client = clientFor({ 'docker.io': { mirrors: ['http://127.0.0.1:1', mirror] } });
    await pullAndCheck('docker.io/library', image, content, client);
  }
  await using origin = await startRegistry();
  addImage(origin, 'app:v1', image);
  using client = clientFor({ [origin.host]: { mirrors: [`http://${registry.host}`] } });
  await pullAndCheck(origin.host, image, openContentStore({ folder: join(folder.path, 'two') }), client);
  await assert.rejects(
    resolveImage({ reference: parseReference(`${origin.host}/none`), platform: amd64, client, content }, signal),
    (error) =>
      isCode(error, 'registry/not-found') &&
      error.message.includes(origin.host) &&
      error.notes.some((note) => note.includes(registry.host)),
  );
});

const entry = (mediaType: string, bytes: Uint8Array, platform?: string): object => ({
  mediaType,
  digest: sha256(bytes),
  size: bytes.length,
  ...(platform === undefined ? {} : { platform: { os: 'linux', architecture: platform } }),
});

test('an index gives the image of the platform, from nested indexes and entries without a platform, too', async () => {
  using folder = temporary();
  await using registry = await startRegistry();
  const images = { amd64: sampleImage([100]), arm64: sampleImage([100], 'arm64', true), riscv64: sampleImage([100], 'riscv64') };
  for (const [name, image] of Object.entries(images)) addImage(registry, `app:${name}`, image);
  const indexType = 'application/vnd.oci.image.index.v1+json';
  const inner = encodeJson({
    schemaVersion: 2,
    mediaType: indexType,
    manifests: [entry(images.arm64.mediaType, images.arm64.manifest, 'arm64')],
  });
  const index = encodeJson({
    schemaVersion: 2,
    manifests: [
      entry(images.amd64.mediaType, images.amd64.manifest, 'unknown'),
      entry(indexType, inner, 'arm64'),
      entry(images.amd64.mediaType, images.amd64.manifest, 'amd64'),
      entry(images.riscv64.mediaType, images.riscv64.manifest),
    ],
  });
  addManifest(registry, 'app:inner', inner, indexType);
  addManifest(registry, 'app:v1', index, 'application/vnd.docker.distribution.manifest.list.v2+json');
  const content = openContentStore({ folder: folder.path });
  using client = clientFor();
  for (const architecture of ['amd64', 'arm64', 'riscv64'] as const) {
    const reference = parseReference(`${registry.host}/app:v1`);
    const found = await resolveImage({ reference, platform: { os: 'linux', architecture }, client, content }, signal);
    assert.equal(found.manifest.digest, images[architecture].digest);
    assert.equal(found.index?.digest, sha256(index));
  }
  await assert.rejects(
    resolveImage(
      { reference: parseReference(`${registry.host}/app:v1`), platform: { os: 'linux', architecture: 's390x' }, client, content },
      signal,
    ),
    (error) => isCode(error, 'oci/no-such-platform'),
  );
});

test('hostile images: confusion of types, other layers than the config says, a config that is none, schema 1', async () => {
  using folder = temporary();
  await using registry = await startRegistry();
  const content = openContentStore({ folder: folder.path });
  using client = clientFor();
  const image = sampleImage([100, 100]);
  addImage(registry, 'app:v1', image);
  const manifest = JSON.parse(Buffer.from(image.manifest).toString()) as { config: object; layers: object[] };
  const cases: readonly (readonly [string, unknown, string])[] = [
    ['oci/ambiguous-manifest', { ...manifest, manifests: [] }, image.mediaType],
    ['oci/bad-manifest', manifest, 'application/vnd.docker.distribution.manifest.v2+json'],
    ['oci/schema1-manifest', { schemaVersion: 1, fsLayers: [] }, 'application/vnd.docker.distribution.manifest.v1+prettyjws'],
    ['transfer/not-an-image', { ...manifest, layers: manifest.layers.slice(1) }, image.mediaType],
    [
      'transfer/not-an-image',
      { ...manifest, config: { ...manifest.config, mediaType: 'application/vnd.cncf.helm.config.v1+json' } },
      image.mediaType,
    ],
    ['oci/unknown-layer-type', { ...manifest, layers: manifest.layers.map((layer) => ({ ...layer, mediaType: 'a/b' })) }, image.mediaType],
    ['transfer/not-an-image', { ...manifest, config: { ...manifest.config, size: 1e9 } }, image.mediaType],
  ];
  for (const [code, value, mediaType] of cases) {
    addManifest(registry, 'app:bad', encodeJson(value), mediaType);
    await assert.rejects(
      pullImage({ reference: parseReference(`${registry.host}/app:bad`), platform: amd64, client, content }, quiet, signal),
      (error) => isCode(error, code),
      code,
    );
  }
});
