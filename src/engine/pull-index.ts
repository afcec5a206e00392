/** What an index in a registry names beside the image that was pulled: its images for other platforms, and attestations. */
import type { Descriptor } from '#formats/oci/descriptor.ts';
import { decodeImageConfig } from '#formats/oci/image-config.ts';
import { attestedBy } from '#formats/oci/image-index.ts';
import { decodeImageDocument, manifestLimit } from '#formats/oci/manifest.ts';
import { isManifestType, mediaTypes } from '#formats/oci/media-types.ts';
import { normalPlatform } from '#formats/oci/platform.ts';
import { printReference, type Reference } from '#formats/oci/reference.ts';
import type { Report } from '#formats/progress/event.ts';
import type { Digest } from '#ground/base/digest.ts';
import { JettisonError } from '#ground/base/errors.ts';
import type { IndexMember, IndexedAttestation, IndexedImage } from '#stores/image/indexes.ts';
import type { ImageRecord } from '#stores/image/store.ts';
import { fetchBlob } from '#stores/transfer/fetch-blob.ts';
import { fetchImage } from './fetch-image.ts';
import type { Engine } from './open.ts';

export type IndexToKeep = {
  readonly reference: Reference;
  /** Its document is in the content store. */
  readonly index: Digest;
  readonly main: ImageRecord;
  /** With the images for other platforms. */
  readonly all: boolean;
};

/** Most bytes of all documents of one attestation. */
const attestationLimit = 256 * 1024 * 1024;

/**
 * Keeps the index of a name where all that it names is in the store then: it has one image (and what is said about it), or `all` is asked for. Another index is left: its
 * other images are not wanted. Throws `engine/not-an-image-index`, `registry/...`.
 */
export async function keepIndex(engine: Engine, wanted: IndexToKeep, report: Report, signal: AbortSignal): Promise<void> {
  const { reference, index, all } = wanted;
  const bytes = engine.content.read(index, manifestLimit);
  const document = decodeImageDocument(bytes, [], printReference(reference));
  if (document.kind !== 'index') return;
  const { manifests } = document.index;
  const images = manifests.filter((entry) => attestedBy(entry) === undefined);
  const isKnown = manifests.every((entry) => isManifestType(entry.mediaType));
  if (!all && (images.length !== 1 || !isKnown || reference.tag === undefined)) return;
  if (!isKnown) throw notOnlyImages(reference);
  const members: IndexMember[] = [];
  for (const entry of manifests) {
    if (attestedBy(entry) === undefined) members.push(await bringImage(engine, { ...wanted, entry }, report, signal));
    else members.push(await bringAttestation(engine, reference, entry, signal));
  }
  if (reference.tag === undefined) return;
  const name = printReference({ ...reference, digest: undefined });
  const format = document.mediaType === mediaTypes.dockerManifestList ? 'docker' : 'oci';
  engine.indexes.save(
    { members, format, annotations: document.index.annotations ?? {}, document: { mediaType: document.mediaType, bytes } },
    [name],
  );
}

type EntryToBring = IndexToKeep & { readonly entry: Descriptor };

async function bringImage(
  engine: Engine,
  { reference, entry, main }: EntryToBring,
  report: Report,
  signal: AbortSignal,
): Promise<IndexedImage> {
  const isMain = engine.images.manifestsOf(main.imageId).some(({ manifest }) => manifest === entry.digest);
  const request = {
    reference: { ...reference, tag: undefined, digest: entry.digest },
    platform: entry.platform ?? { os: 'linux', architecture: 'unknown' },
    manifest: entry.digest,
  };
  const record = isMain ? main : (await fetchImage(engine, request, report, signal)).record;
  const platform = entry.platform ?? normalPlatform(decodeImageConfig(record.config, record.imageId));
  return { kind: 'image', imageId: record.imageId, platform, annotations: entry.annotations ?? {}, descriptor: entry };
}

async function bringAttestation(engine: Engine, reference: Reference, entry: Descriptor, signal: AbortSignal): Promise<IndexedAttestation> {
  const client = await engine.registry();
  const { bytes, document } = await client.fetchManifest(reference, entry, signal);
  if (document.kind !== 'manifest') throw notOnlyImages(reference);
  const blobs = [document.manifest.config, ...document.manifest.layers].map(({ mediaType, digest, size }) => ({ mediaType, digest, size }));
  if (blobs.reduce((sum, { size }) => sum + size, 0) > attestationLimit) throw notOnlyImages(reference);
  await engine.content.put(bytes, signal);
  for (const blob of blobs) await fetchBlob({ reference, client, content: engine.content }, blob, () => undefined, signal);
  return { kind: 'attestation', descriptor: entry, blobs };
}

function notOnlyImages(reference: Reference): JettisonError {
  return new JettisonError('engine/not-an-image-index', `"${printReference(reference)}" is an index of more than images and attestations`, {
    hint: 'Pull the image for one platform: "--platform linux/amd64"',
  });
}
