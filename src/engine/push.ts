/** `jettison push` */
import { familiarReference, nameOf, parseReference, printReference, withDefaultTag, type Reference } from '#formats/oci/reference.ts';
import type { Descriptor } from '#formats/oci/descriptor.ts';
import type { Report } from '#formats/progress/event.ts';
import { digestOf, type Digest } from '#ground/base/digest.ts';
import { assembleIndex, indexEntry, type TypedDocument } from '#execution/exporter/assemble-index.ts';
import { imagesOf, type NewIndex } from '#stores/image/indexes.ts';
import { checkConfig, type ImageRecord } from '#stores/image/store.ts';
import { findForPlatform, findImage } from './images.ts';
import { estargzAsIs, type BlobForm, type WantedForm } from './layer-blobs.ts';
import { makeManifest } from './make-manifest.ts';
import { originalManifest } from './original-manifest.ts';
import { noteImage } from './note-events.ts';
import type { Engine } from './open.ts';
import type { PushedImage, PushRequest } from './image-requests.ts';
import { documentsBeside, isAsItWas, type FormOf, type Indexed } from './saved-image.ts';

/** Uploads what the registry lacks, then the manifest, or all manifests of an index and then the index. Throws `image/not-found`, `registry/...`; nothing is tagged there then. */
export async function push(engine: Engine, request: PushRequest, report: Report, signal: AbortSignal): Promise<PushedImage> {
  const reference = withDefaultTag(parseReference(request.reference));
  engine.hold();
  const name = printReference(reference);
  const index = request.platform === undefined ? engine.indexes.find(name) : undefined;
  const main =
    index === undefined && request.platform !== undefined ? findForPlatform(engine, name, request.platform) : findImage(engine, name);
  return await pushAs(engine, { main, index, reference, form: askedForm(request), origins: request.origins }, report, signal);
}

/** `isAsked`: somebody has said how layers are to be. */
export function askedForm({ compression, level }: PushRequest): WantedForm & { readonly isAsked: boolean } {
  const isAsked = compression !== undefined || level !== undefined;
  return { format: compression ?? 'gzip', ...(level === undefined ? {} : { level }), isAsked };
}

type AskedPush = Omit<ImagesToPush, 'form' | 'formOf'> & {
  readonly form: ReturnType<typeof askedForm>;
  readonly origins?: PushRequest['origins'];
};

/** Under any name, which the images need not have here. Throws as `push`. */
export async function pushAs(
  engine: Engine,
  { main, index, reference, form, origins }: AskedPush,
  report: Report,
  signal: AbortSignal,
): Promise<PushedImage> {
  using _ = engine.waits.toldTo(report);
  const made = form.format === 'estargz' ? await pushEstargz() : await pushImages(engine, { main, index, reference, form }, report, signal);
  if (form.format !== 'estargz') noteManifests(engine, reference, made);
  if (origins !== undefined) {
    const { pushOrigins } = await import('./push-origins.ts');
    await pushOrigins(engine, { pushed: made, reference, detail: origins }, report, signal);
  }
  noteImage(engine, 'push', familiarReference(reference), printReference(reference));
  return { digest: made.top.digest, size: made.top.bytes.length };

  /** Other images than these, which the store does not keep: it remembers nothing of them. */
  async function pushEstargz(): Promise<Indexed> {
    const { withEstargz } = await import('./estargz-images.ts');
    const pushThem = async (images: Pick<ImagesToPush, 'main' | 'index'>) =>
      await pushImages(engine, { ...images, reference, form: { ...estargzAsIs, isAsked: true } }, report, signal);
    return await withEstargz(engine, { main, index, form }, pushThem, { report, signal });
  }
}

export type ImagesToPush = {
  readonly main: ImageRecord;
  /** Then all of its images are pushed. */
  readonly index: NewIndex | undefined;
  /** Without a tag it is pushed by digest. */
  readonly reference: Reference;
  readonly form: AskedForm;
  /** What each manifest is to be like; not said: as the store has it, or as it came. */
  readonly formOf?: FormOf;
};

/** The image, or all of the index. Throws `image/damaged`, `registry/...`; nothing is tagged there then. */
export async function pushImages(engine: Engine, images: ImagesToPush, report: Report, signal: AbortSignal): Promise<Indexed> {
  engine.hold();
  const { main, index, ...to } = images;
  if (index !== undefined) return await pushIndex(engine, { index, ...to }, report, signal);
  const manifest = await pushOne(engine, { record: main, ...to }, report, signal);
  return { top: manifest, manifests: [{ manifest, imageId: main.imageId }] };
}

