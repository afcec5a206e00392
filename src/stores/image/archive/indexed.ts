/** Indexes of an archive with all that they name: images for several platforms, and attestations. */
import { decodeImageConfig } from '#formats/oci/image-config.ts';
import { attestedBy } from '#formats/oci/image-index.ts';
import { decodeImageDocument, manifestLimit } from '#formats/oci/manifest.ts';
import { isIndexType, isManifestType } from '#formats/oci/media-types.ts';
import { matchPlatform, type Platform } from '#formats/oci/platform.ts';
import { digestOf } from '#ground/base/digest.ts';
import type { ArchivedImage, ArchivedIndex } from '../archived-image.ts';
import { badArchive, type TarIndex } from '../tar-index.ts';
import { blobFile, hasBlob, imageOf, readDocument, type ReadDocument } from './blobs.ts';

const mostMembers = 200;

/** undefined when something that the index names is not in the archive, or is neither an image nor an attestation of one. */
export function readIndexed(index: TarIndex, { bytes, document }: ReadDocument): ArchivedIndex | undefined {
  if (document.kind !== 'index') return undefined;
  const { manifests } = document.index;
  if (manifests.length > mostMembers) throw badArchive(`an index of it names more than ${mostMembers} manifests`);
  if (!manifests.every((each) => isManifestType(each.mediaType) && hasBlob(index, each))) return undefined;
  const images: ArchivedIndex['images'][number][] = [];
  const attestations: ArchivedIndex['attestations'][number][] = [];
  for (const each of manifests) {
    const member = readDocument(index, each);
    if (attestedBy(each) !== undefined) {
      const attestation = readAttestation(index, member);
      if (attestation === undefined) return undefined;
      attestations.push(attestation);
      continue;
    }
    const image = imageOf(index, member);
    if (image === undefined) return undefined;
    images.push({ entry: each, image, platform: each.platform ?? platformOf(image) });
  }
  if (images.length === 0) return undefined;
  const { annotations = {} } = document.index;
  return { document: { mediaType: document.mediaType, bytes }, annotations, images, attestations };
}

/** The image of an index that a name leads to: the one for `platform`, else the first. */
export function mainImage(indexed: ArchivedIndex, platform: Platform): ArchivedImage | undefined {
  return (matchPlatform(indexed.images, platform)[0] ?? indexed.images[0])?.image;
}

function platformOf(image: ArchivedImage): Platform {
  const { os, architecture, variant } = decodeImageConfig(image.config, 'an image of the archive');
  return { os, architecture, ...(variant === undefined ? {} : { variant }) };
}

function readAttestation(index: TarIndex, { entry, bytes, document }: ReadDocument): ArchivedIndex['attestations'][number] | undefined {
  if (document.kind !== 'manifest') return undefined;
  const descriptors = [document.manifest.config, ...document.manifest.layers];
  if (!descriptors.every((each) => hasBlob(index, each))) return undefined;
  const blobs = descriptors.map((descriptor) => {
    const file = blobFile(index, descriptor);
    return { descriptor, chunks: () => index.chunks(file) };
  });
  return { entry, manifest: bytes, blobs };
}

/** Images of a docker archive, whose manifest.json says nothing of manifests, with those that an OCI layout beside it has of them. */
export function withDocuments(index: TarIndex, images: readonly ArchivedImage[]): readonly ArchivedImage[] {
  const file = index.find('index.json');
  if (file === undefined) return images;
  const document = decodeImageDocument(index.read(file, manifestLimit), [], 'index.json');
  if (document.kind !== 'index') return images;
  const entries = document.index.manifests.filter((entry) => hasBlob(index, entry));
  const indexes = entries.flatMap((entry) => (isIndexType(entry.mediaType) ? (readIndexed(index, readDocument(index, entry)) ?? []) : []));
  const single = entries.flatMap((entry) => (isManifestType(entry.mediaType) ? (imageOf(index, readDocument(index, entry)) ?? []) : []));
  return images.map((image) => {
    const imageId = digestOf(image.config);
    const isSame = (other: ArchivedImage): boolean => digestOf(other.config) === imageId;
    const indexed = indexes.find((each) => each.images.some((member) => isSame(member.image)));
    const found = indexed?.images.find((member) => isSame(member.image))?.image ?? single.find(isSame);
    return found === undefined ? image : { ...found, names: image.names, index: indexed };
  });
}
