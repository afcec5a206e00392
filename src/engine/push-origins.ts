/** The list of where each file of an image came from, pushed beside the image as a referrer of its manifest. */
import { listTypes, type ListDetail, type OriginList } from '#formats/origins/list.ts';
import { mediaTypes } from '#formats/oci/media-types.ts';
import type { Reference } from '#formats/oci/reference.ts';
import type { Report } from '#formats/progress/event.ts';
import { digestOf, type Digest } from '#ground/base/digest.ts';
import { isCode } from '#ground/base/errors.ts';
import type { Descriptor } from '#formats/oci/descriptor.ts';
import { pushBlob } from '#stores/transfer/push.ts';
import { findOrigins } from './known-origins.ts';
import type { Engine } from './open.ts';
import { keepList, makeList, packList, readList } from './origin-lists.ts';
import type { Indexed } from './saved-image.ts';

export type OriginsToPush = { readonly pushed: Indexed; readonly reference: Reference; readonly detail: ListDetail };

/** Of each of the images that something is known of. Throws `registry/...`: the image is there by then. */
export async function pushOrigins(
  engine: Engine,
  { pushed, reference, detail }: OriginsToPush,
  report: Report,
  signal: AbortSignal,
): Promise<void> {
  for (const { manifest, imageId } of pushed.manifests) {
    const list = await listOf(engine, imageId, signal);
    if (list === undefined) {
      report({ kind: 'note', text: `Warning: nothing is known of where the files of ${imageId} came from` });
      continue;
    }
    const subject = { mediaType: manifest.mediaType, digest: manifest.digest, size: manifest.bytes.length };
    await pushReferrer(engine, { subject, reference, bytes: await packList(list, detail) }, report, signal);
  }
}

/** As it was kept, else made now. */
async function listOf(engine: Engine, imageId: Digest, signal: AbortSignal): Promise<OriginList | undefined> {
  const kept = await readList(engine, imageId);
  const image = engine.images.get(imageId);
  if (kept !== undefined || image === undefined) return kept;
  const known = findOrigins(engine, image);
  if (known.top === undefined) return undefined;
  const worker = await engine.worker(signal);
  const list = await makeList(known, async (wish) => await worker.traceOrigins(wish, signal));
  await keepList(engine, imageId, list, signal);
  return list;
}

type ToRefer = { readonly subject: Descriptor; readonly reference: Reference; readonly bytes: Uint8Array };

async function pushReferrer(engine: Engine, { subject, reference, bytes }: ToRefer, report: Report, signal: AbortSignal): Promise<void> {
  const client = await engine.registry();
  const blobs = [
    { mediaType: 'application/vnd.oci.empty.v1+json', bytes: new TextEncoder().encode('{}') },
    { mediaType: listTypes.document, bytes },
  ].map((blob) => ({ ...blob, digest: digestOf(blob.bytes), size: blob.bytes.length }));
  for (const { bytes: content, ...descriptor } of blobs) {
    const openBlob = async function* (_: unknown, offset: number): AsyncIterable<Uint8Array> {
      await Promise.resolve();
      yield content.subarray(offset);
    };
    await pushBlob({ reference, client, openBlob }, descriptor, report, signal);
  }
  const [config, ...layers] = blobs.map(({ mediaType, digest, size }) => ({ mediaType, digest, size }));
  const manifest = new TextEncoder().encode(
    JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.manifest, artifactType: listTypes.artifact, config, layers, subject }),
  );
  const named = { ...reference, tag: undefined, digest: digestOf(manifest) };
  const pushed = await client.putManifest(named, { bytes: manifest, mediaType: mediaTypes.manifest }, signal);
  const listed = await client.listReferrers(reference, subject.digest, listTypes.artifact, signal);
  if (listed === undefined) await addToTag(engine, { subject, reference, pushed }, signal);
}

/** Where a registry has no list of referrers, an index under a tag of the subject's digest is it: OCI distribution spec, "Referrers Tag Schema". */
async function addToTag(
  engine: Engine,
  { subject, reference, pushed }: { readonly subject: Descriptor; readonly reference: Reference; readonly pushed: Descriptor },
  signal: AbortSignal,
): Promise<void> {
  const client = await engine.registry();
  const tagged = { ...reference, tag: referrersTag(subject.digest), digest: undefined };
  const others = (await taggedReferrers(engine, tagged, signal)).filter(({ digest }) => digest !== pushed.digest);
  const manifests = [...others, { ...pushed, artifactType: listTypes.artifact }];
  const bytes = new TextEncoder().encode(JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.index, manifests }));
  await client.putManifest(tagged, { bytes, mediaType: mediaTypes.index }, signal);
}

/** `sha256-...` */
export function referrersTag(digest: Digest): string {
  return digest.replace(':', '-');
}

/** None where there is no such tag. */
export async function taggedReferrers(engine: Engine, tagged: Reference, signal: AbortSignal): Promise<readonly Descriptor[]> {
  const client = await engine.registry();
  try {
    const { document } = await client.fetchManifest(tagged, undefined, signal);
    return document.kind === 'index' ? document.index.manifests : [];
  } catch (error) {
    if (isCode(error, 'registry/not-found')) return [];
    throw error;
  }
}
