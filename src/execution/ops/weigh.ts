/**
 * What the steps of a build weigh: bytes that each step made, and how many of them are in the image. Regular files; names of one inode in one step's files count once. A file that a COPY brings
 * from another step was made there; whatever else a step writes, it made. Files are read where they lie, nothing is mounted.
 */
import { toText } from '#ground/base/byte-string.ts';
import { isCode, JettisonError } from '#ground/base/errors.ts';
import { imageChain, makerOf } from '#formats/origins/chain.ts';
import type { OriginRecord } from '#formats/origins/record.ts';
import type { Snapshot, SnapshotStore } from '#stores/snapshot/contract.ts';
import { fileBytesOf, filesIn } from './file-bytes.ts';
import { snapshotNamed } from './origins/stage.ts';
import { openSources, takesFromSteps, type PlacedFile } from './weigh/sources.ts';

export type WeighRequest = {
  readonly record: Pick<OriginRecord, 'steps' | 'layers'>;
  /** How many of the largest files of the image's own layers are wanted. 0: then files of layers that were not copied are not even listed. */
  readonly largest: number;
  /** Gives up where more files than this had to be looked at. */
  readonly mostFiles?: number;
};

export type Weights = {
  /** One for each step of the record, by place. */
  readonly steps: readonly StepWeight[];
  /** For each step of the image that copied of other steps: bytes that it put there, and which steps made them. */
  readonly copies: readonly { readonly step: number; readonly from: readonly { readonly step: number; readonly bytes: number }[] }[];
  /** Largest first. */
  readonly files: readonly WeighedFile[];
};

/** `made` is undefined where the step's files are not here and nobody has counted them; `wrote` has also what it copied from other steps. */
export type StepWeight = { readonly made: number | undefined; readonly wrote: number | undefined; readonly carried: number };

/** Paths as people read them, with a slash in front. `step`: whose layer it is in; `origin`: the step that made it, and where. */
export type WeighedFile = {
  readonly path: string;
  readonly bytes: number;
  readonly step: number;
  readonly origin: { readonly step: number; readonly path: string };
};

/** undefined where it gave up. */
export function weighSteps(request: WeighRequest, snapshots: SnapshotStore, signal: AbortSignal): Weights | undefined {
  let seen = 0;
  const count = (): void => {
    signal.throwIfAborted();
    if (++seen > (request.mostFiles ?? Infinity)) throw new JettisonError('ops/too-many-files', 'More files than are to be looked at');
  };
  try {
    return weigh(request, snapshots, count);
  } catch (error) {
    if (isCode(error, 'ops/too-many-files')) return undefined;
    throw error;
  }
}

type StepLayers = Pick<WeighRequest, 'record'> & {
  readonly snapshots: SnapshotStore;
  /** What a step itself wrote; undefined where that is not here. */
  readonly ownOf: (place: number) => Snapshot | undefined;
  readonly count: () => void;
};

function weigh({ record, largest }: WeighRequest, snapshots: SnapshotStore, count: () => void): Weights {
  const { steps } = record;
  const ownOf = (place: number): Snapshot | undefined => snapshotNamed(snapshots, steps[place]?.snapshot);
  const layers: StepLayers = { record, snapshots, ownOf, count };
  const tracer = createTracer(layers);
  const wholes = new Map<number, number | undefined>();
  const copies: Weights['copies'][number][] = [];
  const files: WeighedFile[] = [];
  for (const { place, folder, size } of layersOf(layers)) {
    const step = steps[place];
    const isCopy = step !== undefined && takesFromSteps(step, steps);
    if (!isCopy) wholes.set(place, size);
    if (folder === undefined || (!isCopy && largest === 0)) continue;
    const from = new Map<number, number>();
    for (const entry of filesIn(folder, count)) {
      const origin = tracer.originOf({ place, entry });
      if (isCopy) {
        tracer.carry(origin);
        from.set(origin.place, (from.get(origin.place) ?? 0) + entry.size);
      }
      files.push({ path: shown(entry), bytes: entry.size, step: place, origin: { step: origin.place, path: shown(origin.entry) } });
    }
    if (isCopy) copies.push({ step: place, from: [...from].map(([one, bytes]) => ({ step: one, bytes })) });
  }
  const weights = steps.map((_, place): StepWeight => {
    const wrote = wroteOf(place, layers) ?? wholes.get(place);
    const made = madeOf(place, { layers, tracer, wrote });
    const carried = wholes.has(place) ? (wholes.get(place) ?? made ?? 0) : tracer.carriedOf(place);
    return { made, wrote, carried };
  });
  return { steps: weights, copies, files: files.toSorted((a, b) => b.bytes - a.bytes || (a.path < b.path ? -1 : 1)).slice(0, largest) };
}

