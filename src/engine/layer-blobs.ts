/** Blobs of an image's layers for a registry or an archive: what is in the content store as it came, else made from snapshots. */
import type { Descriptor } from '#formats/oci/descriptor.ts';
import { chainIds } from '#formats/oci/layer-ids.ts';
import { layerCompression, mediaTypes } from '#formats/oci/media-types.ts';
import type { Report } from '#formats/progress/event.ts';
import { childSignal } from '#ground/base/abort.ts';
import type { Digest } from '#ground/base/digest.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { createLimit, type Limit } from '#ground/base/limit.ts';
import type { Needle } from '#ground/base/needles.ts';
import { removeSegments } from '#stores/content/segment.ts';
import type { Blob } from '#stores/content/store.ts';
import type { ImageRecord, LayerBlobForm } from '#stores/image/store.ts';
import { parseSnapshotId, type LayerBlob, type LayerFormat, type SnapshotId } from '#execution/worker/contract.ts';
import { withoutLostSnapshots } from './lost-snapshots.ts';
import type { Engine } from './open.ts';

const ociTypes: Readonly<Record<LayerFormat, string>> = {
  tar: mediaTypes.layer,
  gzip: mediaTypes.layerGzip,
  zstd: mediaTypes.layerZstd,
  estargz: mediaTypes.layerGzip,
};

/** Layers made at a time: each is compressed on all cores. */
const madeAtOnce = 2;

/** How the blobs of an image's own layers are to be. */
export type BlobForm = {
  readonly format: Exclude<LayerFormat, 'estargz'>;
  /** Of the compression; as it is for the format when not said. With a level of one's own, a blob that was made before is not used. */
  readonly level?: number;
  /** Blobs that came from elsewhere are made anew where they are of another format. */
  readonly isForced?: boolean;
};

/** What may be asked for: eStargz layers are those of another image (`estargz-images.ts`), so nothing that makes blobs of an image takes that form. */
export type WantedForm = BlobForm | (Omit<BlobForm, 'format'> & { readonly format: 'estargz' });

/** Of images whose eStargz layers are blobs already: these stay as they are. */
export const estargzAsIs = { format: 'gzip' } as const satisfies BlobForm;

/** How a layer comes to a blob: it is in the content store, or it has to be made from its snapshot, or from a blob of another form. */
export type LayerPlan =
  | { readonly kind: 'present'; readonly descriptor: Descriptor }
  | ({ readonly kind: 'make'; readonly diffId: Digest } & LayerOrigin);

/** What a layer's blob is made of: its files, or the absolute path of its blob in another format. */
type LayerOrigin = { readonly snapshot: SnapshotId } | { readonly blob: string };

/**
 * One descriptor a layer, bottom first, each blob in the content store. A layer that came from elsewhere keeps its bytes, whatever `format`
 * says: made again from its files it might not be the same, and the image's id would change.
 */
export async function layerBlobs(
  engine: Engine,
  record: ImageRecord,
  form: BlobForm,
  report: Report,
  signal: AbortSignal,
): Promise<readonly Descriptor[]> {
  const make: MakeLayer = async (layer, own) => await makeLayerBlob(engine, { ...layer, ...form }, report, own);
  return await eachLayer(engine, record, { form, present: async (descriptor) => await Promise.resolve(descriptor), make }, report, signal);
}

export type MadeLayer = Extract<LayerPlan, { kind: 'make' }>;

export type MakeLayer = (layer: MadeLayer, signal: AbortSignal) => Promise<Descriptor>;

/**
 * Brings each layer of an image to a descriptor, bottom first: those that are blobs by `present`, the others by `make`, two of them at a
 * time; a layer that the image has twice comes once. Lost snapshots are made again first. The first failure ends the others. Throws `engine/missing-layer`.
 */
