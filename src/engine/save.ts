/** `jettison save`, and the archives that `build -o` writes. */
import type { Descriptor } from '#formats/oci/descriptor.ts';
import { parseReference, printReference, withDefaultTag } from '#formats/oci/reference.ts';
import type { Report } from '#formats/progress/event.ts';
import { isCode } from '#ground/base/errors.ts';
import type { TypedDocument } from '#execution/exporter/assemble-index.ts';
import {
  dockerArchive,
  ociArchive,
  writeArchive,
  type ArchiveDestination,
  type SavedImage,
  type SavedIndex,
} from '#stores/image/archive.ts';
import type { ImageRecord } from '#stores/image/store.ts';
import { findForPlatform, findImage } from './images.ts';
import type { BlobForm } from './layer-blobs.ts';
import { savedImage, savedIndex, type FormOf, type IndexToWrite } from './saved-image.ts';
import { noteImage } from './note-events.ts';
import type { Engine } from './open.ts';
import type { SaveRequest } from './image-requests.ts';

/** Throws `image/not-found` before anything is written; a file is complete or not there. */
export async function saveImages(engine: Engine, request: SaveRequest, report: Report, signal: AbortSignal): Promise<void> {
  engine.hold();
  const wanted = request.names.map((text) => savedUnder(engine, text, request.platform));
  const merged = new Map(
    wanted.map(({ record, index }) => [
      index?.indexId ?? record.imageId,
      {
        record,
        index,
        names: [
          ...new Set(
            wanted.flatMap((one) => (one.record.imageId === record.imageId && one.index?.indexId === index?.indexId ? one.names : [])),
          ),
        ],
      },
    ]),
  );
  await writeImages(engine, { images: [...merged.values()], format: request.format, destination: request.destination }, report, signal);
  for (const { record } of merged.values()) noteImage(engine, 'save', record.imageId);
}

/** With `platform` the image of an index alone. */
function savedUnder(engine: Engine, text: string, platform: string | undefined) {
  const names = namesFor(engine, text);
  if (platform !== undefined) return { record: findForPlatform(engine, text, platform), index: undefined, names };
  return { record: findImage(engine, text), index: engine.indexes.find(text), names };
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
  readonly images: readonly ImageToWrite[];
  readonly format: 'docker' | 'oci';
  /** Not said: as the format has it: `docker` uncompressed, `oci` gzip. */
  readonly layers?: BlobForm;
  /** A folder becomes an OCI image layout, or gets the images beside those that it has; a directory (`dir:`) gets the one image. */
  readonly destination:
    | ArchiveDestination
    | { readonly kind: 'folder'; readonly path: string }
    | { readonly kind: 'directory'; readonly path: string };
};

/** With an index, all of its images, of which `record` is the one that a name leads to. */
export type ImageToWrite = {
  readonly record: ImageRecord;
  readonly index?: IndexToWrite | undefined;
  /** What each manifest is to be like; not said: as the store has it. */
  readonly formOf?: FormOf;
  readonly names: readonly string[];
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
    if (request.destination.kind === 'stream' || !isCode(error, 'content/corrupt')) throw error;
    report({ kind: 'note', text: error.message });
    return await writeOnce(engine, request, report, signal);
  }
}

async function writeOnce(engine: Engine, request: ArchiveRequest, report: Report, signal: AbortSignal): Promise<readonly Descriptor[]> {
  const { format, destination } = request;
  const form = request.layers ?? { format: format === 'docker' ? 'tar' : 'gzip' };
  const saved: (SavedImage | SavedIndex)[] = [];
  for (const { record, index, names, annotations = {}, ...as } of request.images) {
    const one =
      index === undefined
        ? await savedImage(engine, { record, form, ...as }, report, signal)
        : await savedIndex(engine, { main: record, index, form, ...as }, report, signal);
    saved.push({ ...one, names, annotations });
  }
  if (destination.kind === 'folder') await (await import('#stores/image/write-layout.ts')).writeLayout(saved, destination.path, signal);
  else if (destination.kind === 'directory') await writeOneDirectory(saved, destination.path, signal);
  else await writeArchive(format === 'docker' ? dockerArchive(saved) : ociArchive(saved), destination, signal);
  return saved.map((one) => descriptorOf('kind' in one ? one.index : one.manifest));
}

async function writeOneDirectory(saved: readonly (SavedImage | SavedIndex)[], path: string, signal: AbortSignal): Promise<void> {
  const { writeDirectory } = await import('#stores/image/directory.ts');
  for (const one of saved) await writeDirectory(one, path, signal);
}

function descriptorOf({ mediaType, digest, bytes }: TypedDocument): Descriptor {
  return { mediaType, digest, size: bytes.length };
}
