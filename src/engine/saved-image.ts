/** Images and indexes with all their documents and blobs, ready to be written into an archive. */
import type { Descriptor } from '#formats/oci/descriptor.ts';
import { attestedBy } from '#formats/oci/image-index.ts';
import { mediaTypes } from '#formats/oci/media-types.ts';
import { predicateLimit } from './attach.ts';
import type { Report } from '#formats/progress/event.ts';
import { assembleAttestation, assembleIndex, indexEntry, type TypedDocument } from '#execution/exporter/assemble-index.ts';
import { digestOf, type Digest } from '#ground/base/digest.ts';
import type { SavedImage, SavedIndex } from '#stores/image/archive.ts';
import { imagesOf, type IndexedImage, type NewIndex } from '#stores/image/indexes.ts';
import { checkConfig, type ImageRecord, type ManifestForm } from '#stores/image/store.ts';
import { findImage } from './images.ts';
import { layerBlobs, type BlobForm } from './layer-blobs.ts';
import { makeManifest } from './make-manifest.ts';
import { originalManifest } from './original-manifest.ts';
import type { Engine } from './open.ts';

export type IndexToWrite = NewIndex;

/** What a name means, an index or a manifest, and the manifests of its images. */
export type Indexed = {
  readonly top: TypedDocument;
  readonly manifests: readonly { readonly manifest: TypedDocument; readonly imageId: Digest }[];
};

/** What the manifest of an image is to be like. */
export type FormOf = (imageId: Digest) => ManifestForm;

type ImageWish = {
  readonly record: ImageRecord;
  readonly form: BlobForm;
  /** Then the manifest is made, also where it came from elsewhere. */
  readonly formOf?: FormOf;
  /** This manifest, where it is here. */
  readonly wanted?: Digest;
};

/** An image that came from elsewhere keeps its manifest; of another one it is made, with layers in `form`. It has no names. */
export async function savedImage(engine: Engine, wish: ImageWish, report: Report, signal: AbortSignal): Promise<SavedImage> {
  const { record } = wish;
  checkConfig(record);
  const original = wish.formOf === undefined ? originalManifest(engine, record, wish.wanted) : undefined;
  const config = { bytes: record.config, digest: record.imageId };
  const layers = original?.layers ?? (await layerBlobs(engine, record, wish.form, report, signal));
  const manifest =
    original?.manifest ??
    makeManifest({ record, form: wish.formOf?.(record.imageId) ?? engine.images.formOf(record.imageId), layers }).manifest;
  return {
    config,
    names: [],
    manifest,
    layers: layers.map((layer, index) => ({
      ...layer,
      diffId: record.layers[index]?.diffId ?? layer.digest,
      open: () => engine.content.openStream(layer.digest, 0, signal),
    })),
  };
}

type IndexWish = { readonly main: ImageRecord; readonly index: IndexToWrite } & Pick<ImageWish, 'form' | 'formOf'>;

/** An index that came from elsewhere stays as it is when all its manifests do; else it is made of those that are here. It has no names. */
export async function savedIndex(engine: Engine, wish: IndexWish, report: Report, signal: AbortSignal): Promise<SavedIndex> {
  const { index, main, ...as } = wish;
  const images = new Map<Digest, SavedImage>();
  for (const member of imagesOf(index)) {
    const wanted = member.descriptor?.digest;
    const saved = await savedImage(
      engine,
      { record: findImage(engine, member.imageId), ...as, ...(wanted === undefined ? {} : { wanted }) },
      report,
      signal,
    );
    images.set(member.imageId, saved);
  }
  const open = (digest: Digest) => () => engine.content.openStream(digest, 0, signal);
  const documents = documentsBeside(engine, index, images);
  const saved = {
    kind: 'index',
    images: [...images.values()],
    main: images.get(main.imageId) ?? (await savedImage(engine, { record: main, ...as }, report, signal)),
    blobs: documents.blobs.map(({ digest, size, bytes }) => ({ digest, size, open: bytes === undefined ? open(digest) : () => [bytes] })),
    names: [],
  } as const;
  const { document } = index;
  if (document !== undefined && isAsItWas(index, images)) return { ...saved, index: { ...document, digest: digestOf(document.bytes) } };
  const entries = imagesOf(index).flatMap((member) => entryOf(member, images));
  return { ...saved, index: assembleIndex([...entries, ...documents.entries], index) };
}

/** The documents alone: of an image, or of an index with its images. */
export async function makeIndexed(
  engine: Engine,
  { index, ...wish }: Omit<IndexWish, 'index'> & { readonly index: IndexToWrite | undefined },
  report: Report,
  signal: AbortSignal,
): Promise<Indexed> {
  if (index === undefined) {
    const { main: record, ...as } = wish;
    const { manifest } = await savedImage(engine, { record, ...as }, report, signal);
    return { top: manifest, manifests: [{ manifest, imageId: record.imageId }] };
  }
  const saved = await savedIndex(engine, { index, ...wish }, report, signal);
  return { top: saved.index, manifests: saved.images.map(({ manifest, config }) => ({ manifest, imageId: config.digest })) };
}

/** Has each image the manifest that the index names? */
export function isAsItWas(index: NewIndex, images: ReadonlyMap<Digest, Pick<SavedImage, 'manifest'>>): boolean {
  return imagesOf(index).every((member) => member.descriptor?.digest === images.get(member.imageId)?.manifest.digest);
}

function entryOf(member: IndexedImage, images: ReadonlyMap<Digest, SavedImage>): readonly Descriptor[] {
  const manifest = images.get(member.imageId)?.manifest;
  return manifest === undefined ? [] : [indexEntry(manifest, member)];
}

/** A blob of the content store, or one that was made just now. */
export type DocumentBlob = Pick<Descriptor, 'digest' | 'size' | 'mediaType'> & { readonly bytes: Uint8Array | undefined };

export type DocumentsBeside = {
  readonly entries: readonly Descriptor[];
  readonly blobs: readonly DocumentBlob[];
};

/** What attestations bring: their entries in the index, and all of their documents. Those of a manifest that is not written are left out. */
export function documentsBeside(
  engine: Engine,
  index: NewIndex,
  images: ReadonlyMap<Digest, Pick<SavedImage, 'manifest'>>,
): DocumentsBeside {
  const entries: Descriptor[] = [];
  const blobs: DocumentBlob[] = [];
  const written = new Set<string>([...images.values()].map(({ manifest }) => manifest.digest));
  for (const member of index.members) {
    if (member.kind === 'image') continue;
    if (member.kind === 'attestation') {
      if (!written.has(attestedBy(member.descriptor) ?? '')) continue;
      entries.push(member.descriptor);
      blobs.push(
        ...[member.descriptor, ...member.blobs].map(({ digest, size, mediaType }) => ({ digest, size, mediaType, bytes: undefined })),
      );
      continue;
    }
    const subject = images.get(member.imageId)?.manifest;
    if (subject === undefined) continue;
    const predicates = member.predicates.map(({ predicateType, digest }) => ({
      predicateType,
      predicate: engine.content.read(digest, predicateLimit),
    }));
    const about = { digest: subject.digest, names: member.subjects };
    const { manifest, config, statements, entry } = assembleAttestation(about, predicates);
    entries.push(entry);
    blobs.push(
      { ...entry, bytes: manifest.bytes },
      { digest: config.digest, size: config.bytes.length, mediaType: mediaTypes.config, bytes: config.bytes },
      ...statements.map(({ digest, bytes }) => ({ digest, size: bytes.length, mediaType: mediaTypes.statement, bytes })),
    );
  }
  return { entries, blobs };
}