export async function eachLayer(
  engine: Engine,
  record: ImageRecord,
  how: {
    readonly form: BlobForm;
    readonly present: (descriptor: Descriptor, signal: AbortSignal) => Promise<Descriptor>;
    readonly make: MakeLayer;
  },
  report: Report,
  signal: AbortSignal,
): Promise<readonly Descriptor[]> {
  const once = async (): Promise<readonly Descriptor[]> => {
    using own = childSignal(signal);
    const limit: Limit = createLimit(madeAtOnce);
    const bring = async (plan: LayerPlan): Promise<Descriptor> => {
      try {
        if (plan.kind === 'present') return await how.present(plan.descriptor, own.signal);
        return await limit(async () => await how.make(plan, own.signal), own.signal);
      } catch (error) {
        own.abort(error instanceof Error ? error : new Error(String(error)));
        throw error;
      }
    };
    const plans = planLayers(engine, record, how.form);
    const brought = new Map<string, Promise<Descriptor>>();
    for (const plan of plans) if (!brought.has(nameOf(plan))) brought.set(nameOf(plan), bring(plan));
    await Promise.allSettled(brought.values());
    if (own.signal.aborted) throw own.signal.reason;
    return await Promise.all(plans.flatMap((plan) => brought.get(nameOf(plan)) ?? []));
  };
  return await withoutLostSnapshots(engine, once, report, signal);
}

function nameOf(plan: LayerPlan): string {
  return plan.kind === 'present' ? plan.descriptor.digest : plan.diffId;
}

function planLayers(engine: Engine, record: ImageRecord, form: BlobForm): readonly LayerPlan[] {
  const ids = chainIds(record.layers.map((layer) => layer.diffId));
  return record.layers.map(({ diffId }, index) => {
    const descriptor = presentBlob(engine, diffId, form);
    if (descriptor !== undefined) return { kind: 'present', descriptor };
    const other = form.isForced === true ? presentBlob(engine, diffId, { format: form.format }) : undefined;
    if (other !== undefined) return { kind: 'make', diffId, blob: engine.content.path(other.digest) };
    const chainId = ids[index];
    const snapshot = chainId === undefined ? undefined : engine.images.snapshotOf(chainId);
    if (snapshot === undefined) throw missingLayer(diffId);
    return { kind: 'make', diffId, snapshot: parseSnapshotId(snapshot) };
  });
}

/** `engine/missing-layer` */
export function missingLayer(diffId: Digest): JettisonError {
  return new JettisonError('engine/missing-layer', `Layer ${diffId} is not in the store`, {
    fault: 'environment',
    hint: 'Build, pull or load the image again',
  });
}

/** A layer's blob in the content store: in the form that is asked for, else as it came from elsewhere. */
export function presentBlob(engine: Engine, diffId: Digest, { format, level, isForced }: WantedForm): Descriptor | undefined {
  const present = engine.images.blobsOf(diffId).filter((form) => engine.content.has(form.digest, form.size));
  const asAsked = present.find((form) => layerCompression(form.mediaType) === format && (level === undefined || !form.madeHere));
  const found = asAsked ?? (isForced === true ? undefined : present.find((form) => !form.madeHere));
  return found && describe(found);
}

/** What a layer's blob was when it was made the last time, whether its bytes were kept or not. */
export function knownBlob(engine: Engine, diffId: Digest, { format, level }: BlobForm): Descriptor | undefined {
  if (level !== undefined) return undefined;
  const known = engine.images.blobsOf(diffId).findLast((form) => form.madeHere && layerCompression(form.mediaType) === format);
  return known && describe(known);
}

/** Makes a layer's blob from its snapshot. Throws `engine/layer-changed`, `snapshot/not-found`, `layer/secret-found`. */
export async function makeLayerBlob(engine: Engine, layer: OwnLayer & BlobForm, report: Report, signal: AbortSignal): Promise<Descriptor> {
  const making = await startBlob(engine, { ...layer, passes: false }, layer, report, signal);
  return await keepBlob(engine, { ...making, diffId: layer.diffId, blob: await making.complete }, layer, signal);
}

function describe({ mediaType, digest, size, annotations }: Omit<LayerBlobForm, 'diffId' | 'madeHere'>): Descriptor {
  return { mediaType: ociTypes[layerCompression(mediaType)], digest, size, ...(annotations === undefined ? {} : { annotations }) };
}

