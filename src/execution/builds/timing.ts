/** Where the time of a build went. Pure. */
import type { BuildStep } from './past-build.ts';

export type Timing = {
  /** Milliseconds from the request to the image. */
  readonly wall: number;
  /** The longest chain of steps that had to run one after the other: its milliseconds, and its steps. */
  readonly chain: { readonly duration: number; readonly steps: readonly BuildStep[] };
};

/** `steps` stand behind those that they read. */
export function timingOf(steps: readonly BuildStep[], wall: number): Timing {
  const longest: { readonly duration: number; readonly through: number | undefined }[] = [];
  let end: number | undefined;
  for (const [index, step] of steps.entries()) {
    let through: number | undefined;
    for (const input of step.inputs) {
      if (input < index && (longest[input]?.duration ?? 0) > (through === undefined ? 0 : (longest[through]?.duration ?? 0)))
        through = input;
    }
    const before = through === undefined ? 0 : (longest[through]?.duration ?? 0);
    longest.push({ duration: before + durationOf(step), through });
    if (end === undefined || (longest[index]?.duration ?? 0) > (longest[end]?.duration ?? 0)) end = index;
  }
  const chain: BuildStep[] = [];
  for (let index = end; index !== undefined; index = longest[index]?.through) {
    const step = steps[index];
    if (step !== undefined && durationOf(step) > 0) chain.unshift(step);
  }
  return { wall, chain: { duration: end === undefined ? 0 : (longest[end]?.duration ?? 0), steps: chain } };
}

/** Milliseconds that a step ran. */
export function durationOf(step: Pick<BuildStep, 'startedAt' | 'finishedAt'>): number {
  return step.startedAt === 0 ? 0 : Math.max(0, step.finishedAt - step.startedAt);
}
