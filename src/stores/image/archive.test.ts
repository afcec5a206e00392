import { test } from 'node:test';
import assert from 'node:assert/strict';
import { mkdtempDisposableSync, readFileSync, readdirSync, symlinkSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { asByteString } from '#ground/base/byte-string.ts';
import { createDigester, digestOf, hexOf, type Digest } from '#ground/base/digest.ts';
import { mediaTypes } from '#formats/oci/media-types.ts';
import { noAttributes } from '#formats/tar/entry.ts';
import { encodeHeader, endOfArchive, paddingOf } from '#formats/tar/write.ts';
import { thisProcess } from '#ground/base/process-identity.ts';
import { bytesPiece, dockerArchive, ociArchive, writeArchive, type Piece, type SavedImage } from './archive.ts';
import type { ImageArchive } from './archived-image.ts';
import { openImageArchive } from './read-archive.ts';

const signal = new AbortController().signal;
const platform = { os: 'linux', architecture: 'amd64' };
const encode = (value: unknown): Uint8Array => new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value));
const documentOf = (value: unknown) => ({ bytes: encode(value), digest: digestOf(encode(value)) });

function makeImage(names: readonly string[], contents: readonly Uint8Array[]): SavedImage {
  const layers = contents.map((content) => ({
    mediaType: mediaTypes.layer,
    digest: digestOf(content),
    size: content.length,
    diffId: digestOf(content),
    open: () => [content.subarray(0, 3), content.subarray(3)],
  }));
  const config = documentOf({
    architecture: 'amd64',
    os: 'linux',
    rootfs: { type: 'layers', diff_ids: layers.map((layer) => layer.diffId) },
    names,
  });
  const descriptors = layers.map(({ mediaType, digest, size }) => ({ mediaType, digest, size }));
  const manifest = documentOf({
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    config: { mediaType: mediaTypes.config, digest: config.digest, size: config.bytes.length },
    layers: descriptors,
  });
  return { config, manifest: { ...manifest, mediaType: mediaTypes.manifest }, layers, names };
}

const big = new Uint8Array(3_000_001).fill(7);
const images = [
  makeImage(['docker.io/library/app:1', 'ghcr.io/x/app:latest'], [encode('layer one'), big]),
  makeImage([], [encode('layer one')]),
];

async function write(folder: string, pieces: readonly Piece[], name = 'a.tar'): Promise<string> {
  const path = join(folder, name);
  await writeArchive(pieces, { kind: 'file', path }, signal);
  return path;
}

async function open(path: string): Promise<ImageArchive> {
  return await openImageArchive({ source: { kind: 'file', path }, temporaryFolder: join(path, '..'), platform }, signal);
}

function contentOf(chunks: Iterable<Uint8Array>): Digest {
  const digester = createDigester();
  for (const chunk of chunks) digester.update(chunk);
  return digester.finish();
}

test('what is written in either form is read back', async () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'jettison-archive-'));
  for (const [kind, pieces] of [
    ['docker', dockerArchive(images)],
    ['oci', ociArchive(images)],
  ] as const) {
    const path = await write(folder.path, pieces, `${kind}.tar`);
    using archive = await open(path);
    assert.deepEqual(
      archive.images.map((image) => [image.names, digestOf(image.config), image.layers.length]),
      images.map((image) => [image.names, image.config.digest, image.layers.length]),
    );
    assert.equal(archive.images[0]?.manifest?.digest, images[0]?.manifest.digest);
    for (const layer of archive.images.flatMap((image) => image.layers)) {
      assert.equal(contentOf(layer.chunks()), layer.digest);
      assert.equal(layer.diffId, layer.digest);
    }
  }
  assert.deepEqual(readdirSync(folder.path).toSorted(), ['docker.tar', 'oci.tar']);
});

test('the same images give the same bytes, to a file and to a stream, in whole blocks', async () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'jettison-archive-'));
  const path = await write(folder.path, dockerArchive(images));
  const chunks: Uint8Array[] = [];
  const collect = async (chunk: Uint8Array): Promise<void> => await Promise.resolve(void chunks.push(chunk.slice()));
  await writeArchive(dockerArchive(images), { kind: 'stream', write: collect }, signal);
  const streamed = Buffer.concat(chunks);
  assert.ok(streamed.equals(readFileSync(path)));
  assert.equal(streamed.length % 512, 0);
});

