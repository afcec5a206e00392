/** Enters what a build made into the image store. */
import { diffIdsOf } from '#formats/oci/image-config.ts';
import type { FrontendResult } from '#languages/frontend/contract.ts';
import type { Json } from '#ground/base/canonical-json.ts';
import type { Digest } from '#ground/base/digest.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { chainIds } from '#formats/oci/layer-ids.ts';
import type { ImageRecord } from '#stores/image/store.ts';
import { withoutInline } from '#execution/cache/inline-members.ts';
import { assembleConfig, type Epoch } from '#execution/exporter/assemble.ts';
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
): Promise<{ readonly imageId: Digest; readonly enter: () => ImageRecord }> {
  const chains = { chains: engine.layerChains, worker: async () => await engine.worker(signal) };
  const layers = top === undefined ? [] : await layersOfChain(top, chains, signal);
  const baseLayers = drafted.baseImage === undefined ? [] : diffIdsOf(drafted.baseImage.config);
  const inherited = baseLayers.length;
  assertComplete(layers, baseLayers, drafted.layers.length);
  const dated = layers.map((layer, index) => ({ diffId: layer.diffId, createdAt: index < inherited ? undefined : layer.createdAt }));
  const draft = { ...withoutInline(drafted.imageConfig), ...(await addMembers?.(layers)) };
  const { bytes, digest: imageId } = assembleConfig(draft, dated, epochOf(drafted));
  const ids = chainIds(layers.map((layer) => layer.diffId));
  const enter = (): ImageRecord => {
    const record = engine.images.save({ config: bytes, layers: layers.map(({ diffId, size }) => ({ diffId, size })), now: engine.now() });
    layers.forEach((layer, index) => {
      const chainId = ids[index];
      if (chainId !== undefined && index >= inherited) engine.images.setSnapshot(chainId, layer.snapshot);
    });
    return record;
  };
  return { imageId, enter };
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
