/** The document of `jettison plan --format json`. */
import type { BuildPlan } from '#engine/build-requests.ts';
import type { PlanDocument } from './plan.ts';

export function planDocument({ file, steps, expected, atMost, pull, unbuilt, warnings }: BuildPlan): PlanDocument {
  return { version: 1, file, steps, expected, atMost, pull, unbuilt, warnings };
}