test('packed and streamed archives are read, and leave no copy behind', async () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'jettison-archive-'));
  const path = await write(folder.path, dockerArchive(images));
  const plain = readFileSync(path);
  for (const bytes of [plain, gzipSync(plain), zstdCompressSync(plain)]) {
    const packed = join(folder.path, 'packed');
    writeFileSync(packed, bytes);
    const streamed = async function* () {
      for (let at = 0; at < bytes.length; at += 60_000) yield await Promise.resolve(bytes.subarray(at, at + 60_000));
    };
    for (const source of [{ kind: 'file', path: packed } as const, { kind: 'stream', chunks: streamed() } as const]) {
      using archive = await openImageArchive({ source, temporaryFolder: folder.path, platform }, signal);
      assert.equal(archive.images.length, 2);
    }
    const cut = async function* () {
      yield await Promise.resolve(bytes.subarray(0, bytes.length - 2000));
    };
    const broken = openImageArchive({ source: { kind: 'stream', chunks: cut() }, temporaryFolder: folder.path, platform }, signal);
    await assert.rejects(broken, { name: 'JettisonError' });
  }
  assert.deepEqual(readdirSync(folder.path).toSorted(), ['a.tar', 'packed']);
});

test('K9: what a killed writer of the same file left goes with the next one; that of a living one stays', async () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'jettison-archive-'));
  const { pid, start, boot } = thisProcess();
  // Of a process in another container nobody here sees more than that it writes.
  const elsewhere = (n: number): string => `a.tar.${pid}-${start}-${boot.slice(0, 12)}1-${n}.tmp`;
  const kept = [`a.tar.${pid}-${start}-${boot}-1.tmp`, 'a.tar.1.tmp', `b.tar.${pid}-${start}1-${boot}-1.tmp`, elsewhere(1)];
  const dead = [`a.tar.${pid}-${start}1-${boot}-1.tmp`, `a.tar.${pid}-${start}-000000000000${boot.slice(12)}-1.tmp`, elsewhere(2)];
  for (const name of [...kept, ...dead]) writeFileSync(join(folder.path, name), '');
  utimesSync(join(folder.path, elsewhere(2)), 1, 1);
  await write(folder.path, [bytesPiece('x', encode('x'))]);
  assert.deepEqual(readdirSync(folder.path).toSorted(), ['a.tar', ...kept].toSorted());
});

test('a writer that fails or is stopped leaves the old file', async () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'jettison-archive-'));
  const path = join(folder.path, 'a.tar');
  writeFileSync(path, 'old');
  const short: Piece = { name: 'x', size: 10, open: () => [encode('short')] };
  await assert.rejects(write(folder.path, [short]), { code: 'image/wrong-size' });
  const long: Piece = { name: 'x', size: 2, open: () => [encode('long')] };
  await assert.rejects(write(folder.path, [long]), { code: 'image/wrong-size' });
  await assert.rejects(writeArchive([bytesPiece('x', encode('x'))], { kind: 'file', path }, AbortSignal.abort(new Error('stop'))), /stop/u);
  assert.equal(readFileSync(path, 'utf8'), 'old');
  assert.deepEqual(readdirSync(folder.path), ['a.tar']);
  symlinkSync('a.tar', join(folder.path, 'link'));
  await write(folder.path, [bytesPiece('x', encode('x'))], 'link');
  assert.notEqual(readFileSync(path, 'utf8'), 'old', 'a link stays a link');
  for (const bad of ['/dev/null', folder.path]) {
    await assert.rejects(writeArchive([], { kind: 'file', path: bad }, signal), { code: 'image/bad-destination' });
  }
  await assert.rejects(writeArchive([], { kind: 'file', path: join(folder.path, 'no/where') }, signal), { code: 'image/cannot-write' });
});

type Entry = readonly [name: string, content: Uint8Array | { readonly link: string }];

function tarOf(entries: readonly Entry[]): Uint8Array {
  const parts = entries.flatMap(([name, content]) => {
    const isFile = content instanceof Uint8Array;
    const size = isFile ? content.length : 0;
    const header = encodeHeader({
      name: asByteString(name),
      kind: isFile ? 'file' : 'symlink',
      mode: 0o644,
      uid: 0,
      gid: 0,
      size,
      mtime: 0n,
      linkName: asByteString(isFile ? '' : content.link),
      device: undefined,
      xattrs: noAttributes,
    });
    return [header, ...(isFile ? [content, new Uint8Array(paddingOf(size))] : [])];
  });
  return Buffer.concat([...parts, endOfArchive()]);
}

const layer = encode('layer');
const config = encode({ architecture: 'amd64', os: 'linux', rootfs: { type: 'layers', diff_ids: [digestOf(layer), digestOf(layer)] } });
const hex = hexOf(digestOf(config));
const manifestOf = (changes: object) =>
  encode([{ Config: `${hex}.json`, RepoTags: ['old:1'], Layers: ['a/layer.tar', 'b/layer.tar'], ...changes }]);

