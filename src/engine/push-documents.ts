/** Attestations to a registry: their statements as blobs, then their manifests by digest. */
import { isManifestType } from '#formats/oci/media-types.ts';
import type { Reference } from '#formats/oci/reference.ts';
import type { Report } from '#formats/progress/event.ts';
import { manifestLimit } from '#formats/oci/manifest.ts';
import { pushBlob } from '#stores/transfer/push.ts';
import type { Engine } from './open.ts';
import type { DocumentsBeside } from './saved-image.ts';

export type DocumentsToPush = { readonly beside: DocumentsBeside; readonly reference: Reference };

/** Throws `registry/...`, `content/...`. */
export async function pushDocuments(
  engine: Engine,
  { beside, reference }: DocumentsToPush,
  report: Report,
  signal: AbortSignal,
): Promise<void> {
  const client = await engine.registry();
  const made = new Map(beside.blobs.flatMap(({ digest, bytes }) => (bytes === undefined ? [] : [[digest, bytes] as const])));
  const manifests = beside.blobs.filter(({ mediaType }) => isManifestType(mediaType));
  for (const blob of beside.blobs.filter(({ mediaType }) => !isManifestType(mediaType))) {
    const openBlob = async function* (_: unknown, offset: number, own: AbortSignal): AsyncIterable<Uint8Array> {
      const bytes = made.get(blob.digest);
      if (bytes === undefined) yield* engine.content.openStream(blob.digest, offset, own);
      else yield bytes.subarray(offset);
    };
    await pushBlob({ reference, client, openBlob }, { ...blob, mediaType: blob.mediaType }, report, signal);
  }
  for (const { digest, mediaType } of manifests) {
    const bytes = made.get(digest) ?? engine.content.read(digest, manifestLimit);
    await client.putManifest({ ...reference, digest }, { bytes, mediaType }, signal);
  }
}
