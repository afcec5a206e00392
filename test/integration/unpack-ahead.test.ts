/** Layers of one image unpacked at the same time, whichever begins first. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempDisposableSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { cancelled } from '#ground/base/abort.ts';
import { asByteString } from '#ground/base/byte-string.ts';
import { digestOf } from '#ground/base/digest.ts';
import { isCode } from '#ground/base/errors.ts';
import { chainIds } from '#formats/oci/layer-ids.ts';
import type { TarEntry } from '#formats/tar/entry.ts';
import { encodeHeader, endOfArchive, paddingOf } from '#formats/tar/write.ts';
import { createLayers, type Layers } from '#execution/worker/layers.ts';
import type { UnpackRequest } from '#execution/worker/contract.ts';
import type { SnapshotId } from '#stores/snapshot/contract.ts';
import { openSnapshotStore } from '#stores/snapshot/store.ts';

const signal = new AbortController().signal;
const quiet = (): void => undefined;
const mediaType = 'application/vnd.oci.image.layer.v1.tar';
const now = () => 1_790_000_000_000;

type Short = readonly [name: string, kind: TarEntry['kind'], content?: string, mode?: number];

function archive(entries: readonly Short[]): Uint8Array {
  const parts = entries.flatMap(([name, kind, content = '', mode = 0o755]) => {
    const bytes = Buffer.from(kind === 'file' ? content : '', 'latin1');
    const entry: TarEntry = {
      name: asByteString(name),
      kind,
      mode,
      uid: 0,
      gid: 0,
      size: bytes.length,
      mtime: 1_700_000_000_000_000_000n,
      linkName: asByteString(kind === 'file' ? '' : content),
      device: undefined,
      xattrs: new Map(),
    };
    return [encodeHeader(entry), bytes, new Uint8Array(paddingOf(bytes.length))];
  });
  return Buffer.concat([...parts, endOfArchive()]);
}

/** Each needs what is below: a folder's mode, a name to delete, an inode to link, the root's mode. */
const image = [
  archive([
    ['.', 'folder', '', 0o711],
    ['usr', 'folder', '', 0o751],
    ['usr/a', 'file', 'one'],
    ['usr/b', 'file', 'two'],
    ['lib', 'symlink', 'usr'],
  ]),
  archive([
    ['usr/.wh.a', 'file'],
    ['lib/c', 'file', 'three'],
  ]),
  archive([
    ['d', 'hard-link', 'usr/b'],
    ['usr/.wh.a', 'file'],
  ]),
];

async function withImage(
  use: (given: {
    readonly layers: Layers;
    readonly store: Awaited<ReturnType<typeof openSnapshotStore>>;
    readonly folder: string;
    readonly request: (index: number, parent: UnpackRequest['parent']) => UnpackRequest;
  }) => Promise<void>,
): Promise<void> {
  using folder = mkdtempDisposableSync('/tmp/jettison-ahead-');
  mkdirSync(join(folder.path, 'store'));
  await using store = await openSnapshotStore({ folder: join(folder.path, 'store'), now });
  const ids = chainIds(image.map((tar) => digestOf(tar)));
  const request = (index: number, parent: UnpackRequest['parent']): UnpackRequest => {
    const file = join(folder.path, `layer-${index}`);
    writeFileSync(file, image[index]!);
    return { parent, chainId: ids[index]!, diffId: digestOf(image[index]!), file, mediaType };
  };
  await use({ layers: createLayers(store), store, folder: join(folder.path, 'store'), request });
}

