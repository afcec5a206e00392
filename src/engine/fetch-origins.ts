/** The list of where each file of an image came from, as it lies beside the image in the registry that it came from. */
import { listTypes, type OriginList } from '#formats/origins/list.ts';
import type { Descriptor } from '#formats/oci/descriptor.ts';
import { parseReference, type Reference } from '#formats/oci/reference.ts';
import { decodeReferrer } from '#formats/oci/referrer.ts';
import type { Report } from '#formats/progress/event.ts';
import type { Digest } from '#ground/base/digest.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { openImageOrigins } from '#stores/image/origins.ts';
import { fetchBlob } from '#stores/transfer/fetch-blob.ts';
import type { ImageRecord } from '#stores/image/store.ts';
import type { Engine } from './open.ts';
import { packedLimit, unpackList } from './origin-lists.ts';
import { referrersTag, taggedReferrers } from './push-origins.ts';

/** Manifests that are looked at. */
const most = 8;

/** Its blob is kept. Undefined where the registries that have the image have none. Those that cannot be read are left aside. Throws `registry/...`. */
export async function fetchOrigins(
  engine: Engine,
  { imageId }: ImageRecord,
  report: Report,
  signal: AbortSignal,
): Promise<OriginList | undefined> {
  using _ = engine.waits.toldTo(report);
  for (const { repository, manifest } of engine.images.manifestsOf(imageId)) {
    const reference = parseReference(repository);
    const client = await engine.registry();
    const listed = await client.listReferrers(reference, manifest, listTypes.artifact, signal);
    const found = listed ?? (await taggedReferrers(engine, { ...reference, tag: referrersTag(manifest) }, signal));
    // A tag lists signatures and all else, too.
    const lists = found.filter(({ artifactType = listTypes.artifact }) => artifactType === listTypes.artifact);
    for (const descriptor of lists.slice(0, most)) {
      const list = await readable(fetchList(engine, { reference, subject: manifest, descriptor }, signal), repository, report);
      if (list === undefined) continue;
      openImageOrigins(engine.database).setFiles(imageId, list.blob);
      return list.list;
    }
  }
  return undefined;
}

/** Whoever may push to a repository may put anything beside an image: what cannot be read is told, and another one may be there. */
async function readable(fetching: Promise<Fetched | undefined>, repository: string, report: Report): Promise<Fetched | undefined> {
  try {
    return await fetching;
  } catch (error) {
    if (!(error instanceof JettisonError) || !unreadable.has(error.code)) throw error;
    report({ kind: 'note', text: `Warning: a list of origins in "${repository}" is left aside: ${error.message}` });
    return undefined;
  }
}

const unreadable: ReadonlySet<string> = new Set([
  'engine/bad-origin-list',
  'oci/ambiguous-manifest',
  'oci/bad-manifest',
  'origins/bad-list',
  'registry/not-found',
]);

type Fetched = { readonly blob: Digest; readonly list: OriginList };
type Fetching = { readonly reference: Reference; readonly subject: Digest; readonly descriptor: Descriptor };

async function fetchList(engine: Engine, { reference, subject, descriptor }: Fetching, signal: AbortSignal): Promise<Fetched | undefined> {
  const client = await engine.registry();
  const { document } = await client.fetchManifest({ ...reference, tag: undefined, digest: descriptor.digest }, descriptor, signal);
  const about = decodeReferrer(document, reference.repository);
  if (document.kind !== 'manifest' || about.artifactType !== listTypes.artifact || about.subject?.digest !== subject) return undefined;
  const blob = document.manifest.layers.find(({ mediaType }) => mediaType === listTypes.document);
  if (blob === undefined || blob.size > packedLimit) return undefined;
  const { content } = engine;
  await fetchBlob({ reference, client, content }, blob, () => undefined, signal);
  return { blob: blob.digest, list: await unpackList(content.read(blob.digest, packedLimit)) };
}
