/** Stages of a Dockerfile that had no part in a build, on one line: tests that nobody asked for look like tests that passed. */
import type { UnbuiltStage } from '#engine/build-requests.ts';
import { harmless } from './text.ts';

const mostNamed = 8;

/** Of those in which something would have run; none for none. A line for each reason, and there is one, but where gates are left out. */
export function unbuiltLines(unbuilt: readonly UnbuiltStage[]): readonly string[] {
  const told = unbuilt.filter(({ runs }) => runs);
  return [...new Set(told.map(({ reason }) => reason))].map((reason) =>
    harmless(
      lineOf(
        told.filter((stage) => stage.reason === reason),
        reason,
      ),
      false,
    ),
  );
}

function lineOf(stages: readonly UnbuiltStage[], reason: string): string {
  const shown = stages.slice(0, mostNamed).map(({ stage, file, line }) => `${stage} (${file}:${line})`);
  const more = stages.length > shown.length ? ` and ${stages.length - shown.length} more` : '';
  const [only] = stages;
  const how =
    stages.length === 1 && only !== undefined
      ? `build it with --target ${only.stage} or as a gate (--gate ${only.stage})`
      : 'build one with --target STAGE, or as gates with --gate STAGE,STAGE';
  return `not built: ${shown.join(', ')}${more}: ${reason}; ${how}`;
}
