import assert from 'node:assert/strict';
import { test } from 'node:test';
import { digestOf } from '#ground/base/digest.ts';
import { isCode } from '#ground/base/errors.ts';
import type { ImageConfig } from '#formats/oci/image-config.ts';
import { mediaTypes } from '#formats/oci/media-types.ts';
import { decodeInline, inlineMember } from './inline.ts';
import { withoutInline } from './inline-members.ts';
import { contentKeyOf, type CacheKey } from './key.ts';

const keyOf = (text: string): CacheKey => contentKeyOf(digestOf(text));
const diffIds = ['a', 'b', 'c'].map(digestOf);
const blobs = diffIds.map((diffId) => ({ mediaType: mediaTypes.layerGzip, digest: digestOf(`gzip ${diffId}`), size: 1 }));
const config: ImageConfig = {
  os: 'linux',
  architecture: 'amd64',
  rootfs: { type: 'layers', diff_ids: diffIds },
  history: [
    { created: '2024-01-01T00:00:00Z' },
    { created: '2024-01-02T00:00:00Z', empty_layer: true },
    { created: '2024-01-03T00:00:00Z' },
    { created: '2024-01-04T00:00:00Z' },
  ],
};
const records = [
  { key: keyOf('ab'), keys: [keyOf('ab'), keyOf('ab by content')], from: 0, to: 2, cost: 7.4 },
  { key: keyOf('c'), keys: [keyOf('c')], from: 2, to: 3, cost: 1 },
];

test('an image says which of its layers a key leads to, with the times of its history', () => {
  const found = decodeInline({ ...config, ...inlineMember(records, new TextEncoder().encode('told')) }, blobs, 'app');
  assert.equal(new TextDecoder().decode(found?.memory), 'told');
  const ab = found?.cache.find(keyOf('ab by content'));
  assert.deepEqual(
    ab?.layers.map(({ diffId, blob, createdAt }) => [diffId, blob.digest, new Date(createdAt).getUTCDate()]),
    [
      [diffIds[0], blobs[0]?.digest, 1],
      [diffIds[1], blobs[1]?.digest, 3],
    ],
  );
  assert.deepEqual([ab.key, ab.cost, ab.createdAt], [keyOf('ab'), 7, Date.parse('2024-01-03T00:00:00Z')]);
  assert.deepEqual(
    found?.cache.find(keyOf('c'))?.layers.map(({ diffId }) => diffId),
    [diffIds[2]],
  );
});

const bad = (from: number, to: number) => inlineMember([{ key: keyOf('x'), keys: [keyOf('x')], from, to, cost: 0 }], undefined);

test('records of layers that the image has not lead nowhere; other shapes are an error; an image without says nothing', () => {
  for (const [from, to] of [
    [0, 4],
    [3, 4],
    [2, 2],
    [2, 1],
  ] as const)
    assert.deepEqual(decodeInline({ ...config, ...bad(from, to) }, blobs, 'app')?.cache.list(), []);
  assert.throws(
    () => decodeInline({ ...config, ...bad(-1, 1) }, blobs, 'app'),
    (error) => isCode(error, 'cache/bad-config'),
  );
  assert.equal(decodeInline(config, blobs, 'app'), undefined);
});

test('what an image says of its own layers is not passed on to those built on it, nor what BuildKit said', () => {
  const inherited = { ...config, ...inlineMember(records, undefined), 'moby.buildkit.cache.v0': 'e30=', other: 1 };
  assert.deepEqual(withoutInline(inherited), { ...config, other: 1 });
});
