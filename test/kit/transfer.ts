/** A client with short limits, a temporary store, and a pull that looks at everything afterwards. */
import assert from 'node:assert/strict';
import { mkdtempDisposableSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseDigest } from '#ground/base/digest.ts';
import { parseReference } from '#formats/oci/reference.ts';
import type { ContentStore } from '#stores/content/store.ts';
import { createRegistryClient, type RegistryClient } from '#stores/registry/client.ts';
import { decodeRegistryConfig } from '#stores/registry/config.ts';
import type { TransportTiming } from '#stores/registry/transport.ts';
import type { Credential } from '#stores/registry/credentials.ts';
import { pullImage, type PullRequest } from '#stores/transfer/pull.ts';
import { sha256, type SampleImage } from './registry.ts';

export const signal = new AbortController().signal;
export const amd64 = { os: 'linux', architecture: 'amd64' };
export const quiet = (): void => {};
/** For faults that keep us waiting: short enough to wait for, long enough for a busy machine. */
export const shortLimits = { connect: 2000, firstByte: 400, commit: 400, idle: 400, leastBytes: 20_000 };

export function clientFor(json: unknown = {}, credential?: Credential, limits: Partial<TransportTiming> = {}): RegistryClient {
  return createRegistryClient({
    config: decodeRegistryConfig(json),
    findCredential: async () => await Promise.resolve(credential),
    environment: {},
    timing: { ...limits, tries: 5, firstPause: 1 },
  });
}

export function temporary() {
  return mkdtempDisposableSync(join(tmpdir(), 'jettison-transfer-'));
}

/** Nothing half done, and every blob is what its name says. */
export async function checkStore(content: ContentStore): Promise<void> {
  assert.deepEqual(readdirSync(join(content.folder, 'ingest')), []);
  for (const { digest } of content.list()) await content.verify(digest, signal);
}

/** Pulls `image` as host/app:v1 and looks at every blob. */
export async function pullAndCheck(
  host: string,
  image: SampleImage,
  content: ContentStore,
  client: RegistryClient,
  more: Partial<PullRequest> = {},
) {
  const pulled = await pullImage({ reference: parseReference(`${host}/app:v1`), platform: amd64, client, content, ...more }, quiet, signal);
  assert.equal(pulled.manifest.digest, image.digest);
  assert.deepEqual(Buffer.from(pulled.manifestBytes), Buffer.from(image.manifest));
  for (const blob of [image.config, ...image.layers]) await content.verify(parseDigest(sha256(blob)), signal);
  await checkStore(content);
  return pulled;
}
