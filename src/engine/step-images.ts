/** Images of the steps of one build, made of what the steps gave, as they become known: no file is copied, each is one row of the image store. */
import { cancelled } from '#ground/base/abort.ts';
import type { Digest } from '#ground/base/digest.ts';
import { digestOf } from '#ground/base/digest.ts';
import { neededFor, type Vertex } from '#formats/graph/vertex.ts';
import { diffIdsOf, type ImageConfig } from '#formats/oci/image-config.ts';
import { chainIds } from '#formats/oci/layer-ids.ts';
import { copiesIn, nameCopied } from '#languages/frontend/copied.ts';
import type { DraftedImage, DraftedStep, FrontendResult } from '#languages/frontend/contract.ts';
import { withoutInline } from '#execution/cache/inline-members.ts';
import { assembleConfig } from '#execution/exporter/assemble.ts';
import type { MadeHere } from '#stores/image/store.ts';
import type { SolvedVertex, SolveObserver } from '#execution/solver/contract.ts';
import type { LayerIdentity } from '#execution/worker/contract.ts';
import { nameOfCopy } from './copied-names.ts';
import { layersOfChain } from './layer-chains.ts';
import { usedImages } from './mounted-images.ts';
import type { Engine } from './open.ts';
import { isRemote, snapshotOf } from './results.ts';
import type { StepFollower } from './step-follower.ts';
import { datedLayers, epochOf, madeHere } from './store-image.ts';

/** How many images of steps are kept that nothing else needs. */
const mostSteps = 1000;

export type StepImages = {
  readonly observer: SolveObserver;
  /** These steps are known of an image that was built elsewhere. */
  found(places: ReadonlySet<number>): void;
  /** When all steps are solved: makes what is left, gives the draft with the whole history. The last step's image is the caller's, who tells `made` of it. */
  finish(): Promise<FrontendResult>;
  /** The build's own image, in the transaction that enters it. */
  entered(imageId: Digest): void;
};

type Given = {
  readonly drafted: FrontendResult;
  readonly steps: readonly DraftedStep[];
  readonly follower: StepFollower;
  readonly mask: (text: string) => string;
  readonly noCache: boolean;
  /** The folder of the main context. */
  readonly context: string;
};

type State = Given & {
  readonly engine: Engine;
  readonly signal: AbortSignal;
  readonly vertices: ReadonlyMap<Digest, Vertex>;
  readonly solved: Map<Digest, SolvedVertex>;
  readonly names: Map<Digest, string>;
  /** Of the steps so far; '' for nothing. */
  readonly ids: (Digest | '' | undefined)[];
  failure: Error | undefined;
  found: ReadonlySet<number>;
  /** The last step's image is in the store before it is entered. */
  isLastKnown: boolean;
};

/** Tells the follower the plan, and of each image in turn. */
export function createStepImages(engine: Engine, given: Given, signal: AbortSignal): StepImages {
  const { goal } = given.drafted;
  const state: State = {
    ...given,
    engine,
    signal,
    vertices: new Map(goal === undefined ? [] : neededFor(goal).map((vertex) => [vertex.digest, vertex])),
    solved: new Map(),
    names: new Map(),
    ids: [],
    failure: undefined,
    found: new Set(),
    isLastKnown: false,
  };
  given.follower.plan(
    given.steps.map(({ text, kind, isTrigger, vertex, images }) => ({ text: given.mask(text), kind, isTrigger, vertex, images })),
  );
  // What is known from the start is told at once: who fails then has said what the stages stand on.
  tellBases(state);
  let running: Promise<void> | undefined;
  let isOver = false;
  const begin = (): void => {
    if (running !== undefined || isOver || !isReady(state)) return;
    running = new Promise((resolve) => setImmediate(resolve)).then(async () => await makeReady(state));
    running = running
      .catch((error: unknown) => {
        state.failure = error instanceof Error ? error : new Error(String(error));
        isOver = true;
      })
      .finally(() => {
        running = undefined;
        begin();
      });
  };
  return {
    found: (places) => {
      state.found = places;
    },
    observer: {
      missed: () => undefined,
      solved: (vertex, solved) => {
        state.solved.set(vertex.digest, solved);
        begin();
      },
    },
    finish: async () => {
      while (running !== undefined) await running;
      if (state.failure !== undefined) throw state.failure;
      isOver = true;
      await makeReady(state);
      return await withHistory(state);
    },
    entered: (imageId) => {
      const place = state.steps.length - 1;
      engine.lineage.note(imageId, parentAt(state, place));
      engine.lineage.keep(imageId);
      engine.lineage.forgetOldest(mostSteps, (id) => usedImages(engine).has(id));
      given.follower.image(place, { imageId, isNew: !state.isLastKnown || given.noCache });
    },
  };
}

/** Is the next step's image to be made, and all known that it is made of? */
function isReady({ steps, ids, solved }: State): boolean {
  const step = steps[ids.length];
  if (step === undefined || ids.length >= steps.length - 1) return false;
  return step.image?.files === undefined || solved.has(step.image.files);
}

async function makeReady(state: State): Promise<void> {
  while (isReady(state)) {
    if (state.signal.aborted) throw cancelled('The build is over');
    const place = state.ids.length;
    const step = state.steps[place];
    if (step === undefined) return;
    const made = step.image === undefined ? { imageId: '' as const, isNew: false } : await makeImage(state, place, step.image);
    state.ids.push(made.imageId);
    state.follower.image(place, made);
  }
}

