/** Media types: OCI image spec, media-types.md, and Docker's schema 2 names for the same documents. */
import { JettisonError } from '#ground/base/errors.ts';

export const mediaTypes = {
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  index: 'application/vnd.oci.image.index.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar',
  layerGzip: 'application/vnd.oci.image.layer.v1.tar+gzip',
  layerZstd: 'application/vnd.oci.image.layer.v1.tar+zstd',
  /** An in-toto statement (provenance, SBOM) in the place of a layer. */
  statement: 'application/vnd.in-toto+json',
  dockerManifest: 'application/vnd.docker.distribution.manifest.v2+json',
  dockerManifestList: 'application/vnd.docker.distribution.manifest.list.v2+json',
  dockerConfig: 'application/vnd.docker.container.image.v1+json',
  dockerLayer: 'application/vnd.docker.image.rootfs.diff.tar',
  dockerLayerGzip: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
} as const;

/** What may stand in an Accept header when a manifest or an index is asked for. */
export const documentTypes: readonly string[] = [
  mediaTypes.manifest,
  mediaTypes.index,
  mediaTypes.dockerManifest,
  mediaTypes.dockerManifestList,
];

const schema1Types: ReadonlySet<string> = new Set([
  'application/vnd.docker.distribution.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v1+prettyjws',
]);

/** How the bytes of a layer blob are packed. */
export type LayerCompression = 'tar' | 'gzip' | 'zstd';

const layerCompressions: Readonly<Record<string, LayerCompression>> = {
  [mediaTypes.layer]: 'tar',
  [mediaTypes.layerGzip]: 'gzip',
  [mediaTypes.layerZstd]: 'zstd',
  [mediaTypes.dockerLayer]: 'tar',
  [mediaTypes.dockerLayerGzip]: 'gzip',
  'application/vnd.docker.image.rootfs.diff.tar.zstd': 'zstd',
  'application/vnd.oci.image.layer.nondistributable.v1.tar': 'tar',
  'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip': 'gzip',
  'application/vnd.oci.image.layer.nondistributable.v1.tar+zstd': 'zstd',
  'application/vnd.docker.image.rootfs.foreign.diff.tar': 'tar',
  'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip': 'gzip',
};

export function isManifestType(mediaType: string): boolean {
  return mediaType === mediaTypes.manifest || mediaType === mediaTypes.dockerManifest;
}

export function isIndexType(mediaType: string): boolean {
  return mediaType === mediaTypes.index || mediaType === mediaTypes.dockerManifestList;
}

export function isSchema1Type(mediaType: string): boolean {
  return schema1Types.has(mediaType);
}

export function isConfigType(mediaType: string): boolean {
  return mediaType === mediaTypes.config || mediaType === mediaTypes.dockerConfig;
}

/** Throws `oci/unknown-layer-type` for anything that is not a tar, gzip or zstd layer (encrypted layers, artifacts). */
export function layerCompression(mediaType: string): LayerCompression {
  const known = Object.hasOwn(layerCompressions, mediaType) ? layerCompressions[mediaType] : undefined;
  if (known) return known;
  throw new JettisonError('oci/unknown-layer-type', `Unknown media type of a layer: "${mediaType.slice(0, 160)}"`, {
    hint: 'Layers may be tar, tar+gzip or tar+zstd',
  });
}

/** A media type without its parameters, in lower case: `Application/JSON; charset=utf-8` gives `application/json`. */
export function bareMediaType(header: string): string {
  return (header.split(';')[0] ?? '').trim().toLowerCase();
}
