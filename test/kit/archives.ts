/** Layers and images made by hand, byte by byte where need be: what a hostile archive or registry would hand out. */
import { asByteString, fromText } from '#ground/base/byte-string.ts';
import type { TarEntry } from '#formats/tar/entry.ts';
import { encodeHeader, endOfArchive, paddingOf } from '#formats/tar/write.ts';
import { encodeJson, sha256, type SampleImage } from './registry.ts';

/** `[name, kind, content or link, more]`; a file when no kind is given. */
export type ShortEntry = readonly [name: string, kind?: TarEntry['kind'], content?: string | Uint8Array, more?: Partial<TarEntry>];

/** A tar with these entries in this order, names and links as they are. */
export function tarOf(entries: readonly ShortEntry[]): Uint8Array {
  const parts = entries.flatMap(([name, kind = 'file', content = '', more = {}]) => {
    const isFile = kind === 'file';
    const bytes = isFile ? new Uint8Array(Buffer.from(content)) : new Uint8Array(0);
    const entry: TarEntry = {
      name: fromText(name),
      kind,
      mode: kind === 'folder' ? 0o755 : 0o644,
      uid: 0,
      gid: 0,
      size: bytes.length,
      mtime: 1_000_000_000n,
      linkName: kind === 'symlink' || kind === 'hard-link' ? fromText(String(content)) : asByteString(''),
      device: kind.endsWith('device') ? { major: 1, minor: 3 } : undefined,
      xattrs: new Map(),
      ...more,
    };
    return [encodeHeader(entry), bytes, new Uint8Array(paddingOf(bytes.length))];
  });
  return new Uint8Array(Buffer.concat([...parts, endOfArchive()]));
}

export type ImageParts = {
  /** Uncompressed tars, bottom first. */
  readonly layers: readonly Uint8Array[];
  /** Members of the config's `config`. */
  readonly config?: object;
  /** Takes the place of what follows from the layers. */
  readonly diffIds?: readonly string[];
  /** Further members of the manifest, such as `manifests`. */
  readonly manifestMembers?: object;
};

/** An OCI image of uncompressed layers. */
export function imageOf({ layers, config = {}, diffIds = layers.map(sha256), manifestMembers = {} }: ImageParts): SampleImage {
  const configBytes = encodeJson({
    architecture: 'amd64',
    os: 'linux',
    config,
    rootfs: { type: 'layers', diff_ids: diffIds },
  });
  const mediaType = 'application/vnd.oci.image.manifest.v1+json';
  const manifest = encodeJson({
    schemaVersion: 2,
    mediaType,
    config: describe('application/vnd.oci.image.config.v1+json', configBytes),
    layers: layers.map((layer) => describe('application/vnd.oci.image.layer.v1.tar', layer)),
    ...manifestMembers,
  });
  return { config: configBytes, layers, manifest, mediaType, digest: sha256(manifest) };
}

function describe(mediaType: string, bytes: Uint8Array): object {
  return { mediaType, digest: sha256(bytes), size: bytes.length };
}

/** What `docker save` would write of the image, under the name `tag`. */
export function dockerArchiveOf(image: SampleImage, tag: string): Uint8Array {
  const document = [{ Config: 'config.json', RepoTags: [tag], Layers: image.layers.map((_, index) => `${index}.tar`) }];
  return tarOf([
    ['config.json', 'file', image.config],
    ...image.layers.map((layer, index) => [`${index}.tar`, 'file', layer] as const),
    ['manifest.json', 'file', encodeJson(document)],
  ]);
}
