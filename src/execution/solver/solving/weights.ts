/** How long it takes from each vertex to the goal: what is on the critical path goes first when slots are few. */
import type { Digest } from '#ground/base/digest.ts';
import type { Draft } from './drafts.ts';

/**
 * For vertices that must be solved (inputs first): milliseconds of the longest way from the vertex, itself included, to the goal, by what steps of the same words
 * (`costs`) took in earlier builds. One that was never seen counts as the mean of the others; where none was, all count the same.
 */
export function weightsOf(missing: readonly Draft[], costs: ReadonlyMap<string, number>): ReadonlyMap<Digest, number> {
  const known = missing.flatMap(({ step }) => costs.get(step.vertex.label.text) ?? []);
  const mean = known.length === 0 ? 1 : known.reduce((sum, cost) => sum + cost, 0) / known.length;
  const weights = new Map<Digest, number>();
  for (const { step } of missing.toReversed()) {
    const { digest, label } = step.vertex;
    const weight = (weights.get(digest) ?? 0) + Math.max(1, costs.get(label.text) ?? mean);
    weights.set(digest, weight);
    for (const { vertex } of step.inputs) weights.set(vertex.digest, Math.max(weight, weights.get(vertex.digest) ?? 0));
  }
  return weights;
}
