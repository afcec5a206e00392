/** The document of `jettison why --json` from what is kept of a build. */
import type { PastBuildDetails, Why } from '#engine/past-build-requests.ts';
import type { WhyDocument, WhyRoot } from './why.ts';

/** `why`: of all steps, or of some. */
export function whyDocument({ id, status, names, startedAt, total, cached }: PastBuildDetails, why: Why | undefined): WhyDocument {
  return {
    version: 1,
    build: id,
    status,
    names,
    startedAt: new Date(startedAt).toISOString(),
    steps: { total, cached },
    roots: rootsOf(why),
    ran: why?.steps ?? [],
  };
}

export function rootsOf(why: Why | undefined): readonly WhyRoot[] {
  return why?.roots ?? [];
}
