import { test } from 'node:test';
import assert from 'node:assert/strict';
import { isCode } from '#ground/base/errors.ts';
import { decodeImageConfig, alignHistory } from './image-config.ts';
import { selectManifests } from './image-index.ts';
import { chainIds } from './layer-ids.ts';
import { decodeImageDocument } from './manifest.ts';
import { layerCompression, mediaTypes } from './media-types.ts';

const digest = `sha256:${'0a'.repeat(32)}`;
const bytes = (value: unknown): Uint8Array => new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value));
const config = { mediaType: mediaTypes.config, digest, size: 2 };
const layer = { mediaType: mediaTypes.layerGzip, digest, size: 3 };
const manifest = { schemaVersion: 2, mediaType: mediaTypes.manifest, config, layers: [layer], extra: { kept: true } };
const index = {
  schemaVersion: 2,
  manifests: [{ mediaType: mediaTypes.manifest, digest, size: 4, platform: { os: 'linux', architecture: 'amd64' } }],
};

const refuses = (code: string, value: unknown, ...declared: string[]): void =>
  assert.throws(
    () => decodeImageDocument(bytes(value), declared, 'x'),
    (error) => isCode(error, code),
    `${code}: ${JSON.stringify(value).slice(0, 200)} ${declared.join(' ')}`,
  );

test('manifests and indexes of both families are read; unknown members stay', () => {
  const read = decodeImageDocument(bytes(manifest), [`${mediaTypes.manifest}; charset=utf-8`], 'x');
  assert.equal(read.kind, 'manifest');
  assert.deepEqual(read.kind === 'manifest' && read.manifest, manifest);
  assert.equal(decodeImageDocument(bytes(index), ['application/json'], 'x').mediaType, mediaTypes.index);
  assert.equal(decodeImageDocument(bytes(index), [mediaTypes.dockerManifestList], 'x').kind, 'index');
  const nulls = { ...manifest, annotations: null, layers: [{ ...layer, urls: null, annotations: null }] };
  assert.equal(decodeImageDocument(bytes(nulls), [], 'x').kind, 'manifest');
});

test('manifest confusion: a document that is manifest and index at once', () => {
  refuses('oci/ambiguous-manifest', { ...manifest, ...index });
  refuses('oci/ambiguous-manifest', { ...index, layers: [] });
});

test('media types of descriptor, header and body must agree', () => {
  refuses('oci/bad-manifest', manifest, mediaTypes.dockerManifest);
  refuses('oci/bad-manifest', manifest, mediaTypes.index);
  refuses('oci/bad-manifest', index, mediaTypes.manifest);
  refuses('oci/bad-manifest', { ...manifest, mediaType: undefined }, mediaTypes.manifest, mediaTypes.dockerManifest);
  refuses('oci/bad-manifest', manifest, 'text/html');
  refuses('oci/bad-manifest', { ...manifest, mediaType: 7 });
});

test('schema 1 is refused by name', () => {
  refuses('oci/schema1-manifest', { schemaVersion: 1, fsLayers: [] });
  refuses('oci/schema1-manifest', manifest, 'application/vnd.docker.distribution.manifest.v1+prettyjws');
});

test('hostile manifests: digests as paths, wrong sizes, too many layers, deep nesting', () => {
  for (const bad of ['../../../etc/passwd', 'sha256:12', `sha256:${'0A'.repeat(32)}`, `sha256:../${'a'.repeat(61)}`, 7, null]) {
    refuses('oci/bad-manifest', { ...manifest, layers: [{ ...layer, digest: bad }] });
  }
  for (const size of [-1, 1.5, 1e300, '3', null]) refuses('oci/bad-manifest', { ...manifest, config: { ...config, size } });
  refuses('oci/bad-manifest', { ...manifest, layers: Array.from({ length: 1001 }, () => layer) });
  refuses('oci/bad-manifest', { ...manifest, config: { ...config, mediaType: 'a\nb/c' } });
  refuses('oci/bad-manifest', `{"schemaVersion":2,"config":${'['.repeat(100_000)}${']'.repeat(100_000)}}`);
  for (const text of ['', 'null', '[]', '<html>', '{}', '{"schemaVersion":2}', '{"schemaVersion":3,"layers":[]}'])
    refuses('oci/bad-manifest', text);
});

