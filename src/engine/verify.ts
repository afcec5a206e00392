/**
 * `jettison verify`: builds twice, the second time with other things around the steps, and says which steps made other files of the same ones. It asks no cache, and keeps nothing: what it
 * makes is known to nobody, so whoever tends the store removes what a killed one has left.
 */
import { availableParallelism } from 'node:os';
import { neededFor, shownStage, type Vertex } from '#formats/graph/vertex.ts';
import { printPlatform, type Platform } from '#formats/oci/platform.ts';
import type { Report } from '#formats/progress/event.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { sleep } from '#ground/base/retry.ts';
import type { Digest } from '#ground/base/digest.ts';
import { dockerfileFrontend } from '#languages/dockerfile/frontend.ts';
import type { FrontendResult } from '#languages/frontend/contract.ts';
import { openStatCache } from '#stores/context/stat-cache.ts';
import type { CacheLookup, DriverFor, Result } from '#execution/solver/contract.ts';
import { solve } from '#execution/solver/solve.ts';
import type { LayerIdentity, Worker } from '#execution/worker/contract.ts';
import { createBaseImages } from './base-images.ts';
import { explainFailure } from './build.ts';
import { createBuildContexts } from './build-contexts.ts';
import { contextFolders, readBuildSource } from './build-source.ts';
import type { BuildRequest } from './build-requests.ts';
import { createDrivers } from './drivers.ts';
import { frontendOptions } from './frontend-options.ts';
import { followOutput } from './last-output.ts';
import { forgetLostInCrash } from './lost-snapshots.ts';
import { openContext } from './open-context.ts';
import type { Engine } from './open.ts';
import { platformsOf } from './platform.ts';
import { lazyRemoteSources } from './remote-sources.ts';
import { folderOf, snapshotOf } from './results.ts';
import { requireOneTarget } from './targets.ts';
import { createSecretGuard, type SecretGuard } from './secret-guard.ts';
import { readSecrets, requireKnown } from './secrets.ts';
import { keyFiles, openSshAgents } from './ssh.ts';
import { foldMode } from './fold-requests.ts';
import { openRehearsal, type Rehearsal } from './verify-rehearsal.ts';
import { causesOfGoals, type FoundCause } from './verify-reach.ts';
import { idOfImage } from './verified-images.ts';
import type { Unsteady, Verified, VerifiedImage } from './verify-requests.ts';

/** Times are kept in steps of two seconds in some forms (zip): so much later every step runs again. Milliseconds. */
const pause = 2100;

type Drafted = { readonly platform: Platform; readonly drafted: FrontendResult };

/** One run: what each vertex gave, and its chain of layers, bottom first (empty for what has none). */
type Run = { readonly results: ReadonlyMap<Digest, Result>; readonly layers: ReadonlyMap<Digest, readonly LayerIdentity[]> };

