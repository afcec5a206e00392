/** From a draft to results: what the solver is handed for one build. */
import { availableParallelism } from 'node:os';
import { neededFor, type Edge, type Vertex } from '#formats/graph/vertex.ts';
import type { Digest } from '#ground/base/digest.ts';
import type { FrontendResult } from '#languages/frontend/contract.ts';
import type { Result, Solved, SolveObserver } from '#execution/solver/contract.ts';
import { solve } from '#execution/solver/solve.ts';
import type { Worker } from '#execution/worker/contract.ts';
import type { Report } from '#formats/progress/event.ts';
import type { BaseImages } from './base-images.ts';
import type { BuildCaches } from './build-caches.ts';
import type { BuildContexts } from './build-contexts.ts';
import { followUses } from './build-uses.ts';
import { createDrivers } from './drivers.ts';
import type { Engine } from './open.ts';
import type { PassedStep } from './ignored-failures.ts';
import type { StepFailure } from './keep-failure.ts';
import type { Recording } from './record-build.ts';
import type { RemoteSources } from './remote-sources.ts';
import type { BuildRequest } from './build-requests.ts';
import { snapshotOf } from './results.ts';
import type { SecretGuard } from './secret-guard.ts';
import type { Secrets } from './secrets.ts';
import type { SshAgents } from './ssh.ts';
import type { StepFollower } from './step-follower.ts';
import type { StepImages } from './step-images.ts';

/** What the steps of one build are made with. */
export type Draft = {
  readonly request: BuildRequest;
  /** One for each platform. */
  readonly drafts: readonly FrontendResult[];
  readonly contexts: BuildContexts;
  readonly bases: BaseImages;
  readonly remote: RemoteSources;
  readonly caches: BuildCaches;
  readonly secrets: Secrets;
  readonly guard: SecretGuard;
  readonly agents: SshAgents;
  readonly recording: Recording;
  /** Who shows and keeps every step. */
  /** The folder of the main context. */
  readonly contextFolder: string;
  readonly stepImages?: StepImages | undefined;
  readonly follower?: StepFollower | undefined;
  readonly onFailure: (failure: StepFailure) => void;
  readonly onPassed: (step: PassedStep) => Promise<void>;
  /** What is to be made beside the images. */
  readonly moreGoals: readonly Edge[];
  /** Others who are told what becomes of the vertices. */
  readonly observers: readonly SolveObserver[];
};

/** Runs what is not cached, for all platforms together; undefined when there is nothing to make. Its results are those of the drafts that have a goal, and then those of the other goals. Throws the first error of a step. */
export async function solveDraft(engine: Engine, draft: Draft, signal: AbortSignal): Promise<Solved | undefined> {
  const { request, drafts, caches, recording, stepImages, follower } = draft;
  const uses = followUses(engine);
  const final = new Set<Digest>(drafts.flatMap(wantedLayers));
  const goals = [...drafts.flatMap(({ goal }) => goal ?? []), ...draft.moreGoals];
  const standing = layersOfMerges(goals, final);
  const worker = announcing(engine, recording.report);
  const driverFor = createDrivers({
    ...draft,
    worker: async () => {
      uses.protect();
      return await worker(signal);
    },
    filesOf: async (result, own) => await caches.snapshotOf(result, own),
    report: recording.report,
    limits: request.limits,
    path: engine.environment['PATH'] ?? '',
    onRead: recording.onRead,
    isLayer: ({ digest }) => final.has(digest) || standing.has(digest),
    onPull: ({ digest }, image) => follower?.pulling(digest, image),
    onRun: ({ digest }, result) => final.has(digest) && identifyLayer(engine, result, signal),
  });
  const [drafted] = drafts;
  if (request.isClassic === true && drafted !== undefined && request.cacheFrom.length > 0) {
    const { localCacheImages, probeHistory } = await import('./probe-history.ts');
    const images = localCacheImages(engine, request.cacheFrom);
    const given = { drafted, images, driverFor, context: draft.contextFolder, report: recording.report };
    stepImages?.found(await probeHistory(engine, given, signal));
  }
  // All results are to be written, not just what this build needs: then those that are only elsewhere count, too.
  if (request.cacheTo.some((target) => target.kind !== 'inline' && target.mode === 'max')) await caches.load(signal);
  if (goals.length === 0) return undefined;
  const problem = {
    goals,
    driverFor,
    cache: caches.over(uses.cache),
    claims: engine.claims,
    costs: () => engine.records.latestCosts(),
    moreRecords: async (own: AbortSignal) => await caches.load(own),
    jobs: request.jobs ?? Math.max(4, availableParallelism()),
    now: engine.now,
    observer: [...(stepImages === undefined ? [] : [stepImages.observer]), ...draft.observers].reduce(both, recording.observer),
    // Starting takes longer than all that is left to do before the first step.
    onMissing: (missing: readonly Vertex[]) => missing.some(needsWorker) && void worker(signal).catch(() => undefined),
  };
  return await solve(problem, recording.report, signal);
}

/** What becomes a layer of an image: of the one that is built, and of those of its steps where they are kept. */
function wantedLayers({ layers, steps = [] }: FrontendResult): readonly Digest[] {
  return [...layers, ...steps.flatMap(({ kind, vertex }) => (vertex === undefined || kind === 'from' ? [] : [vertex]))];
}

function both(first: SolveObserver, second: SolveObserver): SolveObserver {
  return {
    missed: (vertex, lookedUpBy) => {
      first.missed(vertex, lookedUpBy);
      second.missed(vertex, lookedUpBy);
    },
    solved: (vertex, solved) => {
      first.solved(vertex, solved);
      second.solved(vertex, solved);
    },
  };
}

/** The worker, of which the first who gets it says how it keeps steps apart, when that is not the best there is. */
function announcing(engine: Engine, report: Report): (signal: AbortSignal) => Promise<Worker> {
  let isAnnounced = false;
  return async (signal) => {
    const worker = await engine.worker(signal);
    if (isAnnounced || (worker.rung.isolation === 'oci' && worker.rung.tree === 'overlay')) return worker;
    isAnnounced = true;
    const { describeRung } = await import('#execution/worker/isolation.ts');
    report({ kind: 'note', text: `Isolation: ${describeRung(worker.rung)}`, isAside: true });
    return worker;
  };
}

/** Folders of the client, downloads and images that lie here need none; but all that is made of them does. */
function needsWorker({ op }: Vertex): boolean {
  return op.kind === 'exec' || op.kind === 'file' || op.kind === 'merge';
}

/** A layer of the image-to-be gets its DiffID beside the steps that follow it; a failure shows up when the image is put together. */
function identifyLayer(engine: Engine, result: Result, signal: AbortSignal): void {
  const snapshot = snapshotOf(result);
  if (snapshot === undefined) return;
  void engine
    .worker(signal)
    .then(async (worker) => await worker.layerIdentities(snapshot, signal))
    .catch(() => undefined);
}

/** A merge of the image puts layers over each other that were made apart. */
function layersOfMerges(goals: readonly Edge[], final: ReadonlySet<Digest>): ReadonlySet<Digest> {
  const merges = neededFor(...goals).filter(({ op, digest }) => op.kind === 'merge' && final.has(digest));
  return new Set(merges.flatMap(({ inputs }) => inputs.slice(1).map(({ vertex }) => vertex.digest)));
}
