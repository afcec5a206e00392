/** Which steps made the layers that a step's files lie in. */
import type { OriginRecord, OriginStep } from './record.ts';

export type StepChain = {
  /** Places of the steps that each made one layer, bottom first. */
  readonly layers: readonly number[];
  /** Place of the step that has the files below; undefined for none. */
  readonly base: number | undefined;
};

/** Of the step at a place of the record. */
export function stepChain({ steps }: Pick<OriginRecord, 'steps'>, place: number): StepChain {
  const layers: number[] = [];
  for (let at: number | undefined = place; at !== undefined;) {
    const step: OriginStep | undefined = steps[at];
    if (step === undefined) break;
    const { op, inputs }: OriginStep = step;
    if (op.kind === 'merge') layers.push(...inputs.slice(1).toReversed());
    else if (isLayer(op.kind)) layers.push(at);
    else return { layers: layers.toReversed(), base: at };
    const below: number | null = op.kind === 'run' ? op.root : op.kind === 'file' ? op.base : 0;
    at = below === null ? undefined : inputs[below];
  }
  return { layers: layers.toReversed(), base: undefined };
}

/** Of the image. */
export function imageChain(record: Pick<OriginRecord, 'steps'>): StepChain {
  return record.steps.length === 0 ? { layers: [], base: undefined } : stepChain(record, record.steps.length - 1);
}

/** Places of the steps that made the layers that the image has: where it was folded, not each of them has one. */
export function imageSteps({ layers, steps }: Pick<OriginRecord, 'layers' | 'steps'>): readonly number[] {
  return layers.map(({ step }) => {
    const made = steps[step];
    return made?.op.kind === 'merge' && made.inputs.length === 2 ? (made.inputs[1] ?? step) : step;
  });
}

/** Are the layers of the image those that its steps made? `snapshot`: where the files of the last step lie. */
export function isAsBuilt({ layers, steps }: Pick<OriginRecord, 'layers' | 'steps'>): boolean {
  const [layer, step] = [layers.at(-1), steps.at(-1)];
  return layers.length === imageChain({ steps }).layers.length && (layer === undefined || layer.snapshot === step?.snapshot);
}

/** A repository's files are a layer, too, but nothing is known of how they came to be in it. */
function isLayer(kind: OriginStep['op']['kind']): boolean {
  return kind === 'run' || kind === 'file' || kind === 'container';
}

/** The step that made the layer of a step: of what was put over the rest apart from it, that part. */
export function makerOf({ steps }: Pick<OriginRecord, 'steps'>, place: number): number {
  let at = place;
  for (let step = steps[at]; step?.op.kind === 'merge'; step = steps[at]) at = step.inputs.at(-1) ?? -1;
  return at;
}