/** Throws what a build would, with the place in the Dockerfile. */
export async function verifyBuild(engine: Engine, request: BuildRequest, report: Report, signal: AbortSignal): Promise<Verified> {
  requireOneTarget(request, 'What is verified');
  foldMode(engine, request);
  await forgetLostInCrash(engine, report, signal);
  using _ = engine.waits.toldTo(report);
  await using remote = lazyRemoteSources(engine, request);
  using context = await openContext(engine, { request, remote }, signal);
  const source = readBuildSource(request, context, engine.currentFolder);
  using statCache = openStatCache({ database: engine.database });
  const contexts = await createBuildContexts(contextFolders(request, context, source), statCache);
  const guard = createSecretGuard(new Set(request.allowedSecrets), () => engine.passwords());
  const secrets = readSecrets(request.secrets);
  const agents = await openSshAgents(request.ssh, engine.environment['SSH_AUTH_SOCK']);
  requireKnown(request.allowedSecrets, request);
  guard.watch([...[...secrets].map(([id, bytes]) => ({ id, bytes })), ...keyFiles(request.ssh)]);
  const bases = createBaseImages(engine, request);
  const output = followOutput(report);
  const drafts: Drafted[] = [];
  const masked = guard.maskReport(output.report);
  const driversFor = (worker: () => Promise<Worker>): DriverFor =>
    createDrivers({
      contexts,
      bases,
      worker,
      filesOf: async (result) => await Promise.resolve(snapshotOf(result)),
      report: masked,
      remote,
      secrets,
      guard,
      limits: request.limits,
      agents,
      path: engine.environment['PATH'] ?? '',
      onRead: () => undefined,
      isLayer: () => true,
      onRun: () => undefined,
    });
  try {
    for (const platform of platformsOf(request)) {
      const drafted = await dockerfileFrontend(source.text, await frontendOptions({ engine, request, source }, platform), bases, signal);
      guard.checkDraft(drafted, source);
      drafts.push({ platform, drafted });
    }
    await using rehearsal = openRehearsal(engine, signal);
    const found = await runTwice(drafts, { engine, request, driversFor, rehearsal, report: masked, guard }, signal);
    return { file: source.name, ...found };
  } catch (error) {
    const explained = explainFailure(error, source.text, output.describe());
    throw explained instanceof JettisonError ? guard.maskError(explained) : explained;
  }
}

type Work = {
  readonly engine: Engine;
  readonly request: BuildRequest;
  readonly driversFor: (worker: () => Promise<Worker>) => DriverFor;
  readonly rehearsal: Rehearsal;
  readonly report: Report;
  readonly guard: SecretGuard;
};

async function runTwice(drafts: readonly Drafted[], work: Work, signal: AbortSignal): Promise<Omit<Verified, 'file'>> {
  const { engine, request, rehearsal, driversFor, report } = work;
  const from = engine.now();
  const jobs = request.jobs ?? Math.max(4, availableParallelism());
  report({ kind: 'note', text: 'First run' });
  const first = await runOnce(
    drafts,
    driversFor(async () => await rehearsal.first()),
    { jobs, work },
    signal,
  );
  await sleep(pause, signal);
  report({ kind: 'note', text: 'Second run' });
  const driverFor = driversFor(async () => await rehearsal.second());
  const second = await runOnce(drafts, driverFor, { jobs: 1, work }, signal);

  const vertices = neededFor(...goalsOf(drafts));
  const differs = new Set(vertices.filter(({ digest }) => chainOf(first, digest) !== chainOf(second, digest)).map(({ digest }) => digest));
  const found: FoundCause[] = [];
  const period = { from: Math.floor(from / 1000), to: Math.ceil(engine.now() / 1000) };
  for (const vertex of vertices) {
    if (!differs.has(vertex.digest)) continue;
    const again = vertex.inputs.some((input) => differs.has(input.vertex.digest))
      ? await runOverFirst(vertex, { first, driverFor, work }, signal)
      : second.layers.get(vertex.digest);
    const [made, remade] = [first.layers.get(vertex.digest)?.at(-1), again?.at(-1)];
    if (made === undefined || remade === undefined || made.diffId === remade.diffId) continue;
    const worker = await rehearsal.first();
    const compared = await worker.compareLayers({ first: made.snapshot, second: remade.snapshot, period }, signal);
    found.push({ vertex, compared });
  }
  const reaching = causesOfGoals(goalsOf(drafts), differs, found);
  const images: VerifiedImage[] = [];
  for (const one of drafts) images.push(await imagesOf(one, { first, second, work }, signal));
  const isSame = images.every((image) => image.first === image.second);
  return {
    images,
    isSame,
    steps: vertices.filter(({ op, label }) => isStep(op) && label.isPart !== true).length,
    unsteady: found.map((cause) => unsteadyOf(cause, !isSame && reaching.has(cause.vertex.digest), work.guard)),
    ...(await rehearsal.conditions(jobs)),
  };
}

