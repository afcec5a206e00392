import { test } from 'node:test';
import assert from 'node:assert/strict';
import { mkdtempDisposableSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { digestOf, type Digest } from '#ground/base/digest.ts';
import { openDatabase } from '#stores/db/open.ts';
import { indexTables, openIndexStore, type IndexStore, type NewIndex } from './indexes.ts';
import { blobAnnotationsColumn, imageTables, madeHereColumn, manifestFormTables, openImageStore, type ImageStore } from './store.ts';

type World = { readonly images: ImageStore; readonly indexes: IndexStore; readonly ids: readonly [Digest, Digest] };

const name = 'docker.io/library/app:latest';

function withStores(work: (world: World) => void): void {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'jettison-indexes-'));
  using database = openDatabase({
    file: join(folder.path, 'test.db'),
    migrations: [imageTables, manifestFormTables, madeHereColumn, blobAnnotationsColumn, indexTables],
  });
  const images = openImageStore(database);
  const [first, second] = ['amd64', 'arm64'].map(
    (architecture) => images.save({ config: configOf(architecture), layers: [], now: 1 }).imageId,
  );
  assert.ok(first !== undefined && second !== undefined);
  images.tag(first, [name]);
  work({ images, indexes: openIndexStore(database), ids: [first, second] });
}

function configOf(architecture: string): Uint8Array {
  return new TextEncoder().encode(JSON.stringify({ architecture, os: 'linux', rootfs: { type: 'layers', diff_ids: [] } }));
}

function indexOf([first, second]: World['ids']): NewIndex {
  const image = { kind: 'image', annotations: {}, descriptor: null } as const;
  return {
    members: [
      { ...image, imageId: first, platform: { os: 'linux', architecture: 'amd64' } },
      { ...image, imageId: second, platform: { os: 'linux', architecture: 'arm64' } },
      {
        kind: 'predicates',
        imageId: first,
        subjects: ['_'],
        predicates: [{ predicateType: 'https://slsa.dev/provenance/v1', digest: digestOf('s'), size: 1 }],
      },
    ],
    format: 'oci',
    annotations: { a: 'b' },
    document: undefined,
  };
}

test('an index is found by its names and by its id, and is the same when the same members are entered again', () => {
  withStores(({ indexes, images, ids }) => {
    const saved = indexes.save(indexOf(ids), [name]);
    assert.deepEqual(indexes.find('app'), saved);
    assert.deepEqual(indexes.find(saved.indexId), saved);
    assert.deepEqual(saved.names, [name]);
    assert.equal(indexes.find('other'), undefined);
    assert.equal(indexes.find('no name!'), undefined);
    images.tag(ids[0], ['docker.io/library/app:2']);
    const again = indexes.save(indexOf(ids), ['docker.io/library/app:2']);
    assert.equal(again.indexId, saved.indexId);
    assert.deepEqual(again.names, ['docker.io/library/app:2', name]);
    assert.deepEqual(indexes.members(), new Set(ids));
    assert.deepEqual(
      indexes.holding(ids[1]).map(({ indexId }) => indexId),
      [saved.indexId],
    );
  });
});

test('a document from elsewhere is kept byte for byte and names the index', () => {
  withStores(({ indexes, ids }) => {
    const bytes = new TextEncoder().encode('{"manifests": []}  ');
    const saved = indexes.save({ ...indexOf(ids), document: { mediaType: 'm', bytes } }, [name]);
    assert.equal(saved.indexId, digestOf(bytes));
    assert.deepEqual(indexes.find('app')?.document, { mediaType: 'm', bytes });
  });
});

test('a name that moves leaves its index; an index without names goes, and so does one that lost an image', () => {
  withStores(({ indexes, images, ids }) => {
    const saved = indexes.save(indexOf(ids), [name]);
    images.tag(ids[1], [name]);
    assert.equal(indexes.find('app'), undefined);
    assert.equal(indexes.get(saved.indexId), undefined);
    assert.ok(images.get(ids[0]) && images.get(ids[1]));

    images.tag(ids[0], [name]);
    indexes.save(indexOf(ids), [name]);
    images.untag(name);
    assert.deepEqual(indexes.list(), []);

    images.tag(ids[0], [name]);
    indexes.save(indexOf(ids), [name]);
    images.remove(ids[1]);
    assert.deepEqual(indexes.list(), []);
    assert.equal(images.find('app')?.imageId, ids[0]);
  });
});
