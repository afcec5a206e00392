/** Brings images from registries: documents first, files when they are wanted, unpacked while the rest downloads. */
import { diffIdsOf } from '#formats/oci/image-config.ts';
import { chainIds } from '#formats/oci/layer-ids.ts';
import type { Platform } from '#formats/oci/platform.ts';
import { nameOf, printReference, type Reference } from '#formats/oci/reference.ts';
import { ofItem, type Report } from '#formats/progress/event.ts';
import type { Digest } from '#ground/base/digest.ts';
import { childSignal } from '#ground/base/abort.ts';
import { JettisonError } from '#ground/base/errors.ts';
import type { ImageRecord } from '#stores/image/store.ts';
import { parseSnapshotId, type SnapshotId, type UnpackRequest } from '#execution/worker/contract.ts';
import type { ComingLayer } from '#stores/transfer/pull.ts';
import type { RemoteImage } from '#stores/transfer/resolve.ts';
import { createLog } from '#ground/base/log.ts';
import type { Blob } from '#stores/content/store.ts';
import { layersOfChain } from './layer-chains.ts';
import type { Engine } from './open.ts';

const log = createLog('engine');
const mismatchHint = 'The image is damaged or hostile: have it pushed again, or use another one';

export type ImageRequest = {
  readonly reference: Reference;
  readonly platform: Platform;
  /** Take exactly this manifest, whatever the tag means by now. */
  readonly manifest?: Digest;
};

/** Manifest and config of an image in its registry; no layer moves. Throws `registry/...`. */
export async function lookUpImage(engine: Engine, request: ImageRequest, signal: AbortSignal): Promise<RemoteImage> {
  const { resolveImage } = await import('#stores/transfer/resolve.ts');
  const client = await engine.registry();
  const { platform, manifest } = request;
  const reference = manifest === undefined ? request.reference : { ...request.reference, digest: manifest };
  return await resolveImage({ reference, platform, client, content: engine.content }, signal);
}

/** Downloads an image, unpacks it, and enters it under its name. */
export async function fetchImage(
  engine: Engine,
  request: ImageRequest,
  report: Report,
  signal: AbortSignal,
): Promise<{ readonly record: ImageRecord; readonly found: RemoteImage }> {
  const { pullLayers } = await import('#stores/transfer/pull.ts');
  engine.hold();
  using _ = engine.waits.toldTo(report);
  const found = await lookUpImage(engine, request, signal);
  const diffIds = diffIdsOf(found.config);
  // Files alone cannot be sent on: what came from elsewhere has bytes of its own.
  const isKnown = (diffId: Digest): boolean => canBeSent(engine, diffId);
  await using unpacker = createUnpacker(engine, { diffIds, isKnown }, report, signal);
  const client = await engine.registry();
  const missing = diffIds.length - unpacker.known;
  if (missing > 0) {
    const onLayer = async ({ index, descriptor, part, complete }: ComingLayer): Promise<void> => {
      const { mediaType, digest, size } = descriptor;
      await Promise.resolve(unpacker.take(index, { blob: { digest, size }, part, complete, mediaType, isNew: true }));
    };
    await pullLayers(found, { client, content: engine.content, onLayer }, report, unpacker.signal);
  }
  const record = await enter(engine, found, await unpacker.finish(), signal);
  if (request.manifest === undefined || request.reference.tag !== undefined) nameImage(engine, request.reference, record);
  return { record, found };
}

/** Its blob is here, or was made here once and can be made again. One may be gone while the files are still there: others stand on them. */
function canBeSent(engine: Engine, diffId: Digest): boolean {
  return engine.images.blobsOf(diffId).some(({ digest, size, madeHere }) => madeHere || engine.content.has(digest, size));
}

/** A layer's blob of which only somebody else says that it is the layer; by the layer's DiffID. */
export type NewBlobs = ReadonlyMap<Digest, Blob & { readonly mediaType: string }>;

