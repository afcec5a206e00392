/**
 * `--cache-from IMAGE` as the builder before BuildKit has it: an image of the store that was built elsewhere, without a cache in it, is compared with the steps, line of history by
 * line of history. As far as they say the same, its layers are what the steps would make; from then on they are results like any other.
 */
import { cacheKey, type CacheKey, type KeyInput, type KeyParts } from '#execution/cache/key.ts';
import type { DriverFor, Result } from '#execution/solver/contract.ts';
import type { SnapshotId } from '#execution/worker/contract.ts';
import { neededFor, type Vertex } from '#formats/graph/vertex.ts';
import { decodeImageConfig, diffIdsOf, type HistoryEntry } from '#formats/oci/image-config.ts';
import type { Report } from '#formats/progress/event.ts';
import type { Digest } from '#ground/base/digest.ts';
import { copiesIn, nameCopied } from '#languages/frontend/copied.ts';
import type { DraftedImage, FrontendResult } from '#languages/frontend/contract.ts';
import { isWhole, type ImageRecord } from '#stores/image/store.ts';
import type { BuildRequest } from './build-requests.ts';
import type { CacheSource } from './cache-requests.ts';
import { nameOfCopy } from './copied-names.ts';
import { layersOfChain } from './layer-chains.ts';
import type { Engine } from './open.ts';
import { folderResult, snapshotResult } from './results.ts';

/** The request without cache sources that `localCacheImages` gives the images of: those are not asked for elsewhere. */
export function withoutLocalCaches(engine: Engine, request: BuildRequest): BuildRequest {
  return { ...request, cacheFrom: request.cacheFrom.filter((source) => localCacheImages(engine, [source]).length === 0) };
}

/** Images of the store that cache sources name. */
export function localCacheImages(engine: Engine, sources: readonly CacheSource[]): readonly ImageRecord[] {
  return sources.flatMap((source) => {
    const image = source.kind === 'registry' ? engine.images.find(source.reference) : undefined;
    return image !== undefined && isWhole(image) ? [image] : [];
  });
}

type Given = {
  readonly drafted: FrontendResult;
  readonly images: readonly ImageRecord[];
  readonly driverFor: DriverFor;
  /** The folder of the main context. */
  readonly context: string;
  readonly report: Report;
};

type Candidate = { readonly image: ImageRecord; readonly history: readonly HistoryEntry[]; readonly diffIds: readonly Digest[] };

type State = Given & {
  readonly engine: Engine;
  readonly signal: AbortSignal;
  readonly vertices: ReadonlyMap<Digest, Vertex>;
  readonly keys: Map<Digest, CacheKey>;
  readonly results: Map<Digest, Result>;
  readonly names: Map<Digest, string>;
};

/** Enters what the images have of the steps into the cache; gives the places of the steps that they have. What they do not fit is left as it is. */
export async function probeHistory(engine: Engine, given: Given, signal: AbortSignal): Promise<ReadonlySet<number>> {
  const places = new Set<number>();
  const { goal, steps = [] } = given.drafted;
  if (goal === undefined || given.images.length === 0) return places;
  const state: State = {
    ...given,
    engine,
    signal,
    vertices: new Map(neededFor(goal).map((vertex) => [vertex.digest, vertex])),
    keys: new Map(),
    results: new Map(),
    names: new Map(),
  };
  const all = given.images.map((image): Candidate => {
    const config = decodeImageConfig(image.config, image.imageId);
    return { image, history: config.history ?? [], diffIds: diffIdsOf(config) };
  });
  /** Those that fit an image so far, by its files and how long its history is: a stage may stand on another one. */
  const fitting = new Map<string, readonly Candidate[]>();
  let candidates: readonly Candidate[] = [];
  for (const [place, { kind, image }] of steps.entries()) {
    if (image === undefined) continue;
    candidates = kind === 'from' ? (fitting.get(placeOf(image)) ?? all) : candidates;
    await learnKeys(state, image.files);
    candidates = candidates.length === 0 ? candidates : await thoseThatFit(state, image, candidates);
    fitting.set(placeOf(image), candidates);
    const [best] = candidates;
    if (best !== undefined) places.add(place);
    if (best !== undefined && image.files !== undefined && image.layers > 0) await enter(state, { image, files: image.files, best });
  }
  return places;
}

function placeOf({ files, config }: DraftedImage): string {
  return `${files ?? ''} ${config.history?.length ?? 0}`;
}

/** Key and result, if there is one, of a vertex and of all that it reads. */
async function learnKeys(state: State, goal: Digest | undefined): Promise<void> {
  const vertex = goal === undefined ? undefined : state.vertices.get(goal);
  if (vertex === undefined) return;
  for (const one of neededFor({ vertex, output: 0 })) if (!state.keys.has(one.digest)) await learnKey(state, one);
}

async function learnKey(state: State, vertex: Vertex): Promise<void> {
  const { engine, keys, results } = state;
  if (vertex.op.kind === 'source-local') {
    results.set(vertex.digest, folderResult(vertex.op.name));
    return;
  }
  const parts = await partsOf(state, vertex);
  if (parts === undefined) return;
  const own = cacheKey(parts.definition);
  const record = engine.records.find(own) ?? (parts.content && engine.records.find(cacheKey(parts.content)));
  keys.set(vertex.digest, record?.key ?? own);
  if (record !== undefined) results.set(vertex.digest, { id: record.resultId });
}

