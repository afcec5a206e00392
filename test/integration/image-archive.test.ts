/** Archives of ours in the hands of skopeo and of Python's tarfile, and skopeo's in ours. Needs skopeo and python3. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempDisposableSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fromText } from '#ground/base/byte-string.ts';
import { createDigester, digestOf } from '#ground/base/digest.ts';
import { mediaTypes } from '#formats/oci/media-types.ts';
import { noAttributes } from '#formats/tar/entry.ts';
import { encodeHeader, endOfArchive, paddingOf } from '#formats/tar/write.ts';
import { dockerArchive, ociArchive, writeArchive, type SavedImage } from '#stores/image/archive.ts';
import { openImageArchive } from '#stores/image/read-archive.ts';

const signal = new AbortController().signal;
const name = 'docker.io/library/archive-test:1';

test('archives pass between jettison and skopeo, and tarfile lists them', async () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'jettison-archive-'));
  const image = makeImage();
  for (const [kind, pieces] of [
    ['docker-archive', dockerArchive([image])],
    ['oci-archive', ociArchive([image])],
  ] as const) {
    const path = join(folder.path, `${kind}.tar`);
    await writeArchive(pieces, { kind: 'file', path }, signal);
    const source = kind === 'docker-archive' ? `${kind}:${path}:archive-test:1` : `${kind}:${path}:1`;
    assert.equal(digestOf(skopeo('inspect', '--raw', '--config', source)), image.config.digest);
    assert.equal((JSON.parse(skopeo('inspect', source).toString()) as { Layers: string[] }).Layers.length, 2);
    assert.deepEqual(listByPython(path).toSorted(), pieces.map((piece) => `${piece.name} ${piece.size}`).toSorted());
    for (const theirs of ['docker-archive', 'oci-archive']) {
      const copy = join(folder.path, `${kind}-${theirs}.tar`);
      skopeo('copy', '-q', source, theirs === 'docker-archive' ? `${theirs}:${copy}:archive-test:1` : `${theirs}:${copy}:${name}`);
      await checkTheirs(copy, folder.path, image);
    }
  }
});

async function checkTheirs(path: string, temporaryFolder: string, image: SavedImage): Promise<void> {
  const platform = { os: 'linux', architecture: 'amd64' };
  using archive = await openImageArchive({ source: { kind: 'file', path }, temporaryFolder, platform }, signal);
  assert.equal(archive.images.length, 1);
  const [found] = archive.images;
  assert.ok(found);
  assert.deepEqual(found.names, [name]);
  assert.equal(digestOf(found.config), image.config.digest);
  for (const [index, layer] of found.layers.entries()) {
    assert.equal(layer.diffId, image.layers[index]?.diffId);
    const digester = createDigester();
    for (const chunk of layer.chunks()) digester.update(chunk);
    assert.equal(digester.finish(), layer.digest);
  }
}

function skopeo(...words: readonly string[]): Buffer {
  return execFileSync('skopeo', ['--insecure-policy', ...words], { stdio: ['ignore', 'pipe', 'inherit'] });
}

/** `NAME SIZE` of each file. */
function listByPython(path: string): readonly string[] {
  const program = 'import sys, tarfile\nfor m in tarfile.open(sys.argv[1]):\n  if m.isfile(): print(m.name, m.size)';
  return execFileSync('python3', ['-c', program, path], { encoding: 'utf8' }).trim().split('\n');
}

function makeImage(): SavedImage {
  const layers = ['first', 'second'].map((content) => {
    const bytes = layerOf(`${content}.txt`, new TextEncoder().encode(content.repeat(5000)));
    const digest = digestOf(bytes);
    return { mediaType: mediaTypes.layer, digest, size: bytes.length, diffId: digest, open: () => [bytes] };
  });
  const config = documentOf({
    created: '2024-01-01T00:00:00Z',
    architecture: 'amd64',
    os: 'linux',
    config: { Cmd: ['/bin/true'] },
    rootfs: { type: 'layers', diff_ids: layers.map((layer) => layer.diffId) },
    history: [{ created_by: 'COPY first' }, { created_by: 'COPY second' }],
  });
  const manifest = documentOf({
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    config: { mediaType: mediaTypes.config, digest: config.digest, size: config.bytes.length },
    layers: layers.map(({ mediaType, digest, size }) => ({ mediaType, digest, size })),
  });
  return { config, manifest: { ...manifest, mediaType: mediaTypes.manifest }, layers, names: [name] };
}

function layerOf(path: string, content: Uint8Array): Uint8Array {
  const header = encodeHeader({
    name: fromText(path),
    kind: 'file',
    mode: 0o644,
    uid: 0,
    gid: 0,
    size: content.length,
    mtime: 0n,
    linkName: fromText(''),
    device: undefined,
    xattrs: noAttributes,
  });
  return Buffer.concat([header, content, new Uint8Array(paddingOf(content.length)), endOfArchive()]);
}

function documentOf(value: object): { readonly bytes: Uint8Array; readonly digest: SavedImage['config']['digest'] } {
  const bytes = new TextEncoder().encode(JSON.stringify(value));
  return { bytes, digest: digestOf(bytes) };
}
