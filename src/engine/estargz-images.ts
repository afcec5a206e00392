/** `compression=estargz`: other images, whose layers hold a table of contents. That is part of what a DiffID counts, so config and id are others, too. */
import { digestOf, type Digest } from '#ground/base/digest.ts';
import { chainIds } from '#formats/oci/layer-ids.ts';
import type { Report } from '#formats/progress/event.ts';
import { imagesOf, type NewIndex } from '#stores/image/indexes.ts';
import { checkConfig, type ImageRecord } from '#stores/image/store.ts';
import { parseSnapshotId } from '#execution/worker/contract.ts';
import { findImage } from './images.ts';
import { isEstargz, keepAsIs, layerChanged, missingLayer, presentBlob, type WantedForm } from './layer-blobs.ts';
import { withoutLostSnapshots } from './lost-snapshots.ts';
import type { Engine } from './open.ts';
import { withLayers } from './other-layers.ts';

export type Converted = {
  /** In the order of those that were given. */
  readonly records: readonly ImageRecord[];
  /** Those that were not in the store before. */
  readonly isNew: readonly Digest[];
};

/** The images in the store, without names. Layers that came from elsewhere stay as they are, unless `isForced`. Throws `engine/missing-layer`, `layer/not-for-estargz`, `layer/...`. */
export async function toEstargz(
  engine: Engine,
  { images, form }: { readonly images: readonly ImageRecord[]; readonly form: WantedForm },
  report: Report,
  signal: AbortSignal,
): Promise<Converted> {
  engine.hold();
  const records: ImageRecord[] = [];
  const isNew: Digest[] = [];
  for (const image of images) {
    checkConfig(image);
    const convert = async () => await convertLayers(engine, { image, form }, report, signal);
    const converted = await withoutLostSnapshots(engine, convert, report, signal);
    const imageId = digestOf(converted.config);
    if (engine.images.get(imageId) === undefined) isNew.push(imageId);
    const record = engine.images.save({ ...converted, now: engine.now(), ...madeOf(image) });
    engine.images.setForm(record.imageId, engine.images.formOf(image.imageId));
    records.push(record);
  }
  return { records, isNew };
}

/** It is as old as the one that it was made of. */
function madeOf({ made, created }: ImageRecord): { readonly made?: { readonly created: number; readonly history: readonly number[] } } {
  return made === undefined ? {} : { made: { created, history: made } };
}

type Conversion = { readonly image: ImageRecord; readonly form: WantedForm };

async function convertLayers(
  engine: Engine,
  { image, form }: Conversion,
  report: Report,
  signal: AbortSignal,
): Promise<Pick<ImageRecord, 'config' | 'layers'>> {
  const ids = chainIds(image.layers.map(({ diffId }) => diffId));
  const layers: ImageRecord['layers'][number][] = [];
  const known = new Map<Digest, Digest>();
  for (const [index, { diffId, size }] of image.layers.entries()) {
    const chainId = ids[index];
    const snapshot = chainId === undefined ? undefined : engine.images.snapshotOf(chainId);
    const converted = known.get(diffId) ?? (await convertLayer(engine, { diffId, snapshot, form }, report, signal));
    known.set(diffId, converted);
    layers.push({ diffId: converted, size });
  }
  return layers.every(({ diffId }, index) => diffId === image.layers[index]?.diffId) ? image : withLayers(image, layers);
}

type Layer = { readonly diffId: Digest; readonly snapshot: string | undefined; readonly form: WantedForm };

async function convertLayer(engine: Engine, { diffId, snapshot, form }: Layer, report: Report, signal: AbortSignal): Promise<Digest> {
  if (isEstargz(engine, diffId)) return diffId;
  const came = presentBlob(engine, diffId, { format: form.format });
  if (came !== undefined && form.isForced !== true) return diffId;
  if (came === undefined && snapshot === undefined) throw missingLayer(diffId);
  const source = came === undefined ? { snapshot: parseSnapshotId(snapshot ?? '') } : { blob: engine.content.path(came.digest) };
  const worker = await engine.worker(signal);
  const file = engine.content.temporaryPath();
  const level = form.level === undefined ? {} : { level: form.level };
  const made = await worker.writeLayer({ ...source, format: 'estargz', file, ...level }, report, signal);
  if (made.diffId !== diffId) throw layerChanged(diffId, made.diffId);
  return await keepAsIs(engine, { file, made }, form, signal);
}

/** An image, or an index with all of its images, with estargz layers, for as long as `use` takes; what was not in the store before goes again. Throws as `toEstargz`. */
export async function withEstargz<T>(
  engine: Engine,
  { main, index, form }: { readonly main: ImageRecord; readonly index: NewIndex | undefined; readonly form: WantedForm },
  use: (images: { readonly main: ImageRecord; readonly index: NewIndex | undefined }) => Promise<T>,
  { report, signal }: { readonly report: Report; readonly signal: AbortSignal },
): Promise<T> {
  const members = index === undefined ? [main] : imagesOf(index).map(({ imageId }) => findImage(engine, imageId));
  const { records, isNew } = await toEstargz(engine, { images: members, form }, report, signal);
  const converted = new Map(members.map(({ imageId }, at) => [imageId, records[at]?.imageId ?? imageId] as const));
  const idOf = (imageId: Digest): Digest => converted.get(imageId) ?? imageId;
  try {
    return await use({ main: findImage(engine, idOf(main.imageId)), index: index && withMembers(index, idOf) });
  } finally {
    for (const imageId of isNew) engine.images.remove(imageId);
    engine.leaveGarbage();
  }
}

/** What others said about the images they were does not hold for these. */
function withMembers({ members, ...index }: NewIndex, idOf: (imageId: Digest) => Digest): NewIndex {
  return {
    ...index,
    document: undefined,
    members: members.flatMap((member) => {
      if (member.kind === 'attestation') return [];
      const imageId = idOf(member.imageId);
      return [member.kind === 'image' && imageId !== member.imageId ? { ...member, imageId, descriptor: null } : { ...member, imageId }];
    }),
  };
}
