import { test } from 'node:test';
import assert from 'node:assert/strict';
import { digestOf } from '#ground/base/digest.ts';
import { assembleConfig } from './assemble.ts';

const draft = { architecture: 'amd64', os: 'linux', rootfs: { type: 'layers', diff_ids: [] } } as const;
const base = { created: '2020-01-01T00:00:00Z', created_by: 'rootfs' };

test('metadata after the last layer takes that layer’s time; metadata before the first new layer takes the new layer’s', () => {
  const made = assembleConfig(
    {
      ...draft,
      history: [base, { created_by: 'ENV', empty_layer: true }, { created_by: 'RUN' }, { created_by: 'CMD', empty_layer: true }],
    },
    [
      { diffId: digestOf('a'), createdAt: undefined },
      { diffId: digestOf('b'), createdAt: 86_400_000 },
    ],
  );
  assert.deepEqual(
    made.config.history?.map((entry) => entry.created),
    ['2020-01-01T00:00:00Z', '1970-01-02T00:00:00.000Z', '1970-01-02T00:00:00.000Z', '1970-01-02T00:00:00.000Z'],
  );
  assert.equal(made.config.created, '1970-01-02T00:00:00.000Z');
});

test('metadata alone keeps the base image’s time, so the same build gives the same image ID', () => {
  const layers = [{ diffId: digestOf('a'), createdAt: undefined }];
  const one = assembleConfig({ ...draft, history: [base, { created_by: 'ENV', empty_layer: true }] }, layers);
  assert.equal(one.config.created, base.created);
  assert.equal(one.digest, assembleConfig({ ...draft, history: [base, { created_by: 'ENV', empty_layer: true }] }, layers).digest);
});

test('an image without layers and times has none', () => {
  assert.equal(assembleConfig(draft, []).config.created, undefined);
});
