/** `jettison build`: from a Dockerfile and a folder to an image in the store and, when asked for, an archive. */
import { neededFor } from '#formats/graph/vertex.ts';
import type { ProgressEvent, Report } from '#formats/progress/event.ts';
import { isCode, JettisonError, messageOf } from '#ground/base/errors.ts';
import { codeFrame } from '#ground/base/span.ts';
import type { FrontendResult, Scan } from '#languages/frontend/contract.ts';
import { openStatCache } from '#stores/context/stat-cache.ts';
import type { Result, Solved, SolveObserver } from '#execution/solver/contract.ts';
import type { SnapshotId } from '#execution/worker/contract.ts';
import { tellAbsentCaches } from './absent-caches.ts';
import { annotationsFor } from './annotations.ts';
import { createBaseImages } from './base-images.ts';
import { createBuildCaches, type BuildCaches } from './build-caches.ts';
import { createBuildContexts } from './build-contexts.ts';
import { contextFolders, readBuildSource, type BuildSource } from './build-source.ts';
import { checkOutputs } from './check-outputs.ts';
import { deliver, type Delivery } from './deliver.ts';
import { foldMode } from './fold-requests.ts';
import type { BuiltResult, Exporting, MadeScan } from './gather-cache.ts';
import type { keepFailure as KeepFailureFunction, StepFailure } from './keep-failure.ts';
import { followOutput } from './last-output.ts';
import { openContext, type OpenContext } from './open-context.ts';
import { forgetLostInCrash, withoutLostSnapshots } from './lost-snapshots.ts';
import type { PassedStep } from './ignored-failures.ts';
import type { Engine } from './open.ts';
import type { BudgetLimit } from './ledger-requests.ts';
import type { BuildEnd, BuildOutcome, BuildRequest } from './build-requests.ts';
import { platformsOf } from './platform.ts';
import type { BuildReports } from './reports.ts';
import { draftOthers, goalsOf, stageDrafter, type DraftedStage } from './other-stages.ts';
import { lazyRemoteSources, type RemoteSources } from './remote-sources.ts';
import { errorOf, fullNames, recordBuild, type Recording } from './record-build.ts';
import { readSecrets, requireKnown } from './secrets.ts';
import { outcomeOf, requestsOf, requireOneTarget } from './targets.ts';
import { createSecretGuard, type SecretGuard } from './secret-guard.ts';
import { solveDraft } from './solve-draft.ts';
import type { StepFollower } from './step-follower.ts';
import type { StepImages } from './step-images.ts';
import { keyFiles, openSshAgents } from './ssh.ts';

/** Who follows a build. */
export type BuildFollower = {
  readonly report: Report;
  /** Told what is kept of a build that failed, before its error is thrown; not of one that was cancelled. */
  readonly failed?: (end: BuildEnd) => void;
  /** For a request that is `isClassic`. */
  readonly steps?: StepFollower;
};

