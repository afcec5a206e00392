/** A place in a build that people can look at: a step that failed, or a stage as it is behind one of its lines. */
import { sep } from 'node:path';
import type { ExecOp } from '#formats/graph/op.ts';
import { JettisonError } from '#ground/base/errors.ts';
import type { FailedInput, FailedStep } from '#execution/builds/failed-step.ts';
import type { KeptFailedStep } from '#execution/builds/failed-steps.ts';
import { parseSnapshotId, type SnapshotId, type TreeSource } from '#execution/worker/contract.ts';
import type { Engine } from './open.ts';

export type { FailedStep } from '#execution/builds/failed-step.ts';
export type { KeptFailedStep } from '#execution/builds/failed-steps.ts';

/** What is open to be looked at, and how a process there sees the world. */
export type StepPlace = {
  /** For people: `RUN make (Dockerfile:7)`. */
  readonly title: string;
  readonly snapshot: SnapshotId | undefined;
  readonly environment: readonly string[];
  readonly workingDirectory: string;
  readonly user: string;
  /** Of the shell form at this place. */
  readonly shell: readonly string[];
  /** Of a RUN. */
  readonly op: ExecOp | undefined;
  readonly inputs: readonly (TreeSource | undefined)[];
  /** What is not as it was, in sentences. */
  readonly notes: readonly string[];
};

/** How the failed step is called. */
export const failedName = '@fail';

/** Is it a name of a failed step, where else a container's stands? */
export function isFailedName(name: string): boolean {
  return name.startsWith('@');
}

/**
 * The failed step of a project of the current folder, of one that is in no folder (its context came as a stream, or from an address), or out of a bundle, the last of these; else the last of all.
 * That it is of another folder is noted, and that a later build failed of which nothing is kept. Throws `engine/no-failed-step`, for other names that begin with `@` too.
 */
export async function findFailedStep(engine: Engine, name = failedName): Promise<KeptFailedStep> {
  if (name !== failedName)
    throw new JettisonError('engine/no-failed-step', `There is no "${name}"`, { hint: `"${failedName}" is the step that failed last` });
  const all = (await engine.failedSteps()).list();
  const isHere = (project: string): boolean => !project.startsWith(sep) || isOfFolder(project, engine.currentFolder);
  const own = all.find(({ project, build }) => build === undefined || isHere(project));
  const found = own ?? all[0];
  const later = await findLaterFailure(engine, found, isHere);
  if (found === undefined) {
    if (later !== undefined)
      throw new JettisonError('engine/no-failed-step', `The last build failed ${later}, and of that nothing is kept`, {
        hint: 'What a RUN left is kept until its Dockerfile is built again or the build cache is pruned; "jettison debug STAGE:LINE" opens what was built before it',
      });
    throw new JettisonError('engine/no-failed-step', 'No failed step is kept', {
      hint: 'The last one is, until its Dockerfile is built again or the build cache is pruned',
    });
  }
  if (later !== undefined)
    engine.note(
      `The last build failed ${later}, and of that nothing is kept: ${failedName} is of a build before it, ${titleOf(found.step)}`,
    );
  else if (own === undefined)
    engine.note(`No failed step of this folder is kept: ${failedName} is of another build (${found.project}), ${titleOf(found.step)}`);
  return found;
}

/** Where the last build of these projects failed (`at "COPY a / (Dockerfile:3)"`), if it is not the one of the step, and later. */
async function findLaterFailure(
  engine: Engine,
  kept: KeptFailedStep | undefined,
  isHere: (project: string) => boolean,
): Promise<string | undefined> {
  const builds = await engine.builds();
  const last = builds.list().find(({ project, status }) => isHere(project) && status !== 'running');
  if (last === undefined || last.status !== 'failed' || last.id === kept?.build || last.startedAt < (kept?.failedAt ?? 0)) return undefined;
  const step = builds.get(last.id).steps.find(({ state }) => state === 'failed');
  if (step === undefined) return `with "${last.error?.message ?? last.id}"`;
  return `at "${titleOf({ text: step.text, dockerfile: last.dockerfile, lines: step.line === null ? null : [step.line, step.line] })}"`;
}

/** Is it a project of this folder, or of one below it? */
export function isOfFolder(project: string, folder: string): boolean {
  return project.startsWith(`${folder} `) || project.startsWith(`${folder}${sep}`);
}

/** Where the failed step stopped. */
export function placeOfFailed({ step }: KeptFailedStep): StepPlace {
  return {
    title: titleOf(step),
    snapshot: stateOf(step),
    environment: [...step.op.environment, ...step.quietEnvironment],
    workingDirectory: step.op.workingDirectory,
    user: step.op.user,
    shell: step.op.arguments.length > 1 ? step.op.arguments.slice(0, -1) : [],
    op: step.op,
    inputs: step.inputs.map(toSource),
    notes: notesOf(step),
  };
}

/** The files as the step left them; undefined for an empty tree. */
export function stateOf({ state }: FailedStep): SnapshotId | undefined {
  return state === null ? undefined : parseSnapshotId(state);
}

/** `RUN make (Dockerfile:7)` */
export function titleOf({ text, dockerfile, lines }: Pick<FailedStep, 'text' | 'dockerfile' | 'lines'>): string {
  return `${text}${lines === null ? '' : ` (${dockerfile}:${lines[0]})`}`;
}

export function toSource(input: FailedInput): TreeSource | undefined {
  if (input.kind === 'empty') return undefined;
  return input.kind === 'snapshot' ? { kind: 'snapshot', snapshot: parseSnapshotId(input.snapshot) } : input;
}

function notesOf({ wrote, reason, leftOut, op }: FailedStep): readonly string[] {
  const secrets = op.mounts.flatMap((mount) => (mount.kind === 'secret' || mount.kind === 'ssh' ? [`${mount.kind} "${mount.id}"`] : []));
  return [
    ...(wrote ? [] : [reason === null ? 'It wrote nothing' : `What it wrote is not kept (${reason}): these are the files before it`]),
    ...(secrets.length === 0 ? [] : [`Not here, as they are never kept: ${secrets.join(', ')}`]),
    ...(leftOut.length === 0 ? [] : [`Variables that are never kept: ${leftOut.join(', ')} (give them with -e)`]),
  ];
}