type ImageLayer = { readonly place: number; readonly folder: string | undefined; readonly size: number | undefined };

/** Those of the image, of which something may have been left out since they were built; of a record that has none, those that the steps made. */
function layersOf({ record, snapshots, ownOf }: StepLayers): readonly ImageLayer[] {
  if (record.layers.length === 0)
    return imageChain(record).layers.map((place) => ({ place, folder: ownOf(place)?.folder, size: undefined }));
  return record.layers.map(({ step, snapshot, size }) => {
    const place = makerOf(record, step);
    return { place, folder: (snapshotNamed(snapshots, snapshot) ?? ownOf(place))?.folder, size };
  });
}

function shown({ path }: PlacedFile['entry']): string {
  return `/${toText(path)}`;
}

type Tracer = ReturnType<typeof createTracer>;

/** Follows files through copies to the step that made them, and adds up what is carried. */
function createTracer({ record, snapshots, count, ...layers }: StepLayers) {
  const sourceOf = openSources({ records: [record], byImage: new Map(), snapshots, checkpoint: count });
  const carried = new Map<number, { readonly inodes: Set<string>; bytes: number }>();
  const isCopy = (place: number): boolean => {
    const step = record.steps[place];
    return step !== undefined && takesFromSteps(step, record.steps);
  };
  const originOf = (file: PlacedFile): PlacedFile => {
    let at = file;
    // Each source is a step before: this ends.
    for (let source = sourceOf(at); source !== undefined; source = sourceOf(at)) at = source;
    return at;
  };
  return {
    originOf,
    isCopy,
    carry({ place, entry }: PlacedFile): void {
      const known = carried.get(place) ?? { inodes: new Set(), bytes: 0 };
      carried.set(place, known);
      // An image's layers have files of several steps in one store: the same inode is the same file there, too.
      const inode = `${entry.inode}`;
      if (known.inodes.has(inode)) return;
      known.inodes.add(inode);
      known.bytes += entry.size;
    },
    carriedOf: (place: number): number => carried.get(place)?.bytes ?? 0,
    /** Bytes in what a copy wrote that came from no other step. */
    ownOf(place: number): number {
      const own = layers.ownOf(place);
      if (own === undefined) return 0;
      return filesIn(own.folder, count).reduce((sum, entry) => (originOf({ place, entry }).place === place ? sum + entry.size : sum), 0);
    },
  };
}

function wroteOf(place: number, { record, snapshots, ownOf }: StepLayers): number | undefined {
  const kind = record.steps[place]?.op.kind;
  if (kind !== 'run' && kind !== 'file' && kind !== 'container') return 0;
  const own = ownOf(place);
  return own === undefined ? undefined : fileBytesOf(snapshots, own.id);
}

function madeOf(
  place: number,
  { layers, tracer, wrote }: { readonly layers: StepLayers; readonly tracer: Tracer; readonly wrote: number | undefined },
): number | undefined {
  if (!tracer.isCopy(place)) return wrote;
  const { op } = layers.record.steps[place] ?? {};
  const isMixed = op?.kind === 'file' && op.actions.some(({ kind }) => kind === 'write-file');
  // What it has is counted where it was made, but for what could not be matched.
  return isMixed && layers.ownOf(place) !== undefined ? tracer.ownOf(place) : tracer.carriedOf(place);
}
