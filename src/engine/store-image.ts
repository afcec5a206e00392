/** Enters what a build made into the image store. */
import { diffIdsOf } from '#formats/oci/image-config.ts';
import type { FrontendResult } from '#languages/frontend/contract.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { chainIds } from '#formats/oci/layer-ids.ts';
import type { ImageRecord } from '#stores/image/store.ts';
import { assembleConfig } from '#execution/exporter/assemble.ts';
import type { LayerIdentity, SnapshotId } from '#execution/worker/contract.ts';
import { layersOfChain } from './layer-chains.ts';
import type { Engine } from './open.ts';

export type BuiltImage = { readonly drafted: FrontendResult; readonly top: SnapshotId | undefined };

/** Puts config and layers together and saves them, without a name. The image's files are the snapshots that the steps made: nothing is copied. */
export async function storeBuiltImage(engine: Engine, { drafted, top }: BuiltImage, signal: AbortSignal): Promise<ImageRecord> {
  const chains = { chains: engine.layerChains, worker: async () => await engine.worker(signal) };
  const layers = top === undefined ? [] : await layersOfChain(top, chains, signal);
  const inherited = drafted.baseImage === undefined ? 0 : diffIdsOf(drafted.baseImage.config).length;
  assertComplete(layers, inherited + drafted.layers.length);
  const dated = layers.map((layer, index) => ({ diffId: layer.diffId, createdAt: index < inherited ? undefined : layer.createdAt }));
  const { bytes } = assembleConfig(drafted.imageConfig, dated);
  const record = engine.images.save({ config: bytes, layers: layers.map(({ diffId, size }) => ({ diffId, size })), now: engine.now() });
  const ids = chainIds(layers.map((layer) => layer.diffId));
  layers.forEach((layer, index) => {
    const chainId = ids[index];
    if (chainId !== undefined && index >= inherited) engine.images.setSnapshot(chainId, layer.snapshot);
  });
  return record;
}

function assertComplete(layers: readonly LayerIdentity[], expected: number): void {
  if (layers.length === expected) return;
  throw new JettisonError('engine/layer-mismatch', `The image should have ${expected} layers, its snapshots make ${layers.length}`, {
    fault: 'bug',
  });
}
