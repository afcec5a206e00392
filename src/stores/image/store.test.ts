import { test } from 'node:test';
import assert from 'node:assert/strict';
import { mkdtempDisposableSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { digestOf } from '#ground/base/digest.ts';
import { openDatabase } from '#stores/db/open.ts';
import { blobAnnotationsColumn, imageTables, madeHereColumn, manifestFormTables, openImageStore, type ImageStore } from './store.ts';

function withStore(work: (store: ImageStore) => void): void {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'jettison-image-'));
  using database = openDatabase({
    file: join(folder.path, 'test.db'),
    migrations: [imageTables, manifestFormTables, madeHereColumn, blobAnnotationsColumn],
  });
  work(openImageStore(database));
}

const configOf = (author: string): Uint8Array =>
  new TextEncoder().encode(
    JSON.stringify({
      author,
      created: '2024-01-01T00:00:00Z',
      architecture: 'amd64',
      os: 'linux',
      rootfs: { type: 'layers', diff_ids: [] },
    }),
  );

test('an image is found by name, by id, by the beginning of its id and by the digest a registry knows', () => {
  withStore((store) => {
    const image = store.save({ config: configOf('a'), layers: [], now: 5 });
    store.tag(image.imageId, ['docker.io/library/app:latest', 'docker.io/library/app:1']);
    const manifest = digestOf('manifest');
    store.noteManifest(image.imageId, {
      repository: 'docker.io/library/app',
      digest: manifest,
      manifest,
      mediaType: 'm',
      bytes: new Uint8Array([1]),
    });
    for (const text of ['app', 'app:1', 'docker.io/library/app', image.imageId, image.imageId.slice(7, 19), `app@${manifest}`]) {
      assert.equal(store.find(text)?.imageId, image.imageId, text);
    }
    assert.equal(store.find('other'), undefined);
    assert.equal(store.find('app:2'), undefined);
    assert.deepEqual(store.find('app')?.names, ['docker.io/library/app:1', 'docker.io/library/app:latest']);
    assert.equal(store.find('app')?.created, Date.parse('2024-01-01T00:00:00Z'));
  });
});

test('a name moves to the image tagged last; the other image stays without a name', () => {
  withStore((store) => {
    const one = store.save({ config: configOf('a'), layers: [], now: 5 });
    const two = store.save({ config: configOf('b'), layers: [{ diffId: digestOf('x'), size: 7 }], now: 6 });
    store.tag(one.imageId, ['docker.io/library/app:latest']);
    store.tag(two.imageId, ['docker.io/library/app:latest']);
    assert.equal(store.find('app')?.imageId, two.imageId);
    assert.deepEqual(store.get(one.imageId)?.names, []);
    store.remove(two.imageId);
    assert.equal(store.find('app'), undefined);
  });
});

test('the form of a manifest: the last one counts, and it goes with its image', () => {
  withStore((store) => {
    const { imageId } = store.save({ config: configOf('a'), layers: [], now: 5 });
    const usual = { format: 'oci', annotations: {} } as const;
    assert.deepEqual(store.formOf(imageId), usual);
    store.setForm(imageId, { format: 'docker', annotations: {} });
    store.setForm(imageId, { format: 'oci', annotations: { a: 'b' } });
    assert.deepEqual(store.formOf(imageId), { format: 'oci', annotations: { a: 'b' } });
    store.remove(imageId);
    assert.deepEqual(store.formOf(imageId), usual);
    store.save({ config: configOf('a'), layers: [], now: 6 });
    store.setForm(imageId, { format: 'docker', annotations: {} });
    store.setForm(imageId, usual);
    assert.deepEqual(store.formOf(imageId), usual);
  });
});
