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
  readonly config: CacheDocument;
  /** What it tells of its steps. */
  readonly memory: CacheDocument | undefined;
  readonly layers: readonly Descriptor[];
};

export type CacheDocument = { readonly bytes: Uint8Array; readonly descriptor: Descriptor };

/** Ours alone: whoever reads BuildKit's form looks up layers by digest, and passes over what no record names. */
export const cacheMemoryType = 'application/vnd.jettison.cache.memory.v1+zstd';

/** As many as an image manifest may have where it is read. */
const mostInManifest = 1000;

const dockerTypes: Readonly<Record<LayerCompression, string>> = {
  tar: mediaTypes.dockerLayer,
  gzip: mediaTypes.dockerLayerGzip,
  zstd: 'application/vnd.docker.image.rootfs.diff.tar.zstd',
};

/** `memory`: what the cache tells of its steps. Throws `cache/too-many-layers`. */
export function assembleCacheManifest(
  records: readonly ExportedRecord[],
  { imageManifest, ociTypes }: CacheForm,
  memory: Uint8Array | undefined,
): CacheManifest {
  const told = memory && documentOf(memory, cacheMemoryType);
  const encoded = encodeCacheConfig(records, told?.descriptor);
  const layers = encoded.layers.map((layer) => ({
    mediaType: ociTypes ? layer.blob.mediaType : dockerTypes[layerCompression(layer.blob.mediaType)],
    digest: layer.blob.digest,
    size: layer.blob.size,
    annotations: layerAnnotations(layer),
  }));
  const blobs = told === undefined ? layers : [...layers, told.descriptor];
  if (imageManifest && blobs.length > mostInManifest) {
    throw new JettisonError('cache/too-many-layers', `The cache has ${layers.length} layers; a manifest holds ${mostInManifest}`, {
      hint: 'Export it with image-manifest=false, or with mode=min',
    });
  }
  const config = documentOf(encoded.bytes, cacheConfigType);
  const mediaType = imageManifest ? mediaTypes.manifest : ociTypes ? mediaTypes.index : mediaTypes.dockerManifestList;
  const document = {
    schemaVersion: 2,
    mediaType,
    ...(imageManifest ? { config: config.descriptor, layers: blobs } : { manifests: [...blobs, config.descriptor] }),
  };
  const bytes = new TextEncoder().encode(JSON.stringify(document));
  return { bytes, mediaType, digest: digestOf(bytes), config, memory: told, layers };
}

function documentOf(bytes: Uint8Array, mediaType: string): CacheDocument {
  return { bytes, descriptor: { mediaType, digest: digestOf(bytes), size: bytes.length } };
}

export type CacheParts = {
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
  readonly memory: Descriptor | undefined;
};

/** The parts of a cache's manifest or index; undefined for what is none: an image. */
export function readCacheManifest(document: ImageDocument): CacheParts | undefined {
  if (document.kind === 'manifest') {
    const { config, layers } = document.manifest;
    return config.mediaType === cacheConfigType ? partsOf(config, layers) : undefined;
  }
  const { manifests } = document.index;
  const config = manifests.find(({ mediaType }) => mediaType === cacheConfigType);
  const others = manifests.filter((one) => one !== config);
  return config && partsOf(config, others);
}

function partsOf(config: Descriptor, blobs: readonly Descriptor[]): CacheParts {
  const memory = blobs.find(({ mediaType }) => mediaType === cacheMemoryType);
  return { config, memory, layers: blobs.filter((one) => one !== memory) };
}