function isStep({ kind }: Vertex['op']): boolean {
  return kind === 'exec' || kind === 'file' || kind === 'merge';
}

function goalsOf(drafts: readonly Drafted[]) {
  return drafts.flatMap(({ drafted }) => drafted.goal ?? []);
}

/** Every step runs, and nothing is kept under any key. */
async function runOnce(
  drafts: readonly Drafted[],
  driverFor: DriverFor,
  { jobs, work }: { readonly jobs: number; readonly work: Work },
  signal: AbortSignal,
): Promise<Run> {
  const goals = goalsOf(drafts);
  if (goals.length === 0) return { results: new Map(), layers: new Map() };
  const { engine, rehearsal, report } = work;
  const { vertices } = await solve({ goals, driverFor, cache: noCache, jobs, now: engine.now }, report, signal);
  const results = new Map<Digest, Result>();
  const layers = new Map<Digest, readonly LayerIdentity[]>();
  for (const [digest, { result }] of vertices) {
    if (result === undefined) continue;
    results.set(digest, result);
    layers.set(digest, await layersOf(result, rehearsal, signal));
  }
  return { results, layers };
}

const noCache: CacheLookup = { find: () => undefined, save: (_key, record) => record, replace: () => undefined };

async function layersOf(result: Result, rehearsal: Rehearsal, signal: AbortSignal): Promise<readonly LayerIdentity[]> {
  // A folder of the client is the same for both.
  const snapshot = folderOf(result) === undefined ? snapshotOf(result) : undefined;
  if (snapshot === undefined) return [];
  const worker = await rehearsal.first();
  return await worker.layerIdentities(snapshot, signal);
}

function chainOf(run: Run, vertex: Digest): string {
  return (run.layers.get(vertex) ?? []).map(({ diffId }) => diffId).join(' ');
}

/** What a step gives of the inputs of the first run, where those of the second were other ones. Files are copied the same way each time. */
async function runOverFirst(
  vertex: Vertex,
  { first, driverFor, work }: { readonly first: Run; readonly driverFor: DriverFor; readonly work: Work },
  signal: AbortSignal,
): Promise<readonly LayerIdentity[] | undefined> {
  if (vertex.op.kind !== 'exec') return undefined;
  const inputs = vertex.inputs.flatMap((input) => first.results.get(input.vertex.digest) ?? []);
  return await layersOf(await driverFor(vertex).run(inputs, signal), work.rehearsal, signal);
}

function unsteadyOf({ vertex: { label }, compared }: FoundCause, reachesImage: boolean, { mask }: SecretGuard): Unsteady {
  const { text, step, steps, at } = label;
  return {
    text,
    stage: shownStage(label) ?? null,
    step: step ?? null,
    steps: steps ?? null,
    line: at?.[0]?.start.line ?? null,
    reachesImage,
    total: compared.total,
    differences: compared.differences.map((one) => ({ ...one, path: mask(one.path), first: mask(one.first), second: mask(one.second) })),
  };
}

/** As a build would name them. The same layers make the same image. */
async function imagesOf(
  { platform, drafted }: Drafted,
  { first, second, work }: { readonly first: Run; readonly second: Run; readonly work: Work },
  signal: AbortSignal,
): Promise<VerifiedImage> {
  const { goal } = drafted;
  const making = { ...work, worker: await work.rehearsal.first() };
  const idOf = async (run: Run): Promise<Digest> => {
    const top = goal === undefined ? undefined : run.layers.get(goal.vertex.digest)?.at(-1)?.snapshot;
    return await idOfImage({ platform, drafted, top, scans: [] }, making, signal);
  };
  const id = await idOf(first);
  const isSame = goal === undefined || chainOf(first, goal.vertex.digest) === chainOf(second, goal.vertex.digest);
  return { platform: printPlatform(platform), first: id, second: isSame ? id : await idOf(second) };
}
