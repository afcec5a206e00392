import assert from 'node:assert/strict';
import { test } from 'node:test';
import { digestOf } from '#ground/base/digest.ts';
import { createVertex, outputOf, type Edge } from '#formats/graph/vertex.ts';
import { copyFolder } from '#formats/graph/copy.ts';
import type { Op } from '#formats/graph/op.ts';
import { imageChain, stepChain } from './chain.ts';
import { decodeList } from './list.ts';
import { decodeOrigins, encodeOrigins, type OriginRecord } from './record.ts';
import { describeSteps } from './steps.ts';

const image = { name: 'base:1', digest: digestOf('base'), imageId: null, platform: 'linux/amd64', layers: 2 };

function make(op: Op, inputs: readonly Edge[], text: string): Edge {
  return outputOf(createVertex(op, inputs, { text, stage: 'final' }));
}

function recordOf(goal: Edge): OriginRecord {
  const { steps } = describeSteps({
    goal,
    imageOf: () => image,
    commitOf: () => undefined,
    snapshotOf: () => undefined,
    contextAddress: undefined,
    shown: (text) => text.replaceAll('secret', '***'),
  });
  return { version: 1, platform: 'linux/amd64', dockerfile: 'Dockerfile', layers: [], steps: [...steps] };
}

const base = make({ kind: 'source-image', name: 'base', manifest: digestOf('base') }, [], 'FROM base');
const context = make({ kind: 'source-local', name: 'context' }, [], 'load build context');
const folder = make(
  { kind: 'file', base: 0, actions: [{ kind: 'make-folder', path: '/w', mode: 0o755, owner: null }] },
  [base],
  'WORKDIR /w',
);
const linked = make({ kind: 'file', base: null, actions: [copyFolder('/')] }, [context], 'COPY --link secret /');
const merged = make({ kind: 'merge' }, [folder, linked], 'COPY --link secret /');

test('a record is read as it was written, and what may not be kept is not in it', () => {
  const record = recordOf(merged);
  assert.deepEqual(decodeOrigins(encodeOrigins(record)), record);
  assert.deepEqual(
    record.steps.map(({ text }) => text),
    ['FROM base', 'WORKDIR /w', 'load build context', 'COPY --link *** /', 'COPY --link *** /'],
  );
});

test('layers belong to steps: below a merge are those of its first input', () => {
  const record = recordOf(merged);
  assert.deepEqual(imageChain(record), { layers: [1, 3], base: 0 });
  assert.deepEqual(stepChain(record, 3), { layers: [3], base: undefined });
  assert.deepEqual(imageChain({ steps: [] }), { layers: [], base: undefined });
});

test('a record that names steps which are not there, or later ones, is refused', () => {
  const record = recordOf(merged);
  const bad: readonly OriginRecord[] = [
    { ...record, layers: [{ diffId: digestOf('layer'), size: 1, snapshot: null, step: 5 }] },
    { ...record, steps: record.steps.map((step, at) => (at === 1 ? { ...step, inputs: [1] } : step)) },
    { ...record, steps: record.steps.map((step, at) => (at === 1 ? { ...step, inputs: [] } : step)) },
  ];
  for (const one of bad) assert.throws(() => decodeOrigins(encodeOrigins(one)), { code: 'origins/bad-record' });
  assert.throws(() => decodeOrigins(new TextEncoder().encode('{"version":2}')), { code: 'origins/bad-record' });
  assert.throws(() => decodeList(new TextEncoder().encode('{"version":2}')), { code: 'origins/other-version' });
  assert.throws(() => decodeList(new TextEncoder().encode('[2]')), { code: 'origins/bad-list' });
});
