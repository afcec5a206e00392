/**
 * Layers of one build without what later ones of them hide. What is seen of all of them together stays what it is, and what lies below them stays untouched: what was deleted of it stays a
 * deletion. The same layers give the same ones, whenever and wherever they are folded.
 */
import { meetLayers, type HiddenFile } from './fold/meet.ts';
import { isChanged, planLayers } from './fold/plan.ts';
import { standsAlone } from './fold/stands-alone.ts';
import { writeFolded } from './fold/write.ts';
import { sumHidden, type Hidden } from './hidden.ts';

/** A layer after folding. */
export type FoldedLayer =
  /** It has nothing left. */
  | { readonly kind: 'empty' }
  /** `same`: as it was, but for what lies below it. */
  | {
      readonly kind: 'same' | 'other';
      /** Has it no deletions and opaque folders? Walks the whole layer as it was. */
      readonly standsAlone: () => boolean;
      /** Writes it into an empty folder, an absolute path. */
      readonly write: (target: string) => void;
    };

export type FoldPlan = { readonly layers: readonly FoldedLayer[]; readonly hidden: readonly Hidden[] };

/** `folders` of the layers, the lowest first; `base`: those of the chain below, topmost first. Writes nothing. */
export function planFold(folders: readonly string[], base: readonly string[]): FoldPlan {
  const files: HiddenFile[] = [];
  const meeting = meetLayers(folders, (file) => void files.push(file));
  const plans = planLayers(folders, base, meeting);
  const layers = plans.map((plan, layer): FoldedLayer => {
    if (plan.isEmpty) return { kind: 'empty' };
    const write = (target: string): void => writeFolded({ folders, layer, plan, target });
    return { kind: isChanged(plan) ? 'other' : 'same', standsAlone: () => standsAlone(folders[layer] ?? ''), write };
  });
  return { layers, hidden: sumHidden(folders, files) };
}