/** The store remembers what a repository has of its images. */
export function noteManifests(engine: Engine, reference: Reference, { top, manifests }: Indexed): void {
  for (const { manifest, imageId } of manifests) {
    engine.images.noteManifest(imageId, {
      repository: nameOf(reference),
      digest: top.digest,
      manifest: manifest.digest,
      mediaType: manifest.mediaType,
      bytes: manifest.bytes,
    });
  }
}

/** `isAsked`: then a manifest that an image came with is not kept when its layers are in another form. */
export type AskedForm = BlobForm & { readonly isAsked: boolean };

type ImageToPush = Pick<ImagesToPush, 'reference' | 'form' | 'formOf'> & { readonly record: ImageRecord; readonly wanted?: Digest };

/** Under the reference's tag, else under its own digest. */
async function pushOne(engine: Engine, image: ImageToPush, report: Report, signal: AbortSignal): Promise<TypedDocument> {
  const { record, reference, form, formOf, wanted } = image;
  checkConfig(record);
  const mountFrom = knownRepositories(engine, record, reference);
  const original = form.isAsked || formOf !== undefined ? undefined : originalManifest(engine, record, wanted);
  await engine.content.put(record.config, signal);
  const make = async (): Promise<{ readonly layers: readonly Descriptor[]; readonly manifest: TypedDocument }> => {
    const { pushLayers } = await import('./push-layers.ts');
    const layers = await pushLayers(engine, { record, form, reference, mountFrom }, report, signal);
    return {
      layers,
      manifest: makeManifest({ record, form: formOf?.(record.imageId) ?? engine.images.formOf(record.imageId), layers }).manifest,
    };
  };
  const { layers, manifest } = original ?? (await make());
  const { pushImage } = await import('#stores/transfer/push.ts');
  await pushImage(
    {
      // Without either, `latest` would be meant.
      reference: reference.tag === undefined ? { ...reference, digest: manifest.digest } : reference,
      client: await engine.registry(),
      manifest,
      openBlob: (digest, offset, own) => engine.content.openStream(digest, offset, own),
      mountFrom,
      present: new Set(original === undefined ? layers.map((layer) => layer.digest) : []),
    },
    report,
    signal,
  );
  return manifest;
}

function knownRepositories(engine: Engine, record: ImageRecord, reference: Reference): readonly string[] {
  return engine.images
    .manifestsOf(record.imageId)
    .map((one) => parseReference(one.repository))
    .flatMap((one) => (one.registry === reference.registry ? [one.repository] : []));
}

type IndexToPush = Pick<ImagesToPush, 'reference' | 'form' | 'formOf'> & { readonly index: NewIndex };

/** Manifests go up by their digests; the tag comes with the index, last. */
async function pushIndex(engine: Engine, wish: IndexToPush, report: Report, signal: AbortSignal): Promise<Indexed> {
  const { index, reference, ...as } = wish;
  const untagged = { ...reference, tag: undefined, digest: undefined };
  const images = new Map<Digest, { readonly manifest: TypedDocument }>();
  const entries: Descriptor[] = [];
  for (const member of imagesOf(index)) {
    const record = findImage(engine, member.imageId);
    const wanted = member.descriptor?.digest;
    const manifest = await pushOne(
      engine,
      { record, reference: untagged, ...as, ...(wanted === undefined ? {} : { wanted }) },
      report,
      signal,
    );
    images.set(member.imageId, { manifest });
    entries.push(indexEntry(manifest, member));
  }
  const beside = documentsBeside(engine, index, images);
  const { pushDocuments } = await import('./push-documents.ts');
  await pushDocuments(engine, { beside, reference: untagged }, report, signal);
  const { document } = index;
  const top =
    document !== undefined && isAsItWas(index, images)
      ? { ...document, digest: digestOf(document.bytes) }
      : assembleIndex([...entries, ...beside.entries], index);
  await (await engine.registry()).putManifest(reference.tag === undefined ? { ...reference, digest: top.digest } : reference, top, signal);
  return { top, manifests: [...images].map(([imageId, { manifest }]) => ({ manifest, imageId })) };
}
