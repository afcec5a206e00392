/** A push against a registry that goes wrong in every way we know of. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { JettisonError } from '#ground/base/errors.ts';
import type { TransferProgress } from '#formats/progress/event.ts';
import { mediaTypes } from '#formats/oci/media-types.ts';
import { parseReference } from '#formats/oci/reference.ts';
import { openContentStore, type ContentStore } from '#stores/content/store.ts';
import type { RegistryClient } from '#stores/registry/client.ts';
import { pushImage } from '#stores/transfer/push.ts';
import { failingPushFaults, passingPushFaults, sampleImage, sha256, startRegistry, type SampleImage } from '#test/kit/registry.ts';
import { clientFor, pullAndCheck, shortLimits, signal, temporary } from '#test/kit/transfer.ts';

/** One layer long enough to be streamed, one for a single request. */
const sizes = [9 << 20, 50_000];

async function keep(content: ContentStore, image: SampleImage): Promise<void> {
  for (const blob of [image.config, ...image.layers]) await content.put(blob, signal);
}

async function push(host: string, image: SampleImage, content: ContentStore, client: RegistryClient): Promise<readonly TransferProgress[]> {
  const events: TransferProgress[] = [];
  const pushed = await pushImage(
    {
      reference: parseReference(`${host}/app:v1`),
      manifest: { bytes: image.manifest, mediaType: mediaTypes.manifest },
      openBlob: (digest, offset, own) => content.openStream(digest, offset, own),
      client,
      mountFrom: ['app', 'other/repository'],
    },
    (event) => void (event.kind === 'transfer' && events.push(event)),
    signal,
  );
  assert.equal(pushed.digest, image.digest);
  return events;
}

async function survive(fault: (typeof passingPushFaults)[number]): Promise<void> {
  using folder = temporary();
  using pulled = temporary();
  await using registry = await startRegistry(fault);
  const image = sampleImage(sizes);
  const content = openContentStore({ folder: folder.path });
  await keep(content, image);
  using client = clientFor();
  await push(registry.host, image, content, client);
  if (fault === 'push-drop-once') {
    const resumed = registry.seen.filter(({ method }) => method === 'PATCH' || method === 'GET');
    assert.ok(resumed.length >= 3, 'asks where it is and goes on from there');
  }
  registry.fault = 'good';
  await pullAndCheck(registry.host, image, openContentStore({ folder: pulled.path }), client);
  const again = await push(registry.host, image, content, client);
  assert.deepEqual(new Set(again.map(({ state }) => state)), new Set(['waiting', 'exists']));
}

async function fail(fault: (typeof failingPushFaults)[number]): Promise<void> {
  const codes: Readonly<Record<string, string>> = {
    '413': 'registry/too-large',
    'digest-refused': 'registry/refused',
    'push-stall': 'registry/timeout',
    'push-403': 'registry/forbidden',
    'push-500-always': 'registry/server-error',
    'manifest-refused': 'registry/refused',
    'push-no-location': 'registry/bad-answer',
  };
  using folder = temporary();
  await using registry = await startRegistry(fault);
  const image = sampleImage(sizes);
  const content = openContentStore({ folder: folder.path });
  await keep(content, image);
  using client = clientFor({}, undefined, ['push-stall'].includes(fault) ? shortLimits : {});
  await assert.rejects(push(registry.host, image, content, client), (error) => {
    assert.ok(error instanceof JettisonError, String(error));
    assert.equal(error.code, codes[fault], error.message);
    assert.ok(error.message.includes(registry.host), error.message);
    return true;
  });
  assert.equal(registry.manifests.size, 0, 'nothing is tagged');
  registry.fault = 'good';
  await push(registry.host, image, content, client);
}

test('faults of registries that a push survives', { concurrency: 3 }, async (t) => {
  await Promise.all(passingPushFaults.map((fault) => t.test(fault, async () => await survive(fault))));
});

test('faults of registries that end a push: in time, with the host and the reason, and nothing tagged', { concurrency: 3 }, async (t) => {
  await Promise.all(failingPushFaults.map((fault) => t.test(fault, async () => await fail(fault))));
});

test('a blob damaged in the store is never pushed', async () => {
  using folder = temporary();
  await using registry = await startRegistry();
  const image = sampleImage([50_000]);
  const content = openContentStore({ folder: folder.path });
  await keep(content, image);
  const [layer = new Uint8Array()] = image.layers;
  for (const { digest, size } of content.list()) if (size === layer.length) writeFileSync(content.path(digest), new Uint8Array(size));
  using client = clientFor();
  await assert.rejects(push(registry.host, image, content, client), /were damaged/u);
  assert.equal(registry.blobs.has(sha256(layer)), false);
  assert.equal(registry.manifests.size, 0);
});

test('blobs that another repository of the registry has are mounted', async () => {
  using folder = temporary();
  await using registry = await startRegistry();
  const image = sampleImage([50_000, 20_000]);
  const content = openContentStore({ folder: folder.path });
  await keep(content, image);
  using client = clientFor();
  await push(registry.host, image, content, client);
  assert.ok(registry.seen.some(({ url }) => url.includes('mount=')));
});
