import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cacheKey, type CacheKey } from '#execution/cache/key.ts';
import type { ExecOp } from '#formats/graph/op.ts';
import { createVertex, opDigest, type Vertex } from '#formats/graph/vertex.ts';
import type { Digest } from '#ground/base/digest.ts';
import { explain, type NowStep } from './explain.ts';
import type { EarlierBuild, EarlierStep } from './nearest.ts';
import { stepKeyOf, type StepKey } from './step-key.ts';

/** One stage of `count` RUN steps; each version has other words in each. */
function chainOf(count: number, version: number): readonly NowStep[] {
  const steps: NowStep[] = [];
  let below: Vertex | undefined;
  for (let place = 1; place <= count; place++) {
    const text = `RUN make part-${place} VERSION=${version}`;
    const op: ExecOp = {
      kind: 'exec',
      root: below === undefined ? null : 0,
      arguments: ['/bin/sh', '-c', text.slice(4)],
      environment: ['PATH=/bin'],
      workingDirectory: '/',
      user: '',
      network: 'default',
      security: 'sandbox',
      mounts: [],
      extraHosts: [],
      hostname: 'h',
      shmSize: null,
    };
    const vertex: Vertex = createVertex(op, below === undefined ? [] : [{ vertex: below, output: 0 }], {
      text,
      written: text,
      stage: 'one',
      step: place,
    });
    const parts = { base: opDigest(op), inputs: steps.slice(-1).map(({ recordKey }) => ({ result: recordKey })) };
    const key = cacheKey(parts);
    const stepKey = stepKeyOf(vertex, [parts], { key, recordKey: key, cost: 1, log: null });
    assert.ok(stepKey !== undefined);
    const from = vertex.inputs.map((input) => ({ vertex: input.vertex.digest, source: null }));
    steps.push({ ...stepKey, vertex: vertex.digest, isPart: false, state: 'ran', forced: null, from });
    below = vertex;
  }
  return steps;
}

function workFor(count: number): { readonly looks: number; readonly roots: number; readonly causes: number } {
  let looks = 0;
  const keys = new Map<CacheKey, StepKey>();
  const earlier = Array.from({ length: 8 }, (_, version): EarlierBuild => {
    const steps = chainOf(count, version);
    for (const step of steps) keys.set(step.key, step);
    return { id: `b${version}`, steps: steps.map((step) => counted(step, () => looks++)) };
  });
  const now = chainOf(count, 99);
  const byVertex = new Map<Digest, NowStep>(now.map((step) => [step.vertex, step]));
  const { roots, steps } = explain(now, {
    step: (vertex) => byVertex.get(vertex),
    steps: now,
    earlier,
    keyOf: (key) => keys.get(key),
    filesOf: () => undefined,
    evicted: () => undefined,
    caches: [],
  });
  return { looks, roots: roots.length, causes: Math.max(...steps.map((step) => step.causes.length)) };
}

function counted({ key, recordKey, text, stage, step, written }: NowStep, look: () => void): EarlierStep {
  return {
    key,
    recordKey,
    text,
    stage,
    step,
    state: 'ran',
    get written() {
      look();
      return written;
    },
  };
}

test('where every instruction changed, the work grows with their number, not with its square', () => {
  const [few, many] = [workFor(100), workFor(400)];
  assert.deepEqual([few.roots, many.roots], [100, 400]);
  assert.ok(many.looks < 6 * few.looks, `${few.looks} looks at steps for 100, ${many.looks} for 400`);
  assert.ok(many.causes <= 64, `a step has ${many.causes} causes`);
});
