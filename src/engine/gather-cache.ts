/** Which results of a build go into an exported cache, and where the layers of each lie. */
import { neededFor, type Vertex } from '#formats/graph/vertex.ts';
import type { Descriptor } from '#formats/oci/descriptor.ts';
import type { Platform } from '#formats/oci/platform.ts';
import type { Report } from '#formats/progress/event.ts';
import type { Digest } from '#ground/base/digest.ts';
import { findRun } from '#execution/cache/exported.ts';
import type { CacheRecord } from '#execution/cache/records.ts';
import type { Solved } from '#execution/solver/contract.ts';
import type { HiddenLayer, LayersAbove, SnapshotId } from '#execution/worker/contract.ts';
import type { FrontendResult } from '#languages/frontend/contract.ts';
import type { Statements } from './attestations.ts';
import type { BaseImages } from './base-images.ts';
import type { BuildCaches } from './build-caches.ts';
import type { ImportedCache } from './import-cache.ts';
import { imageTop } from './fold-requests.ts';
import { layersOfChain } from './layer-chains.ts';
import type { BuildSource } from './build-source.ts';
import type { BudgetLimit } from './ledger-requests.ts';
import type { RemoteSources } from './remote-sources.ts';
import type { Engine } from './open.ts';
import type { Recording } from './record-build.ts';
import type { BuildRequest } from './build-requests.ts';
import { snapshotOf } from './results.ts';
import type { SecretGuard } from './secret-guard.ts';
import type { StepImages } from './step-images.ts';

export type Exporting = {
  readonly guard: SecretGuard;
  readonly engine: Engine;
  readonly request: BuildRequest;
  /** What was made, one for each platform. */
  readonly results: readonly BuiltResult[];
  readonly solved: Solved | undefined;
  /** Another target of the same build counts what was used. */
  readonly isFurther?: boolean;
  readonly caches: BuildCaches;
  readonly memory: Recording['memory'];
  readonly report: Report;
  readonly stepImages?: StepImages | undefined;
  /** What the build was made from. */
  readonly origin: BuildOrigin;
  /** What the images may weigh. */
  readonly budgets?: readonly BudgetLimit[] | undefined;
  /** What is said about each image, in the order of the results; undefined for nothing. */
  readonly statements?: readonly Statements[] | undefined;
};

export type BuildOrigin = Pick<Recording, 'id' | 'startedAt'> & {
  readonly bases: BaseImages;
  readonly remote: RemoteSources;
  readonly source: BuildSource;
  /** The folder of the main context. */
  readonly context: string;
};

/** The image of one platform. */
export type BuiltResult = {
  readonly platform: Platform;
  readonly drafted: FrontendResult;
  /** Its files, as they were built. */
  readonly top: SnapshotId | undefined;
  /** What else packages are to be listed of. */
  readonly scans: readonly MadeScan[];
  /** As the image is to have them, where that is other layers (`--fold`); then `drafted` speaks of those. */
  readonly folded?: FoldedResult;
};

/** Files that are no part of an image; `digest`: of the step that made them, undefined where there is none. */
export type MadeScan = { readonly name: string; readonly digest: Digest | undefined; readonly top: SnapshotId | undefined };

export type FoldedResult = {
  readonly top: SnapshotId | undefined;
  readonly built: LayersAbove;
  /** What made the layers that were built, bottom first. */
  readonly layers: FrontendResult['layers'];
  /** What is not in the image, by the layers that were built; undefined where they were folded before. */
  readonly hidden?: readonly HiddenLayer[];
};

/** A blob in a cache elsewhere. */
export type RemoteBlob = { readonly blob: Descriptor; readonly cache: ImportedCache };

/** A layer of a result, and where its files or its blob are. */
export type GatheredLayer = {
  readonly diffId: Digest;
  readonly createdAt: number;
  readonly place: { readonly snapshot: SnapshotId } | RemoteBlob;
};

/** A result with its layers, bottom first. */
export type Gathered = { readonly record: CacheRecord; readonly layers: readonly GatheredLayer[] };

/** Those of the images of all platforms, each once. */
export async function gatherAll(exporting: Exporting, mode: 'min' | 'max', signal: AbortSignal): Promise<readonly Gathered[]> {
  const all = new Map<string, Gathered>();
  for (const result of exporting.results) {
    for (const one of await gatherResults(exporting, { result, mode }, signal)) all.set(one.record.key, one);
  }
  return [...all.values()];
}

/** `min`: the results that are layers of the image one after the other; `max`: those of all steps whose results are known. */
export async function gatherResults(
  exporting: Exporting,
  { result, mode }: { readonly result: BuiltResult; readonly mode: 'min' | 'max' },
  signal: AbortSignal,
): Promise<readonly Gathered[]> {
  const { engine, solved } = exporting;
  const { drafted } = result;
  if (drafted.goal === undefined || solved === undefined) return [];
  const final = await finalLayers(engine, result, signal);
  const vertices = neededFor(drafted.goal);
  const wanted = mode === 'max' ? vertices : inChainOf(drafted.goal.vertex);
  const found: Gathered[] = [];
  for (const vertex of wanted) {
    const record = solved.vertices.get(vertex.digest)?.record;
    // An image is looked up where it comes from.
    if (record === undefined || vertex.op.kind === 'source-image') continue;
    const layers = await layersOf(record, exporting, signal);
    const isInImage =
      findRun(
        final,
        layers.map(({ diffId }) => diffId),
      ) !== undefined;
    if (layers.length > 0 && (mode === 'max' || isInImage)) found.push({ record, layers });
  }
  return found;
}

/** DiffIDs of the image to be, bottom first. */
export async function finalLayers(engine: Engine, result: BuiltResult, signal: AbortSignal): Promise<readonly Digest[]> {
  const top = imageTop(result);
  return top === undefined ? [] : (await layersIn(engine, top, signal)).map(({ diffId }) => diffId);
}

/** The vertices that made the layers of a result: down along what each stands on. */
function inChainOf(goal: Vertex): readonly Vertex[] {
  const chain: Vertex[] = [];
  for (let vertex: Vertex | undefined = goal; vertex !== undefined;) {
    const { op, inputs }: Vertex = vertex;
    chain.push(vertex);
    if (op.kind === 'merge') chain.push(...inputs.slice(1).map((input) => input.vertex));
    const below: number | null = op.kind === 'merge' ? 0 : op.kind === 'exec' ? op.root : op.kind === 'file' ? op.base : null;
    vertex = below === null ? undefined : inputs[below]?.vertex;
  }
  return chain;
}

async function layersOf(record: CacheRecord, { engine, caches }: Exporting, signal: AbortSignal): Promise<readonly GatheredLayer[]> {
  const result = { id: record.resultId };
  const remote = caches.remoteOf(result);
  if (remote !== undefined) {
    const { cache } = remote;
    return remote.record.layers.map(({ diffId, createdAt, blob }) => ({ diffId, createdAt, place: { blob, cache } }));
  }
  const top = snapshotOf(result);
  if (top === undefined) return [];
  const layers = await layersIn(engine, top, signal);
  // The clock of this machine is nobody else's business, and the same layers are the same cache.
  return layers.map(({ diffId, epoch, snapshot }) => ({ diffId, createdAt: epoch, place: { snapshot } }));
}

async function layersIn(engine: Engine, top: SnapshotId, signal: AbortSignal) {
  return await layersOfChain(top, { chains: engine.layerChains, worker: async () => await engine.worker(signal) }, signal);
}
