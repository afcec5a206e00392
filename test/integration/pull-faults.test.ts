/** A pull against a registry that goes wrong in every way we know of. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { JettisonError } from '#ground/base/errors.ts';
import { openContentStore } from '#stores/content/store.ts';
import { addImage, failingPullFaults, passingPullFaults, sampleImage, startRegistry } from '#test/kit/registry.ts';
import { checkStore, clientFor, pullAndCheck, shortLimits, temporary } from '#test/kit/transfer.ts';

async function survive(fault: (typeof passingPullFaults)[number]): Promise<void> {
  using folder = temporary();
  await using registry = await startRegistry(fault);
  const image = sampleImage([300_000, 50_000]);
  addImage(registry, 'app:v1', image);
  const content = openContentStore({ folder: folder.path });
  using client = clientFor({}, fault === 'basic' ? { kind: 'password', ...registry.credential } : undefined);
  await pullAndCheck(registry.host, image, content, client);
  if (fault === 'redirect') assert.equal(registry.seenElsewhere.length, 2);
  if (fault.startsWith('drop')) assert.ok(registry.seen.some(({ range }) => range?.startsWith('bytes=')));
  if (fault === 'good') assert.equal(registry.seen.length, 5);
  if (fault === 'token') assert.equal(registry.seen.filter(({ url }) => url.startsWith('/token')).length, 1);
}

test('faults of registries that a pull survives', { concurrency: 8 }, async (t) => {
  await Promise.all(passingPullFaults.map((fault) => t.test(`F: ${fault}`, async () => await survive(fault))));
});

test('faults of registries that end a pull: in time, with the host and the reason, and nothing stays', { concurrency: 8 }, async (t) => {
  const codes: Readonly<Record<string, string>> = {
    '404': 'registry/not-found',
    '403': 'registry/forbidden',
    '401-basic': 'registry/unauthorized',
    '500-always': 'registry/server-error',
    '429-always': 'registry/too-many-requests',
    '429-long': 'registry/too-many-requests',
    'drop-always': 'registry/connection-lost',
    stall: 'registry/timeout',
    'stall-headers': 'registry/timeout',
    trickle: 'registry/timeout',
    'wrong-blob': 'registry/wrong-digest',
    'wrong-manifest': 'registry/wrong-digest',
    'wrong-digest-header': 'registry/not-found',
    'short-blob': 'registry/wrong-size',
    'long-blob': 'registry/wrong-size',
    'endless-blob': 'registry/wrong-size',
    'endless-manifest': 'registry/too-long',
    'empty-blob': 'registry/wrong-size',
    html: 'registry/bad-answer',
    'redirect-loop': 'registry/too-many-redirects',
    'redirect-file': 'registry/bad-redirect',
    'token-never': 'registry/unauthorized',
    'token-evil-realm': 'registry/bad-realm',
    http09: 'registry/bad-answer',
    'no-answer': 'registry/timeout',
    refused: 'registry/unreachable',
  };
  const one = async (fault: (typeof failingPullFaults)[number]): Promise<void> => {
    using folder = temporary();
    await using registry = await startRegistry(fault);
    const image = sampleImage([300_000, 50_000]);
    addImage(registry, 'app:v1', image);
    const content = openContentStore({ folder: folder.path });
    using client = clientFor({}, undefined, ['stall', 'stall-headers', 'trickle', 'no-answer'].includes(fault) ? shortLimits : {});
    await assert.rejects(pullAndCheck(registry.host, image, content, client), (error) => {
      assert.ok(error instanceof JettisonError, String(error));
      assert.equal(error.code, codes[fault], error.message);
      assert.ok(error.message.includes(registry.host), error.message);
      if (fault === '429-long') assert.match(error.message, /3600 seconds/u);
      if (fault === '404') assert.match(error.message, /MANIFEST_UNKNOWN: manifest unknown here/u);
      return true;
    });
    await checkStore(content);
    if (fault === 'refused') return;
    registry.fault = 'good';
    using patient = clientFor();
    await pullAndCheck(registry.host, image, content, patient);
  };
  await Promise.all(failingPullFaults.map((fault) => t.test(`F: ${fault}`, async () => await one(fault))));
});
