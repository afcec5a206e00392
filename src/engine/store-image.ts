/** Enters what a build made into the image store. */
import { diffIdsOf, type ImageConfig } from '#formats/oci/image-config.ts';
import type { FrontendResult } from '#languages/frontend/contract.ts';
import type { Json } from '#ground/base/canonical-json.ts';
import type { Digest } from '#ground/base/digest.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { chainIds } from '#formats/oci/layer-ids.ts';
import type { ImageRecord, MadeHere } from '#stores/image/store.ts';
import { withoutInline } from '#execution/cache/inline-members.ts';
import { assembleConfig, type AssembledLayer, type Epoch } from '#execution/exporter/assemble.ts';
import type { LayerIdentity, SnapshotId } from '#execution/worker/contract.ts';
import { layersOfChain } from './layer-chains.ts';
import type { Engine } from './open.ts';

export type BuiltImage = {
  readonly drafted: FrontendResult;
  readonly top: SnapshotId | undefined;
  /** Gives more members of the config, when its layers are known. */
  readonly addMembers?: (layers: readonly LayerIdentity[]) => Promise<{ readonly [name: string]: Json }>;
};

/** Puts config and layers together; `enter` saves them, to be called in a transaction. The image's files are the snapshots that the steps made: nothing is copied. */
export async function prepareImage(
  engine: Engine,
  { drafted, top, addMembers }: BuiltImage,
  signal: AbortSignal,
): Promise<{
  readonly imageId: Digest;
  readonly config: ImageConfig;
  readonly layers: readonly LayerIdentity[];
  readonly enter: () => ImageRecord;
}> {
  const chains = { chains: engine.layerChains, worker: async () => await engine.worker(signal) };
  const layers = top === undefined ? [] : await layersOfChain(top, chains, signal);
  const baseLayers = drafted.baseImage === undefined ? [] : diffIdsOf(drafted.baseImage.config);
  const inherited = baseLayers.length;
  assertComplete(layers, baseLayers, drafted.layers.length);
  const draft = { ...withoutInline(drafted.imageConfig), ...(await addMembers?.(layers)) };
  const { bytes, digest: imageId, config } = assembleConfig(draft, datedLayers(layers, drafted), epochOf(drafted));
  const made = madeHere(draft, layers, { ...drafted, now: engine.now() });
  const ids = chainIds(layers.map((layer) => layer.diffId));
  const enter = (): ImageRecord => {
    const sizes = layers.map(({ diffId, size }) => ({ diffId, size }));
    const record = engine.images.save({ config: bytes, layers: sizes, now: engine.now(), ...(made === undefined ? {} : { made }) });
    layers.forEach((layer, index) => {
      const chainId = ids[index];
      if (chainId !== undefined && index >= inherited) engine.images.setSnapshot(chainId, layer.snapshot);
    });
    return record;
  };
  return { imageId, config, layers, enter };
}

/** Layers with the times that an image's config has of them: never of the clock, so the same inputs give the same config. None is older than the base image says it is. */
export function datedLayers(layers: readonly LayerIdentity[], { baseImage }: Pick<FrontendResult, 'baseImage'>): readonly AssembledLayer[] {
  const inherited = baseImage === undefined ? 0 : diffIdsOf(baseImage.config).length;
  const least = Date.parse(baseImage?.config.created ?? '') || 0;
  return layers.map(({ diffId, epoch }, index) => ({ diffId, createdAt: index < inherited ? undefined : Math.max(epoch, least) }));
}

/** When layers and history were made on this machine, which people are shown; undefined where they asked for a time of their own. */
export function madeHere(
  draft: ImageConfig,
  layers: readonly LayerIdentity[],
  { baseImage, epoch, now }: Pick<FrontendResult, 'baseImage' | 'epoch'> & { readonly now: number },
): MadeHere | undefined {
  if (epoch !== undefined) return undefined;
  const inherited = baseImage === undefined ? 0 : diffIdsOf(baseImage.config).length;
  const clocked = layers.map(({ diffId, createdAt }, index) => ({ diffId, createdAt: index < inherited ? undefined : createdAt }));
  const { config } = assembleConfig(draft, clocked);
  const { history = [] } = config;
  // What is nothing but settings over its base was made now, if it is new: no layer says so.
  const settled = layers.length > inherited ? history.length : (baseImage?.config.history?.length ?? 0);
  const times = history.map(({ created }, index) => (index < settled ? timeOf(created) : now));
  return { created: settled < history.length ? now : timeOf(config.created), history: times };
}

/** 0 for no time. */
function timeOf(text: string | undefined): number {
  return Date.parse(text ?? '') || 0;
}

/** When the config is to say that the image was made. */
export function epochOf({ epoch, baseImage }: Pick<FrontendResult, 'epoch' | 'baseImage'>): Epoch | undefined {
  return epoch === undefined ? undefined : { time: epoch, inherited: baseImage?.config.history?.length ?? 0 };
}

/** The layers of the base image as its config names them, and one for each step above. */
function assertComplete(layers: readonly LayerIdentity[], base: readonly Digest[], above: number): void {
  if (layers.length !== base.length + above) {
    throw new JettisonError(
      'engine/layer-mismatch',
      `The image should have ${base.length + above} layers, its snapshots make ${layers.length}`,
      {
        fault: 'bug',
      },
    );
  }
  const other = base.findIndex((diffId, index) => layers[index]?.diffId !== diffId);
  if (other < 0) return;
  throw new JettisonError(
    'engine/layer-mismatch',
    `Layer ${other + 1} of the base image is ${layers[other]?.diffId ?? 'missing'} in the store, not ${base[other] ?? ''}`,
    {
      fault: 'environment',
      hint: 'The store is damaged: remove it, or pull the base image into a new one',
    },
  );
}