/** The image's files as a snapshot, from blobs of the content store (`new` ones first) where they are not unpacked yet. Throws `engine/missing-layer`. */
export async function unpackImage(
  engine: Engine,
  record: Pick<ImageRecord, 'layers' | 'imageId'> & { readonly newBlobs?: NewBlobs },
  report: Report,
  signal: AbortSignal,
): Promise<SnapshotId | undefined> {
  const diffIds = record.layers.map((layer) => layer.diffId);
  const isKnown = (diffId: Digest): boolean => record.newBlobs?.has(diffId) !== true || canBeSent(engine, diffId);
  await using unpacker = createUnpacker(engine, { diffIds, isKnown }, report, signal);
  for (const [index, diffId] of diffIds.entries()) {
    if (index < unpacker.known) continue;
    const given = record.newBlobs?.get(diffId);
    const form = given ?? engine.images.blobsOf(diffId).find((blob) => engine.content.has(blob.digest, blob.size));
    if (form === undefined) {
      throw new JettisonError('engine/missing-layer', `Layer ${diffId} of image ${record.imageId} is not in the store`, {
        fault: 'environment',
        hint: 'Build, pull or load the image again',
      });
    }
    const complete = Promise.resolve(engine.content.path(form.digest));
    unpacker.take(index, { blob: form, part: undefined, complete, mediaType: form.mediaType, isNew: given !== undefined });
  }
  return await unpacker.finish();
}

/** `isNew`: whether the blob is the layer is only known when it was unpacked. */
type LayerFile = Pick<ComingLayer, 'part' | 'complete'> & { readonly blob: Blob; readonly mediaType: string; readonly isNew: boolean };

type Unpacker = AsyncDisposable & {
  /** So many layers at the bottom need no file. */
  readonly known: number;
  /** Ends when a layer cannot be unpacked. */
  readonly signal: AbortSignal;
  /** To be called for one layer after the other, bottom first. */
  take(index: number, layer: LayerFile): void;
  /** The top of the chain. Throws what went wrong first. */
  finish(): Promise<SnapshotId | undefined>;
};

/** `isKnown`: whether the files of such a layer will do, if they are here. Unpacks layers at the same time, while they are still on their way; a layer waits for those below it only where its entries need them. Disposing ends what still runs. */
function createUnpacker(
  engine: Engine,
  { diffIds, isKnown }: { readonly diffIds: readonly Digest[]; readonly isKnown: (diffId: Digest) => boolean },
  report: Report,
  signal: AbortSignal,
): Unpacker {
  const ids = chainIds(diffIds);
  const firstNew = diffIds.findIndex((diffId) => !isKnown(diffId));
  const mayBeKnown = firstNew < 0 ? ids : ids.slice(0, firstNew);
  const knownIndex = mayBeKnown.findLastIndex((id) => engine.images.snapshotOf(id) !== undefined);
  const knownId = ids[knownIndex];
  const start = knownId === undefined ? undefined : engine.images.snapshotOf(knownId);
  let top: UnpackRequest['parent'] = start === undefined ? undefined : parseSnapshotId(start);
  let next = knownIndex + 1;
  const own = childSignal(signal);
  const unpacking: Promise<SnapshotId>[] = [];

  const unpackOver = async (parent: UnpackRequest['parent'], index: number, layer: LayerFile): Promise<SnapshotId> => {
    const [diffId, chainId] = [diffIds[index], ids[index]];
    if (diffId === undefined || chainId === undefined)
      throw new JettisonError('engine/layer-mismatch', 'The manifest has more layers than the config', {
        fault: 'environment',
        hint: mismatchHint,
      });
    const worker = await engine.worker(own.signal);
    const unpack: Unpack = async (file, until) =>
      await worker.unpackLayer({ parent, chainId, diffId, mediaType: layer.mediaType, ...file }, ofItem(report, layer.blob.digest), until);
    const unpackWhole = async (): Promise<SnapshotId> => await unpack({ file: await layer.complete }, own.signal);
    const snapshot =
      (await unpackPart(engine, layer, unpack, own.signal)) ?? (await unpackChecked(engine, layer.blob.digest, unpackWhole, own.signal));
    engine.images.setSnapshot(chainId, snapshot);
    // Not before: what an image says of a layer that others have, too, would be sent for theirs.
    if (layer.isNew) engine.images.noteBlob({ diffId, ...layer.blob, mediaType: layer.mediaType, madeHere: false });
    return snapshot;
  };

  return {
    known: knownIndex + 1,
    signal: own.signal,
    take: (index, layer) => {
      if (index !== next) return;
      next++;
      const unpacked = unpackOver(top, index, layer);
      unpacked.catch((error: unknown) => own.abort(error instanceof Error ? error : new Error(String(error))));
      unpacking.push(unpacked);
      top = unpacked;
    },
    finish: async () => {
      if (next < diffIds.length)
        throw new JettisonError('engine/layer-mismatch', 'The manifest has fewer layers than the config', {
          fault: 'environment',
          hint: mismatchHint,
        });
      await Promise.allSettled(unpacking);
      own.signal.throwIfAborted();
      return await top;
    },
    async [Symbol.asyncDispose]() {
      own.abort(new JettisonError('engine/not-wanted', 'The layer is not wanted any more', { fault: 'bug' }));
      await Promise.allSettled(unpacking);
      own[Symbol.dispose]();
    },
  };
}

