/** Blobs of an image's layers for a registry or an archive: what is in the content store as it came, else made from snapshots. */
import type { Descriptor } from '#formats/oci/descriptor.ts';
import { chainIds } from '#formats/oci/layer-ids.ts';
import { layerCompression, mediaTypes } from '#formats/oci/media-types.ts';
import type { Report } from '#formats/progress/event.ts';
import type { Digest } from '#ground/base/digest.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { createLimit } from '#ground/base/limit.ts';
import type { ImageRecord, LayerBlobForm } from '#stores/image/store.ts';
import { parseSnapshotId, type LayerFormat, type SnapshotId } from '#execution/worker/contract.ts';
import { withoutLostSnapshots } from './lost-snapshots.ts';
import type { Engine } from './open.ts';

const ociTypes: Readonly<Record<LayerFormat, string>> = { tar: mediaTypes.layer, gzip: mediaTypes.layerGzip, zstd: mediaTypes.layerZstd };

/**
 * One descriptor a layer, bottom first, each blob in the content store. A layer that came from elsewhere keeps its bytes, whatever `format`
 * says: made again from its files it might not be the same, and the image's id would change.
 */
export async function layerBlobs(
  engine: Engine,
  record: ImageRecord,
  options: { readonly format: LayerFormat },
  report: Report,
  signal: AbortSignal,
): Promise<readonly Descriptor[]> {
  return await withoutLostSnapshots(engine, async () => await layerBlobsOnce(engine, record, options, report, signal), report, signal);
}

async function layerBlobsOnce(
  engine: Engine,
  record: ImageRecord,
  options: { readonly format: LayerFormat },
  report: Report,
  signal: AbortSignal,
): Promise<readonly Descriptor[]> {
  const ids = chainIds(record.layers.map((layer) => layer.diffId));
  const limit = createLimit(2);
  return await Promise.all(
    record.layers.map(async ({ diffId }, index) => {
      const present = presentBlob(engine, diffId, options.format);
      if (present !== undefined) return present;
      const chainId = ids[index];
      const snapshot = chainId === undefined ? undefined : engine.images.snapshotOf(chainId);
      if (snapshot === undefined)
        throw new JettisonError('engine/missing-layer', `Layer ${diffId} is not in the store`, {
          fault: 'environment',
          hint: 'Build, pull or load the image again',
        });
      const layer = { diffId, snapshot: parseSnapshotId(snapshot), format: options.format };
      return await limit(async () => await makeLayerBlob(engine, layer, report, signal), signal);
    }),
  );
}

/** A layer's blob in the content store: in this format, else as it came from elsewhere. */
export function presentBlob(engine: Engine, diffId: Digest, format: LayerFormat): Descriptor | undefined {
  const present = chooseForm(engine, engine.images.blobsOf(diffId), format);
  return present && describe(present);
}

export type LayerToPack = { readonly diffId: Digest; readonly snapshot: SnapshotId; readonly format: LayerFormat };

/** Makes a layer's blob from its snapshot. Throws `engine/layer-changed`, `snapshot/not-found`. */
export async function makeLayerBlob(engine: Engine, layer: LayerToPack, report: Report, signal: AbortSignal): Promise<Descriptor> {
  return describe(await makeBlob(engine, layer, report, signal));
}

/** The form that was asked for if it is there, else one that was not made here. */
function chooseForm(engine: Engine, forms: readonly LayerBlobForm[], format: LayerFormat): LayerBlobForm | undefined {
  const present = forms.filter((form) => engine.content.has(form.digest, form.size));
  return present.find((form) => layerCompression(form.mediaType) === format) ?? present.find((form) => !form.madeHere);
}

function describe(form: LayerBlobForm): Descriptor {
  return { mediaType: ociTypes[layerCompression(form.mediaType)], digest: form.digest, size: form.size };
}

async function makeBlob(engine: Engine, layer: LayerToPack, report: Report, signal: AbortSignal): Promise<LayerBlobForm> {
  const worker = await engine.worker(signal);
  const file = engine.content.temporaryPath();
  const made = await worker.writeLayer({ snapshot: layer.snapshot, format: layer.format, file }, report, signal);
  if (made.diffId !== layer.diffId) {
    throw new JettisonError('engine/layer-changed', `Layer ${layer.diffId} is ${made.diffId} now: its files in the store were changed`, {
      fault: 'environment',
      hint: 'Build the image again with --no-cache',
    });
  }
  await engine.content.adopt(file, { digest: made.digest, size: made.size, durability: 'rebuildable' }, signal);
  const form = { diffId: layer.diffId, digest: made.digest, size: made.size, mediaType: ociTypes[layer.format], madeHere: true };
  engine.images.noteBlob(form);
  return form;
}
