/** `jettison resume`: the build that failed, asked for again, so that only the step that failed and what stands behind it run. */
import { JettisonError } from '#ground/base/errors.ts';
import type { BuildRequest } from './build-requests.ts';
import { findFailedStep, titleOf } from './step-place.ts';
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
  const [line] = lines ?? [];
  if (command !== undefined && line === undefined)
    throw new JettisonError('engine/cannot-resume', `"${titleOf(step)}" stands on no line of a Dockerfile`);
  return {
    words: request.words,
    folder: request.folder,
    place: `${step.dockerfile}:${line ?? 0}`,
    change: {
      noCache: false,
      noCacheStages: [],
      pull: 'missing',
      ...(command === undefined || line === undefined ? {} : { edit: { line, command, source: request.source } }),
    },
  };
}
