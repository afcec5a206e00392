/** What solving a goal would do, as far as it can be known without running anything. */
import { childSignal } from '#ground/base/abort.ts';
import type { Digest } from '#ground/base/digest.ts';
import type { Vertex } from '#formats/graph/vertex.ts';
import type { Result, SolveRequest } from './contract.ts';
import { createAttempts } from './solving/attempts.ts';
import { certainToRun } from './solving/certain.ts';
import { draftAll } from './solving/drafts.ts';
import { missingFor } from './solve.ts';
import { stepsFor } from './solving/steps.ts';

export type ForeseenVertex = {
  readonly vertex: Vertex;
  /**
   * `source`: an op that is never cached. `skipped`: nothing is known of it, and nothing needs it. `run`: for certain. `unknown`: it depends on what a step gives
   * that has to run first, or that has to be read.
   */
  readonly state: 'source' | 'cached' | 'skipped' | 'run' | 'unknown';
  /** Of what is cached. */
  readonly result?: Result;
};

/** Inputs before what reads them. Ops that are never cached are "run": their drivers must not do more than look. */
export async function foresee(
  request: Pick<SolveRequest, 'goals' | 'driverFor' | 'cache' | 'now'>,
  signal: AbortSignal,
): Promise<readonly ForeseenVertex[]> {
  using own = childSignal(signal);
  const steps = stepsFor(request.goals, request.driverFor);
  const drafts = await draftAll(
    steps,
    request.cache,
    createAttempts(own, () => undefined, request.now),
  );
  const missing = missingFor(request.goals, drafts);
  const certain = new Set<Digest>(certainToRun(missing).map(({ step }) => step.vertex.digest));
  return steps.map(({ vertex }) => {
    const draft = drafts.get(vertex.digest);
    if (missing.has(vertex.digest)) return { vertex, state: certain.has(vertex.digest) ? 'run' : 'unknown' };
    if (draft?.result !== undefined) return { vertex, state: 'source' };
    return draft?.record === undefined ? { vertex, state: 'skipped' } : { vertex, state: 'cached', result: { id: draft.record.resultId } };
  });
}