/** Throws a JettisonError with the place in the Dockerfile and an excerpt; then no tag has moved. Of several outputs those that were written before one failed stay: archives beside a push that was refused. */
export async function build(
  engine: Engine,
  request: BuildRequest,
  { report, failed, steps: follower }: BuildFollower,
  signal: AbortSignal,
): Promise<BuildOutcome> {
  const tags = fullNames(request.tags);
  await forgetLostInCrash(engine, report, signal);
  using _ = engine.waits.toldTo(report);
  await using remote = lazyRemoteSources(engine, request);
  using context = await openContext(engine, { request, remote }, signal);
  const read = readBuildSource(request, context, engine.currentFolder);
  const source = request.edit === undefined ? read : (await import('./edit-source.ts')).editSource(read, request.edit);
  if (follower !== undefined)
    follower.context((await import('./context-size.ts')).contextSize({ request, context, source, currentFolder: engine.currentFolder }));
  const guard = createSecretGuard(new Set(request.allowedSecrets), () => engine.passwords());
  const replay =
    request.replays === true ? (await import('./replay-logs.ts')).replayLogs(await engine.builds(), engine.buildFolder, report) : undefined;
  const output = followOutput(replay?.report ?? report);
  const isProbing = request.isClassic === true && request.cacheFrom.length > 0;
  const elsewhere = isProbing ? (await import('./probe-history.ts')).withoutLocalCaches(engine, request) : request;
  const caches = createBuildCaches(engine, elsewhere, (event) => recording.report(event), signal);
  const recorded = recordBuild(engine, { request, context, source, tags, told: caches.told, mask: guard.mask }, output.report);
  const recording = { ...recorded, report: guard.maskReport(recorded.report) };
  tellAbsentCaches(request.cacheFrom, recording.report);
  const failures: StepFailure[] = [];
  const reports =
    request.reports === undefined || request.reports.length === 0
      ? undefined
      : (await import('./reports.ts')).createReports(engine, request.reports, {
          report: recording.report,
          snapshotOf: async (result, own) => await caches.snapshotOf(result, own),
        });
  const observers = [...(replay === undefined ? [] : [replay.observer]), ...(reports === undefined ? [] : [reports.observer])];
  try {
    const work = async (): Promise<ImageMade> =>
      await buildSource(
        engine,
        { request, remote, context, source, tags, recording, caches, guard, follower, failures, observers, reports },
        signal,
      );
    const made = await withoutLostSnapshots(engine, async () => await caches.withoutBad(work), recording.report, signal);
    engine.dismissWorker();
    return { ...made, ...(await recording.finish({ status: 'done', imageId: made.image?.id ?? null, error: null })) };
  } catch (error) {
    const command = await describeCommand(error, failures[0], source, output.describe());
    const explained = explainFailure(error, source.text, output.describe(), command);
    const told = explained instanceof JettisonError ? guard.maskError(explained) : explained;
    const end = await recording.finish({ status: signal.aborted ? 'cancelled' : 'failed', imageId: null, error: errorOf(told) });
    if (!signal.aborted) {
      const [failure] = failures;
      const given = {
        build: { id: recording.id, project: recording.project },
        request,
        source,
        message: messageOf(told),
        mask: guard.mask,
      };
      const kept = failure && (await keep(engine, { ...given, failure, log: recording.logOf(failure.vertex.digest) }, recording.report));
      failed?.({ ...end, failed: kept });
      await reports?.write(failure, signal);
    }
    throw told;
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
  readonly guard: SecretGuard;
  readonly follower: StepFollower | undefined;
  /** Those that failed, in their order. */
  readonly failures: StepFailure[];
  readonly observers: readonly SolveObserver[];
  readonly reports: BuildReports | undefined;
};

type ImageMade = Omit<BuildOutcome, keyof BuildEnd>;

async function buildSource(engine: Engine, work: Work, signal: AbortSignal): Promise<ImageMade> {
  const { request, remote, context, source, tags, recording, caches, guard, follower, failures, observers, reports } = work;
  const { report } = recording;
  const platforms = platformsOf(request);
  // Whatever is wrong with one is said before anything runs.
  for (const platform of platforms) annotationsFor(request, platform);
  const requests = requestsOf(request);
  for (const one of requests) checkOutputs(one, fullNames(one.tags));
  foldMode(engine, request);
  const budgets = await readLimits(request, source);
  using statCache = openStatCache({ database: engine.database });
  const contexts = await createBuildContexts(contextFolders(request, context, source), statCache);
  recording.open(contexts, statCache);
  const secrets = readSecrets(request.secrets);
  const agents = await openSshAgents(request.ssh, engine.environment['SSH_AUTH_SOCK']);
  requireKnown(request.allowedSecrets, request);
  guard.watch([...[...secrets].map(([id, bytes]) => ({ id, bytes })), ...keyFiles(request.ssh)]);
  const bases = createBaseImages(engine, request);
  const draftStage = stageDrafter({ engine, request, source, bases }, signal);
  const drafts: DraftedStage[] = [];
  for (const { target } of requests) drafts.push(...(await draftStage(target)));
  const others = await draftOthers({ ...request, targets: requests.flatMap(({ target }) => target ?? []) }, drafts, draftStage);
  reports?.plan(others.reported);
  const all = drafts.map(({ drafted }) => drafted);
  const every = [...all, ...[...others.gates, ...[...others.reported.values()].flat()].map(({ drafted }) => drafted)];
  const checkTexts = (): void => {
    guard.checkGiven(givenTexts(request, tags));
    for (const drafted of every) guard.checkDraft(drafted, source);
  };
  checkTexts();
  reportFindings(every, source, report);
  const stepImages = await openStepImages(engine, { ...work, drafts: all }, signal);
  const draft = {
    request,
    drafts: all,
    contexts,
    bases,
    remote,
    caches,
    secrets,
    agents,
    recording,
    guard,
    stepImages,
    follower,
    contextFolder: context.path,
    onFailure: (failure: StepFailure) => void failures.push(failure),
    onPassed: async (step: PassedStep) => await tellIgnored(step, source, report),
    observers,
    moreGoals: [...goalsOf(others), ...wantedScans(request, all).flatMap(({ goal }) => goal ?? [])],
  };
  const solved = await solveDraft(engine, draft, signal);
  await reports?.write(undefined, signal);
  const snapshotOf = async (result: Result): Promise<SnapshotId | undefined> => await caches.snapshotOf(result, signal);
  const tops = await withTops(await withScans(request, drafts, solved, snapshotOf), solved, snapshotOf);
  const whole = await stepImages?.finish();
  const results = whole === undefined ? tops : tops.map((result) => ({ ...result, drafted: whole }));
  // By now more passwords of registries may be known.
  checkTexts();
  const { memory } = recording;
  const origin = { id: recording.id, startedAt: recording.startedAt, bases, remote, source, context: context.path };
  const exporting = { guard, budgets, engine, request, results, solved, caches, memory, report, stepImages, origin };
  const delivered = await deliver(deliveriesOf(exporting, requests), signal);
  return { ...outcomeOf(requests, delivered), steps: countSteps(every, solved), unbuilt: others.unbuilt };
}

/** Of the results, each request has as many as there are platforms. */
function deliveriesOf(exporting: Exporting, [first, ...others]: ReturnType<typeof requestsOf>): [Delivery, ...Delivery[]] {
  const count = platformsOf(first).length;
  const deliveryOf = (request: BuildRequest, at: number): Delivery => {
    const results = exporting.results.slice(at * count, (at + 1) * count);
    return { exporting: { ...exporting, request, results, isFurther: at > 0 }, tags: fullNames(request.tags) };
  };
  return [deliveryOf(first, 0), ...others.map((request, at) => deliveryOf(request, at + 1))];
}

/** Loaded for who has some. */
async function readLimits({ budgets = [] }: BuildRequest, source: BuildSource): Promise<readonly BudgetLimit[]> {
  if (budgets.length === 0 && !source.text.includes('jettison:budget')) return [];
  return (await import('./budgets.ts')).readBudgets(budgets, source);
}

/** What was typed beside the Dockerfile and ends up beside the image. */
function givenTexts({ annotations, outputs }: BuildRequest, tags: readonly string[]): Readonly<Record<string, readonly string[]>> {
  const forms = outputs.flatMap((output) => ('form' in output ? [output] : []));
  return {
    'a name of the image': [...tags, ...forms.flatMap(({ names }) => names ?? [])],
    'an annotation': [...annotations, ...forms.flatMap(({ form }) => form.annotations)].flatMap(({ key, value }) => [key, value]),
  };
}

/** Of what packages are listed beside those of the results, where these are. */
function wantedScans({ attestations }: BuildRequest, drafts: readonly FrontendResult[]): readonly Scan[] {
  return attestations?.sbom === true ? drafts.flatMap(({ scans = [] }) => scans) : [];
}

type SnapshotOf = (result: Result) => Promise<SnapshotId | undefined>;
type Drafted = Pick<BuiltResult, 'platform' | 'drafted'>;

/** Each draft with what was made for lists of packages: the last ones of all goals. */
async function withScans(
  request: BuildRequest,
  drafts: readonly Drafted[],
  solved: Solved | undefined,
  snapshotOf: SnapshotOf,
): Promise<readonly Omit<BuiltResult, 'top'>[]> {
  const goals = wantedScans(
    request,
    drafts.map(({ drafted }) => drafted),
  ).filter(({ goal }) => goal !== undefined);
  const made = goals.length === 0 ? [] : (solved?.results ?? []).slice(-goals.length);
  const results: Omit<BuiltResult, 'top'>[] = [];
  for (const draft of drafts) {
    const scans: MadeScan[] = [];
    for (const { name, goal } of wantedScans(request, [draft.drafted])) {
      const result = goal === undefined ? undefined : made.shift();
      scans.push({ name, digest: goal?.vertex.digest, top: result && (await snapshotOf(result)) });
    }
    results.push({ ...draft, scans });
  }
  return results;
}

/** Each draft with the files that were made for it. */
async function withTops(
  drafts: readonly Omit<BuiltResult, 'top'>[],
  solved: Solved | undefined,
  snapshotOf: SnapshotOf,
): Promise<readonly BuiltResult[]> {
  const made = [...(solved?.results ?? [])];
  const results: BuiltResult[] = [];
  for (const draft of drafts) {
    const result = draft.drafted.goal === undefined ? undefined : made.shift();
    results.push({ ...draft, top: result && (await snapshotOf(result)) });
  }
  return results;
}

/** Loaded for a build that has failed alone. */
async function keep(...given: Parameters<typeof KeepFailureFunction>): ReturnType<typeof KeepFailureFunction> {
  const { keepFailure } = await import('./keep-failure.ts');
  return await keepFailure(...given);
}

/** Where each step is kept, for a build that wants that; several platforms have no steps in common. */
async function openStepImages(
  engine: Engine,
  { drafts, follower, guard, request, context }: Work & { readonly drafts: readonly FrontendResult[] },
  signal: AbortSignal,
): Promise<StepImages | undefined> {
  const [drafted, ...others] = drafts;
  if (drafted?.steps === undefined || follower === undefined) return undefined;
  requireOneTarget(request, 'What shows and keeps steps one after the other');
  if (others.length > 0) throw severalPlatforms('Steps are shown and kept one after the other of one platform only');
  const given = { drafted, steps: drafted.steps, follower, mask: guard.mask, noCache: request.noCache, context: context.path };
  return (await import('./step-images.ts')).createStepImages(engine, given, signal);
}

function severalPlatforms(message: string): JettisonError {
  return new JettisonError('engine/several-platforms', message, {
    hint: 'Name one platform, or leave out "--progress classic" and DOCKER_BUILDKIT=0',
  });
}

/** What is found for several platforms is told once. */
function reportFindings(drafts: readonly FrontendResult[], source: BuildSource, report: Report): void {
  const told = new Set<string>();
  const tell = (event: ProgressEvent, more: object = {}): void => {
    const text = JSON.stringify(event);
    if (!told.has(text)) report({ ...event, ...more });
    told.add(text);
  };
  for (const drafted of drafts) {
    for (const { rule, message, at, severity, description, url } of drafted.diagnostics) {
      const more = { ...(description === undefined ? {} : { description }), ...(url === undefined ? {} : { url }) };
      const isOfSource = at.length > 0 && at.every(({ file }) => file === source.name);
      if (severity === 'warning') tell({ kind: 'warning', rule, message, at, ...more }, isOfSource ? { source: source.text } : {});
    }
    for (const text of drafted.notes ?? []) tell({ kind: 'note', text });
  }
}

function countSteps(drafts: readonly FrontendResult[], solved: Solved | undefined): BuildOutcome['steps'] {
  const shown = neededFor(...drafts.flatMap(({ goal }) => goal ?? [])).filter(({ label }) => label.isPart !== true);
  const states = shown.flatMap(({ digest }) => solved?.vertices.get(digest) ?? []).filter((vertex) => vertex.key !== undefined);
  return { total: states.length, cached: states.filter((vertex) => vertex.state !== 'ran').length };
}

/** Which of its commands failed a RUN, where that can be said. */
async function describeCommand(
  error: unknown,
  failure: StepFailure | undefined,
  { text, name: file }: BuildSource,
  output: string | undefined,
): Promise<string | undefined> {
  const line = failure?.vertex.label.at?.[0]?.start.line;
  if (failure === undefined || line === undefined || !isCode(error, 'ops/process-failed')) return undefined;
  const { describeFailedCommand, findFailedCommand } = await import('./failed-command.ts');
  const { code, ended } = failure.kept;
  const { arguments: words, environment } = failure.op;
  const found = findFailedCommand({ text, file, line, words, environment, code, ended, output });
  return found && describeFailedCommand(found, file);
}

/** Says which commands failed of a step that succeeded, where that is certain. */
async function tellIgnored(
  { vertex, op: { arguments: words, environment }, ended }: PassedStep,
  { text, name: file }: BuildSource,
  report: Report,
): Promise<void> {
  const line = vertex.label.at?.[0]?.start.line;
  if (line === undefined) return;
  const { describeIgnoredFailures, findIgnoredFailures } = await import('./ignored-failures.ts');
  const note = describeIgnoredFailures(findIgnoredFailures({ text, file, line, words, environment, ended }), file);
  if (note !== undefined) report({ kind: 'note', text: note });
}

/** Adds what only this room has: the Dockerfile's lines that the error names, and the last lines that the failed step wrote. */
export function explainFailure(error: unknown, text: string, output: string | undefined, command?: string): unknown {
  if (!(error instanceof JettisonError)) return error;
  const isQuoted = error.at.length === 0 || error.notes.some((note) => note.includes('| >>> '));
  const excerpt = isQuoted ? '' : codeFrame(text, error.at);
  return error.with({
    notes: [...(output === undefined ? [] : [output]), ...(excerpt === '' ? [] : [excerpt]), ...(command === undefined ? [] : [command])],
  });
}
