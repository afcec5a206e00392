/** `jettison resume`: the build that failed, asked for again, so that only the step that failed and what stands behind it run. */
import { JettisonError } from '#ground/base/errors.ts';
import type { BuildRequest } from './build-requests.ts';
import { findFailedStep, titleOf, type FailedStep } from './step-place.ts';
import type { Engine } from './open.ts';

export type Resumption = {
  /** What stood behind `build`, and where it was typed. */
  readonly words: readonly string[];
  readonly folder: string;
  /** What is to be another thing this time: what is known counts, and is not looked up again. */
  readonly change: Partial<BuildRequest>;
  /** `Dockerfile:7`: the step. */
  readonly place: string;
};

/** `command`: in the place of that of the failed step. Throws `engine/no-failed-step`, `engine/cannot-resume`. */
export async function resumeBuild(engine: Engine, command: string | undefined): Promise<Resumption> {
  const { step } = await findFailedStep(engine);
  const { request, lines } = step;
  if (request === null)
    throw new JettisonError(
      'engine/cannot-resume',
      `The build of "${titleOf(step)}" cannot be asked for again: what it was made of came on standard input or from elsewhere, or its words held a secret`,
      {
        hint: 'Build it again as before: steps that ran are found in the cache',
      },
    );
  return {
    words: request.words,
    folder: request.folder,
    place: `${step.dockerfile}:${lines?.[0] ?? 0}`,
    change: changeOf(step, command, request.source),
  };
}

/** The same of a build that its program asks for again. Throws `engine/no-failed-step`, `engine/cannot-resume`. */
export async function resumeRequest(engine: Engine, request: BuildRequest, command: string | undefined): Promise<BuildRequest> {
  const { step } = await findFailedStep(engine);
  return { ...request, ...changeOf(step, command, step.source) };
}

function changeOf(step: FailedStep, command: string | undefined, source: string | undefined): Resumption['change'] {
  const change = { noCache: false, noCacheStages: [], pull: 'missing' } as const;
  if (command === undefined) return change;
  const [line] = step.lines ?? [];
  if (line === undefined || source === undefined)
    throw new JettisonError('engine/cannot-resume', `"${titleOf(step)}" stands on no line of a Dockerfile here`);
  return { ...change, edit: { line, command, source } };
}
