import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempDisposableSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { digestOf } from '#ground/base/digest.ts';
import { isCode } from '#ground/base/errors.ts';
import { mediaTypes } from '#formats/oci/media-types.ts';
import { assembleCacheManifest, readCacheManifest } from './cache-manifest.ts';
import { openCacheFolder, writeCacheFolder } from './folder.ts';
import { contentKeyOf } from './key.ts';

const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const key = contentKeyOf(digestOf('key'));

/** A cache of one layer whose blob is `content`. */
function cacheOf(content: string) {
  const blob = { mediaType: mediaTypes.layerGzip, digest: digestOf(content), size: content.length };
  const layers = [{ diffId: digestOf(`tar of ${content}`), blob, createdAt: 1000 }];
  return assembleCacheManifest(
    [{ key, keys: [key], layers, createdAt: 1000, cost: 1 }],
    { imageManifest: true, ociTypes: true },
    text(`of ${content}`),
  );
}

async function* bytesOf(content: string): AsyncIterable<Uint8Array> {
  yield await Promise.resolve(text(content));
}

async function* broken(): AsyncIterable<Uint8Array> {
  yield await Promise.resolve(text('t'));
  throw new Error('broken');
}

async function write(path: string, tag: string, content: string): Promise<readonly string[]> {
  const manifest = cacheOf(content);
  const written: string[] = [];
  await writeCacheFolder(
    path,
    { ...manifest, manifest, tag },
    () => bytesOf(content),
    ({ digest }) => written.push(digest),
  );
  return written;
}

test('each tag keeps its own; a tag that is written again means the new one; nothing half-written stays', async () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-cache-folder-');
  const path = join(folder.path, 'deep/cache');
  await write(path, 'latest', 'one');
  await write(path, 'other', 'two');
  await write(path, 'latest', 'three');
  const cache = openCacheFolder(path);
  const layerOf = (wanted: { readonly tag: string; readonly digest: ReturnType<typeof digestOf> | undefined }) =>
    readCacheManifest(cache.readDocument(wanted))?.layers[0]?.digest;
  assert.equal(layerOf({ tag: 'latest', digest: undefined }), digestOf('three'));
  assert.equal(layerOf({ tag: 'other', digest: undefined }), digestOf('two'));
  assert.equal(layerOf({ tag: 'latest', digest: cacheOf('two').digest }), digestOf('two'));
  assert.throws(
    () => cache.readDocument({ tag: 'none', digest: undefined }),
    (error) => isCode(error, 'cache/bad-folder'),
  );
  assert.deepEqual(readdirSync(path).toSorted(), ['blobs', 'index.json', 'oci-layout']);
});

test('a blob that breaks off leaves the index as it was', async () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-cache-folder-');
  await write(folder.path, 'latest', 'one');
  const before = readFileSync(join(folder.path, 'index.json'), 'utf8');
  const manifest = cacheOf('two');
  await assert.rejects(
    writeCacheFolder(folder.path, { ...manifest, manifest, tag: 'latest' }, broken, () => undefined),
    (error) => isCode(error, 'cache/cannot-write'),
  );
  assert.equal(readFileSync(join(folder.path, 'index.json'), 'utf8'), before);
  assert.equal(existsSync(join(folder.path, 'blobs/sha256', digestOf('two').slice(7))), false);
  assert.deepEqual(
    readdirSync(folder.path).filter((name) => name.endsWith('.tmp')),
    [],
  );
});

test('where no folder can be made, that is an error at once', async () => {
  await assert.rejects(write('/proc/jettison-nowhere/cache', 'latest', 'one'), (error) => isCode(error, 'cache/cannot-write'));
});

test('pipes, folders, damaged and endless files in the place of documents are errors at once', async () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-cache-folder-');
  const path = folder.path;
  await write(path, 'latest', 'one');
  const manifest = join(path, 'blobs/sha256', cacheOf('one').digest.slice(7));
  const read = (): unknown => openCacheFolder(path).readDocument({ tag: 'latest', digest: undefined });
  const tricks: readonly [string, () => void, string][] = [
    ['a pipe', () => execFileSync('mkfifo', [manifest]), 'cache/cannot-read'],
    ['a folder', () => mkdirSync(manifest), 'cache/cannot-read'],
    ['nothing', () => undefined, 'cache/cannot-read'],
    ['other bytes', () => writeFileSync(manifest, 'other'), 'cache/bad-folder'],
    ['a huge file', () => (writeFileSync(manifest, ''), truncateSync(manifest, 2 ** 40)), 'cache/bad-folder'],
  ];
  for (const [name, play, code] of tricks) {
    rmSync(manifest, { recursive: true, force: true });
    play();
    assert.throws(read, (error) => isCode(error, code), name);
  }
  writeFileSync(join(path, 'index.json'), '{"schemaVersion":2}');
  assert.throws(read);
});
