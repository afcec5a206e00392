/** Which stages and contexts a Dockerfile wants listed beside the result: docs.docker.com/build/metadata/attestations/sbom (BUILDKIT_SBOM_SCAN_CONTEXT, _STAGE). */
import { copyFolder } from '#formats/graph/copy.ts';
import { isTrueWord } from '#languages/frontend/arguments.ts';
import type { Scan } from '#languages/frontend/contract.ts';
import { stageLabel, type PlannedStage } from './plan.ts';
import type { Conversion, StageState } from './state.ts';

/**
 * As BuildKit has it: an ARG above the first FROM holds for all stages, one in a stage (or in what it stands on) for that stage, `--build-arg` for both;
 * without an ARG nothing does. The context counts by the target's ARG, a stage only where the target needs it. Sorted by name; a stage called `context` takes the context's place.
 */
export function scansOf(target: PlannedStage, conversion: Conversion): readonly Scan[] {
  const scans = new Map<string, Scan>();
  for (const [stage, state] of conversion.states) {
    if (stage === target || !isAskedFor('BUILDKIT_SBOM_SCAN_STAGE', state, conversion)) continue;
    scans.set(stageLabel(stage), { name: stageLabel(stage), goal: state.files });
  }
  const state = conversion.states.get(target);
  if (state !== undefined && !scans.has('context') && isAskedFor('BUILDKIT_SBOM_SCAN_CONTEXT', state, conversion))
    scans.set('context', { name: 'context', goal: contextFiles(conversion) });
  return [...scans.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

function contextFiles({ makeEdge, context }: Conversion): Scan['goal'] {
  const label = { text: 'load build context for its list of packages' };
  return makeEdge({ kind: 'file', base: null, actions: [copyFolder('/')] }, [context], label);
}

/** Either a truth, or names of stages with commas between them. */
function isAskedFor(name: string, state: StageState, { plan }: Conversion): boolean {
  const value = state.arguments.get(name) ?? plan.globals.get(name) ?? '';
  return isTrueWord(value) || value.split(',').includes(stageLabel(state.stage));
}
