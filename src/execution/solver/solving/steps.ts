/** The goal's graph made ready for solving: each vertex once, with its driver, inputs before what reads them. */
import type { Digest } from '#ground/base/digest.ts';
import { neededFor, type Edge, type Vertex } from '#formats/graph/vertex.ts';
import type { DriverFor, OpDriver } from '../contract.ts';

export type Step = {
  readonly vertex: Vertex;
  readonly driver: OpDriver;
  readonly inputs: readonly Step[];
  readonly ignoreCache: boolean;
  /** How many vertices stand between this one and the goal on the longest way. */
  readonly distance: number;
};

export function stepsFor(goal: Edge, driverFor: DriverFor): readonly Step[] {
  const vertices = neededFor(goal);
  const distances = distancesTo(goal, vertices);
  const steps = new Map<Digest, Step>();
  for (const vertex of vertices) {
    steps.set(vertex.digest, {
      vertex,
      driver: driverFor(vertex),
      inputs: vertex.inputs.flatMap((input) => steps.get(input.vertex.digest) ?? []),
      ignoreCache: vertex.label.ignoreCache ?? false,
      distance: distances.get(vertex.digest) ?? 0,
    });
  }
  return [...steps.values()];
}

function distancesTo(goal: Edge, vertices: readonly Vertex[]): ReadonlyMap<Digest, number> {
  const distances = new Map<Digest, number>([[goal.vertex.digest, 0]]);
  for (const vertex of vertices.toReversed()) {
    const next = (distances.get(vertex.digest) ?? 0) + 1;
    for (const { vertex: input } of vertex.inputs) distances.set(input.digest, Math.max(next, distances.get(input.digest) ?? 0));
  }
  return distances;
}
