/** A stage as it is behind one of its lines, out of the cache: for `debug STAGE:LINE`. Nothing runs for it. */
import { basename } from 'node:path';
import { neededFor, outputOf, type Vertex } from '#formats/graph/vertex.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { dockerfileFrontend } from '#languages/dockerfile/frontend.ts';
import { listTargets, type Target } from '#languages/dockerfile/targets.ts';
import type { DraftedImage, DraftedStep, FrontendResult } from '#languages/frontend/contract.ts';
import type { SnapshotId } from '#execution/worker/contract.ts';
import type { Asked } from './asked.ts';
import type { BuildRequest } from './build-requests.ts';
import { frontendOptions } from './frontend-options.ts';
import type { Engine } from './open.ts';
import { openForeseeing } from './plan.ts';
import { platformsOf } from './platform.ts';
import { isRemote, snapshotOf } from './results.ts';
import { isOfFolder, type StepPlace } from './step-place.ts';

/** How the last build of the current folder was typed, else the last of all; undefined where that is not written down. */
export async function lastAsked(engine: Engine): Promise<Asked | undefined> {
  const builds = (await engine.builds()).list();
  const own = builds.find(({ project }) => isOfFolder(project, engine.currentFolder)) ?? builds[0];
  return own?.asked ?? undefined;
}

/** `name`: `STAGE`, `STAGE:LINE` or `Dockerfile:LINE`. Throws `engine/no-such-place`, `engine/not-in-cache`, and what the build itself would say of Dockerfile and context. */
export async function placeInStage(engine: Engine, request: BuildRequest, name: string, signal: AbortSignal): Promise<StepPlace> {
  await using foreseeing = await openForeseeing(engine, request, signal);
  const { source, bases } = foreseeing;
  const wanted = readPlace(name, listTargets(source.text, source.name), [source.name, basename(source.name), 'Dockerfile']);
  const [platform] = platformsOf(request);
  if (platform === undefined) throw new JettisonError('engine/no-platform', 'No platform was asked for', { fault: 'bug' });
  const options = { ...(await frontendOptions({ engine, request, source }, platform)), target: wanted.target, isClassic: true };
  const drafted = await dockerfileFrontend(source.text, options, bases, signal);
  const step = stepAt(drafted, wanted);
  if (step === undefined) throw noSuchPlace(name, `Stage "${wanted.target}" begins on a later line`);
  const { image } = step;
  const title = `${step.text} (${source.name}:${step.line ?? wanted.line ?? 0})`;
  const vertex = drafted.goal === undefined ? undefined : neededFor(drafted.goal).find(({ digest }) => digest === image.files);
  return {
    title,
    snapshot: vertex && (await findFiles(vertex)),
    ...settingsOf(image),
    op: undefined,
    inputs: [],
    notes: [],
  };

  async function findFiles(found: Vertex): Promise<SnapshotId | undefined> {
    const foreseen = await foreseeing.foresee([outputOf(found)], signal);
    const missing = foreseen.find(({ vertex: { digest } }) => digest === found.digest);
    if (missing?.result !== undefined && !isRemote(missing.result)) return snapshotOf(missing.result);
    const first = foreseen.find(({ state }) => state === 'run' || state === 'unknown')?.vertex ?? found;
    throw new JettisonError('engine/not-in-cache', `"${title}" is not in the cache: "${first.label.text}" would have to run first`, {
      hint: `Build it: jettison build --target ${wanted.target}; or, if that is what failed: jettison debug @fail`,
    });
  }
}

type Wanted = { readonly target: string; readonly line: number | undefined };

/** A name of a stage wins over one of a file. */
function readPlace(name: string, targets: readonly Target[], files: readonly string[]): Wanted {
  const [, first = '', digits] = /^(.*?)(?::(\d+))?$/su.exec(name) ?? [];
  const line = digits === undefined ? undefined : Number(digits);
  const named = targets.findIndex((target, index) => target.name === first.toLowerCase() || String(index) === first);
  if (named >= 0) return { target: targets[named]?.name ?? String(named), line };
  const at = line === undefined || !files.includes(first) ? -1 : targets.findLastIndex((target) => target.at.start.line <= line);
  if (at >= 0) return { target: targets[at]?.name ?? String(at), line };
  const stages = targets.map((target, index) => target.name ?? String(index)).join(', ');
  throw noSuchPlace(name, `Stages are: ${stages}; a line is "STAGE:LINE" or "${files[0] ?? 'Dockerfile'}:LINE"`);
}

function noSuchPlace(name: string, hint: string): JettisonError {
  return new JettisonError('engine/no-such-place', `There is no "${name}" in this build`, { hint });
}

type ImageStep = DraftedStep & { readonly image: DraftedImage };

/** The last instruction of the target up to the line. */
function stepAt({ steps = [] }: FrontendResult, { line }: Wanted): ImageStep | undefined {
  const all = steps.flatMap((step): readonly ImageStep[] => (step.image === undefined ? [] : [{ ...step, image: step.image }]));
  const stage = all.at(-1)?.image.stage;
  return all.findLast((step) => step.image.stage === stage && (line === undefined || (step.line ?? 0) <= line));
}

function settingsOf({ config }: DraftedImage): Pick<StepPlace, 'environment' | 'workingDirectory' | 'user' | 'shell'> {
  const { Env, WorkingDir, User, Shell } = config.config ?? {};
  return { environment: Env ?? [], workingDirectory: WorkingDir || '/', user: User ?? '', shell: Shell ?? [] };
}
