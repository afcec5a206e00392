/** `jettison push` */
import { nameOf, parseReference, printReference, withDefaultTag, type Reference } from '#formats/oci/reference.ts';
import type { Descriptor } from '#formats/oci/descriptor.ts';
import type { Report } from '#formats/progress/event.ts';
import { digestOf, type Digest } from '#ground/base/digest.ts';
import { assembleIndex, indexEntry, type TypedDocument } from '#execution/exporter/assemble-index.ts';
import { imagesOf, type NewIndex } from '#stores/image/indexes.ts';
import { checkConfig, type ImageRecord } from '#stores/image/store.ts';
import { findForPlatform, findImage } from './images.ts';
import type { BlobForm } from './layer-blobs.ts';
import { makeManifest } from './make-manifest.ts';
import { originalManifest } from './original-manifest.ts';
import type { Engine } from './open.ts';
import type { PushedImage, PushRequest } from './image-requests.ts';
import { documentsBeside, isAsItWas } from './saved-image.ts';

/** Uploads what the registry lacks, then the manifest, or all manifests of an index and then the index. Throws `image/not-found`, `registry/...`; nothing is tagged there then. */
export async function push(engine: Engine, request: PushRequest, report: Report, signal: AbortSignal): Promise<PushedImage> {
  const reference = withDefaultTag(parseReference(request.reference));
  engine.hold();
  using _ = engine.waits.toldTo(report);
  const name = printReference(reference);
  const form = {
    format: request.compression ?? 'gzip',
    ...(request.level === undefined ? {} : { level: request.level }),
    isAsked: request.compression !== undefined || request.level !== undefined,
  } as const;
  const index = request.platform === undefined ? engine.indexes.find(name) : undefined;
  if (index !== undefined) return describe(await pushIndex(engine, { index, reference, form }, report, signal));
  const record = request.platform === undefined ? findImage(engine, name) : findForPlatform(engine, name, request.platform);
  const manifest = await pushOne(engine, { record, reference, form }, report, signal);
  noteManifest(engine, record, reference, manifest, manifest);
  return describe(manifest);
}

function describe({ digest, bytes }: TypedDocument): PushedImage {
  return { digest, size: bytes.length };
}

/** `isAsked`: then a manifest that an image came with is not kept when its layers are in another form. */
type AskedForm = BlobForm & { readonly isAsked: boolean };

type ImageToPush = { readonly record: ImageRecord; readonly reference: Reference; readonly form: AskedForm; readonly wanted?: Digest };

/** Under the reference's tag, else under its own digest. */
async function pushOne(engine: Engine, image: ImageToPush, report: Report, signal: AbortSignal): Promise<TypedDocument> {
  const { record, reference, form, wanted } = image;
  checkConfig(record);
  const mountFrom = knownRepositories(engine, record, reference);
  const original = form.isAsked ? undefined : originalManifest(engine, record, wanted);
  await engine.content.put(record.config, signal);
  const make = async (): Promise<{ readonly layers: readonly Descriptor[]; readonly manifest: TypedDocument }> => {
    const { pushLayers } = await import('./push-layers.ts');
    const layers = await pushLayers(engine, { record, form, reference, mountFrom }, report, signal);
    return { layers, manifest: makeManifest({ record, form: engine.images.formOf(record.imageId), layers }).manifest };
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

type IndexToPush = { readonly index: NewIndex; readonly reference: Reference; readonly form: AskedForm };

/** Manifests go up by their digests; the tag comes with the index, last. */
async function pushIndex(engine: Engine, wish: IndexToPush, report: Report, signal: AbortSignal): Promise<TypedDocument> {
  const { index, reference, form } = wish;
  const untagged = { ...reference, tag: undefined, digest: undefined };
  const images = new Map<Digest, { readonly manifest: TypedDocument; readonly record: ImageRecord }>();
  const entries: Descriptor[] = [];
  for (const member of imagesOf(index)) {
    const record = findImage(engine, member.imageId);
    const wanted = member.descriptor?.digest;
    const manifest = await pushOne(
      engine,
      { record, reference: untagged, form, ...(wanted === undefined ? {} : { wanted }) },
      report,
      signal,
    );
    images.set(member.imageId, { manifest, record });
    entries.push(indexEntry(manifest, member));
  }
  const beside = documentsBeside(index, images);
  const { pushDocuments } = await import('./push-documents.ts');
  await pushDocuments(engine, { beside, reference: untagged }, report, signal);
  const { document } = index;
  const top =
    document !== undefined && isAsItWas(index, images)
      ? { ...document, digest: digestOf(document.bytes) }
      : assembleIndex([...entries, ...beside.entries], index);
  await (await engine.registry()).putManifest(reference, top, signal);
  for (const { manifest, record } of images.values()) noteManifest(engine, record, reference, manifest, top);
  return top;
}

/** `top`: what the name means in the registry. */
function noteManifest(engine: Engine, record: ImageRecord, reference: Reference, manifest: TypedDocument, top: TypedDocument): void {
  engine.images.noteManifest(record.imageId, {
    repository: nameOf(reference),
    digest: top.digest,
    manifest: manifest.digest,
    mediaType: manifest.mediaType,
    bytes: manifest.bytes,
  });
}
