/** The graph of the goals made ready for solving: each vertex once, with its driver, inputs before what reads them. */
import type { Digest } from '#ground/base/digest.ts';
import { neededFor, type Edge, type Vertex } from '#formats/graph/vertex.ts';
import type { DriverFor, OpDriver } from '../contract.ts';

export type Step = {
  readonly vertex: Vertex;
  readonly driver: OpDriver;
  readonly inputs: readonly Step[];
  readonly ignoreCache: boolean;
};

export function stepsFor(goals: readonly Edge[], driverFor: DriverFor): readonly Step[] {
  const vertices = neededFor(...goals);
  const steps = new Map<Digest, Step>();
  for (const vertex of vertices) {
    steps.set(vertex.digest, {
      vertex,
      driver: driverFor(vertex),
      inputs: vertex.inputs.flatMap((input) => steps.get(input.vertex.digest) ?? []),
      ignoreCache: vertex.label.ignoreCache ?? false,
    });
  }
  return [...steps.values()];
}
