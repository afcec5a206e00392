import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseDigest } from '#ground/base/digest.ts';
import { indexAsImagetools, indexAsManifestPush } from './index-forms.ts';

const mediaType = 'application/vnd.oci.image.manifest.v1+json';

/** As `imagetools inspect --raw` shows them: members in another order than Go's, annotations in none. */
const manifests = [
  {
    mediaType,
    digest: parseDigest('sha256:6c68c33a523b4be64a3c87dbd28bbe9a6636f2992c96a351835992b47a02f6e4'),
    size: 260,
    urls: ['http://x/'],
    data: 'e30=',
    artifactType: 'a/b',
    annotations: { z: '1', x: 'ÿ', a: '2' },
    platform: { os: 'windows', architecture: 'amd64', 'os.version': '10.0.1', 'os.features': [] },
  },
  {
    mediaType,
    digest: parseDigest('sha256:ca5e6e9f1b0e095242906873caf520aa624a61ce368d88e7bd163c67e23f2760'),
    size: 260,
    platform: { os: 'linux', architecture: 'arm64', variant: '' },
    annotations: { x: 'ÿ' },
  },
  {
    mediaType,
    digest: parseDigest('sha256:a2a159227985b90d3fb9a94ab4b9c3b51db6a14bb7956d7430233aa42f57d198'),
    size: 401,
    platform: { os: 'linux', variant: 'v7', architecture: 'arm' },
    annotations: { x: 'ÿ' },
  },
];

test('an index has the digest that buildx 0.29.1 gave one of the same manifests', () => {
  const made = indexAsImagetools(manifests, { format: 'oci', annotations: { b: '<&>', a: 'b' } });
  assert.equal(
    made.digest,
    'sha256:3f6be9d84ff5f670a2a69e9d442f5600c056ba25f09443210413d47f34faa997',
    new TextDecoder().decode(made.bytes),
  );
});

test('a list has the digest that docker 28.5 gave one of the same manifests', () => {
  const docker = 'application/vnd.docker.distribution.manifest.v2+json';
  const platform = { os: 'linux', architecture: 'amd64' };
  const [first, second] = [
    'sha256:0f0ba08d424a8a262bb235106f599136534b902f2802ac0db2aa4429f2d82ae6',
    'sha256:33725c8b63c7b6b74b053a590e935f07a0274bfa29ce369572f938707c1adbb0',
  ].map(parseDigest);
  assert.ok(first !== undefined && second !== undefined);
  const entries = [
    { mediaType: docker, digest: first, size: 276, platform },
    { mediaType: docker, digest: second, size: 276, platform: { variant: 'v8', os: 'linux', architecture: 'arm64' } },
  ];
  const made = indexAsManifestPush(entries, 'docker');
  assert.equal(
    made.digest,
    'sha256:e6adadba81da3869271c159460c99cacd2f4bb762520382877b30d0d0817a629',
    new TextDecoder().decode(made.bytes),
  );
});