type Unpack = (file: Pick<UnpackRequest, 'file' | 'size' | 'completeFile'>, signal: AbortSignal) => Promise<SnapshotId>;

/**
 * Unpacks a layer while it is downloaded. Undefined where that does not go, or went wrong: bytes that came may have been thrown away since. The
 * complete blob then says what is the matter.
 */
async function unpackPart(engine: Engine, layer: LayerFile, unpack: Unpack, signal: AbortSignal): Promise<SnapshotId | undefined> {
  const { part, blob } = layer;
  if (part === undefined || engine.content.has(blob.digest, blob.size)) return undefined;
  try {
    return await unpack({ file: part.path, size: blob.size, completeFile: part.completePath }, AbortSignal.any([signal, part.signal]));
  } catch (error) {
    signal.throwIfAborted();
    log('layer %s as it came: %o', blob.digest, error);
    return undefined;
  }
}

/** A layer that cannot be unpacked may be a damaged blob: then that is the error, and the blob is gone, so that the next pull brings it again. */
export async function unpackChecked(
  engine: Engine,
  blob: Digest,
  unpack: () => Promise<SnapshotId>,
  signal: AbortSignal,
): Promise<SnapshotId> {
  try {
    return await unpack();
  } catch (error) {
    if (error instanceof JettisonError && error.code.startsWith('layer/')) await engine.content.verify(blob, signal);
    throw error;
  }
}

async function enter(engine: Engine, found: RemoteImage, top: SnapshotId | undefined, signal: AbortSignal): Promise<ImageRecord> {
  const worker = async () => await engine.worker(signal);
  const layers = top === undefined ? [] : await layersOfChain(top, { chains: engine.layerChains, worker }, signal);
  const record = engine.images.save({
    config: found.configBytes,
    layers: layers.map(({ diffId, size }) => ({ diffId, size })),
    now: engine.now(),
  });
  engine.images.noteManifest(record.imageId, {
    repository: nameOf(found.reference),
    digest: (found.index ?? found.manifest).digest,
    manifest: found.manifest.digest,
    mediaType: found.manifest.mediaType,
    bytes: found.manifestBytes,
  });
  return record;
}

function nameImage(engine: Engine, reference: Reference, record: ImageRecord): void {
  if (reference.tag === undefined) return;
  engine.images.tag(record.imageId, [printReference({ ...reference, digest: undefined })]);
}
