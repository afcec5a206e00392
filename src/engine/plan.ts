/**
 * `jettison plan`: what a build would do. Nothing runs, and nothing in the store changes but documents of images that had to be looked up, and a main context or
 * a Dockerfile from elsewhere, which has to be fetched before anything can be said.
 */
import { digestOf } from '#ground/base/digest.ts';
import type { SourceImageOp } from '#formats/graph/op.ts';
import { shownStage, type Edge, type Vertex } from '#formats/graph/vertex.ts';
import type { Report } from '#formats/progress/event.ts';
import { openStatCache } from '#stores/context/stat-cache.ts';
import type { BuildStep } from '#execution/builds/past-build.ts';
import { durationOf } from '#execution/builds/timing.ts';
import type { DriverFor } from '#execution/solver/contract.ts';
import { foresee, type ForeseenVertex } from '#execution/solver/foresee.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { tellAbsentCaches } from './absent-caches.ts';
import { createBuildCaches } from './build-caches.ts';
import { createBaseImages, type BaseImages } from './base-images.ts';
import { createBuildContexts } from './build-contexts.ts';
import { contextFolders, readBuildSource, type BuildSource } from './build-source.ts';
import { createDrivers } from './drivers.ts';
import { openContext, type OpenContext } from './open-context.ts';
import type { Engine } from './open.ts';
import { fullNames, projectOf } from './record-build.ts';
import type { BuildPlan, BuildRequest, PlannedStep } from './build-requests.ts';
import { requestsOf } from './targets.ts';
import { draftOthers, goalsOf, stageDrafter, type DraftedStage } from './other-stages.ts';
import { lazyRemoteSources } from './remote-sources.ts';
import { createSecretGuard } from './secret-guard.ts';
import { openSshAgents } from './ssh.ts';

/** How many earlier builds are asked how long steps took. */
const asked = 30;

/** What a build would read, and what its steps would find; dispose it. */
export type Foreseeing = AsyncDisposable & {
  readonly source: BuildSource;
  readonly bases: BaseImages;
  readonly context: OpenContext;
  /** Of caches elsewhere that could not be read, and the like; complete after `foresee`. */
  readonly warnings: readonly string[];
  /** Inputs before what reads them. */
  foresee(goals: readonly Edge[], signal: AbortSignal): Promise<readonly ForeseenVertex[]>;
};

/** Throws what the build itself would say of Dockerfile and context. */
export async function openForeseeing(engine: Engine, request: BuildRequest, signal: AbortSignal): Promise<Foreseeing> {
  await using opened = new AsyncDisposableStack();
  const remote = opened.use(lazyRemoteSources(engine, request));
  const context = opened.use(await openContext(engine, { request, remote }, signal));
  const source = readBuildSource(request, context, engine.currentFolder);
  // Never disposed: what it learns would be written.
  const statCache = openStatCache({ database: engine.database });
  const contexts = await createBuildContexts(contextFolders(request, context, source), statCache);
  const bases = createBaseImages(engine, request);
  const warnings: string[] = [];
  const note: Report = (event) => void (event.kind === 'note' && warnings.push(event.text));
  const resources = opened.move();
  return {
    source,
    bases,
    context,
    warnings,
    async foresee(goals, own) {
      const driverFor = createDrivers({
        contexts,
        bases,
        worker: async () => await Promise.reject(mustNotRun()),
        filesOf: async () => await Promise.reject(mustNotRun()),
        report: () => undefined,
        secrets: new Map(),
        guard: createSecretGuard(new Set(), () => new Map()),
        limits: undefined,
        path: engine.environment['PATH'] ?? '',
        agents: await openSshAgents(new Map(), undefined),
        onRead: () => undefined,
        remote,
        isLayer: () => false,
        onRun: () => undefined,
      });
      tellAbsentCaches(request.cacheFrom, note);
      const caches = createBuildCaches(engine, request, note, own);
      await caches.load(own);
      return await foresee({ goals, driverFor: withoutDownloads(driverFor), cache: caches.over(engine.records), now: engine.now }, own);
    },
    [Symbol.asyncDispose]: async () => await resources.disposeAsync(),
  };
}