/** Images of the leading steps that need nothing to be made. */
function tellBases(state: State): void {
  for (const step of state.steps.slice(0, -1)) {
    const image = step.image;
    if (image !== undefined && !isBase(image)) return;
    const imageId = image?.baseImage === undefined ? '' : image.baseImage.imageId;
    state.ids.push(imageId);
    state.follower.image(state.ids.length - 1, { imageId, isNew: false });
  }
}

/** Is it what the stage starts from, and no more? */
function isBase({ layers, config, baseImage }: DraftedImage): boolean {
  return layers === 0 && (config.history?.length ?? 0) === (baseImage?.config.history?.length ?? 0);
}

type Made = Parameters<StepFollower['image']>[1];

async function makeImage(state: State, place: number, image: DraftedImage): Promise<Made> {
  const { engine, noCache } = state;
  const { config, baseImage } = image;
  if (isBase(image)) {
    return { imageId: baseImage === undefined ? '' : baseImage.imageId, isNew: false };
  }
  const inherited = baseImage === undefined ? 0 : diffIdsOf(baseImage.config).length;
  const layers = await layersAt(state, place, inherited + image.layers);
  if (layers === undefined) return { imageId: undefined, isNew: false };
  const { bytes, made } = await documentOf(state, { imageConfig: config, baseImage }, layers);
  const imageId = digestOf(bytes);
  const isKnown = engine.images.get(imageId) !== undefined;
  const missing = chainIds(layers.map(({ diffId }) => diffId)).flatMap((chain, index) => {
    const snapshot = layers[index]?.snapshot;
    return snapshot === undefined || engine.images.snapshotOf(chain) !== undefined ? [] : [[chain, snapshot] as const];
  });
  if (!isKnown || missing.length > 0)
    engine.database.transaction(() => {
      const sizes = layers.map(({ diffId, size }) => ({ diffId, size }));
      engine.images.save({ config: bytes, layers: sizes, now: engine.now(), ...(made === undefined ? {} : { made }) });
      for (const [chain, snapshot] of missing) engine.images.setSnapshot(chain, snapshot);
      engine.lineage.note(imageId, parentAt(state, place));
    });
  return { imageId, isNew: (!isKnown && !state.found.has(place)) || noCache };
}

/** The image that the step stands on: that of the step before it in its stage. */
function parentAt({ steps, ids }: State, place: number): Digest | undefined {
  const below = steps[place]?.kind === 'from' ? undefined : ids[place - 1];
  return below === '' ? undefined : below;
}

/** The first `count` layers of the chain that the step, or one above it in its stage, made; undefined when none of their files are here. */
async function layersAt(state: State, place: number, count: number): Promise<readonly LayerIdentity[] | undefined> {
  if (count === 0) return [];
  const { engine, steps, solved, signal } = state;
  const stage = steps[place]?.image?.stage;
  const from = { chains: engine.layerChains, worker: async () => await engine.worker(signal) };
  for (const step of steps.slice(place)) {
    if (step.image?.stage !== stage || step.image?.files === undefined) break;
    const result = solved.get(step.image.files)?.result;
    const top = result === undefined || isRemote(result) ? undefined : snapshotOf(result);
    if (top !== undefined) return (await layersOfChain(top, from, signal)).slice(0, count);
  }
  return undefined;
}

/** The config of an image over these layers, its history named, and as a document. */
async function documentOf(
  state: State,
  { imageConfig, baseImage }: Pick<FrontendResult, 'imageConfig' | 'baseImage'>,
  layers: readonly LayerIdentity[],
): Promise<{ readonly bytes: Uint8Array; readonly named: ImageConfig; readonly made: MadeHere | undefined }> {
  const inherited = baseImage === undefined ? 0 : diffIdsOf(baseImage.config).length;
  const named = { ...withoutInline(imageConfig), history: await namedHistory(state, imageConfig, layers.slice(inherited)) };
  const drafted = { ...state.drafted, baseImage };
  const { bytes } = assembleConfig(named, datedLayers(layers, drafted), epochOf(drafted));
  return { bytes, named, made: madeHere(named, layers, { ...drafted, now: state.engine.now() }) };
}

async function namedHistory(
  state: State,
  { history = [] }: ImageConfig,
  own: readonly Pick<LayerIdentity, 'diffId'>[],
): Promise<NonNullable<ImageConfig['history']>> {
  const first = history.filter((entry) => entry.empty_layer !== true).length - own.length;
  let layer = 0;
  for (const entry of history) {
    const at = entry.empty_layer === true ? undefined : layer++;
    for (const digest of copiesIn(entry.created_by ?? ''))
      await nameCopy(state, digest, at === undefined ? undefined : own[at - first]?.diffId);
  }
  return history.map((entry) =>
    entry.created_by === undefined
      ? entry
      : { ...entry, created_by: nameCopied(entry.created_by, (digest) => state.names.get(digest) ?? '') },
  );
}

async function nameCopy(state: State, digest: Digest, layer: Digest | undefined): Promise<void> {
  const vertex = state.vertices.get(digest);
  if (vertex === undefined || state.names.has(digest)) return;
  state.names.set(digest, await nameOfCopy(state.engine, { vertex, solved: state.solved.get(digest), context: state.context }, layer));
}

/** What the last step's image is made of. */
async function withHistory(state: State): Promise<FrontendResult> {
  const { engine, drafted, steps } = state;
  const count = drafted.layers.length + (drafted.baseImage === undefined ? 0 : diffIdsOf(drafted.baseImage.config).length);
  const layers = (await layersAt(state, steps.length - 1, count)) ?? [];
  const { bytes, named } = await documentOf(state, drafted, layers);
  state.isLastKnown = engine.images.get(digestOf(bytes)) !== undefined;
  return { ...drafted, imageConfig: named };
}
