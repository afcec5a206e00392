import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cacheKey, type KeyParts } from '#execution/cache/key.ts';
import type { ExecOp, FileOp } from '#formats/graph/op.ts';
import { createVertex, opDigest, type Label } from '#formats/graph/vertex.ts';
import { compareOps } from './compare.ts';
import { printStepKey, readStepKey, stepKeyOf, type StepKey } from './step-key.ts';

const exec: ExecOp = {
  kind: 'exec',
  root: null,
  arguments: ['/bin/sh', '-c', 'make'],
  environment: ['PATH=/bin', 'MODE=fast'],
  workingDirectory: '/src',
  user: '',
  network: 'default',
  security: 'sandbox',
  mounts: [],
  extraHosts: [],
  hostname: 'h',
  shmSize: null,
};

function keyOf(op: ExecOp | FileOp, label: Partial<Label> = {}): StepKey {
  const parts: KeyParts = { base: opDigest(op), inputs: [] };
  const key = cacheKey(parts);
  const made = stepKeyOf(createVertex(op, [], { text: 'RUN make', written: 'RUN make', ...label }), [parts], {
    key,
    recordKey: key,
    cost: 1,
    log: null,
  });
  assert.ok(made !== undefined);
  // What is compared has been kept in between.
  const kept = readStepKey(printStepKey(made));
  assert.deepEqual(kept, made);
  return made;
}

function changed(more: Partial<ExecOp>, label: Partial<Label> = {}) {
  return compareOps(keyOf(exec, label), keyOf({ ...exec, ...more }, label)).map(
    ({ class: kind, object, change }) => `${kind} ${object} ${change}`,
  );
}

const secretLabel = (value: string) => ({ argumentNames: ['API_TOKEN'], text: `RUN login ${value}` });
const secretOp = (value: string): ExecOp => ({
  ...exec,
  environment: [`API_TOKEN=${value}`, `COPY_OF=x${value}`],
  arguments: ['login', value],
});
const folder = (destination: string): FileOp => ({
  kind: 'file',
  base: null,
  actions: [{ kind: 'make-folder', path: destination, mode: 0o755, owner: null }],
});
const placeLabel = (value: string): Partial<Label> => ({ written: 'WORKDIR $PLACE', variables: { PLACE: value } });

test('each part of a RUN has a name', () => {
  assert.deepEqual(changed({}), []);
  assert.deepEqual(changed({ workingDirectory: '/other' }), ['working-directory WORKDIR changed']);
  assert.deepEqual(changed({ user: 'app' }), ['user USER changed']);
  assert.deepEqual(changed({ arguments: ['/bin/bash', '-c', 'make'] }), ['shell SHELL changed']);
  assert.deepEqual(changed({ environment: ['MODE=fast', 'PATH=/bin'] }), ['environment ENV order']);
  assert.deepEqual(changed({ environment: ['PATH=/bin'] }), ['environment MODE removed']);
  assert.deepEqual(changed({ environment: ['PATH=/bin', 'MODE=slow'] }, { argumentNames: ['MODE'] }), ['argument MODE changed']);
  assert.deepEqual(changed({ mounts: [{ kind: 'tmpfs', target: '/t', size: null }] }), ['mount /t added']);
  assert.deepEqual(changed({ network: 'none', shmSize: 1 }), ['option network changed', 'option shmSize changed']);
});

test('a variable that follows an argument is no cause of its own', () => {
  const label = { argumentNames: ['V'] };
  const from = { ...exec, environment: ['V=1.0', 'URL=http://x/1.0/y', 'OTHER=a'] };
  const to = { ...exec, environment: ['V=2.0', 'URL=http://x/2.0/y', 'OTHER=b'] };
  assert.deepEqual(
    compareOps(keyOf(from, label), keyOf(to, label)).map(({ object }) => object),
    ['V', 'OTHER'],
  );
});

test('the value of a variable named like a secret is kept nowhere, but a change of it shows', () => {
  const [before, now] = [
    keyOf(secretOp('hunter2-hunter2'), secretLabel('hunter2-hunter2')),
    keyOf(secretOp('hunter3-hunter3'), secretLabel('hunter3-hunter3')),
  ];
  assert.ok(!printStepKey(before).includes('hunter2'));
  const changes = compareOps(before, now);
  assert.ok(!JSON.stringify(changes).includes('hunter'));
  const { before: from, after: to } = changes.find(({ class: kind }) => kind === 'argument') ?? {};
  assert.deepEqual([from, to], ['(hidden)', '(hidden)']);
});

test('a COPY whose words are the same differs by the variables in it, or by where it stands', () => {
  assert.deepEqual(
    compareOps(keyOf(folder('/a'), placeLabel('a')), keyOf(folder('/b'), placeLabel('b'))).map(({ class: kind, object }) => [kind, object]),
    [['environment', 'PLACE']],
  );
  assert.deepEqual(
    compareOps(keyOf(folder('/a/x'), { written: 'WORKDIR x' }), keyOf(folder('/b/x'), { written: 'WORKDIR x' })).map(
      ({ class: kind }) => kind,
    ),
    ['working-directory'],
  );
});
