/** A push against a registry that goes wrong in every way we know of. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { appendFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseDigest, type Digest } from '#ground/base/digest.ts';
import { JettisonError } from '#ground/base/errors.ts';
import type { TransferProgress } from '#formats/progress/event.ts';
import { mediaTypes } from '#formats/oci/media-types.ts';
import { parseReference } from '#formats/oci/reference.ts';
import { followFile } from '#stores/content/growing.ts';
import { openContentStore, type ContentStore } from '#stores/content/store.ts';
import type { RegistryClient } from '#stores/registry/client.ts';
import { pushGrowingBlob, pushImage } from '#stores/transfer/push.ts';
import {
  failingPushFaults,
  passingPushFaults,
  sampleImage,
  sha256,
  startRegistry,
  type SampleImage,
  type TestRegistry,
} from '#test/kit/registry.ts';
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
  using patient = clientFor();
  await push(registry.host, image, content, patient);
}

test('faults of registries that a push survives', { concurrency: 3 }, async (t) => {
  await Promise.all(passingPushFaults.map((fault) => t.test(`F: ${fault}`, async () => await survive(fault))));
});

test('faults of registries that end a push: in time, with the host and the reason, and nothing tagged', { concurrency: 3 }, async (t) => {
  await Promise.all(failingPushFaults.map((fault) => t.test(`F: ${fault}`, async () => await fail(fault))));
});

/** Writes `bytes` to `file` in eight parts, each after a pause; the last one once `seen` is true. */
async function writeSlowly(file: string, bytes: Uint8Array, seen: () => boolean): Promise<void> {
  const part = Math.ceil(bytes.length / 8);
  for (let at = 0; at < bytes.length; at += part) {
    for (let tries = 0; tries < 30_000 && at + part >= bytes.length && !seen(); tries++) await sleep(10);
    appendFileSync(file, bytes.subarray(at, at + part));
    await sleep(5);
  }
}

/** Pushes a blob of `size` bytes while it is written; `finish` ends the writing. */
async function pushGrowing(
  registry: TestRegistry,
  folder: string,
  client: RegistryClient,
  finish: (blob: { readonly digest: Digest; readonly size: number }) => Promise<{ readonly digest: Digest; readonly size: number }>,
): Promise<Uint8Array> {
  const bytes = new Uint8Array(randomBytes(12 << 20));
  const file = join(folder, 'growing');
  writeFileSync(file, '');
  const isSent = (): boolean => registry.seen.some(({ method }) => method === 'PATCH');
  const complete = writeSlowly(file, bytes, isSent).then(
    async () => await finish({ digest: parseDigest(sha256(bytes)), size: bytes.length }),
  );
  using following = await followFile(file, complete, signal);
  await pushGrowingBlob(
    { reference: parseReference(`${registry.host}/app:v1`), client },
    { item: 'layer', complete, open: (offset, own) => following.read(offset, own) },
    () => undefined,
    signal,
  );
  assert.ok(isSent());
  return bytes;
}

const streamFaults = ['good', 'push-drop-once', 'push-drop-lost', 'session-lost', 'push-token-expires', 'relative-location'] as const;

test('a blob is sent while it is still written, and gets there through breaks', { concurrency: 3 }, async (t) => {
  const one = async (fault: (typeof streamFaults)[number]): Promise<void> => {
    using folder = temporary();
    await using registry = await startRegistry(fault);
    using client = clientFor();
    const bytes = await pushGrowing(registry, folder.path, client, async (blob) => await Promise.resolve(blob));
    assert.deepEqual([...registry.blobs.keys()], [sha256(bytes)]);
    const asked = registry.seen.filter(({ method, url }) => method === 'GET' && url.includes('/uploads/')).length;
    assert.equal(asked > 0, fault.startsWith('push-drop') || fault === 'session-lost', `${fault}: asks where it is`);
  };
  await Promise.all(streamFaults.map((fault) => t.test(`F: ${fault}`, async () => await one(fault))));
});

test('a blob that is never completed, or is not what it said, does not come to stand in the registry', async () => {
  using folder = temporary();
  await using registry = await startRegistry();
  using client = clientFor();
  await assert.rejects(
    pushGrowing(registry, folder.path, client, async () => await Promise.reject(new Error('the disk is full'))),
    /the disk is full/u,
  );
  const wrong = parseDigest(sha256(new Uint8Array(1)));
  await assert.rejects(
    pushGrowing(registry, folder.path, client, async ({ size }) => await Promise.resolve({ digest: wrong, size })),
    /digest invalid/u,
  );
  assert.equal(registry.blobs.size, 0);
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
