/** Images: those there are, and what comes from and goes to registries and archives. */
import type { Digest } from '#ground/base/digest.ts';
import type { LabelFilter } from './space-filters.ts';

export type ImageRow = {
  /** `<none>` parts for an image without a name. */
  readonly repository: string;
  readonly tag: string;
  /** Manifest digest as a registry knows it, if it came from or went to one. */
  readonly digest: Digest | undefined;
  readonly id: Digest;
  /** Milliseconds since the epoch. */
  readonly created: number;
  /** Bytes of all layers, uncompressed. */
  readonly size: number;
};

export type ImageListRequest = {
  /** Names as people type them, with or without a tag, or patterns: any of them will do. */
  readonly references: readonly string[];
  /** All of them have to be there. */
  readonly labels: readonly LabelFilter[];
  /** Only images without a name, or only those with one. */
  readonly dangling: boolean | undefined;
  /** With nameless images of steps that others were made from. */
  readonly all: boolean;
  /** Images that what is shown has to be older, and newer, than. */
  readonly before: readonly string[];
  readonly since: readonly string[];
  /** Only images made before this time. */
  readonly until: number | undefined;
};

export type HistoryRow = {
  /** Image ID of the step where it is known, else `<missing>`. */
  readonly id: string;
  readonly created: number;
  readonly createdBy: string;
  readonly size: number;
  readonly comment: string;
};

/** `allPlatforms`: all images of an index; else the one for `platform`. */
export type PullRequest = { readonly reference: string; readonly platform: string | undefined; readonly allPlatforms?: boolean };

/** `reference` in full, with tag or digest; `digest` of what that reference names (an index or a manifest); `upToDate`: it was here already. */
export type PulledImage = { readonly id: Digest; readonly digest: Digest; readonly reference: string; readonly upToDate: boolean };

export type PushRequest = {
  readonly reference: string;
  /** Of an index this image alone. */
  readonly platform?: string | undefined;
  /** Of layers that were made here; gzip when not said. */
  readonly compression: 'tar' | 'gzip' | 'zstd' | 'estargz' | undefined;
  /** gzip and estargz 1 to 9, zstd 1 to 19. */
  readonly level?: number;
  /** The list of where each file came from is pushed, too, with so much in it. */
  readonly origins?: 'min' | 'max' | undefined;
};

/** The manifest that the registry has now: its digest, and its size in bytes. */
export type PushedImage = { readonly digest: Digest; readonly size: number };

export type RemovedImage = { readonly kind: 'untagged'; readonly name: string } | { readonly kind: 'deleted'; readonly id: Digest };

export type SaveRequest = {
  readonly names: readonly string[];
  /** Of an index this image alone. */
  readonly platform?: string | undefined;
  readonly format: 'docker' | 'oci';
  readonly destination:
    | { readonly kind: 'file'; readonly path: string }
    | { readonly kind: 'stream'; readonly write: (chunk: Uint8Array) => Promise<void> };
};

export type LoadRequest = {
  /** Only the images for it, of an index that one alone. */
  readonly platform?: string | undefined;
  readonly source:
    | { readonly kind: 'file'; readonly path: string }
    | { readonly kind: 'stream'; readonly chunks: AsyncIterable<Uint8Array> };
};

/** An image out of an archive; without names it can be found by its id. Names are as people know them: `busybox:latest`. */
export type LoadedImage = { readonly id: Digest; readonly names: readonly string[] };
