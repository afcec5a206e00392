/** `jettison load` */
import { join } from 'node:path';
import type { Report } from '#formats/progress/event.ts';
import { decodeImageConfig } from '#formats/oci/image-config.ts';
import { noSuchPlatform } from '#formats/oci/image-index.ts';
import { matchPlatform, normalPlatform, platformRank, printPlatform, type Platform } from '#formats/oci/platform.ts';
import { mediaTypes } from '#formats/oci/media-types.ts';
import { familiarReference, parseReference } from '#formats/oci/reference.ts';
import { digestOf, type Digest } from '#ground/base/digest.ts';
import { isCode } from '#ground/base/errors.ts';
import type { Blob } from '#stores/content/store.ts';
import type { SnapshotId } from '#execution/worker/contract.ts';
import type { ImageRecord } from '#stores/image/store.ts';
import type { IndexMember, NewIndex } from '#stores/image/indexes.ts';
import type { ArchivedImage, ArchivedIndex, ArchivedLayer } from '#stores/image/archived-image.ts';
import { openImageArchive } from '#stores/image/read-archive.ts';
import { badArchive } from '#stores/image/tar-index.ts';
import { unpackImage } from './fetch-image.ts';
import { layersOfChain } from './layer-chains.ts';
import { withoutLostSnapshots } from './lost-snapshots.ts';
import { noteImage } from './note-events.ts';
import type { Engine } from './open.ts';
import { nativeOrAsked } from './platform.ts';
import type { LoadedImage, LoadRequest } from './image-requests.ts';

/** Enters the images of an archive; a name moves only when the whole image is here and its layers have the DiffIDs that the config says. */
export async function loadImages(
  engine: Engine,
  request: LoadRequest,
  report: Report,
  signal: AbortSignal,
): Promise<readonly LoadedImage[]> {
  const temporaryFolder = join(engine.content.folder, 'ingest');
  const platform = nativeOrAsked(request.platform);
  using archive = await openImageArchive({ source: request.source, temporaryFolder, platform }, signal);
  const images = request.platform === undefined ? archive.images : archive.images.map((image) => forPlatform(image, platform));
  const loaded: LoadedImage[] = [];
  for (const image of images) loaded.push(await loadImage(engine, image, report, signal));
  return loaded;
}

/** Throws `oci/no-such-platform` before anything is entered. */
export function forPlatform(image: ArchivedImage, wanted: Platform): ArchivedImage {
  const [full] = image.names;
  const name = full === undefined ? digestOf(image.config) : familiarReference(parseReference(full));
  if (image.index !== undefined) {
    const found = matchPlatform(image.index.images, wanted)[0];
    if (found !== undefined) return { ...found.image, names: image.names };
    throw noSuchPlatform(wanted, name, `It has: ${image.index.images.map(({ platform }) => printPlatform(platform)).join(', ')}`);
  }
  const own = decodeImageConfig(image.config, name);
  if (platformRank(own, wanted) !== undefined) return image;
  throw noSuchPlatform(wanted, name, `It is for ${printPlatform(normalPlatform(own))}`);
}

/** The archive's own words about a layer's bytes are checked here; its DiffID where it is unpacked. */
async function ingest(engine: Engine, { chunks, size, digest }: Pick<ArchivedLayer, 'chunks' | 'size' | 'digest'>, signal: AbortSignal) {
  try {
    return await engine.content.ingest(chunks(), { size, ...(digest === undefined ? {} : { digest }) }, signal);
  } catch (error) {
    if (!isCode(error, 'content/wrong-digest')) throw error;
    throw badArchive(`a layer has other content than its digest says. ${error.message}`, { cause: error });
  }
}

/** Enters an image with its names and, where the archive has it whole, its index. */
export async function loadImage(engine: Engine, image: ArchivedImage, report: Report, signal: AbortSignal): Promise<LoadedImage> {
  const record = await enterImage(engine, image, report, signal);
  const index = image.index && (await enterIndex(engine, image.index, report, signal));
  engine.database.transaction(() => {
    engine.images.tag(record.imageId, image.names);
    if (index !== undefined && image.names.length > 0) engine.indexes.save(index, image.names);
  });
  noteImage(engine, 'load', record.imageId);
  return { id: record.imageId, names: image.names.map((name) => familiarReference(parseReference(name))) };
}

/** Enters all that an index names; gives the index itself. */
async function enterIndex(engine: Engine, indexed: ArchivedIndex, report: Report, signal: AbortSignal): Promise<NewIndex> {
  const members: IndexMember[] = [];
  for (const { entry, platform, image } of indexed.images) {
    const { imageId } = await enterImage(engine, image, report, signal);
    members.push({ kind: 'image', imageId, platform, annotations: entry.annotations ?? {}, descriptor: entry });
  }
  for (const { entry, manifest, blobs } of indexed.attestations) {
    await engine.content.put(manifest, signal);
    for (const { descriptor, chunks } of blobs) await ingest(engine, { ...descriptor, chunks }, signal);
    members.push({ kind: 'attestation', descriptor: entry, blobs: blobs.map(({ descriptor }) => descriptor) });
  }
  const format = indexed.document.mediaType === mediaTypes.dockerManifestList ? 'docker' : 'oci';
  return { members, format, annotations: indexed.annotations, document: indexed.document };
}

/** Enters an image without its names; layers that are not what the config says are an error. */
export async function enterImage(engine: Engine, image: ArchivedImage, report: Report, signal: AbortSignal): Promise<ImageRecord> {
  const { imageId, top } = await unpackArchived(engine, image, report, signal);
  const chains = { chains: engine.layerChains, worker: async () => await engine.worker(signal) };
  const sized = top === undefined ? [] : await layersOfChain(top, chains, signal);
  return engine.database.transaction(() => {
    const record = engine.images.save({
      config: image.config,
      layers: sized.map(({ diffId, size }) => ({ diffId, size })),
      now: engine.now(),
    });
    if (image.manifest !== undefined) engine.originals.keep(imageId, image.manifest);
    return record;
  });
}

/** The files of an archive's image, which is not entered; layers that are not what the config says are an error. */
export async function unpackArchived(
  engine: Engine,
  image: ArchivedImage,
  report: Report,
  signal: AbortSignal,
): Promise<{ readonly imageId: Digest; readonly top: SnapshotId | undefined }> {
  engine.hold();
  const newBlobs = new Map<Digest, Blob & { readonly mediaType: string }>();
  for (const { diffId, digest, mediaType, size, chunks } of image.layers) {
    const blob = await ingest(engine, { chunks, size, digest }, signal);
    newBlobs.set(diffId, { digest: blob.digest, size: blob.size, mediaType });
  }
  const imageId = digestOf(image.config);
  const layers = image.layers.map(({ diffId }) => ({ diffId, size: 0 }));
  const unpack = async () => await unpackImage(engine, { imageId, layers, newBlobs }, report, signal);
  return { imageId, top: await withoutLostSnapshots(engine, unpack, report, signal) };
}
