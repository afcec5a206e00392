/** OCI image layouts in a tar: OCI image spec, image-layout.md. */
import { algorithmOf, createDigester, hexOf, type Digest } from '#ground/base/digest.ts';
import type { Descriptor } from '#formats/oci/descriptor.ts';
import { configLimit, decodeImageConfig, diffIdsOf } from '#formats/oci/image-config.ts';
import { selectManifests } from '#formats/oci/image-index.ts';
import { decodeImageDocument, manifestLimit, type Manifest } from '#formats/oci/manifest.ts';
import { isConfigType, isIndexType, isManifestType } from '#formats/oci/media-types.ts';
import type { Platform } from '#formats/oci/platform.ts';
import { parseReference, printReference, withDefaultTag } from '#formats/oci/reference.ts';
import type { ArchivedImage } from '../archived-image.ts';
import { badArchive, type TarFile, type TarIndex } from '../tar-index.ts';

const mostImages = 1000;
const mostNesting = 4;

type Choose = (entry: Descriptor, count: number) => boolean;

/**
 * Images of `index.json`, each once with all its names; of a nested index the one for `platform`. `choose` is asked of each entry, with
 * how many there are; when it takes none, there are none.
 */
export function readOciArchive(index: TarIndex, platform: Platform, choose?: Choose): readonly ArchivedImage[] {
  const file = index.find('index.json');
  if (!file) throw badArchive('it has neither a manifest.json (docker archive) nor an index.json (OCI image layout)');
  const document = decodeImageDocument(index.read(file, manifestLimit), [], 'index.json');
  if (document.kind !== 'index') throw badArchive('its index.json is no image index');
  if (document.index.manifests.length > mostImages) throw badArchive(`it has more than ${mostImages} images`);
  const found = new Map<Digest, ArchivedImage>();
  const { manifests } = document.index;
  for (const entry of choose ? manifests.filter((each) => choose(each, manifests.length)) : manifests) {
    const image = readEntry(index, entry, platform);
    if (!image) continue;
    const before = found.get(image.digest)?.names ?? [];
    found.set(image.digest, { ...image.image, names: [...new Set([...before, ...namesOf(entry)])] });
  }
  if (found.size === 0 && !choose) throw badArchive('its index.json names no image');
  return [...found.values()];
}

type Found = { readonly digest: Digest; readonly image: ArchivedImage };

/** undefined for what is no image: an artifact, an attestation. */
function readEntry(index: TarIndex, entry: Descriptor, platform: Platform, depth = 0): Found | undefined {
  if (!isIndexType(entry.mediaType) && !isManifestType(entry.mediaType)) return undefined;
  if (depth > mostNesting) throw badArchive('its indexes are nested too deeply');
  const bytes = readBlob(index, entry, manifestLimit);
  const document = decodeImageDocument(bytes, [entry.mediaType], entry.digest);
  if (document.kind === 'index') {
    const best = selectManifests(document.index, platform, entry.digest)[0];
    return best && readEntry(index, best, platform, depth + 1);
  }
  if (!isConfigType(document.manifest.config.mediaType)) return undefined;
  const manifest = { digest: entry.digest, mediaType: document.mediaType, bytes };
  return { digest: entry.digest, image: { names: [], manifest, ...readImage(index, document.manifest) } };
}

function readImage(index: TarIndex, manifest: Manifest): Pick<ArchivedImage, 'config' | 'layers'> {
  const config = readBlob(index, manifest.config, configLimit);
  const diffIds = diffIdsOf(decodeImageConfig(config, manifest.config.digest));
  if (diffIds.length !== manifest.layers.length) {
    throw badArchive(`the image's config names ${diffIds.length} layers, its manifest ${manifest.layers.length}`);
  }
  const layers = manifest.layers.map((layer, at) => {
    const file = blobFile(index, layer);
    return {
      diffId: diffIds[at] ?? layer.digest,
      digest: layer.digest,
      mediaType: layer.mediaType,
      size: layer.size,
      chunks: () => index.chunks(file),
    };
  });
  return { config, layers };
}

function readBlob(index: TarIndex, descriptor: Descriptor, limit: number): Uint8Array {
  const bytes = index.read(blobFile(index, descriptor), limit);
  const digester = createDigester(algorithmOf(descriptor.digest));
  digester.update(bytes);
  if (digester.finish() !== descriptor.digest) throw badArchive(`the blob ${descriptor.digest} has another digest`);
  return bytes;
}

function blobFile(index: TarIndex, descriptor: Descriptor): TarFile {
  const file = index.find(`blobs/${algorithmOf(descriptor.digest)}/${hexOf(descriptor.digest)}`);
  if (!file) throw badArchive(`the blob ${descriptor.digest} is not in it`);
  if (file.size !== descriptor.size) throw badArchive(`the blob ${descriptor.digest} has ${file.size} bytes instead of ${descriptor.size}`);
  return file;
}

/** containerd's annotation holds a full name; the OCI one a tag or whatever its writer put there, so it counts only when it looks like a name with a tag. */
function namesOf(entry: Descriptor): readonly string[] {
  const full = entry.annotations?.['io.containerd.image.name'];
  const ref = entry.annotations?.['org.opencontainers.image.ref.name'];
  const name = full ?? (ref !== undefined && /[:/]/u.test(ref) ? ref : undefined);
  return name === undefined ? [] : [printReference(withDefaultTag(parseReference(name)))];
}
