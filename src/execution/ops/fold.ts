/** What the layers of a build hide of each other, and the same layers without it. */
import { toText } from '#ground/base/byte-string.ts';
import { planFold, type FoldedLayer } from '#stores/snapshot/fold.ts';
import { hiddenIn, type Hidden } from '#stores/snapshot/hidden.ts';
import type { Snapshot, SnapshotId, SnapshotStore } from '#stores/snapshot/contract.ts';
import { epochOf, noteEpoch } from './epoch.ts';
import { madeAtOf, noteMadeAt } from './made-at.ts';

/** The layers over the lowest `base` ones of the chain that ends in `top`. */
export type LayersAbove = { readonly top: SnapshotId; readonly base: number };

/** `Hidden`, its paths as text: `/root/.npmrc`. */
export type HiddenLayer = Omit<Hidden, 'credentials'> & { readonly credentials: readonly string[] };

export type FoldedLayers = {
  /** Over the same base; undefined: nothing is left, and there is no base. */
  readonly top: SnapshotId | undefined;
  /** Which of the layers are left, by their places from 0, the lowest. */
  readonly kept: readonly number[];
  readonly hidden: readonly HiddenLayer[];
};

/** What is hidden of each layer, by which other one. Throws `snapshot/not-found`. */
export function findHidden({ top, base }: LayersAbove, snapshots: SnapshotStore): readonly HiddenLayer[] {
  return asText(hiddenIn(foldersOf(snapshots.chain(top).slice(base))));
}

/**
 * Snapshots without what later ones of the same chain hide; those that hide nothing and of which nothing is hidden are the same ones, as long as nothing below them has changed. Nothing is
 * copied: their files are hard links. Throws `snapshot/not-found`.
 */
export async function foldLayers({ top, base }: LayersAbove, snapshots: SnapshotStore, signal: AbortSignal): Promise<FoldedLayers> {
  const chain = snapshots.chain(top);
  const [below, own] = [chain.slice(0, base), chain.slice(base)];
  const { layers, hidden } = planFold(foldersOf(own), foldersOf(below).toReversed());
  let parent = below.at(-1)?.id;
  let isSame = true;
  const kept: number[] = [];
  for (const [index, layer] of layers.entries()) {
    const built = own[index];
    if (built === undefined || layer.kind === 'empty') {
      isSame = false;
      continue;
    }
    kept.push(index);
    isSame &&= layer.kind === 'same';
    parent = isSame ? built.id : await makeAnew({ built, layer }, { snapshots, parent }, signal);
  }
  return { top: parent, kept, hidden: asText(hidden) };
}

type Anew = { readonly built: Snapshot; readonly layer: Exclude<FoldedLayer, { readonly kind: 'empty' }> };
type Place = { readonly snapshots: SnapshotStore; readonly parent: SnapshotId | undefined };

/** What only stands over something else shares the folder of what was built. */
async function makeAnew({ built, layer }: Anew, { snapshots, parent }: Place, signal: AbortSignal): Promise<SnapshotId> {
  const made =
    layer.kind === 'same' && parent !== undefined && layer.standsAlone()
      ? await snapshots.stack(built.content, parent, signal)
      : await writeAnew(layer, { snapshots, parent }, signal);
  // Old as the step that made it is, here and wherever it is made of the same.
  noteMadeAt(snapshots, made.id, madeAtOf(snapshots, built));
  noteEpoch(snapshots, made, epochOf(snapshots, built.id) * second);
  return made.id;
}

const second = 1_000_000_000n;

async function writeAnew({ write }: Anew['layer'], { snapshots, parent }: Place, signal: AbortSignal): Promise<Snapshot> {
  await using active = await snapshots.prepare(parent, signal);
  write(active.folder);
  return await active.commit(signal);
}

function foldersOf(chain: readonly Snapshot[]): readonly string[] {
  return chain.map(({ folder }) => folder);
}

function asText(hidden: readonly Hidden[]): readonly HiddenLayer[] {
  return hidden.map((one) => ({ ...one, credentials: one.credentials.map((path) => `/${toText(path)}`) }));
}
