/** Blobs of an OCI image layout in an archive, and the images that its manifests make of them. */
import { algorithmOf, createDigester, hexOf } from '#ground/base/digest.ts';
import type { Descriptor } from '#formats/oci/descriptor.ts';
import { configLimit, decodeImageConfig, diffIdsOf } from '#formats/oci/image-config.ts';
import { decodeImageDocument, manifestLimit, type ImageDocument, type Manifest } from '#formats/oci/manifest.ts';
import { isConfigType } from '#formats/oci/media-types.ts';
import type { ArchivedImage } from '../archived-image.ts';
import { badArchive, type TarFile, type TarIndex } from '../tar-index.ts';

/** A manifest or an index, and the bytes that it was read from. */
export type ReadDocument = { readonly entry: Descriptor; readonly bytes: Uint8Array; readonly document: ImageDocument };

/** What a descriptor names, checked against its digest. */
export function readDocument(index: TarIndex, entry: Descriptor): ReadDocument {
  const bytes = readBlob(index, entry, manifestLimit);
  return { entry, bytes, document: decodeImageDocument(bytes, [entry.mediaType], entry.digest) };
}

/** The image of a manifest, without names. undefined for what is no image: an artifact, an index. */
export function imageOf(index: TarIndex, { entry, bytes, document }: ReadDocument): ArchivedImage | undefined {
  if (document.kind !== 'manifest' || !isConfigType(document.manifest.config.mediaType)) return undefined;
  const manifest = { digest: entry.digest, mediaType: document.mediaType, bytes };
  return { names: [], manifest, ...readImage(index, document.manifest) };
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

/** Checked against its digest. */
function readBlob(index: TarIndex, descriptor: Descriptor, limit: number): Uint8Array {
  const bytes = index.read(blobFile(index, descriptor), limit);
  const digester = createDigester(algorithmOf(descriptor.digest));
  digester.update(bytes);
  if (digester.finish() !== descriptor.digest) throw badArchive(`the blob ${descriptor.digest} has another digest`);
  return bytes;
}

export function blobFile(index: TarIndex, descriptor: Descriptor): TarFile {
  const file = index.find(`blobs/${algorithmOf(descriptor.digest)}/${hexOf(descriptor.digest)}`);
  if (!file) throw badArchive(`the blob ${descriptor.digest} is not in it`);
  if (file.size !== descriptor.size) throw badArchive(`the blob ${descriptor.digest} has ${file.size} bytes instead of ${descriptor.size}`);
  return file;
}

/** Is the blob there, with its size? */
export function hasBlob(index: TarIndex, { digest, size }: Descriptor): boolean {
  return index.find(`blobs/${algorithmOf(digest)}/${hexOf(digest)}`)?.size === size;
}
