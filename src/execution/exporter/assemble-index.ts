/** Image indexes (OCI image spec, image-index.md), and the manifests of attestations that stand in them beside the images. */
import { digestOf, type Digest } from '#ground/base/digest.ts';
import type { Descriptor } from '#formats/oci/descriptor.ts';
import { attestationOf } from '#formats/oci/image-index.ts';
import { mediaTypes } from '#formats/oci/media-types.ts';
import { statementBytes, type Predicated } from '#formats/provenance/statement.ts';
import type { ManifestForm } from '#stores/image/store.ts';
import { documentOf, type Document } from './assemble.ts';

/** A document of an index, ready to be written anywhere. */
export type TypedDocument = Document & { readonly mediaType: string };

/** An index over manifests that exist: images first, then what is said about them. Docker's form has no annotations of its own. */
export function assembleIndex(manifests: readonly Descriptor[], { format, annotations }: ManifestForm): TypedDocument {
  const mediaType = format === 'docker' ? mediaTypes.dockerManifestList : mediaTypes.index;
  const own = Object.keys(annotations).length === 0 ? {} : { annotations };
  return { mediaType, ...documentOf({ schemaVersion: 2, mediaType, manifests, ...own }) };
}

/** What an index says of one of its manifests. */
export function indexEntry({ mediaType, bytes, digest }: TypedDocument, about: Pick<Descriptor, 'platform' | 'annotations'>): Descriptor {
  const { annotations = {}, platform } = about;
  return {
    mediaType,
    digest,
    size: bytes.length,
    ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
    ...(platform === undefined ? {} : { platform }),
  };
}

export type Attestation = {
  readonly manifest: TypedDocument;
  readonly config: Document;
  readonly statements: readonly Document[];
  /** As an index names it. */
  readonly entry: Descriptor;
};

/** No platform has this one, so nobody takes the manifest for an image. */
const nowhere = { architecture: 'unknown', os: 'unknown' } as const;

/**
 * The manifest of statements about one image, in the form of BuildKit (docs/attestations/attestation-storage.md): an image of an unknown platform whose layers are the
 * statements. `subject`: digest of the image's manifest, and what the statements call it.
 */
export function assembleAttestation(
  subject: { readonly digest: Digest; readonly names: readonly string[] },
  predicates: readonly Predicated[],
): Attestation {
  const subjects = (subject.names.length === 0 ? ['_'] : subject.names).map((name) => ({ name, digest: subject.digest }));
  const statements = predicates.map((one) => {
    const bytes = statementBytes(subjects, one);
    return { predicateType: one.predicateType, bytes, digest: digestOf(bytes) };
  });
  const config = documentOf({
    ...nowhere,
    config: {},
    rootfs: { type: 'layers', diff_ids: statements.map(({ digest }) => digest) },
  });
  const manifest = {
    mediaType: mediaTypes.manifest,
    ...documentOf({
      schemaVersion: 2,
      mediaType: mediaTypes.manifest,
      config: { mediaType: mediaTypes.config, digest: config.digest, size: config.bytes.length },
      layers: statements.map(({ predicateType, digest, bytes }) => ({
        mediaType: mediaTypes.statement,
        digest,
        size: bytes.length,
        annotations: { 'in-toto.io/predicate-type': predicateType },
      })),
    }),
  };
  return { manifest, config, statements, entry: indexEntry(manifest, { annotations: attestationOf(subject.digest), platform: nowhere }) };
}
