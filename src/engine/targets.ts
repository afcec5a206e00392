/** `--target a,b`: what is asked for of each stage. */
import { JettisonError } from '#ground/base/errors.ts';
import type { BuildRequest, TargetOutcome } from './build-requests.ts';
import type { Delivered } from './deliver.ts';

/** The request as it is for each target; itself where there is one. */
export function requestsOf(request: BuildRequest): readonly [BuildRequest, ...BuildRequest[]] {
  const [first, ...others] = (request.targets ?? []).map((target) => ({ ...request, ...target }));
  return first === undefined ? [request] : [first, ...others];
}

/** What is told of all of them together. `delivered`: in the order of the requests. */
export function outcomeOf(
  requests: readonly BuildRequest[],
  delivered: readonly Delivered[],
): Delivered & { readonly targets?: readonly TargetOutcome[] } {
  const [first] = delivered;
  if (first === undefined) throw new JettisonError('engine/no-target', 'A build had no target', { fault: 'bug' });
  if (delivered.length === 1) return first;
  return {
    ...first,
    names: delivered.flatMap(({ names }) => names),
    payloads: delivered.flatMap(({ payloads }) => payloads),
    hidden: delivered.flatMap(({ hidden }) => hidden),
    ledgers: delivered.flatMap(({ ledgers }) => ledgers),
    targets: delivered.map(({ image, names, provenance }, at) => ({ target: requests[at]?.target ?? '', image, names, provenance })),
  };
}

/** Throws `engine/several-targets` where one alone is possible. */
export function requireOneTarget(request: BuildRequest, what: string): void {
  if (request.targets === undefined) return;
  throw new JettisonError('engine/several-targets', `${what} is of one target only`, { hint: 'Name one with "--target"' });
}
