/** What holds an exported cache together in a registry: an image manifest, or (older registries' tools know no other) an index, as BuildKit writes them. */
import type { Descriptor } from '#formats/oci/descriptor.ts';
import type { ImageDocument } from '#formats/oci/manifest.ts';
import { layerCompression, mediaTypes, type LayerCompression } from '#formats/oci/media-types.ts';
import { digestOf, type Digest } from '#ground/base/digest.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { cacheConfigType, encodeCacheConfig, layerAnnotations } from './cache-config.ts';
import type { ExportedRecord } from './exported.ts';

export type CacheForm = {
  /** `image-manifest=true`; else an index. */
  readonly imageManifest: boolean;
  /** `oci-mediatypes=true`; else Docker's names. */
  readonly ociTypes: boolean;
};

export type CacheManifest = {
  readonly bytes: Uint8Array;
  readonly mediaType: string;
  readonly digest: Digest;
  readonly config: { readonly bytes: Uint8Array; readonly descriptor: Descriptor };
  readonly layers: readonly Descriptor[];
};

/** As many as an image manifest may have where it is read. */
const mostInManifest = 1000;

const dockerTypes: Readonly<Record<LayerCompression, string>> = {
  tar: mediaTypes.dockerLayer,
  gzip: mediaTypes.dockerLayerGzip,
  zstd: 'application/vnd.docker.image.rootfs.diff.tar.zstd',
};

/** Throws `cache/too-many-layers`. */
export function assembleCacheManifest(records: readonly ExportedRecord[], { imageManifest, ociTypes }: CacheForm): CacheManifest {
  const encoded = encodeCacheConfig(records);
  const layers = encoded.layers.map((layer) => ({
    mediaType: ociTypes ? layer.blob.mediaType : dockerTypes[layerCompression(layer.blob.mediaType)],
    digest: layer.blob.digest,
    size: layer.blob.size,
    annotations: layerAnnotations(layer),
  }));
  if (imageManifest && layers.length > mostInManifest) {
    throw new JettisonError('cache/too-many-layers', `The cache has ${layers.length} layers; a manifest holds ${mostInManifest}`, {
      hint: 'Export it with image-manifest=false, or with mode=min',
    });
  }
  const config = { mediaType: cacheConfigType, digest: digestOf(encoded.bytes), size: encoded.bytes.length };
  const mediaType = imageManifest ? mediaTypes.manifest : ociTypes ? mediaTypes.index : mediaTypes.dockerManifestList;
  const document = { schemaVersion: 2, mediaType, ...(imageManifest ? { config, layers } : { manifests: [...layers, config] }) };
  const bytes = new TextEncoder().encode(JSON.stringify(document));
  return { bytes, mediaType, digest: digestOf(bytes), config: { bytes: encoded.bytes, descriptor: config }, layers };
}

/** The parts of a cache's manifest or index; undefined for what is none: an image. */
export function readCacheManifest(
  document: ImageDocument,
): { readonly config: Descriptor; readonly layers: readonly Descriptor[] } | undefined {
  if (document.kind === 'manifest') {
    const { config, layers } = document.manifest;
    return config.mediaType === cacheConfigType ? { config, layers } : undefined;
  }
  const { manifests } = document.index;
  const config = manifests.find(({ mediaType }) => mediaType === cacheConfigType);
  return config && { config, layers: manifests.filter((one) => one !== config) };
}
