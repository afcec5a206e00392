/** The builds that were: `builds`, `why`. */
import { durationOf } from '#execution/builds/timing.ts';
import type { PastBuild, PastBuildDetails } from '#execution/builds/past-build.ts';
import type { LogPiece } from '#execution/builds/logs.ts';
import type { ProgressEvent } from '#formats/progress/event.ts';
import { JettisonError } from '#ground/base/errors.ts';
import type { Engine } from './open.ts';
import type { BuildChoice, BuildLogStep } from './past-build-requests.ts';
import { stepsNamed } from './why-step.ts';

/** Newest first. `filters`: as `docker buildx history ls` has them; `isLocal`: those of the project that the current folder belongs to. Throws `engine/bad-filter`. */
export async function listBuilds(
  engine: Engine,
  { filters, isLocal }: { readonly filters: readonly string[]; readonly isLocal: boolean },
): Promise<readonly PastBuild[]> {
  if (filters.length === 0 && !isLocal) return (await engine.builds()).list();
  const { isOfProject, parseBuildFilters } = await import('./past-build-filters.ts');
  const fits = parseBuildFilters(filters, engine.now());
  const isNear = isLocal ? isOfProject(engine.currentFolder) : () => true;
  return (await engine.builds()).list().filter((build) => fits(build) && isNear(build));
}

/** Throws `engine/no-builds`, `builds/not-found`, `builds/ambiguous`. */
export async function pastBuild(engine: Engine, choice: BuildChoice): Promise<PastBuildDetails> {
  const builds = await engine.builds();
  if (choice.kind === 'id') return builds.get(choice.id);
  const all = builds.list();
  const chosen = all[choice.place - 1];
  if (chosen !== undefined) return builds.get(chosen.id);
  const hint = all.length === 0 ? 'Build something first' : `There are ${all.length}: see "jettison builds"`;
  throw new JettisonError('engine/no-builds', all.length === 0 ? 'Nothing was built yet' : `There are not ${choice.place} builds`, {
    hint,
  });
}

/** Removes builds with their logs; all of them for undefined. One that runs stays. Gives their ids. */
export async function removeBuilds(engine: Engine, choices: readonly BuildChoice[] | undefined): Promise<readonly string[]> {
  const builds = await engine.builds();
  const chosen: PastBuild[] = [];
  for (const choice of choices ?? []) chosen.push(await pastBuild(engine, choice));
  if (choices === undefined) chosen.push(...builds.list().filter(({ status }) => status !== 'running'));
  const running = chosen.find(({ status }) => status === 'running');
  if (running !== undefined) throw new JettisonError('engine/build-running', `Build ${running.id} is still running`);
  const removed = chosen.map(({ id }) => id);
  builds.remove(removed);
  return removed;
}

/** What each step of a build wrote, whole: a cached one, what it wrote when it ran. */
async function buildLogs(engine: Engine, choice: BuildChoice): Promise<readonly BuildLogStep[]> {
  const build = await pastBuild(engine, choice);
  const builds = await engine.builds();
  const { readLog } = await import('#execution/builds/read-log.ts');
  return build.steps.map((step) => {
    const name = step.log ?? (step.key === undefined ? undefined : (builds.keyOf(step.key)?.log ?? undefined));
    const read = (): AsyncIterable<LogPiece> => (name === undefined ? none() : readLog(engine.buildFolder, name));
    return { ...step, duration: durationOf(step), read };
  });
}

/** What was reported of the steps of a build when it ran, or of those that `step` names: one after the other, with what they wrote. Throws as `pastBuild`, and `engine/no-such-step`. */
export async function* buildEvents(
  engine: Engine,
  { build, step: word }: { readonly build: BuildChoice; readonly step: string | undefined },
): AsyncGenerator<ProgressEvent> {
  const isMeant = word === undefined ? undefined : stepsNamed(await pastBuild(engine, build), word);
  for (const step of await buildLogs(engine, build)) {
    if (isMeant === undefined || isMeant(step)) yield* eventsOf(step);
  }
}

/** The step once more, as it was reported then. */
async function* eventsOf(step: BuildLogStep): AsyncGenerator<ProgressEvent> {
  const { vertex, startedAt, state } = step;
  yield {
    kind: 'vertex',
    vertex,
    text: step.text,
    ...(step.isPart === true ? { isPart: true } : {}),
    ...(step.stage === null ? {} : { stage: step.stage }),
    ...(step.step === null ? {} : { step: step.step }),
    ...(step.steps === null ? {} : { steps: step.steps }),
  };
  if (state === 'waiting') return;
  if (startedAt > 0) yield { kind: 'vertex-started', vertex, time: startedAt };
  for await (const { after, stream, text } of step.read()) yield { kind: 'output', vertex, stream, text, time: startedAt + after };
  const time = step.finishedAt || startedAt;
  if (state === 'failed' || state === 'cancelled') {
    yield { kind: 'vertex-failed', vertex, time, message: step.message ?? '', cancelled: state === 'cancelled' };
  } else if (state === 'ran') yield { kind: 'vertex-finished', vertex, time };
  else yield { kind: 'vertex-cached', vertex, time, ...(state === 'skipped' ? { isSkipped: true } : {}) };
}

// oxlint-disable-next-line typescript/require-await
async function* none(): AsyncGenerator<LogPiece> {
  yield* [];
}
