/** `jettison build`: from a Dockerfile and a folder to an image in the store and, when asked for, an archive. */
import { availableParallelism } from 'node:os';
import { neededFor, type Vertex } from '#formats/graph/vertex.ts';
import type { Report } from '#formats/progress/event.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { codeFrame } from '#ground/base/span.ts';
import type { Digest } from '#ground/base/digest.ts';
import { printPlatform } from '#formats/oci/platform.ts';
import { dockerfileFrontend } from '#languages/dockerfile/frontend.ts';
import type { FrontendResult } from '#languages/frontend/contract.ts';
import { openStatCache } from '#stores/context/stat-cache.ts';
import { solve } from '#execution/solver/solve.ts';
import type { Solved } from '#execution/solver/contract.ts';
import { createBaseImages } from './base-images.ts';
import { createBuildCaches, type BuildCaches } from './build-caches.ts';
import { createBuildContexts } from './build-contexts.ts';
import { confirmUses, followUses } from './build-uses.ts';
import { contextFolders, readBuildSource, type BuildSource } from './build-source.ts';
import { createDrivers } from './drivers.ts';
import { frontendOptions } from './frontend-options.ts';
import { followOutput } from './last-output.ts';
import { openContext, type OpenContext } from './open-context.ts';
import { withoutLostSnapshots } from './lost-snapshots.ts';
import type { Engine } from './open.ts';
import { nativeOrAsked } from './platform.ts';
import type { AnnotationRequest, BuildOutcome, BuildRequest } from './requests.ts';
import { lazyRemoteSources, type RemoteSources } from './remote-sources.ts';
import { snapshotOf, snapshotResult } from './results.ts';
import { errorOf, fullNames, recordBuild, type Recording } from './record-build.ts';
import { readSecrets } from './secrets.ts';
import { openSshAgents } from './ssh.ts';
import { storeBuiltImage } from './store-image.ts';
import { writeOutputs } from './outputs.ts';

/** Throws a JettisonError with the place in the Dockerfile and an excerpt; then no tag has moved and no output file exists. */
export async function build(engine: Engine, request: BuildRequest, report: Report, signal: AbortSignal): Promise<BuildOutcome> {
  const tags = fullNames(request.tags);
  await using remote = lazyRemoteSources(engine, request);
  using context = await openContext(engine, { request, remote }, signal);
  const source = readBuildSource(request, context, engine.currentFolder);
  const output = followOutput(report);
  const recording = recordBuild(engine, { request, context, source, tags }, output.report);
  const caches = createBuildCaches(engine, request, recording.report);
  try {
    const work = async (): Promise<ImageMade> =>
      await buildSource(engine, { request, remote, context, source, tags, recording, caches }, signal);
    const made = await withoutLostSnapshots(engine, async () => await caches.withoutBad(work), recording.report, signal);
    return { ...made, ...(await recording.finish({ status: 'done', imageId: made.imageId, error: null })) };
  } catch (error) {
    const failed = explain(error, source.text, output.describe());
    await recording.finish({ status: signal.aborted ? 'cancelled' : 'failed', imageId: null, error: errorOf(failed) });
    throw failed;
  }
}

type Work = {
  readonly request: BuildRequest;
  readonly remote: RemoteSources;
  readonly context: OpenContext;
  readonly source: BuildSource;
  readonly tags: readonly string[];
  readonly recording: Recording;
  readonly caches: BuildCaches;
};

type ImageMade = Omit<BuildOutcome, 'id' | 'timing' | 'why'>;

