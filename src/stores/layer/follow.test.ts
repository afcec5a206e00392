import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { mkdtempDisposableSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fromText } from '#ground/base/byte-string.ts';
import { followLayer, type LayerBatch } from './follow.ts';

const ignore = (): void => undefined;
const nothing: LayerBatch = { bytes: new Uint8Array(), isLayer: true, pieces: [], linked: [] };

test('whoever tells is told of each batch that it was taken, also of the one that could not be read', { timeout: 10_000 }, async () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-follow-');
  writeFileSync(join(folder.path, 'there'), 'text');
  const follower = followLayer(folder.path, { layer: true, digests: true });
  const taken: number[] = [];
  const over = Promise.withResolvers<void>();
  for (const [index, name] of ['there', 'gone', 'there'].entries()) {
    const linked = [{ at: 0, path: fromText(name), size: 4, number: index }];
    follower.add({ ...nothing, linked }, () => {
      taken.push(index);
      if (taken.length === 3) over.resolve();
    });
  }
  await over.promise;
  assert.deepEqual(taken, [0, 1, 2]);
  assert.deepEqual(await follower.finish(), { diffId: undefined, digests: undefined, isTainted: false });
});

test('a layer that cannot be told any more has no digest, while files still have theirs', async () => {
  const follower = followLayer('/nowhere', { layer: true, digests: true });
  const bytes = new Uint8Array(512).fill(7);
  follower.add({ ...nothing, bytes, pieces: [0, 512, 0, 1] }, ignore);
  follower.add({ ...nothing, isLayer: false, bytes, pieces: [0, 512, 1, 1] }, ignore);
  const { diffId, digests } = await follower.finish();
  const digest = hash('sha256', bytes, 'buffer');
  assert.equal(diffId, undefined);
  assert.deepEqual(digests, new Uint8Array(Buffer.concat([digest, digest])));
});
