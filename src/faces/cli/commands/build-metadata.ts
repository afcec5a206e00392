/** The text of `--metadata-file`: the keys that buildx writes, of what this build made. */
import type { BuildOutcome, BuildRequest } from '#engine/build-requests.ts';
import { parseReference, printReference, withDefaultTag } from '#formats/oci/reference.ts';
import { isoSeconds } from '../output/stamp.ts';
import { vertexWarning, type WarningEvent } from '../output/vertex-warning.ts';

/**
 * JSON as buildx has it. Without an archive or a push no manifest exists yet, and `containerimage.digest` is the image's id, as docker's own store says it; without
 * an image there is none of either. Of several targets each has its own under its name, as `buildx bake` writes them. `warnings`: undefined when they were not asked for (BUILDX_METADATA_WARNINGS).
 */
export function buildMetadata(made: BuildOutcome, request: BuildRequest, warnings: readonly WarningEvent[] | undefined): string {
  const typed = typedNames(request);
  const ref = `default/default/${made.id}`;
  const told = warnings === undefined || warnings.length === 0 ? {} : { 'buildx.build.warnings': warnings.map(vertexWarning) };
  const metadata =
    made.targets === undefined
      ? { ...membersOf(made, { typed, ref, told }) }
      : { ...told, ...Object.fromEntries(made.targets.map((one) => [one.target, membersOf(one, { typed, ref, told: {} })])) };
  return JSON.stringify(metadata, undefined, 2);
}

/** Builder, node and id stand in the reference: there is one builder, and it has one node. */
function membersOf(
  { image, names, provenance }: Pick<BuildOutcome, 'image' | 'names' | 'provenance'>,
  { typed, ref, told }: { readonly typed: TypedNames; readonly ref: string; readonly told: object },
): object {
  return {
    ...provenanceMembers(provenance),
    'buildx.build.ref': ref,
    ...told,
    ...(image === undefined ? {} : imageMembers(image)),
    ...(names.length === 0 ? {} : { 'image.name': asTyped(names, typed).join(',') }),
  };
}

/** Of one platform without its name, as buildx has it. */
function provenanceMembers(provenance: BuildOutcome['provenance']): object {
  const key = 'buildx.build.provenance';
  const [first, ...others] = provenance;
  if (first === undefined) return {};
  return others.length === 0
    ? { [key]: first.predicate }
    : Object.fromEntries(provenance.map(({ platform, predicate }) => [`${key}/${platform}`, predicate]));
}

function imageMembers({ id, all, created, manifest }: NonNullable<BuildOutcome['image']>): object {
  const isOne = all.length === 1;
  const annotations = { ...(isOne ? { 'config.digest': id } : {}), 'org.opencontainers.image.created': isoSeconds(created) };
  return {
    ...(isOne ? { 'containerimage.config.digest': id } : {}),
    ...(manifest === undefined
      ? {}
      : {
          'containerimage.descriptor': { annotations, digest: manifest.digest, mediaType: manifest.mediaType, size: manifest.size },
        }),
    'containerimage.digest': manifest?.digest ?? id,
  };
}

type TypedNames = readonly { readonly full: string; readonly typed: string }[];

/** All names of a request in the order of its line: in full, and with the registry, but the tag only where one was typed. */
function typedNames({ tags, outputs }: BuildRequest): TypedNames {
  return [...tags, ...outputs.flatMap((output) => ('names' in output ? (output.names ?? []) : []))].map((name) => {
    const reference = parseReference(name);
    return { full: printReference(withDefaultTag(reference)), typed: printReference(reference) };
  });
}

/** As buildx has it; names that nobody typed (with a digest) stay as they are. */
function asTyped(names: readonly string[], typed: TypedNames): readonly string[] {
  const known = typed.filter(({ full }) => names.includes(full));
  return [...known.map((one) => one.typed), ...names.filter((name) => known.every(({ full }) => full !== name))];
}