async function buildSource(engine: Engine, work: Work, signal: AbortSignal): Promise<ImageMade> {
  const { request, source, recording, caches } = work;
  const { report } = recording;
  const [ofManifest, ofDescriptor] = [annotationsFor(request, 'manifest'), annotationsFor(request, 'manifest-descriptor')];
  using statCache = openStatCache({ database: engine.database, now: engine.now });
  const contexts = createBuildContexts(contextFolders(request, work.context, source), statCache);
  recording.open(contexts, statCache);
  const secrets = readSecrets(request.secrets);
  const agents = await openSshAgents(request.ssh, engine.environment['SSH_AUTH_SOCK']);
  const bases = createBaseImages(engine, request);
  const drafted = await dockerfileFrontend(source.text, frontendOptions(request, source), bases, signal);
  reportWarnings(drafted, report);
  for (const text of drafted.notes ?? []) report({ kind: 'note', text });

  const uses = followUses(engine);
  const final = new Set<Digest>(drafted.layers);
  const standing = layersOfMerges(drafted, final);
  const onRun = (vertex: Vertex, result: { readonly id: string }): void => {
    // A layer of the image-to-be gets its DiffID beside the steps that follow it; a failure shows up when the image is put together.
    const snapshot = snapshotOf(result);
    if (final.has(vertex.digest) && snapshot !== undefined)
      void engine
        .worker(signal)
        .then(async (worker) => await worker.layerIdentities(snapshot, signal))
        .catch(() => undefined);
  };
  const driverFor = createDrivers({
    contexts,
    bases,
    worker: async () => {
      uses.protect();
      return await engine.worker(signal);
    },
    filesOf: async (result, own) => await caches.snapshotOf(result, own),
    report,
    secrets,
    limits: request.limits,
    agents,
    onRead: recording.onRead,
    remote: work.remote,
    isLayer: ({ digest }) => final.has(digest) || standing.has(digest),
    onRun,
  });
  const jobs = request.jobs ?? Math.max(4, availableParallelism());
  // All results are to be written, not just what this build needs: then those that are only elsewhere count, too.
  if (request.cacheTo.some((target) => target.kind !== 'inline' && target.mode === 'max')) await caches.load(signal);
  const setting = {
    driverFor,
    cache: caches.over(uses.cache),
    claims: engine.claims,
    costs: () => engine.records.latestCosts(),
    moreRecords: async (own: AbortSignal) => await caches.load(own),
    jobs,
    now: engine.now,
    observer: recording.observer,
  };
  const solved = drafted.goal === undefined ? undefined : await solve({ goal: drafted.goal, ...setting }, report, signal);
  const top = solved && (await caches.snapshotOf(solved.result, signal));

  const exporting = { engine, request, drafted, solved, top, caches, report };
  const targets = request.cacheTo.filter((target) => target.kind !== 'inline');
  const canFail = request.outputs.length > 0 || targets.length > 0;
  const named = canFail ? [] : work.tags;
  const image = await storeBuiltImage(
    engine,
    {
      drafted,
      top,
      ...(inlineWanted(request)
        ? { addMembers: async () => await (await import('./export-cache.ts')).inlineCache(exporting, signal) }
        : {}),
      confirm: () => confirmUses(engine, solved && { ...solved, result: snapshotResult(top) }),
      entered: (imageId) => {
        engine.images.setForm(imageId, { format: request.format, annotations: ofManifest });
        engine.images.tag(imageId, named);
      },
    },
    signal,
  );
  if (targets.length > 0) await (await import('./export-cache.ts')).exportCaches(exporting, targets, signal);
  const outputs = { image, outputs: request.outputs, tags: work.tags, annotations: ofDescriptor };
  const manifest = await writeOutputs(engine, outputs, report, signal);
  if (canFail) engine.images.tag(image.imageId, work.tags);
  return { imageId: image.imageId, tags: work.tags, created: image.created, manifest, steps: countSteps(drafted, solved) };
}

/** A merge of the image puts layers over each other that were made apart. */
function layersOfMerges({ goal }: FrontendResult, final: ReadonlySet<Digest>): ReadonlySet<Digest> {
  const merges = goal === undefined ? [] : neededFor(goal).filter(({ op, digest }) => op.kind === 'merge' && final.has(digest));
  return new Set(merges.flatMap(({ inputs }) => inputs.slice(1).map(({ vertex }) => vertex.digest)));
}

/** Those for the platform of the build. */
function annotationsFor(request: BuildRequest, place: AnnotationRequest['place']): Readonly<Record<string, string>> {
  const built = printPlatform(nativeOrAsked(request.platform));
  const asked = request.annotations.filter(
    (one) => one.place === place && (one.platform === undefined || printPlatform(nativeOrAsked(one.platform)) === built),
  );
  return Object.fromEntries(asked.map(({ key, value }) => [key, value]));
}

function inlineWanted({ cacheTo, buildArgs }: BuildRequest): boolean {
  return (
    cacheTo.some(({ kind }) => kind === 'inline') ||
    ['1', 't', 'T', 'TRUE', 'true', 'True'].includes(buildArgs.get('BUILDKIT_INLINE_CACHE') ?? '')
  );
}

function reportWarnings(drafted: FrontendResult, report: Report): void {
  for (const { rule, message, at, severity, url } of drafted.diagnostics) {
    if (severity === 'warning') report({ kind: 'warning', rule, message, at, ...(url === undefined ? {} : { url }) });
  }
}

function countSteps({ goal }: FrontendResult, solved: Solved | undefined): BuildOutcome['steps'] {
  const shown = goal === undefined ? [] : neededFor(goal).filter(({ label }) => label.isPart !== true);
  const states = shown.flatMap(({ digest }) => solved?.vertices.get(digest) ?? []).filter((vertex) => vertex.key !== undefined);
  return { total: states.length, cached: states.filter((vertex) => vertex.state !== 'ran').length };
}

/** Adds what only this room has: the Dockerfile's lines that the error names, and the last lines that the failed step wrote. */
function explain(error: unknown, text: string, output: string | undefined): unknown {
  if (!(error instanceof JettisonError)) return error;
  const isQuoted = error.at.length === 0 || error.notes.some((note) => note.includes('| >>> '));
  const excerpt = isQuoted ? '' : codeFrame(text, error.at);
  return error.with({ notes: [...(output === undefined ? [] : [output]), ...(excerpt === '' ? [] : [excerpt])] });
}
