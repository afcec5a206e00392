/** Which file of another step each file is that a COPY brought. */
import type { TreeEntry } from '#ground/linux/tree.ts';
import type { OriginAction, OriginStep } from '#formats/origins/record.ts';
import { openCopied, type CopiedLayer } from '../origins/copied.ts';
import { openStages, type Known } from '../origins/stage.ts';

/** A file as it lies in what the step at `place` wrote. */
export type PlacedFile = { readonly place: number; readonly entry: TreeEntry };

/** Does the step take files that other steps made, or those of an image? What comes of the client, of the web or of a repository comes to be with the step that brings it. */
export function takesFromSteps({ op, inputs }: OriginStep, steps: readonly OriginStep[]): boolean {
  return op.kind === 'file' && op.actions.some((action) => isOfStep(steps[inputOf(action, inputs) ?? -1]));
}

function inputOf(action: OriginAction, inputs: readonly number[]): number | undefined {
  return action.kind === 'copy' && action.input !== null ? inputs[action.input] : undefined;
}

function isOfStep(step: OriginStep | undefined): boolean {
  const kind = step?.op.kind;
  return kind !== undefined && kind !== 'context' && kind !== 'url' && kind !== 'git';
}

/**
 * Of a file that a step of the first record wrote. undefined: that made it, or it cannot be matched. Where the files of the source are not here, the file is that step's, as it lies in the copy.
 */
export function openSources(known: Known): (file: PlacedFile) => PlacedFile | undefined {
  const steps = known.records[0]?.steps ?? [];
  const stageOf = openStages(known);
  const opened = new Map<number, CopiedLayer | undefined>();
  const copiedIn = (place: number): CopiedLayer | undefined => {
    if (!opened.has(place)) {
      const at = { record: 0, step: place };
      const step = steps[place];
      const stage = step !== undefined && takesFromSteps(step, steps) ? stageOf(at) : undefined;
      opened.set(place, stage && openCopied(known, stage, { layer: 0, at }));
    }
    return opened.get(place);
  };
  return ({ place, entry }) => {
    const found = copiedIn(place)?.find(entry.path);
    if (found?.kind !== 'source' || found.member !== undefined || !isOfStep(steps[found.input.step])) return undefined;
    const stage = stageOf(found.input);
    if (stage === undefined) return { place: found.input.step, entry };
    const source = found.path === undefined ? undefined : stage.below(0).entry(found.path);
    if (source?.kind !== 'file' || source.size !== entry.size) return undefined;
    const owner = stage.owners[source.layer];
    return { place: owner === undefined || owner.kind === 'unknown' ? found.input.step : owner.at.step, entry: source };
  };
}