test('an index without the platform names those it has', () => {
  const read = decodeImageDocument(bytes(index), [], 'x');
  assert.ok(read.kind === 'index');
  assert.equal(selectManifests(read.index, { os: 'linux', architecture: 'amd64' }, 'x').length, 1);
  assert.throws(
    () => selectManifests(read.index, { os: 'linux', architecture: 'arm64' }, 'x'),
    (error) => isCode(error, 'oci/no-such-platform') && error.hint === 'It has: linux/amd64',
  );
});

const image = { architecture: 'amd64', os: 'linux', rootfs: { type: 'layers', diff_ids: [digest] } };

test('image configs: nulls go, unknown members stay, prototypes are safe', () => {
  const text = `{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":["${digest}"]},"x":1,"history":null,"__proto__":{"evil":1},
    "config":{"Cmd":null,"Env":["A=b"],"Labels":{"__proto__":"p","constructor":"c"},"Healthcheck":{"Test":null,"Interval":30000000000},"OnBuild":null}}`;
  const read = decodeImageConfig(bytes(text), 'x');
  assert.deepEqual(Object.entries(read.config?.Labels ?? {}), [
    ['__proto__', 'p'],
    ['constructor', 'c'],
  ]);
  assert.equal(read.config !== undefined && 'Cmd' in read.config, false);
  assert.equal((read as unknown as Record<string, unknown>)['x'], 1);
  assert.equal((read as unknown as Record<string, unknown>)['evil'], undefined);
  assert.equal(Object.getPrototypeOf(read), Object.prototype);
  assert.deepEqual(read.history, [{}]);
});

test('image configs of the wrong shape are refused', () => {
  const wrong: readonly object[] = [
    { ...image, rootfs: { type: 'layers', diff_ids: ['sha256:1'] } },
    { ...image, rootfs: { type: 'zip', diff_ids: [] } },
    { ...image, os: 7 },
    { ...image, architecture: undefined },
    { ...image, config: { Env: 'A=b' } },
    { ...image, config: { Labels: { a: 1 } } },
    { ...image, config: { Volumes: { '/x': 'y' } } },
    { ...image, config: [] },
    {},
  ];
  for (const value of wrong) {
    assert.throws(
      () => decodeImageConfig(bytes(value), 'x'),
      (error) => isCode(error, 'oci/bad-config'),
      JSON.stringify(value),
    );
  }
});

test('history is made to fit the layers', () => {
  const a = { created_by: 'a' };
  const empty = { created_by: 'e', empty_layer: true };
  assert.deepEqual(alignHistory([a, empty, a], 2), [a, empty, a]);
  assert.deepEqual(alignHistory([a, a], 1), [a, { ...a, empty_layer: true }]);
  assert.deepEqual(alignHistory([empty], 1), [empty, {}]);
});

test('a ChainID is the DiffID of the lowest layer, then the digest of chain and layer', () => {
  const second = `sha256:${'0b'.repeat(32)}`;
  // printf 'sha256:0a..0a sha256:0b..0b' | sha256sum
  assert.deepEqual(chainIds([digest, second]), [digest, 'sha256:fd90608a6292d3cd8f673c89ba12dd640d823217ec20a0cf3177a6384b89278f']);
});

test('layers of unknown packing are refused', () => {
  assert.equal(layerCompression(mediaTypes.dockerLayerGzip), 'gzip');
  for (const bad of ['application/vnd.oci.image.layer.v1.tar+encrypted', 'toString', '__proto__']) {
    assert.throws(
      () => layerCompression(bad),
      (error) => isCode(error, 'oci/unknown-layer-type'),
    );
  }
});
