/** Builds of the project of why-project.ts, and what is asked of each. */
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { build } from '#engine/build.ts';
import type { Engine } from '#engine/open.ts';
import type { BuildOutcome, BuildRequest } from '#engine/build-requests.ts';
import type { CacheSource } from '#engine/cache-requests.ts';
import { stepName, writeProject, type Mutation, type Project } from './why-project.ts';

const never = new AbortController().signal;
const silent = { report: () => undefined };

/** `elsewhere`: a cache that all builds of the project look into; the store is an empty one then. */
export type World = { readonly engine: Engine; readonly folder: string; readonly elsewhere?: CacheSource };

export function requestFor(path: string, more: Partial<BuildRequest> = {}): BuildRequest {
  return {
    context: { kind: 'folder', path },
    text: undefined,
    file: undefined,
    tags: [],
    target: undefined,
    buildArgs: new Map(),
    labels: new Map(),
    platforms: [],
    noCache: false,
    pull: 'missing',
    network: 'default',
    extraHosts: [],
    shmSize: undefined,
    noCacheStages: [],
    contexts: new Map(),
    secrets: new Map(),
    allowedSecrets: [],
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

export async function buildImage({ engine, folder }: World, name: string, fill: (path: string) => void): Promise<void> {
  const path = join(folder, name);
  mkdirSync(path, { recursive: true });
  fill(path);
  await build(engine, requestFor(path, { text: 'FROM scratch\nCOPY . /\n', tags: [name] }), silent, never);
}

export async function buildProject(world: World, project: Project, more: Partial<BuildRequest> = {}): Promise<BuildOutcome> {
  const path = join(world.folder, 'project');
  writeProject(project, path);
  return await build(world.engine, requestFor(path, { ...project.request, ...cacheOf(world), ...more }), silent, never);
}

/** The cache is waited for, however slow this machine is: whether it comes in time is no matter here. */
function cacheOf({ elsewhere }: World): Partial<BuildRequest> {
  return elsewhere === undefined ? {} : { cacheFrom: [elsewhere], cachePatience: 600_000 };
}

export async function ranIn({ engine }: World, { id }: BuildOutcome): Promise<readonly string[]> {
  const { steps } = (await engine.builds()).get(id);
  return steps.filter((step) => step.key !== undefined && step.state === 'ran').map((step) => stepName(step.stage, step.text));
}

export async function checkMutation(world: World, mutation: Mutation): Promise<void> {
  if (mutation.first !== undefined) await buildProject(world, mutation.first);
  const outcome = await buildProject(world, mutation.project);
  const ran = await ranIn(world, outcome);
  const told = `${mutation.name}: ${JSON.stringify(outcome.why)}`;
  const { root } = mutation;
  // An image of an empty store is unpacked when a step on it runs.
  const fetched = world.elsewhere === undefined ? [] : ran.filter((name) => name.endsWith('.from') && !mutation.ran.includes(name));
  assert.deepEqual(ran.filter((name) => !fetched.includes(name)).toSorted(), mutation.ran.toSorted(), told);
  assert.deepEqual(
    outcome.why?.steps.filter((step) => fetched.includes(stepName(step.stage, step.text))).map(({ causes }) => causes) ?? [],
    fetched.map(() => [0]),
    told,
  );
  if (root === undefined) return;
  const roots = outcome.why?.roots ?? [];
  const [found] = roots;
  assert.deepEqual([roots.length, found?.changes.length], [1, 1], told);
  assert.equal(stepName(found?.stage ?? null, found?.text ?? ''), root.step, told);
  assert.deepEqual({ ...found?.changes[0], ...root.change }, found?.changes[0], told);
  assert.equal(outcome.why?.steps.length, ran.length, told);
}

/** Mulberry32: the same numbers every time. */
export function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d_2b_79_f5) | 0;
    let value = Math.imul(state ^ (state >>> 15), 1 | state);
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value;
    return ((value ^ (value >>> 14)) >>> 0) / 4_294_967_296;
  };
}