type Parts = { readonly definition: KeyParts; readonly content: KeyParts | undefined };

/** What the solver looks a vertex up by; undefined while an input has no key. */
async function partsOf({ driverFor, keys, results, signal }: State, vertex: Vertex): Promise<Parts | undefined> {
  const driver = driverFor(vertex);
  const base = await driver.cacheBase(signal);
  const definition: KeyInput[] = [];
  const content: KeyInput[] = [];
  for (const [index, { vertex: input }] of vertex.inputs.entries()) {
    const [key, result] = [keys.get(input.digest), results.get(input.digest)];
    const read = result === undefined ? undefined : await driver.contentKey?.(index, result, signal);
    const own: KeyInput | undefined = key === undefined ? read && { content: read } : { result: key };
    if (own === undefined) return undefined;
    definition.push(own);
    content.push(read === undefined ? own : { content: read });
  }
  const isRead = content.some((input, index) => input !== definition[index]);
  return { definition: { base, inputs: definition }, content: isRead ? { base, inputs: content } : undefined };
}

/** Those of which the history says up to here what the step's does, over the same layers. */
async function thoseThatFit(state: State, image: DraftedImage, candidates: readonly Candidate[]): Promise<readonly Candidate[]> {
  const history = image.config.history ?? [];
  const base = image.baseImage === undefined ? [] : diffIdsOf(image.baseImage.config);
  const texts: string[] = [];
  for (const { created_by: text = '' } of history) {
    for (const digest of copiesIn(text)) await nameCopy(state, digest);
    texts.push(nameCopied(text, (digest) => state.names.get(digest) ?? '\0'));
  }
  return candidates.filter(
    (one) =>
      base.every((diffId, index) => one.diffIds[index] === diffId) &&
      one.diffIds.length >= base.length + image.layers &&
      history.every(
        ({ empty_layer: isEmpty = false }, index) =>
          one.history[index]?.created_by === texts[index] && (one.history[index]?.empty_layer ?? false) === isEmpty,
      ),
  );
}

async function nameCopy(state: State, digest: Digest): Promise<void> {
  const vertex = state.vertices.get(digest);
  if (vertex === undefined || state.names.has(digest)) return;
  const { op, inputs } = vertex;
  const parts = await partsOf(state, vertex);
  // Files that are not here cannot be compared.
  const isHere = inputs.every(({ vertex: input }, index) => (op.kind === 'file' && op.base === index) || state.results.has(input.digest));
  if (parts === undefined || !isHere) return;
  const lookedUpBy = [parts.definition, ...(parts.content === undefined ? [] : [parts.content])];
  state.names.set(
    digest,
    await nameOfCopy(state.engine, { vertex, solved: { state: 'skipped', lookedUpBy }, context: state.context }, undefined),
  );
}

type Hit = { readonly image: DraftedImage; readonly files: Digest; readonly best: Candidate };

/** Lets the step's keys lead to the image's layers, unless its result is known. */
async function enter(state: State, { image, files, best }: Hit): Promise<void> {
  const { engine, vertices, results, keys, report, signal } = state;
  const vertex = vertices.get(files);
  const parts = vertex && !results.has(files) ? await partsOf(state, vertex) : undefined;
  if (vertex === undefined || parts === undefined) return;
  const count = image.layers + (image.baseImage === undefined ? 0 : diffIdsOf(image.baseImage.config).length);
  const { unpackImage } = await import('./fetch-image.ts');
  const layers = best.image.layers.slice(0, count);
  const snapshot = await unpackImage(engine, { imageId: best.image.imageId, layers }, report, signal);
  if (snapshot === undefined) return;
  const key = cacheKey(parts.definition);
  const result = snapshotResult(snapshot);
  await keepTimes(engine, { snapshot, best, count }, signal);
  const record = { resultId: result.id, key, createdAt: engine.now(), cost: 0, description: vertex.label.text };
  engine.database.transaction(() => {
    engine.records.save(key, record);
    if (parts.content !== undefined) engine.records.save(cacheKey(parts.content), record);
    keys.set(files, key);
    // Nobody will read the files again to say what was copied.
    for (const [digest, name] of state.names) {
      const copied = keys.get(digest);
      if (copied !== undefined) engine.copiedNames.save(copied, name);
    }
  });
  results.set(files, result);
}

/** The layers were made when the image says, so that the same steps give the image itself again. */
async function keepTimes(
  engine: Engine,
  { snapshot, best, count }: { readonly snapshot: SnapshotId; readonly best: Candidate; readonly count: number },
  signal: AbortSignal,
): Promise<void> {
  const times = best.history.flatMap(({ created, empty_layer: isEmpty = false }) =>
    isEmpty ? [] : [created === undefined ? Number.NaN : Date.parse(created)],
  );
  const layers = await layersOfChain(snapshot, { chains: engine.layerChains, worker: async () => await engine.worker(signal) }, signal);
  const dated = layers.slice(0, count).map((layer, index) => {
    const time = times[index] ?? Number.NaN;
    return Number.isNaN(time) ? layer : { ...layer, createdAt: time, epoch: time };
  });
  engine.layerChains.save(snapshot, dated);
}
