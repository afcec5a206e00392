/** What registries do to a push beside the faults of `push-faults.test.ts`. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { JettisonError } from '#ground/base/errors.ts';
import { mediaTypes } from '#formats/oci/media-types.ts';
import { parseReference } from '#formats/oci/reference.ts';
import { openContentStore } from '#stores/content/store.ts';
import type { RegistryClient } from '#stores/registry/client.ts';
import { pushImage } from '#stores/transfer/push.ts';
import { failingPushes, passingPushes } from '#test/kit/push-twists.ts';
import { sampleImage, sha256, startRegistry, type TestRegistry } from '#test/kit/registry.ts';
import { clientFor, pullAndCheck, signal, temporary } from '#test/kit/transfer.ts';

/** One layer long enough to be streamed, one for a single request. */
const sizes = [9 << 20, 50_000];

async function push(host: string, client: RegistryClient): Promise<void> {
  const pushed = await pushImage(
    {
      reference: parseReference(`${host}/app:v1`),
      manifest: { bytes: image.manifest, mediaType: mediaTypes.manifest },
      openBlob: (digest, offset, own) => content.openStream(digest, offset, own),
      client,
    },
    () => undefined,
    signal,
  );
  assert.equal(pushed.digest, image.digest);
}

const folder = mkdtempSync(join(tmpdir(), 'jettison-push-'));
const image = sampleImage(sizes);
const content = openContentStore({ folder });
for (const blob of [image.config, ...image.layers]) await content.put(blob, signal);
after(() => rmSync(folder, { recursive: true }));

function bodiesSent(registry: TestRegistry): number {
  return registry.seen.filter(({ method, url }) => method === 'PATCH' && url.includes('/uploads/')).length;
}

async function survive([name, twist, timing]: (typeof passingPushes)[number]): Promise<void> {
  using pulled = temporary();
  await using registry = await startRegistry();
  registry.twist = twist;
  using client = clientFor({}, undefined, timing ?? {});
  await push(registry.host, client);
  // It has the blob already, only nobody said so.
  if (name === 'last-answer-lost') assert.equal(bodiesSent(registry), 1);
  registry.twist = undefined;
  await pullAndCheck(registry.host, image, openContentStore({ folder: pulled.path }), client);
}

test('what a push survives', { concurrency: 3 }, async (t) => {
  await Promise.all(passingPushes.map((row) => t.test(`F: ${row[0]}`, async () => await survive(row))));
});

async function fail([, twist, reason, timing]: (typeof failingPushes)[number]): Promise<void> {
  await using registry = await startRegistry();
  registry.twist = twist;
  using client = clientFor({}, undefined, timing ?? {});
  await assert.rejects(push(registry.host, client), (error) => {
    assert.ok(error instanceof JettisonError, String(error));
    assert.match(error.message, reason);
    assert.match(error.message, /127\.0\.0\.1:\d+/u);
    assert.notEqual(error.hint, undefined, error.message);
    return true;
  });
  assert.equal(registry.manifests.size, 0);
  registry.twist = undefined;
  using patient = clientFor();
  await push(registry.host, patient);
  for (const layer of image.layers) assert.ok(registry.blobs.has(sha256(layer)));
}

test('what ends a push: in time, with the host, the reason and what to do, and nothing tagged', { concurrency: 3 }, async (t) => {
  await Promise.all(failingPushes.map((row) => t.test(`F: ${row[0]}`, async () => await fail(row))));
});
