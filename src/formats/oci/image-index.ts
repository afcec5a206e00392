/** Image indexes: OCI image spec, image-index.md; Docker's manifest list. Read by `decodeImageDocument` in manifest.ts. */
import { JettisonError } from '#ground/base/errors.ts';
import type { Descriptor } from './descriptor.ts';
import { isIndexType, isManifestType } from './media-types.ts';
import { matchPlatform, printPlatform, type Platform } from './platform.ts';

export type ImageIndex = {
  readonly schemaVersion: 2;
  readonly mediaType?: string;
  readonly manifests: readonly Descriptor[];
  readonly annotations?: Readonly<Record<string, string>>;
};

/**
 * The manifests (or indexes) of an index that serve `wanted`, best first. Throws `oci/no-such-platform`, naming what there is.
 * `name` is for messages.
 */
export function selectManifests(index: ImageIndex, wanted: Platform, name: string): readonly Descriptor[] {
  const images = index.manifests.filter((entry) => isManifestType(entry.mediaType) || isIndexType(entry.mediaType));
  const found = matchPlatform(images, wanted);
  if (found.length > 0) return found;
  const offered = [...new Set(images.flatMap((entry) => (entry.platform ? [printPlatform(entry.platform)] : [])))];
  throw noSuchPlatform(wanted, name, offered.length === 0 ? 'Its index lists no images' : `It has: ${listed(offered)}`);
}

/** `oci/no-such-platform`: `name` has nothing for `wanted`. */
export function noSuchPlatform(wanted: Platform, name: string, hint?: string): JettisonError {
  return new JettisonError(
    'oci/no-such-platform',
    `"${name}" has no image for ${printPlatform(wanted)}`,
    hint === undefined ? {} : { hint },
  );
}

const referenceType = 'vnd.docker.reference.type';
const referenceDigest = 'vnd.docker.reference.digest';
const attestationType = 'attestation-manifest';

/** The annotations of an entry that names attestations of the manifest `subject` (BuildKit, docs/attestations/attestation-storage.md). */
export function attestationOf(subject: string): Readonly<Record<string, string>> {
  return { [referenceDigest]: subject, [referenceType]: attestationType };
}

/** Does an entry name attestations, and of which manifest ('' when it does not say)? undefined for anything else. */
export function attestedBy({ annotations }: Pick<Descriptor, 'annotations'>): string | undefined {
  return annotations?.[referenceType] === attestationType ? (annotations[referenceDigest] ?? '') : undefined;
}

function listed(platforms: readonly string[]): string {
  return platforms
    .filter((one) => one !== 'unknown/unknown')
    .slice(0, 20)
    .join(', ');
}
