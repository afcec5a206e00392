import assert from 'node:assert/strict';
import { test } from 'node:test';
import { digestOf } from '#ground/base/digest.ts';
import { isCode } from '#ground/base/errors.ts';
import { decodeImageDocument } from '#formats/oci/manifest.ts';
import { mediaTypes } from '#formats/oci/media-types.ts';
import { decodeCacheConfig, encodeCacheConfig } from './cache-config.ts';
import { assembleCacheManifest, readCacheManifest } from './cache-manifest.ts';
import { findRun, type ExportedRecord, type RemoteLayer } from './exported.ts';
import { contentKeyOf, type CacheKey } from './key.ts';

const keyOf = (text: string): CacheKey => contentKeyOf(digestOf(text));
const layer = (name: string, createdAt = 1_700_000_000_123): RemoteLayer => ({
  diffId: digestOf(`tar of ${name}`),
  blob: { mediaType: mediaTypes.layerGzip, digest: digestOf(`gzip of ${name}`), size: name.length },
  createdAt,
});
const record = (name: string, layers: readonly RemoteLayer[], keys = [name]): ExportedRecord => ({
  key: keyOf(keys[0] ?? name),
  keys: keys.map(keyOf),
  layers,
  createdAt: 1_700_000_000_456,
  cost: 12,
});
const [a, b, c] = [layer('a'), layer('b'), layer('c')];
const records = [record('ab', [a, b], ['ab', 'ab by content']), record('a', [a]), record('c alone', [c]), record('abc', [a, b, c])];
const bare = (layers: readonly RemoteLayer[]) => layers.map(({ blob }) => blob);

/** What is read back of these records after their document was changed as text. */
function readBack(change: (text: string) => string) {
  const { bytes, layers } = encodeCacheConfig(records);
  return decodeCacheConfig(new TextEncoder().encode(change(new TextDecoder().decode(bytes))), bare(layers), 'cache');
}

test('records come back as they were, each under all of its keys; a layer is named once, however often it is stood on', () => {
  const { bytes, layers } = encodeCacheConfig(records);
  assert.deepEqual(new Set(layers), new Set([a, b, c]));
  assert.equal(layers.length, 3);
  const found = decodeCacheConfig(bytes, bare(layers), 'cache');
  assert.deepEqual(found?.list(), records);
  assert.deepEqual(found?.find(keyOf('ab by content')), records[0]);
  assert.equal(found?.find(keyOf('unknown')), undefined);
});

test('the same chain made at another time is another one', () => {
  const later = layer('a', 1_800_000_000_000);
  const { bytes, layers } = encodeCacheConfig([record('early', [a]), record('late', [later])]);
  const found = decodeCacheConfig(bytes, bare(layers), 'cache');
  assert.equal(found?.find(keyOf('late'))?.layers[0]?.createdAt, later.createdAt);
  assert.equal(found?.find(keyOf('early'))?.layers[0]?.createdAt, a.createdAt);
});

test('BuildKit finds the members of its own form', () => {
  const document = JSON.parse(new TextDecoder().decode(encodeCacheConfig(records).bytes)) as {
    readonly layers: readonly { readonly blob: string; readonly parent: number; readonly annotations: { readonly diffID: string } }[];
    readonly records: readonly { readonly digest: string; readonly layers: readonly { readonly layer: number }[] }[];
  };
  assert.deepEqual(
    document.layers.map(({ blob, parent, annotations }) => [blob, parent, annotations.diffID]),
    [
      [a.blob.digest, -1, a.diffId],
      [b.blob.digest, 0, b.diffId],
      [c.blob.digest, -1, c.diffId],
      [c.blob.digest, 1, c.diffId],
    ],
  );
  assert.deepEqual(
    document.records.map(({ digest, layers }) => [digest, layers[0]?.layer]),
    [
      [keyOf('ab'), 1],
      [keyOf('ab by content'), 1],
      [keyOf('a'), 0],
      [keyOf('c alone'), 2],
      [keyOf('abc'), 3],
    ],
  );
});

