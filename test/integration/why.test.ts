/** Single changes to a project: exactly the right steps run again, and the one thing that changed is named each time. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { build } from '#engine/build.ts';
import { openEngine, type Engine } from '#engine/open.ts';
import type { BuildOutcome, BuildRequest } from '#engine/requests.ts';
import { makeBusyboxRoot } from '#test/kit/busybox.ts';
import { removeWithStore } from '#test/kit/remove-store.ts';
import { baseProject, mutationsOf, stepName, writeProject, type Mutation, type Project } from '#test/kit/why-project.ts';

const never = new AbortController().signal;
const silent = { report: () => undefined };
/** Each round makes one mutation of each kind over a project of its own. */
const rounds = Number(process.env['WHY_ROUNDS'] ?? 10);
/** The project as it was is built again after so many mutations: it must be among the builds that are compared. */
const betweenBaselines = 8;

type World = { readonly engine: Engine; readonly folder: string };

function requestFor(path: string, more: Partial<BuildRequest> = {}): BuildRequest {
  return {
    context: { kind: 'folder', path },
    text: undefined,
    file: undefined,
    tags: [],
    target: undefined,
    buildArgs: new Map(),
    labels: new Map(),
    platform: undefined,
    noCache: false,
    pull: 'missing',
    network: 'default',
    extraHosts: [],
    shmSize: undefined,
    noCacheStages: [],
    contexts: new Map(),
    secrets: new Map(),
    outputs: [],
    cacheFrom: [],
    cacheTo: [],
    jobs: undefined,
    ulimits: [],
    limits: undefined,
    cgroupParent: undefined,
    ssh: new Map(),
    allow: [],
    annotations: [],
    format: 'docker',
    ...more,
  };
}

async function buildImage({ engine, folder }: World, name: string, fill: (path: string) => void): Promise<void> {
  const path = join(folder, name);
  mkdirSync(path, { recursive: true });
  fill(path);
  await build(engine, requestFor(path, { text: 'FROM scratch\nCOPY . /\n', tags: [name] }), silent, never);
}

async function buildProject(world: World, project: Project): Promise<BuildOutcome> {
  const path = join(world.folder, 'project');
  writeProject(project, path);
  return await build(world.engine, requestFor(path, project.request), silent, never);
}

async function ranIn({ engine }: World, { id }: BuildOutcome): Promise<readonly string[]> {
  const { steps } = (await engine.builds()).get(id);
  return steps.filter((step) => step.key !== undefined && step.state === 'ran').map((step) => stepName(step.stage, step.text));
}

async function check(world: World, mutation: Mutation): Promise<void> {
  if (mutation.first !== undefined) await buildProject(world, mutation.first);
  const outcome = await buildProject(world, mutation.project);
  const ran = await ranIn(world, outcome);
  assert.deepEqual(ran.toSorted(), mutation.ran.toSorted(), `${mutation.name}: ${JSON.stringify(outcome.why)}`);
  const { root } = mutation;
  if (root === undefined) return;
  const roots = outcome.why?.roots ?? [];
  const [found] = roots;
  const told = `${mutation.name}: ${JSON.stringify(outcome.why)}`;
  assert.deepEqual([roots.length, found?.changes.length], [1, 1], told);
  assert.equal(stepName(found?.stage ?? null, found?.text ?? ''), root.step, told);
  assert.deepEqual({ ...found?.changes[0], ...root.change }, found?.changes[0], told);
  assert.equal(outcome.why?.steps.length, ran.length, told);
}

async function evict(world: World, baseline: BuildOutcome, { step, rule }: NonNullable<Mutation['evict']>): Promise<void> {
  const { steps } = (await world.engine.builds()).get(baseline.id);
  const key = steps.find((one) => stepName(one.stage, one.text) === step)?.key;
  const record = key === undefined ? undefined : world.engine.records.find(key);
  assert.ok(record !== undefined);
  world.engine.records.forget(record.resultId, { at: Date.now(), rule });
}

test('500 single changes: exactly the right steps run again, and the cause is named', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'jettison-why-'));
  const store = join(folder, 'store');
  let count = 0;
  const names = new Set<string>();
  try {
    await using engine = await openEngine({
      environment: { ...process.env, JETTISON_STORE: store, JETTISON_CONFIG: join(folder, 'none') },
      currentFolder: folder,
    });
    const world = { engine, folder };
    await buildImage(world, 'tools', makeBusyboxRoot);
    const random = randomFrom(20_261_122);
    let last = 100;
    const unique = (): number => ++last;
    for (let round = 0; round < rounds; round++) {
      const project = baseProject(round);
      let base = '';
      const useBase = async (text: string): Promise<void> => {
        if (base !== text) await buildImage(world, 'base', (path) => writeFileSync(join(path, 'base.txt'), text));
        base = text;
      };
      await useBase(project.base);
      let baseline = await buildProject(world, project);
      for (const mutation of mutationsOf(project, random, unique)) {
        if (count % betweenBaselines === 0 || mutation.evict !== undefined) {
          await useBase(project.base);
          baseline = await buildProject(world, project);
          assert.deepEqual(await ranIn(world, baseline), [], `baseline before ${mutation.name}: ${JSON.stringify(baseline.why)}`);
        }
        if (mutation.evict !== undefined) await evict(world, baseline, mutation.evict);
        await useBase(mutation.project.base);
        await check(world, mutation);
        names.add(mutation.name);
        count++;
      }
    }
    const kept = JSON.stringify((await engine.builds()).list().map(({ id }) => id));
    assert.ok(kept.length > 0);
  } finally {
    removeWithStore(folder, store);
  }
  assert.ok(rounds < 10 || (count >= 500 && names.size >= 12), `${count} changes of ${names.size} kinds`);
});

/** Mulberry32: the same numbers every time. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d_2b_79_f5) | 0;
    let value = Math.imul(state ^ (state >>> 15), 1 | state);
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value;
    return ((value ^ (value >>> 14)) >>> 0) / 4_294_967_296;
  };
}
