/** What servers, and what stands before them, do to a pull beside the faults of `pull-faults.test.ts`. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { JettisonError } from '#ground/base/errors.ts';
import { openContentStore } from '#stores/content/store.ts';
import { failingPulls, passingPulls } from '#test/kit/pull-twists.ts';
import { addImage, sampleImage, startRegistry } from '#test/kit/registry.ts';
import { checkStore, clientFor, pullAndCheck, temporary } from '#test/kit/transfer.ts';

const sizes = [300_000, 50_000];

async function survive([, twist, timing]: (typeof passingPulls)[number]): Promise<void> {
  using folder = temporary();
  await using registry = await startRegistry();
  const image = sampleImage(sizes);
  addImage(registry, 'app:v1', image);
  registry.twist = twist;
  using client = clientFor({}, undefined, timing ?? {});
  await pullAndCheck(registry.host, image, openContentStore({ folder: folder.path }), client);
}

test('what a pull survives', { concurrency: 8 }, async (t) => {
  await Promise.all(passingPulls.map((row) => t.test(`F: ${row[0]}`, async () => await survive(row))));
});

async function fail([, twist, reason, timing]: (typeof failingPulls)[number]): Promise<void> {
  using folder = temporary();
  await using registry = await startRegistry();
  const image = sampleImage(sizes);
  addImage(registry, 'app:v1', image);
  registry.twist = twist;
  const content = openContentStore({ folder: folder.path });
  using client = clientFor({}, undefined, timing ?? {});
  const began = performance.now();
  await assert.rejects(pullAndCheck(registry.host, image, content, client), (error) => {
    assert.ok(error instanceof JettisonError, String(error));
    assert.notEqual(error.fault, 'bug', error.message);
    assert.match(error.message, reason);
    assert.match(error.message, /127\.0\.0\.1:\d+|169\.254/u);
    assert.notEqual(error.hint, undefined, error.message);
    assert.doesNotMatch(error.message, /\u001b/u);
    return true;
  });
  assert.ok(performance.now() - began < 100_000);
  await checkStore(content);
  registry.twist = undefined;
  using patient = clientFor();
  await pullAndCheck(registry.host, image, content, patient);
}

test('what ends a pull: in time, with the host, the reason and what to do, and nothing stays', { concurrency: 8 }, async (t) => {
  await Promise.all(failingPulls.map((row) => t.test(`F: ${row[0]}`, async () => await fail(row))));
});