test('layers that begin before those below them end as if they had waited', { skip: process.getuid?.() !== 0 }, async () => {
  await withImage(async ({ layers, store, folder: place, request }) => {
    const begun = async (count: number): Promise<void> => {
      while (readdirSync(join(place, 's')).length < count) await sleep(5);
    };
    const [bottom, middle] = [Promise.withResolvers<SnapshotId>(), Promise.withResolvers<SnapshotId>()];
    const top = layers.unpack(request(2, middle.promise), quiet, signal);
    await begun(1);
    const second = layers.unpack(request(1, bottom.promise), quiet, signal);
    await begun(2);
    bottom.resolve(await layers.unpack(request(0, undefined), quiet, signal));
    middle.resolve(await second);
    const chain = store.chain(await top);
    assert.deepEqual(
      chain.map(({ id }) => id),
      [await bottom.promise, await second, await top],
    );
    assert.ok((await top) < (await bottom.promise), 'the top was begun first');
    const [one, two, three] = chain.map(({ folder }) => folder);
    assert.ok(one !== undefined && two !== undefined && three !== undefined);
    assert.deepEqual(readdirSync(two), ['usr']);
    assert.deepEqual(readdirSync(join(two, 'usr')), ['a', 'c']);
    assert.ok(statSync(join(two, 'usr/a')).isCharacterDevice());
    assert.equal(readFileSync(join(two, 'usr/c'), 'latin1'), 'three');
    assert.deepEqual(readdirSync(three), ['d'], 'what is gone already is not deleted again');
    assert.equal(statSync(join(three, 'd')).ino, statSync(join(one, 'usr/b')).ino);
    for (const folder of [one, two, three]) assert.equal(statSync(folder).mode & 0o7777, 0o711, folder);
    assert.equal(statSync(join(two, 'usr')).mode & 0o7777, 0o751);
    await using mounted = await store.view(await top, signal);
    assert.deepEqual(readdirSync(join(mounted.path, 'usr')), ['b', 'c']);
    assert.equal(await layers.unpack(request(1, Promise.withResolvers<SnapshotId>().promise), quiet, signal), await second);
  });
});

test('of two who want a layer, either brings its parent, and one may leave', { skip: process.getuid?.() !== 0 }, async () => {
  await withImage(async ({ layers, store, request }) => {
    const bottom = await layers.unpack(request(0, undefined), quiet, signal);
    const controller = new AbortController();
    const never = Promise.withResolvers<SnapshotId>().promise;
    const leaving = layers.unpack(request(1, never), quiet, controller.signal);
    const later = Promise.withResolvers<SnapshotId>();
    const staying = layers.unpack(request(1, later.promise), quiet, signal);
    await sleep(10);
    controller.abort(cancelled('left'));
    await assert.rejects(leaving, /left/u);
    later.resolve(bottom);
    assert.equal(store.get(await staying)?.parent, bottom);
  });
});

test('one whose parent is here helps those whose parent never comes', { skip: process.getuid?.() !== 0 }, async () => {
  await withImage(async ({ layers, store, request }) => {
    const bottom = await layers.unpack(request(0, undefined), quiet, signal);
    const begun = layers.unpack(request(1, Promise.withResolvers<SnapshotId>().promise), quiet, signal);
    const joined = layers.unpack(request(1, bottom), quiet, signal);
    assert.equal(store.get(await joined)?.parent, bottom);
    assert.equal(await begun, await joined);
  });
});

test('whoever waits for a layer below that never comes leaves nothing', { skip: process.getuid?.() !== 0 }, async () => {
  await withImage(async ({ layers, folder, request }) => {
    const controller = new AbortController();
    const waiting = [1, 2].map(
      async (index) => await layers.unpack(request(index, Promise.withResolvers<SnapshotId>().promise), quiet, controller.signal),
    );
    while (readdirSync(join(folder, 's')).length < 2) await sleep(5);
    controller.abort(cancelled('enough'));
    for (const end of await Promise.allSettled(waiting)) assert.ok(end.status === 'rejected' && isCode(end.reason, 'base/cancelled'));
    assert.deepEqual(readdirSync(join(folder, 's')), []);
  });
});

test('a parent that is lost, or is not what it was said to be, is an error', { skip: process.getuid?.() !== 0 }, async () => {
  await withImage(async ({ layers, store, folder, request }) => {
    const bottom = await layers.unpack(request(0, undefined), quiet, signal);
    await assert.rejects(layers.unpack(request(2, Promise.resolve(bottom)), quiet, signal), (error) => isCode(error, 'worker/wrong-chain'));
    store.remove([bottom]);
    const lost = layers.unpack(request(1, Promise.resolve(bottom)), quiet, signal);
    await assert.rejects(lost, (error) => isCode(error, 'snapshot/not-found'));
    assert.ok(!existsSync(join(folder, 's', bottom)));
    assert.deepEqual(readdirSync(join(folder, 's')), []);
  });
});
