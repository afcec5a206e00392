import { test } from 'node:test';
import assert from 'node:assert/strict';
import { mkdtempDisposableSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { digestOf } from '#ground/base/digest.ts';
import { openDatabase } from '#stores/db/open.ts';
import { historyRows } from './history.ts';
import { inspectImage } from './inspect.ts';
import { matchesPattern } from './name-pattern.ts';
import { removeImage } from './remove.ts';
import { imageRows } from './rows.ts';
import {
  blobAnnotationsColumn,
  imageTables,
  madeHereColumn,
  manifestFormTables,
  openImageStore,
  type ImageRecord,
  type ImageStore,
} from './store.ts';

const layers = [
  { diffId: digestOf('one'), size: 100 },
  { diffId: digestOf('two'), size: 20 },
];
const config = {
  created: '2024-05-01T00:00:00Z',
  author: 'me',
  architecture: 'arm64',
  variant: 'v8',
  os: 'linux',
  config: { Env: ['A=1'], Cmd: ['sh'], Labels: { a: 'b' }, Other: [1] },
  rootfs: { type: 'layers', diff_ids: layers.map((layer) => layer.diffId) },
  history: [
    { created: '2024-01-01T00:00:00Z', created_by: 'ADD one' },
    { created: '2024-02-01T00:00:00Z', created_by: 'ENV A=1', empty_layer: true },
    { created_by: 'RUN two', comment: 'buildkit' },
  ],
};

function withStore(work: (store: ImageStore, save: (author: string) => ImageRecord) => void): void {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'jettison-image-'));
  using database = openDatabase({
    file: join(folder.path, 'test.db'),
    migrations: [imageTables, manifestFormTables, madeHereColumn, blobAnnotationsColumn],
  });
  const store = openImageStore(database);
  work(store, (author) => store.save({ config: new TextEncoder().encode(JSON.stringify({ ...config, author })), layers, now: 1 }));
}

function known(store: ImageStore, image: ImageRecord, repository: string): string {
  const digest = digestOf(repository);
  store.noteManifest(image.imageId, { repository, digest, manifest: digest, mediaType: 'm', bytes: new Uint8Array() });
  return digest;
}

test('images are listed once for each name, as docker shortens it', () => {
  withStore((store, save) => {
    const one = save('one');
    save('two');
    store.tag(one.imageId, ['docker.io/library/app:1', 'docker.io/me/app:latest', 'localhost:5000/x/y:z']);
    const digest = known(store, one, 'docker.io/library/app');
    known(store, one, 'ghcr.io/gone/app');
    const shown = (filter?: string) =>
      imageRows(store, new Set(), filter === undefined ? [] : [filter])
        .map((row) => `${row.repository} ${row.tag}`)
        .toSorted();
    assert.deepEqual(shown(), ['<none> <none>', 'app 1', 'ghcr.io/gone/app <none>', 'localhost:5000/x/y z', 'me/app latest']);
    assert.deepEqual(shown('app'), ['app 1']);
    assert.deepEqual(shown('docker.io/library/app'), ['app 1']);
    assert.deepEqual(shown('app:2'), []);
    assert.deepEqual(shown('*/app'), ['me/app latest']);
    assert.deepEqual(shown('*:[12]'), ['app 1']);
    const row = imageRows(store, new Set(), ['app'])[0];
    assert.deepEqual([row?.digest, row?.size, row?.id, row?.created], [digest, 120, one.imageId, Date.parse(config.created)]);
  });
});

test('patterns of names: Go’s rules, and nothing slow', () => {
  for (const [pattern, name, fits] of [
    ['a*c', 'abc', true],
    ['a*c', 'a/c', false],
    ['a?c', 'a/c', false],
    ['[^a-c]x', 'dx', true],
    ['[^a-c]x', 'bx', false],
    ['\\*', '*', true],
    ['\\*', 'x', false],
    ['a.c', 'abc', false],
    ['**x', 'aax', true],
    ['*a*b', 'aaab', true],
    ['*', '', true],
    ['a*', 'a', true],
    ['a', 'ab', false],
  ] as const) {
    assert.equal(matchesPattern(pattern, name), fits, `${pattern} ${name}`);
  }
  for (const pattern of ['[', '[]', 'a\\', '[z-a]', '[a-]', 'x'.repeat(700)]) {
    assert.throws(() => matchesPattern(pattern, 'x'), { code: 'image/bad-pattern' }, pattern);
  }
  const start = process.cpuUsage();
  assert.equal(matchesPattern(`${'*a'.repeat(250)}b`, 'a'.repeat(2000)), false);
  assert.ok(process.cpuUsage(start).user < 500_000);
});