/** Throws what the build itself would say of Dockerfile, context and base images. */
export async function planBuild(engine: Engine, request: BuildRequest, signal: AbortSignal): Promise<BuildPlan> {
  await using foreseeing = await openForeseeing(engine, request, signal);
  const { source, context, bases, warnings } = foreseeing;
  const draftStage = stageDrafter({ engine, request, source, bases }, signal);
  const requests = requestsOf(request);
  const main: DraftedStage[] = [];
  for (const { target } of requests) main.push(...(await draftStage(target)));
  const others = await draftOthers({ ...request, targets: requests.flatMap(({ target }) => target ?? []) }, main, draftStage);
  const { unbuilt } = others;
  const goals = [...main.flatMap(({ drafted }) => drafted.goal ?? []), ...goalsOf(others)];
  if (goals.length === 0) return { file: source.name, steps: [], expected: 0, atMost: 0, pull: 0, unbuilt, warnings: [] };
  const foreseen = await foreseeing.foresee(goals, signal);
  const tags = fullNames(request.tags);
  const builds = await engine.builds();
  const past = builds.stepsOf(projectOf(engine, { request, context, tags }), tags, asked).flatMap((build) => build.steps);
  const costOf = (step: BuildStep): number | undefined =>
    step.state === 'ran' ? durationOf(step) : step.key === undefined ? undefined : builds.keyOf(step.key)?.cost;
  const steps = foreseen.filter(isShown).map((one) => planned(one, (vertex) => timeOf(vertex, past, costOf)));
  const time = (states: readonly PlannedStep['state'][]): number =>
    steps.filter((step) => states.includes(step.state)).reduce((sum, step) => sum + (step.expected ?? 0), 0);
  return {
    file: source.name,
    steps,
    expected: time(['run']),
    atMost: time(['run', 'unknown']),
    pull: bytesToPull(engine, foreseen, bases),
    unbuilt,
    warnings,
  };
}

/** A file of the web is not fetched: whoever reads it depends on what it holds by then. */
function withoutDownloads(driverFor: DriverFor): DriverFor {
  return (vertex) => {
    if (vertex.op.kind !== 'source-http') return driverFor(vertex);
    const base = digestOf(`not fetched: ${vertex.digest}`);
    return {
      caching: 'by-definition',
      cacheBase: async () => await Promise.resolve(base),
      run: async () => await Promise.reject(mustNotRun()),
    };
  };
}

function isShown({ vertex, state }: ForeseenVertex): boolean {
  return state !== 'source' && vertex.label.isPart !== true;
}

function planned({ vertex, state }: ForeseenVertex, timeFor: (vertex: Vertex) => number | null): PlannedStep {
  const { text, step, steps, at } = vertex.label;
  const isDownload = vertex.op.kind === 'source-http';
  return {
    text,
    stage: shownStage(vertex.label) ?? null,
    step: step ?? null,
    steps: steps ?? null,
    line: at?.[0]?.start.line ?? null,
    state: state === 'source' || (isDownload && state === 'run') ? 'unknown' : state,
    expected: state === 'run' || state === 'unknown' ? timeFor(vertex) : 0,
  };
}

/** How long the same instruction took when it ran the last time, else the one in its place; null when neither ever did. */
function timeOf({ label }: Vertex, past: readonly BuildStep[], costOf: (step: BuildStep) => number | undefined): number | null {
  const here = past.filter((step) => step.stage === (shownStage(label) ?? null));
  const same = here.filter((step) => step.written !== null && step.written === label.written);
  for (const step of [...same, ...here.filter(({ step: place }) => place === (label.step ?? null))]) {
    const cost = costOf(step);
    if (cost !== undefined) return cost;
  }
  return null;
}

/** Bytes of layers that are not here, of images whose files a step may need. */
function bytesToPull(engine: Engine, foreseen: readonly ForeseenVertex[], bases: BaseImages): number {
  const images = foreseen.flatMap(({ vertex: { op }, state }): readonly SourceImageOp[] =>
    op.kind === 'source-image' && (state === 'run' || state === 'unknown') ? [op] : [],
  );
  const layers = new Map(images.flatMap((op) => bases.layersToPull(op)).map((layer) => [layer.digest, layer.size]));
  let bytes = 0;
  for (const [digest, size] of layers) if (!engine.content.has(digest, size)) bytes += size;
  return bytes;
}

function mustNotRun(): JettisonError {
  return new JettisonError('engine/plan-ran', 'Planning a build tried to run something', { fault: 'bug' });
}
