/** Images as registries have them: what `imagetools` and `manifest` ask for, without bringing any here. */
import type { Json } from '#ground/base/canonical-json.ts';
import type { Descriptor } from '#formats/oci/descriptor.ts';
import type { AnnotationRequest } from './build-requests.ts';

/** A manifest or an index, and what belongs to it where that was asked for. */
export type RemoteDocument = {
  /** In full, with tag or digest. */
  readonly name: string;
  readonly descriptor: Descriptor;
  readonly bytes: Uint8Array;
  /** Entries of an index; undefined for a manifest. */
  readonly entries: readonly Descriptor[] | undefined;
};

/** Configs and statements of an image: each by platform where there are several. */
export type RemoteParts = { readonly image: Json; readonly provenance: Json; readonly sbom: Json };

export type CreateIndexRequest = {
  /** Names, digests (of the repository of the first tag), descriptors as JSON. */
  readonly sources: readonly string[];
  readonly tags: readonly string[];
  /** To what the first tag means now. */
  readonly append: boolean;
  readonly annotations: readonly AnnotationRequest[];
  /** Only these of the sources; none for all. */
  readonly platforms: readonly string[];
  /** Of a single manifest, too, an index is made. */
  readonly preferIndex: boolean;
  readonly dryRun: boolean;
};

/** `annotate`: what is given takes the place of what the manifest's config says. */
export type PlatformChange = {
  readonly os?: string;
  readonly architecture?: string;
  readonly variant?: string;
  readonly 'os.version'?: string;
  readonly 'os.features'?: readonly string[];
};
