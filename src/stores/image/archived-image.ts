/** What an archive holds, whatever its form: images with their layers' bytes as they are stored. */
import type { Digest } from '#ground/base/digest.ts';
import type { Descriptor } from '#formats/oci/descriptor.ts';
import type { Platform } from '#formats/oci/platform.ts';

export type ArchivedLayer = {
  readonly diffId: Digest;
  /** Digest of the stored bytes where the archive says it; whoever keeps them checks it. An uncompressed layer's is its DiffID. */
  readonly digest: Digest | undefined;
  readonly mediaType: string;
  /** Bytes stored. */
  readonly size: number;
  /** The stored bytes, in chunks that hold until the next one is asked for. Nothing is checked. */
  readonly chunks: () => Iterable<Uint8Array>;
};

export type ArchivedImage = {
  /** Canonical names with tags. */
  readonly names: readonly string[];
  readonly config: Uint8Array;
  /** Bottom first, one for each DiffID of the config. */
  readonly layers: readonly ArchivedLayer[];
  /** The manifest where the archive has one, checked against its digest. */
  readonly manifest: { readonly digest: Digest; readonly mediaType: string; readonly bytes: Uint8Array } | undefined;
  /** What else its names stand for, where the archive has all of it. */
  readonly index?: ArchivedIndex | undefined;
};

/** An index with everything that it names. */
export type ArchivedIndex = {
  readonly document: { readonly mediaType: string; readonly bytes: Uint8Array };
  readonly annotations: Readonly<Record<string, string>>;
  /** `entry`: as the index names it. */
  readonly images: readonly { readonly entry: Descriptor; readonly platform: Platform; readonly image: ArchivedImage }[];
  readonly attestations: readonly {
    readonly entry: Descriptor;
    readonly manifest: Uint8Array;
    readonly blobs: readonly { readonly descriptor: Descriptor; readonly chunks: () => Iterable<Uint8Array> }[];
  }[];
};

export type ImageArchive = Disposable & { readonly images: readonly ArchivedImage[] };
