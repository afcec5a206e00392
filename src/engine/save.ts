/** `jettison save`, and the archives that `build -o` writes. */
import type { Descriptor } from '#formats/oci/descriptor.ts';
import { parseReference, printReference, withDefaultTag } from '#formats/oci/reference.ts';
import type { Report } from '#formats/progress/event.ts';
import { isCode } from '#ground/base/errors.ts';
import type { LayerFormat } from '#execution/worker/contract.ts';
import { dockerArchive, ociArchive, writeArchive, type ArchiveDestination, type SavedImage } from '#stores/image/archive.ts';
import { checkConfig, type ImageRecord } from '#stores/image/store.ts';
import { findImage } from './images.ts';
import { layerBlobs } from './layer-blobs.ts';
import { makeManifest } from './make-manifest.ts';
import type { Engine } from './open.ts';
import type { SaveRequest } from './image-requests.ts';

/** Throws `image/not-found` before anything is written; a file is complete or not there. */
export async function saveImages(engine: Engine, request: SaveRequest, report: Report, signal: AbortSignal): Promise<void> {
  engine.hold();
  const wanted = request.names.map((text) => ({ record: findImage(engine, text), names: namesFor(engine, text) }));
  const merged = new Map(
    wanted.map(({ record }) => [
      record.imageId,
      { record, names: [...new Set(wanted.flatMap((one) => (one.record.imageId === record.imageId ? one.names : [])))] },
    ]),
  );
  await writeImages(
    engine,
    { images: [...merged.values()], format: request.format, compression: undefined, destination: request.destination },
    report,
    signal,
  );
}

/** A name that was asked for is saved; an id is saved without names. */
function namesFor(engine: Engine, text: string): readonly string[] {
  const record = findImage(engine, text);
  return record.names.filter((name) => {
    try {
      return printReference(withDefaultTag(parseReference(text))) === name;
    } catch {
      return false;
    }
  });
}

export type ArchiveRequest = {
  readonly images: readonly { readonly record: ImageRecord; readonly names: readonly string[] }[];
  readonly format: 'docker' | 'oci';
  /** undefined: as the format has it: `docker` uncompressed, `oci` gzip. */
  readonly compression: LayerFormat | undefined;
  readonly destination: ArchiveDestination;
  /** Of the entries in an archive's `index.json`. */
  readonly annotations?: Readonly<Record<string, string>>;
};

/** Gives the descriptors of the images' manifests, in order. */
export async function writeImages(
  engine: Engine,
  request: ArchiveRequest,
  report: Report,
  signal: AbortSignal,
): Promise<readonly Descriptor[]> {
  engine.hold();
  try {
    return await writeOnce(engine, request, report, signal);
  } catch (error) {
    // A damaged blob is thrown away by now: it can be made again, and nothing of the file is there.
    if (request.destination.kind !== 'file' || !isCode(error, 'content/corrupt')) throw error;
    report({ kind: 'note', text: error.message });
    return await writeOnce(engine, request, report, signal);
  }
}

async function writeOnce(engine: Engine, request: ArchiveRequest, report: Report, signal: AbortSignal): Promise<readonly Descriptor[]> {
  const format = request.compression ?? (request.format === 'docker' ? 'tar' : 'gzip');
  const images: SavedImage[] = [];
  for (const { record, names } of request.images) {
    const image = await savedImage(engine, { record, names, format }, report, signal);
    images.push({ ...image, annotations: request.annotations ?? {} });
  }
  await writeArchive(request.format === 'docker' ? dockerArchive(images) : ociArchive(images), request.destination, signal);
  return images.map(({ manifest }) => ({ mediaType: manifest.mediaType, digest: manifest.digest, size: manifest.bytes.length }));
}

async function savedImage(
  engine: Engine,
  image: { readonly record: ImageRecord; readonly names: readonly string[]; readonly format: LayerFormat },
  report: Report,
  signal: AbortSignal,
): Promise<SavedImage> {
  const { record } = image;
  checkConfig(record);
  const layers = await layerBlobs(engine, record, { format: image.format }, report, signal);
  const { config, manifest } = makeManifest({ record, form: engine.images.formOf(record.imageId), layers });
  return {
    config,
    names: image.names,
    manifest,
    layers: layers.map((layer, index) => ({
      ...layer,
      diffId: record.layers[index]?.diffId ?? layer.digest,
      open: () => engine.content.openStream(layer.digest, 0, signal),
    })),
  };
}
