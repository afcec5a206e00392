/** Steps of a past build by what people call them: `why STEP`, the output of a step. */
import { JettisonError } from '#ground/base/errors.ts';
import type { PastBuildDetails, Why, WhyStep } from './past-build-requests.ts';

type Named = Pick<WhyStep, 'text' | 'stage' | 'step' | 'line'>;

/**
 * The steps that a word may mean, in the order in which they are tried: the line of the Dockerfile (`7`, `Dockerfile:7`), the place in a stage as progress
 * shows it (`build 2/5`, `build 2`, `2/5`), a number alone, a stage, and last something of their text.
 */
function readingsOf(word: string): readonly ((step: Named) => boolean)[] {
  const line = /^(?:.*:)?(\d+)$/u.exec(word)?.[1];
  const place = /^\[?(?:(?<stage>\S+) )?(?<step>\d+)(?:\/\d+)?\]?$/u.exec(word)?.groups;
  const inText = word.toLowerCase();
  return [
    (step) => line !== undefined && step.line === Number(line),
    (step) => place !== undefined && step.step === Number(place['step']) && (place['stage'] ?? step.stage) === step.stage,
    (step) => step.stage === word,
    (step) => step.text.toLowerCase().includes(inText),
  ];
}

/** Which steps of a build a word means. Throws `engine/no-such-step`. */
export function stepsNamed(build: Pick<PastBuildDetails, 'id' | 'steps'>, word: string): (step: Named) => boolean {
  const isMeant = readingsOf(word).find((reading) => build.steps.some(reading));
  if (isMeant === undefined) {
    throw new JettisonError('engine/no-such-step', `No step of build ${build.id} is called "${word}"`, {
      hint: 'Name a line of the Dockerfile, a place such as "build 2", a stage, or a part of the instruction; "jettison builds inspect" lists the steps',
    });
  }
  return isMeant;
}

/** The part about the steps that a word names; undefined where nothing is known of why steps ran. Throws `engine/no-such-step`. */
export function whyOfStep(build: PastBuildDetails, word: string): Why | undefined {
  const isMeant = stepsNamed(build, word);
  if (build.why === undefined) return undefined;
  const steps = build.why.steps.filter(isMeant);
  const wanted = [...new Set(steps.flatMap((step) => step.causes))];
  const roots = wanted.flatMap((index) => build.why?.roots[index] ?? []);
  return { roots, steps: steps.map((step) => ({ ...step, causes: step.causes.map((cause) => wanted.indexOf(cause)) })) };
}
