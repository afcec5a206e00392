/** `rewrite-timestamp=true`: other images, whose layers have no file that is younger than SOURCE_DATE_EPOCH. */
import { digestOf, type Digest } from '#ground/base/digest.ts';
import { diffIdsOf } from '#formats/oci/image-config.ts';
import { chainIds } from '#formats/oci/layer-ids.ts';
import type { ImageRecord } from '#stores/image/store.ts';
import { parseSnapshotId } from '#execution/worker/contract.ts';
import type { Exporting } from './gather-cache.ts';
import { keepAsIs, missingLayer, type WantedForm } from './layer-blobs.ts';
import { withLayers } from './other-layers.ts';

export type ClampAll = {
  /** Of the results, in their order. */
  readonly images: readonly ImageRecord[];
  /** Of the layers that are made. */
  readonly form: WantedForm;
};

/**
 * The images in the store, without names: `isNew` are those that were not there. Layers of base images stay as they are, as with BuildKit. Without SOURCE_DATE_EPOCH nothing
 * changes, with a warning. Throws `engine/missing-layer`, `layer/...`.
 */
export async function clampAll(
  exporting: Exporting,
  { images, form }: ClampAll,
  signal: AbortSignal,
): Promise<{ readonly records: readonly ImageRecord[]; readonly isNew: readonly Digest[] }> {
  const { engine, results, report } = exporting;
  const records: ImageRecord[] = [];
  const isNew: Digest[] = [];
  for (const [at, built] of images.entries()) {
    const drafted = results[at]?.drafted;
    if (drafted?.epoch === undefined) {
      report({ kind: 'note', text: 'Warning: rewrite-timestamp changes nothing: SOURCE_DATE_EPOCH is not set' });
      return { records: images, isNew: [] };
    }
    const inherited = drafted.baseImage === undefined ? 0 : diffIdsOf(drafted.baseImage.config).length;
    const image = await clamp(exporting, { built, inherited, latest: drafted.epoch, form }, signal);
    if (engine.images.get(digestOf(image.config)) === undefined) isNew.push(digestOf(image.config));
    records.push(engine.images.save({ ...image, now: engine.now() }));
  }
  return { records, isNew };
}

type Clamp = {
  readonly built: ImageRecord;
  /** So many layers at the bottom are the base image's. */
  readonly inherited: number;
  /** Milliseconds since the epoch. */
  readonly latest: number;
  readonly form: WantedForm;
};

async function clamp(
  exporting: Exporting,
  { built, inherited, latest, form }: Clamp,
  signal: AbortSignal,
): Promise<Pick<ImageRecord, 'config' | 'layers'>> {
  const ids = chainIds(built.layers.map(({ diffId }) => diffId));
  const layers: ImageRecord['layers'][number][] = [];
  for (const [index, { diffId, size }] of built.layers.entries()) {
    const chainId = ids[index];
    const snapshot = chainId === undefined ? undefined : exporting.engine.images.snapshotOf(chainId);
    const clamped = index < inherited ? diffId : await clampLayer(exporting, { snapshot, diffId, latest, form }, signal);
    layers.push({ diffId: clamped, size });
  }
  return withLayers(built, layers);
}

async function clampLayer(
  { engine, report }: Exporting,
  layer: { readonly snapshot: string | undefined; readonly diffId: Digest; readonly latest: number; readonly form: WantedForm },
  signal: AbortSignal,
): Promise<Digest> {
  if (layer.snapshot === undefined) throw missingLayer(layer.diffId);
  const { format, level } = layer.form;
  const worker = await engine.worker(signal);
  const file = engine.content.temporaryPath();
  const source = { snapshot: parseSnapshotId(layer.snapshot), latest: BigInt(layer.latest) * 1_000_000n };
  const made = await worker.writeLayer({ ...source, format, file, ...(level === undefined ? {} : { level }) }, report, signal);
  return await keepAsIs(engine, { file, made }, layer.form, signal);
}