test('a manifest or an index holds it together, and is told from an image', () => {
  for (const [imageManifest, ociTypes, type] of [
    [true, true, mediaTypes.manifest],
    [false, true, mediaTypes.index],
    [false, false, mediaTypes.dockerManifestList],
  ] as const) {
    const memory = new TextEncoder().encode('what its steps were made of');
    const made = assembleCacheManifest(records, { imageManifest, ociTypes }, memory);
    assert.equal(made.mediaType, type);
    const parts = readCacheManifest(decodeImageDocument(made.bytes, [made.mediaType], 'cache'));
    assert.equal(parts?.config.digest, made.config.descriptor.digest);
    assert.deepEqual([parts.memory?.digest, parts.memory?.size], [digestOf(memory), memory.length]);
    assert.deepEqual(
      parts.layers.map(({ digest, mediaType }) => [digest, mediaType]),
      [a, b, c].map(({ blob }) => [blob.digest, ociTypes ? mediaTypes.layerGzip : mediaTypes.dockerLayerGzip]),
    );
    assert.equal(decodeCacheConfig(made.config.bytes, parts.layers, 'cache')?.list().length, 4);
    // Where there is no manifest the document alone names it.
    assert.deepEqual(decodeCacheConfig(made.config.bytes, 'as said', 'cache')?.memory, made.memory?.descriptor);
  }
  const many = record(
    'deep',
    Array.from({ length: 1001 }, (_, index) => layer(`${index}`)),
  );
  assert.throws(
    () => assembleCacheManifest([many], { imageManifest: true, ociTypes: true }, undefined),
    (error) => isCode(error, 'cache/too-many-layers'),
  );
});

test('layers in a circle, layers that are nowhere, and chains without end lead to no record', () => {
  assert.deepEqual(readBack((text) => text.replaceAll(/"parent":-?\d+/gu, '"parent":0'))?.list(), []);
  assert.deepEqual(readBack((text) => text.replaceAll(/"layer":\d+/gu, '"layer":99'))?.list(), []);
  assert.deepEqual(
    readBack((text) => text.replace('"parent":-1', '"parent":77'))
      ?.list()
      .map(({ key }) => key),
    [keyOf('c alone')],
  );
  const { bytes } = encodeCacheConfig(records);
  assert.deepEqual(
    decodeCacheConfig(bytes, [a.blob], 'cache')
      ?.list()
      .map(({ key }) => key),
    [keyOf('a')],
  );
  const deep = encodeCacheConfig([
    record(
      'deep',
      Array.from({ length: 1001 }, (_, index) => layer(`${index}`)),
    ),
  ]);
  assert.deepEqual(decodeCacheConfig(deep.bytes, bare(deep.layers), 'cache')?.list(), []);
});

test('what others wrote, or another version, is no cache of ours; what is damaged is said', () => {
  assert.equal(
    readBack((text) => text.replace('"version":1', '"version":2')),
    undefined,
  );
  assert.equal(decodeCacheConfig(new TextEncoder().encode('{"layers":[{"blob":"x"}],"records":[]}'), [], 'cache'), undefined);
  for (const change of [
    (text: string) => text.slice(0, -1),
    (text: string) => text.replace('"cost":12', '"cost":"x"'),
    (text: string) => text.replace('"createdAt":"2023', '"createdAt":"later'),
    (text: string) => text.replace('"digest":"sha256:', '"digest":"sha257:'),
    (text: string) => text.replace('"parent":-1', '"parent":-2'),
    (text: string) => text.replace('"parent":-1', '"parent":0.5'),
    () => 'null',
    () => `{"jettison":{"version":1},"layers":${'['.repeat(100)}${']'.repeat(100)},"records":[]}`,
  ]) {
    assert.throws(
      () => readBack(change),
      (error) => isCode(error, 'cache/bad-config'),
    );
  }
});

test('a run of layers is found wherever it stands', () => {
  const ids = [a, b, c].map(({ diffId }) => diffId);
  assert.deepEqual(
    [ids, ids.slice(1), ids.slice(0, 1), [], ids.toReversed()].map((chain) => findRun(ids, chain)),
    [0, 1, 0, undefined, undefined],
  );
});
