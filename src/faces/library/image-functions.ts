/** Images of a store: what is in them and where it came from; their names; registries and archives. */
import type { BlameDocument, BlameGrouping } from '#faces/documents/blame.ts';
import type { CheckDocument } from '#faces/documents/check.ts';
import type { LedgerDocument } from '#faces/documents/ledger.ts';
import type { LayerCompression } from './build-options.ts';
import type { CallOptions, EventOptions } from './call-options.ts';

export type PlatformOptions = CallOptions & { /** `linux/arm64`: which image of several. */ readonly platform?: string };

/** `path`: absolute, in the image; `by`: what the sums are of, `origin` if left out. */
export type BlameOptions = {
  readonly platform?: string;
  readonly path?: string;
  readonly by?: BlameGrouping;
  readonly files?: boolean;
  readonly all?: boolean;
};

export type ImageEntry = {
  readonly id: string;
  /** `<none>` for an image without a name. */
  readonly repository: string;
  readonly tag: string;
  /** As a registry knows it, if it came from or went to one. */
  readonly digest: string | null;
  /** RFC 3339 */
  readonly created: string;
  /** Bytes of all layers, uncompressed. */
  readonly size: number;
};

/** A statement that stands beside an image: `https://slsa.dev/provenance/v1`, `https://spdx.dev/Document` and the like. */
export type Attestation = {
  /** Of the image that it is about; null where that is not said. */
  readonly platform: string | null;
  readonly predicateType: string;
  /** As the type has it. */
  readonly predicate: unknown;
};

export type PackageEntry = {
  readonly name: string;
  readonly version: string;
  /** `deb`, `apk`, `npm` ... */
  readonly type: string;
  /** The file that says so, absolute. */
  readonly foundIn: string;
};

export type PackageList = {
  readonly packages: readonly PackageEntry[];
  /** The SPDX document of them (2.3, as JSON has it). */
  readonly document: unknown;
  /** Databases that are there and that could not be read. */
  readonly unread: readonly string[];
};

/** `to`: another name than the image's own. Credentials are those of the command: docker's `config.json` of the store's environment. */
export type PushOptions = EventOptions & {
  readonly to?: string;
  readonly platform?: string;
  /** Of layers that were made here; `gzip` if left out. */
  readonly compression?: LayerCompression;
};

/** What the registry has now: the name, the digest of its manifest or index, and the bytes of that. */
export type PushedImage = { readonly name: string; readonly digest: string; readonly size: number };

/** `upToDate`: it was here already. */
export type PulledImage = { readonly name: string; readonly id: string; readonly digest: string; readonly upToDate: boolean };

export type RemovedImage = { readonly kind: 'untagged'; readonly name: string } | { readonly kind: 'deleted'; readonly id: string };

/** The failed step, a container, or an image of the store. */
export type FilesOf =
  | { readonly failedStep: true }
  | { readonly container: string }
  | { readonly image: string; readonly platform?: string };

export type FilesOptions = CallOptions & { /** A link at the path is followed. */ readonly followLink?: boolean };

export type ImageFunctions = {
  /** Newest first, an entry a name. */
  images(options?: CallOptions & { readonly reference?: string }): Promise<readonly ImageEntry[]>;
  /** In the shape of `docker image inspect`. */
  inspectImage(name: string, options?: PlatformOptions): Promise<unknown>;
  /** Would a container of the image start, and what does it lack? */
  check(image: string, options?: PlatformOptions): Promise<CheckDocument>;
  /** Which line, file of the build context or image the files of an image came from: sums, and with `path` or `files` each file, those of base images alone with `path` or `all`. */
  blame(image: string, options?: CallOptions & BlameOptions): Promise<BlameDocument>;
  /** What each stage of an image's build made, and what of it is in the image, with the largest `files` of it (10 if left out). */
  ledger(image: string, options?: PlatformOptions & { readonly files?: number }): Promise<LedgerDocument>;
  /** Which packages an image has. */
  packages(image: string, options?: CallOptions): Promise<PackageList>;
  /** What was said of an image when it was built, or came with it: provenance, lists of packages. */
  attestations(image: string, options?: CallOptions): Promise<readonly Attestation[]>;
  /** A file or folder as a tar archive. */
  readFiles(from: FilesOf, path: string, options?: FilesOptions): AsyncIterable<Uint8Array>;
  /** The same into a folder or to a path of this machine, by the rules of `docker cp`. */
  copyFiles(from: FilesOf, path: string, destination: string, options?: FilesOptions): Promise<void>;
  /** Gives an image another name. */
  tag(image: string, name: string, options?: CallOptions): Promise<void>;
  /** Takes a name away, and the image with its last one. */
  removeImage(name: string, options?: CallOptions & { readonly force?: boolean }): Promise<readonly RemovedImage[]>;
  push(image: string, options?: PushOptions): Promise<PushedImage>;
  /** `allPlatforms`: the whole index. */
  pull(name: string, options?: EventOptions & { readonly platform?: string; readonly allPlatforms?: boolean }): Promise<PulledImage>;
  /** Images as an archive that `docker load` reads (`docker`, if left out), or as an OCI layout in one. */
  saveImages(names: readonly string[], options?: PlatformOptions & { readonly format?: 'docker' | 'oci' }): AsyncIterable<Uint8Array>;
  /** What such an archive holds: the path of a file, or its bytes as they come. */
  loadImages(
    from: string | AsyncIterable<Uint8Array>,
    options?: EventOptions & { readonly platform?: string },
  ): Promise<readonly { readonly id: string; readonly names: readonly string[] }[]>;
};
