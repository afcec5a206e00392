/** The files of one step seen layer by layer, and whose each layer is. */
import { existsSync } from 'node:fs';
import { imageSteps, stepChain } from '#formats/origins/chain.ts';
import type { OriginRecord } from '#formats/origins/record.ts';
import type { StepPlace } from '#formats/origins/trail.ts';
import type { ByteString } from '#ground/base/byte-string.ts';
import type { Tree } from '#ground/linux/tree.ts';
import { isOpaque, openChainTree } from '#stores/snapshot/chain-tree.ts';
import { parseSnapshotId, type Snapshot, type SnapshotId, type SnapshotStore } from '#stores/snapshot/contract.ts';

/** `base`: the step has the image, repository or container that the layer came with; `layer`: which one of it, from 1. */
export type Owner =
  | { readonly kind: 'step'; readonly at: StepPlace }
  | { readonly kind: 'base'; readonly at: StepPlace; readonly layer: number }
  | { readonly kind: 'unknown' };

export type Stage = {
  /** Topmost first. */
  readonly owners: readonly Owner[];
  /** Snapshots that hold the layers' changes, topmost first. */
  readonly contents: readonly SnapshotId[];
  /** The files without the `above` topmost layers; each tree is opened once. */
  below(above: number): Tree;
  /** One layer's own folder, seen alone. */
  own(layer: number): Tree;
  /** Does the folder that this layer itself has at a path hide what is below it? */
  hides(layer: number, path: ByteString): boolean;
};

/** What of the store is asked for. */
export type KnownSnapshots = Pick<SnapshotStore, 'chain' | 'get' | 'getFact'>;

export type Known = {
  readonly records: readonly Pick<OriginRecord, 'steps' | 'layers'>[];
  /** Records of images that others stand on. */
  readonly byImage: ReadonlyMap<string, number>;
  readonly snapshots: KnownSnapshots;
  /** Called for each entry that a selection walks through; throws to stop. */
  readonly checkpoint?: () => void;
};

/** Images that stand on images that stand on images. */
const deepest = 32;

/** Of a step, whose files lie in `top`. Undefined when they are gone. */
export function openStage(known: Known, at: StepPlace, top: SnapshotId): Stage | undefined {
  const { snapshots } = known;
  if (!isWhole(snapshots, top)) return undefined;
  const chain = snapshots.chain(top).toReversed();
  const folders = chain.map(({ folder }) => folder);
  const bottomFirst = ownersOf(known, at, { layers: chain.length, depth: 0 });
  const owners = chain.map((_, index): Owner => bottomFirst[chain.length - 1 - index] ?? { kind: 'unknown' });
  const trees = new Map<number, Tree>();
  const own = new Map<number, Tree>();
  const hiding = new Map<string, boolean>();
  return {
    owners,
    contents: chain.map(({ content }) => content),
    below: (above) => opened(trees, above, folders.slice(above)),
    own: (layer) => opened(own, layer, folders.slice(layer, layer + 1)),
    hides: (layer, path) => {
      const key = `${layer} ${path}`;
      const hides = hiding.get(key) ?? isHiding(opened(own, layer, folders.slice(layer, layer + 1)), path);
      hiding.set(key, hides);
      return hides;
    },
  };
}

function opened(trees: Map<number, Tree>, key: number, folders: readonly string[]): Tree {
  const tree = trees.get(key) ?? openChainTree(folders);
  trees.set(key, tree);
  return tree;
}

function isHiding(own: Tree, path: ByteString): boolean {
  const hostPath = own.entry(path)?.hostPath;
  return hostPath !== undefined && isOpaque(hostPath);
}

/** Of steps, each opened once; undefined when their files were never here, or are gone. */
export function openStages(known: Known): (at: StepPlace) => Stage | undefined {
  const stages = new Map<string, Stage | undefined>();
  return (at) => {
    const key = `${at.record} ${at.step}`;
    if (!stages.has(key)) {
      const top = snapshotAt(known, at);
      stages.set(key, top === undefined ? undefined : openStage(known, at, top));
    }
    return stages.get(key);
  };
}

/** Where the files of a step lie; undefined when they were never here, or are gone. */
export function snapshotAt({ records, snapshots }: Known, { record, step }: StepPlace): SnapshotId | undefined {
  const found = snapshotNamed(snapshots, records[record]?.steps[step]?.snapshot);
  return found !== undefined && isWhole(snapshots, found.id) ? found.id : undefined;
}

/** As records name it; undefined where there is none, or where its folder is gone. */
export function snapshotNamed(snapshots: Pick<SnapshotStore, 'get'>, name: string | null | undefined): Snapshot | undefined {
  const found = name === null || name === undefined ? undefined : snapshots.get(parseSnapshotId(name));
  return found !== undefined && existsSync(found.folder) ? found : undefined;
}

/** The snapshot and all that it stands on are here: known, and not removed by hand. */
function isWhole(snapshots: KnownSnapshots, top: SnapshotId): boolean {
  for (let at: SnapshotId | undefined = top; at !== undefined;) {
    const found = snapshots.get(at);
    if (found === undefined || !existsSync(found.folder)) return false;
    at = found.parent;
  }
  return true;
}

/** Bottom first; as many as there are layers, where the record fits them. */
function ownersOf(known: Known, at: StepPlace, { layers, depth }: { readonly layers: number; readonly depth: number }): readonly Owner[] {
  const record = known.records[at.record];
  if (record === undefined) return [];
  const chain = stepChain(record, at.step);
  const image = chain.base === undefined ? undefined : record.steps[chain.base]?.op;
  const below = chain.base === undefined ? 0 : image?.kind === 'image' ? image.layers : undefined;
  const shipped = at.step === record.steps.length - 1 ? imageSteps(record) : [];
  // The image may have other layers than its steps made.
  const isImage = below !== undefined && layers === below + shipped.length;
  const own = (isImage ? shipped : chain.layers).map((step): Owner => ({ kind: 'step', at: { record: at.record, step } }));
  if (chain.base === undefined) return own;
  const base = { record: at.record, step: chain.base };
  const op = record.steps[chain.base]?.op;
  const count = op?.kind === 'image' ? op.layers : Math.max(0, layers - own.length);
  return [...baseOwners(known, base, { layers: count, depth }), ...own];
}

/** Of an image that a build of this store made, its own steps. */
function baseOwners(known: Known, at: StepPlace, { layers, depth }: { readonly layers: number; readonly depth: number }): readonly Owner[] {
  const op = known.records[at.record]?.steps[at.step]?.op;
  const nested = op?.kind === 'image' && op.imageId !== null && depth < deepest ? known.byImage.get(op.imageId) : undefined;
  const steps = nested === undefined ? 0 : (known.records[nested]?.steps.length ?? 0);
  if (nested !== undefined && steps > 0) {
    const owners = ownersOf(known, { record: nested, step: steps - 1 }, { layers, depth: depth + 1 });
    if (owners.length === layers) return owners;
  }
  return Array.from({ length: layers }, (_, index): Owner => ({ kind: 'base', at, layer: index + 1 }));
}
