/** The manifest of one image: the one place where config, layers and form become the document that archives, registries and indexes name. */
import { assembleManifest, type Document } from '#execution/exporter/assemble.ts';
import type { Descriptor } from '#formats/oci/descriptor.ts';
import { checkConfig, type ImageRecord, type ManifestForm } from '#stores/image/store.ts';

export type ManifestParts = {
  readonly record: Pick<ImageRecord, 'config' | 'imageId'>;
  readonly form: ManifestForm;
  /** Bottom first, in OCI's types: blobs of the content store, or of the repository that the manifest is for. */
  readonly layers: readonly Descriptor[];
};

export type MadeManifest = {
  readonly config: Document;
  readonly manifest: Document & { readonly mediaType: string };
  /** Of the manifest. */
  readonly descriptor: Descriptor;
};

/** The same parts give the same bytes. Throws `image/damaged`, `exporter/not-in-docker-form`. */
export function makeManifest({ record, form, layers }: ManifestParts): MadeManifest {
  checkConfig(record);
  const config = { bytes: record.config, digest: record.imageId };
  const manifest = assembleManifest(config, layers, form);
  const { mediaType, digest, bytes } = manifest;
  return { config, manifest, descriptor: { mediaType, digest, size: bytes.length } };
}