/** `needles`: what may not stand in it. */
type OwnLayer = LayerOrigin & Pick<MadeLayer, 'diffId'> & { readonly needles?: readonly Needle[] };

/** A blob, and the number of files that it was left in. */
export type MadeBlob = Blob & { readonly segments: number };

/** A blob that a worker is writing to `file`. */
export type MakingBlob = { readonly file: string; readonly complete: Promise<MadeBlob> };

/** Lets a worker begin; with `passes`, what shrinks little may be left in segments, and is not kept. `complete` rejects with `engine/layer-changed` when the snapshot's layer is not the image's; the file is gone when it rejects. */
export async function startBlob(
  engine: Engine,
  layer: OwnLayer & { readonly passes: boolean },
  { format, level }: BlobForm,
  report: Report,
  signal: AbortSignal,
): Promise<MakingBlob> {
  const worker = await engine.worker(signal);
  const file = engine.content.temporaryPath();
  const write = async (): Promise<MadeBlob> => {
    const source = 'blob' in layer ? { blob: layer.blob } : { snapshot: layer.snapshot };
    const made = await worker.writeLayer(
      { ...source, format, ...(level === undefined ? {} : { level }), passes: layer.passes, file, needles: layer.needles ?? [] },
      report,
      signal,
    );
    if (made.diffId === layer.diffId) return { digest: made.digest, size: made.size, segments: made.segments };
    removeSegments(file, made.segments);
    throw layerChanged(layer.diffId, made.diffId);
  };
  const complete = write();
  complete.catch(() => undefined); // also read where nobody waits any more
  return { file, complete };
}

/** Keeps a complete blob of a layer that no snapshot makes: it stays as long as an image has it. Gives the layer's DiffID. */
export async function keepAsIs(
  engine: Engine,
  { file, made }: { readonly file: string; readonly made: LayerBlob },
  { format }: WantedForm,
  signal: AbortSignal,
): Promise<Digest> {
  const { digest, size, estargz } = made;
  const diffId = estargz?.diffId ?? made.diffId;
  await engine.content.adopt(file, { digest, size }, signal);
  engine.images.noteBlob({
    diffId,
    digest,
    size,
    mediaType: ociTypes[format],
    madeHere: false,
    ...(estargz === undefined ? {} : { annotations: estargzAnnotations(estargz) }),
  });
  return diffId;
}

/** By which a reader trusts the table of contents (stargz-snapshotter, docs/estargz.md), and what BuildKit says beside it. */
const tocDigest = 'containerd.io/snapshot/stargz/toc.digest';

function estargzAnnotations(estargz: NonNullable<LayerBlob['estargz']>): Readonly<Record<string, string>> {
  return { [tocDigest]: estargz.tocDigest, 'io.containers.estargz.uncompressed-size': String(estargz.size) };
}

/** Was the layer made as eStargz? */
export function isEstargz(engine: Engine, diffId: Digest): boolean {
  return engine.images.blobsOf(diffId).some(({ annotations }) => annotations?.[tocDigest] !== undefined);
}

/** Keeps a complete blob unless it was left in segments, and remembers which layer it is. */
export async function keepBlob(
  engine: Engine,
  made: Pick<MakingBlob, 'file'> & Pick<OwnLayer, 'diffId'> & { readonly blob: MadeBlob },
  { format }: BlobForm,
  signal: AbortSignal,
): Promise<Descriptor> {
  const { digest, size, segments } = made.blob;
  if (segments > 1) removeSegments(made.file, segments);
  else await engine.content.adopt(made.file, { digest, size, durability: 'rebuildable' }, signal);
  const form = { diffId: made.diffId, digest, size, mediaType: ociTypes[format], madeHere: true };
  engine.images.noteBlob(form);
  return describe(form);
}

/** `engine/layer-changed` */
export function layerChanged(said: Digest, found: Digest): JettisonError {
  return new JettisonError('engine/layer-changed', `Layer ${said} is ${found} now: its files in the store were changed`, {
    fault: 'environment',
    hint: 'Build the image again with --no-cache',
  });
}