test("history has the newest line first, sizes where a layer was made, Go's zero time where none is said", () => {
  withStore((_, save) => {
    const image = save('me');
    assert.deepEqual(
      historyRows(image).map((row) => [row.id, row.createdBy, row.size, row.created, row.comment]),
      [
        [image.imageId, 'RUN two', 20, Date.parse('0001-01-01T00:00:00Z'), 'buildkit'],
        ['<missing>', 'ENV A=1', 0, Date.parse('2024-02-01T00:00:00Z'), ''],
        ['<missing>', 'ADD one', 100, Date.parse('2024-01-01T00:00:00Z'), ''],
      ],
    );
  });
});

test('inspect has the shape of the Docker API', () => {
  withStore((store, save) => {
    const image = save('me');
    store.tag(image.imageId, ['docker.io/library/app:1']);
    const digest = known(store, image, 'docker.io/library/app');
    assert.deepEqual(inspectImage(store, store.get(image.imageId) ?? image), {
      Id: image.imageId,
      RepoTags: ['app:1'],
      RepoDigests: [`app@${digest}`],
      Parent: '',
      Comment: 'buildkit',
      Created: config.created,
      DockerVersion: '',
      Author: 'me',
      Config: {
        User: '',
        ExposedPorts: null,
        Env: ['A=1'],
        Cmd: ['sh'],
        Healthcheck: null,
        Volumes: null,
        WorkingDir: '',
        Entrypoint: null,
        OnBuild: null,
        Labels: { a: 'b' },
        StopSignal: '',
        Shell: null,
        Other: [1],
      },
      Architecture: 'arm64',
      Variant: 'v8',
      Os: 'linux',
      Size: 120,
      GraphDriver: { Data: null, Name: 'overlay' },
      RootFS: { Type: 'layers', Layers: layers.map((layer) => layer.diffId) },
      Metadata: { LastTagTime: '1970-01-01T00:00:00.001Z' },
      Descriptor: { mediaType: 'm', digest, size: 0 },
    });
  });
});

test('a name goes; the image goes with its last one, unless something needs it', () => {
  withStore((store, save) => {
    const image = save('me');
    store.tag(image.imageId, ['docker.io/library/app:1', 'docker.io/library/app:2', 'docker.io/me/other:latest']);
    const digest = known(store, image, 'docker.io/library/app');
    const remove = (text: string, force = false) =>
      removeImage(store, text, { force, mayDelete: () => 'all' }).map((one) => (one.kind === 'untagged' ? one.name : one.id));
    assert.deepEqual(remove('app:1'), ['app:1']);
    assert.throws(() => remove(image.imageId.slice(7, 19)), { code: 'image/in-use' });
    assert.deepEqual(remove('app:2'), ['app:2', `app@${digest}`]);
    assert.deepEqual(store.manifestsOf(image.imageId), []);
    assert.throws(() => removeImage(store, 'me/other', { force: false, mayDelete: refuseToDelete }), /a container/u);
    assert.deepEqual(store.find('me/other')?.names, ['docker.io/me/other:latest']);
    assert.deepEqual(removeImage(store, 'me/other', { force: true, mayDelete: () => 'names only' }), [
      { kind: 'untagged', name: 'me/other:latest' },
    ]);
    assert.deepEqual(store.get(image.imageId)?.names, []);
    store.tag(image.imageId, ['docker.io/me/other:latest']);
    assert.throws(() => remove('UPPER'), { code: 'oci/invalid-reference' });
    assert.deepEqual(remove(image.imageId), ['me/other:latest', image.imageId]);
    assert.equal(store.get(image.imageId), undefined);
    assert.throws(() => remove('app:1'), { code: 'image/not-found' });
  });
});

test('a digest is forgotten without the names; forced, an id takes all names', () => {
  withStore((store, save) => {
    const image = save('me');
    store.tag(image.imageId, ['docker.io/library/app:1', 'docker.io/me/other:latest']);
    const digest = known(store, image, 'docker.io/library/app');
    const remove = (text: string) => removeImage(store, text, { force: true, mayDelete: () => 'all' }).length;
    assert.equal(remove(`app@${digest}`), 1);
    assert.equal(store.find('app:1')?.names.length, 2);
    assert.equal(remove(image.imageId.slice(7, 15)), 3);
    assert.deepEqual(store.list(), []);
  });
});

test('a name that has moved meanwhile is not taken from its new image', () => {
  withStore((store, save) => {
    const [one, two] = [save('one'), save('two')];
    store.tag(one.imageId, ['docker.io/library/app:1']);
    store.tag(two.imageId, ['docker.io/library/app:1']);
    assert.equal(store.dropNames(one.imageId, ['docker.io/library/app:1']), true);
    assert.equal(store.find('app:1')?.imageId, two.imageId);
  });
});

function refuseToDelete(): never {
  throw new Error('a container needs it');
}
