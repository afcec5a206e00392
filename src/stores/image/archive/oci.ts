/** OCI image layouts in a tar: OCI image spec, image-layout.md. */
import type { Digest } from '#ground/base/digest.ts';
import type { Descriptor } from '#formats/oci/descriptor.ts';
import { selectManifests } from '#formats/oci/image-index.ts';
import { decodeImageDocument, manifestLimit } from '#formats/oci/manifest.ts';
import { isIndexType, isManifestType } from '#formats/oci/media-types.ts';
import type { Platform } from '#formats/oci/platform.ts';
import { parseReference, printReference, withDefaultTag } from '#formats/oci/reference.ts';
import type { ArchivedImage } from '../archived-image.ts';
import { badArchive, type TarIndex } from '../tar-index.ts';
import { imageOf, readDocument } from './blobs.ts';
import { mainImage, readIndexed } from './indexed.ts';

const mostImages = 1000;
const mostNesting = 4;
const fullName = 'io.containerd.image.name';
const refName = 'org.opencontainers.image.ref.name';

type Choose = (entry: Descriptor, count: number) => boolean;

/** Chooses what has this tag, or is called so altogether; without one `latest`, or the only one. */
export function entryOf(tag: string | undefined): Choose {
  return (entry, all) => {
    const ref = entry.annotations?.['org.opencontainers.image.ref.name'] ?? '';
    const named = (name: string): boolean => ref === name || ref.endsWith(`:${name}`);
    return named(tag ?? 'latest') || (tag === undefined && all === 1);
  };
}

/**
 * Images of `index.json`, each once with all its names; of a nested index the one for `platform`, with the index where all that it names is there. `choose` is asked of each entry, with
 * how many there are; when it takes none, there are none.
 */
export function readOciArchive(index: TarIndex, platform: Platform, choose?: Choose): readonly ArchivedImage[] {
  const file = index.find('index.json');
  if (!file) throw badArchive('it has neither a manifest.json (docker archive) nor an index.json (OCI image layout)');
  const document = decodeImageDocument(index.read(file, manifestLimit), [], 'index.json');
  if (document.kind !== 'index') throw badArchive('its index.json is no image index');
  if (document.index.manifests.length > mostImages) throw badArchive(`it has more than ${mostImages} images`);
  const found = new Map<Digest, ArchivedImage>();
  const manifests = withoutMembers(index, document.index.manifests);
  for (const entry of choose ? manifests.filter((each) => choose(each, manifests.length)) : manifests) {
    const image = readEntry(index, entry, platform);
    if (!image) continue;
    const before = found.get(image.digest)?.names ?? [];
    found.set(image.digest, { ...image.image, names: [...new Set([...before, ...namesOf(entry)])] });
  }
  if (found.size === 0 && !choose) throw badArchive('its index.json names no image');
  return [...found.values()];
}

/** Some writers (oras) list what an index names beside the index: without a name of its own that is no image more. */
function withoutMembers(index: TarIndex, entries: readonly Descriptor[]): readonly Descriptor[] {
  const members = new Set(
    entries.flatMap((entry) => {
      if (!isIndexType(entry.mediaType)) return [];
      const { document } = readDocument(index, entry);
      return document.kind === 'index' ? document.index.manifests.map(({ digest }) => digest) : [];
    }),
  );
  return entries.filter(
    ({ digest, annotations }) => !members.has(digest) || annotations?.[refName] !== undefined || annotations?.[fullName] !== undefined,
  );
}

type Found = { readonly digest: Digest; readonly image: ArchivedImage };

/** undefined for what is no image: an artifact, an attestation. */
function readEntry(index: TarIndex, entry: Descriptor, platform: Platform, depth = 0): Found | undefined {
  if (!isIndexType(entry.mediaType) && !isManifestType(entry.mediaType)) return undefined;
  if (depth > mostNesting) throw badArchive('its indexes are nested too deeply');
  const read = readDocument(index, entry);
  const { document } = read;
  if (document.kind === 'index') {
    const indexed = depth === 0 ? readIndexed(index, read) : undefined;
    const main = indexed && mainImage(indexed, platform);
    if (main !== undefined) return { digest: entry.digest, image: { ...main, index: indexed } };
    const best = selectManifests(document.index, platform, entry.digest)[0];
    return best && readEntry(index, best, platform, depth + 1);
  }
  const image = imageOf(index, read);
  return image && { digest: entry.digest, image };
}

/** containerd's annotation holds a full name; the OCI one a tag or whatever its writer put there, so it counts only when it looks like a name with a tag. */
function namesOf(entry: Descriptor): readonly string[] {
  const full = entry.annotations?.[fullName];
  const ref = entry.annotations?.[refName];
  const name = full ?? (ref !== undefined && /[:/]/u.test(ref) ? ref : undefined);
  return name === undefined ? [] : [printReference(withDefaultTag(parseReference(name)))];
}