test('archives of older dockers: folders for layers, links between equal ones', async () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'jettison-archive-'));
  const path = join(folder.path, 'old.tar');
  const entries: readonly Entry[] = [
    ['./a/layer.tar', layer],
    ['b/layer.tar', { link: '../a/layer.tar' }],
    [`${hex}.json`, config],
    ['manifest.json', manifestOf({})],
  ];
  writeFileSync(path, tarOf(entries));
  using archive = await open(path);
  const [image] = archive.images;
  assert.deepEqual(image?.names, ['docker.io/library/old:1']);
  assert.deepEqual(
    image.layers.map((one) => contentOf(one.chunks())),
    [digestOf(layer), digestOf(layer)],
  );
});

test('hostile and broken archives are refused', async () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'jettison-archive-'));
  const path = join(folder.path, 'bad.tar');
  const good: readonly Entry[] = [
    [`${hex}.json`, config],
    ['a/layer.tar', layer],
    ['b/layer.tar', layer],
  ];
  const cases: readonly (readonly [string, readonly Entry[]])[] = [
    [
      'a link out of the archive',
      [...good.slice(0, 2), ['b/layer.tar', { link: '../../../etc/passwd' }], ['manifest.json', manifestOf({})]],
    ],
    ['a link to itself', [...good.slice(0, 2), ['b/layer.tar', { link: 'layer.tar' }], ['manifest.json', manifestOf({})]]],
    ['a file of the host', [...good, ['manifest.json', manifestOf({ Layers: ['/etc/passwd', 'b/layer.tar'] })]]],
    ['too few layers', [...good, ['manifest.json', manifestOf({ Layers: ['a/layer.tar'] })]]],
    ['a name that is none', [...good, ['manifest.json', manifestOf({ RepoTags: ['../UP:x'] })]]],
    ['another config', [[`${hex}.json`, encode('{}')], ...good.slice(1), ['manifest.json', manifestOf({})]]],
    ['no JSON', [...good, ['manifest.json', encode('[')]]],
    ['no image', [...good, ['manifest.json', encode('[]')]]],
    ['nothing known', good],
    ['no index', [['index.json', encode({ schemaVersion: 2, manifests: [] })]]],
    ['a manifest too large', [['manifest.json', new Uint8Array(4 * 1024 * 1024 + 1)]]],
  ];
  for (const [what, entries] of cases) {
    writeFileSync(path, tarOf(entries));
    await assert.rejects(open(path), { name: 'JettisonError', fault: /user|environment/u }, what);
  }
  writeFileSync(path, tarOf([...good, ['manifest.json', manifestOf({})]]));
  (await open(path))[Symbol.dispose]();
  for (const length of [0, 100, 700, 1800]) {
    writeFileSync(path, tarOf([...good, ['manifest.json', manifestOf({})]]));
    truncateSync(path, length);
    await assert.rejects(open(path), { name: 'JettisonError' }, `${length} bytes`);
  }
  writeFileSync(path, 'BZh91AY');
  await assert.rejects(open(path), { code: 'image/packed-archive' });
  await assert.rejects(open(join(folder.path, 'none')), { code: 'image/cannot-read' });
  await assert.rejects(open(folder.path), { code: 'image/cannot-read' });
});

test('an archive of an engine that had the image in parts says where the rest is to be had', async () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'jettison-archive-'));
  const path = join(folder.path, 'parts.tar');
  const parts: readonly Entry[] = [
    ['oci-layout', encode({ imageLayoutVersion: '1.0.0' })],
    ['manifest.json', manifestOf({})],
  ];
  writeFileSync(path, tarOf(parts));
  await assert.rejects(open(path), { code: 'image/bad-archive', message: /not in the archive/u, hint: /pull it anew/u });
  writeFileSync(path, tarOf(parts.slice(1)));
  await assert.rejects(open(path), { code: 'image/bad-archive', hint: /damaged or hostile/u });
});

test('a blob of a layout with other bytes than its digest says is refused', async () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'jettison-archive-'));
  const pieces = ociArchive(images).map((piece) =>
    piece.name.endsWith(hexOf(images[0]?.config.digest ?? digestOf('')))
      ? { ...piece, open: () => [new Uint8Array(piece.size).fill(32)] }
      : piece,
  );
  await assert.rejects(open(await write(folder.path, pieces)), { code: 'image/bad-archive', message: /another digest/u });
});

test('a header that promises more than the file has is refused at once', async () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'jettison-archive-'));
  const path = join(folder.path, 'liar.tar');
  const header = encodeHeader({
    name: asByteString('x'),
    kind: 'file',
    mode: 0,
    uid: 0,
    gid: 0,
    size: 2 ** 50,
    mtime: 0n,
    linkName: asByteString(''),
    device: undefined,
    xattrs: noAttributes,
  });
  writeFileSync(path, header);
  await assert.rejects(open(path), { code: 'image/bad-archive', message: /in the middle/u });
});
