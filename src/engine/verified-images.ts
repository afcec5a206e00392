/** Images that `verify` makes of its runs, as a build with the same options would name them: folded, or with younger times cut off, where that is asked for. */
import { rmSync } from 'node:fs';
import { diffIdsOf } from '#formats/oci/image-config.ts';
import type { Report } from '#formats/progress/event.ts';
import { digestOf, type Digest } from '#ground/base/digest.ts';
import { withoutInline } from '#execution/cache/inline-members.ts';
import { assembleConfig } from '#execution/exporter/assemble.ts';
import type { LayerIdentity, Worker } from '#execution/worker/contract.ts';
import type { BuildRequest } from './build-requests.ts';
import { foldMode, imageTop } from './fold-requests.ts';
import type { BuiltResult } from './gather-cache.ts';
import type { Engine } from './open.ts';
import { withLayers } from './other-layers.ts';
import { datedLayers, epochOf } from './store-image.ts';

type Making = { readonly engine: Engine; readonly request: BuildRequest; readonly worker: Worker; readonly report: Report };

/** The id of the image; nothing is entered in the store. Snapshots of folded layers are left to whoever tends it. */
export async function idOfImage(built: BuiltResult, making: Making, signal: AbortSignal): Promise<Digest> {
  const { engine, request, worker } = making;
  const result = foldMode(engine, request) === 'auto' ? await fold(built, worker, signal) : built;
  const { drafted } = result;
  const top = imageTop(result);
  const layers = top === undefined ? [] : await worker.layerIdentities(top, signal);
  const { bytes, digest } = assembleConfig(withoutInline(drafted.imageConfig), datedLayers(layers, drafted), epochOf(drafted));
  if (!cutsTimes(request) || drafted.epoch === undefined) return digest;
  const inherited = drafted.baseImage === undefined ? 0 : diffIdsOf(drafted.baseImage.config).length;
  const latest = BigInt(drafted.epoch) * 1_000_000n;
  const cut: { diffId: Digest; size: number }[] = [];
  for (const [index, layer] of layers.entries()) {
    cut.push({ diffId: index < inherited ? layer.diffId : await cutLayer(layer, { making, latest }, signal), size: layer.size });
  }
  return digestOf(withLayers({ config: bytes }, cut).config);
}

async function fold(built: BuiltResult, worker: Worker, signal: AbortSignal): Promise<BuiltResult> {
  const { foldWith } = await import('./fold-image.ts');
  return await foldWith(built, async (layers) => await worker.foldLayers(layers, signal));
}

/** Does the image that the store keeps have `rewrite-timestamp`? */
function cutsTimes({ outputs }: BuildRequest): boolean {
  return outputs.some((output) => output.kind === 'image' && output.isStored && output.form.clampsTimes);
}

/** `latest`: nanoseconds since the epoch. */
async function cutLayer(
  { snapshot }: LayerIdentity,
  { making: { engine, worker, report }, latest }: { readonly making: Making; readonly latest: bigint },
  signal: AbortSignal,
): Promise<Digest> {
  const file = engine.content.temporaryPath();
  try {
    return (await worker.writeLayer({ snapshot, latest, format: 'tar', file }, report, signal)).diffId;
  } finally {
    rmSync(file, { force: true });
  }
}
