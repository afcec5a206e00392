/** The text of `--metadata-file`: the keys that buildx writes, of what this build made. */
import type { BuildOutcome } from '#engine/build-requests.ts';
import type { ProgressEvent } from '#formats/progress/event.ts';
import { isoSeconds } from '../output/stamp.ts';

export type BuildWarning = ProgressEvent & { readonly kind: 'warning' };

/**
 * JSON as buildx has it. Without an archive or a push no manifest exists yet, and `containerimage.digest` is the image's id, as docker's own store says it; without
 * an image there is none of either. Of several targets each has its own under its name, as `buildx bake` writes them. `warnings`: undefined when they were not asked for (BUILDX_METADATA_WARNINGS).
 */
export function buildMetadata(made: BuildOutcome, warnings: readonly BuildWarning[] | undefined): string {
  const ref = `default/default/${made.id}`;
  const told = warnings === undefined || warnings.length === 0 ? {} : { 'buildx.build.warnings': warnings.map(describe) };
  const metadata =
    made.targets === undefined
      ? { ...membersOf(made, ref, told) }
      : { ...told, ...Object.fromEntries(made.targets.map((one) => [one.target, membersOf(one, ref, {})])) };
  return JSON.stringify(metadata, undefined, 2);
}

/** Builder, node and id stand in the reference: there is one builder, and it has one node. */
function membersOf({ image, names, provenance }: Pick<BuildOutcome, 'image' | 'names' | 'provenance'>, ref: string, told: object): object {
  return {
    ...provenanceMembers(provenance),
    'buildx.build.ref': ref,
    ...told,
    ...(image === undefined ? {} : imageMembers(image)),
    ...(names.length === 0 ? {} : { 'image.name': names.join(',') }),
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

/** Texts in base64, as Go writes bytes. */
function describe({ rule, message, url, at }: BuildWarning): object {
  const line = at[0]?.start.line;
  const short = `${rule}: ${message}${line === undefined ? '' : ` (line ${line})`}`;
  return {
    level: 1,
    short: Buffer.from(short).toString('base64'),
    ...(url === undefined ? {} : { url }),
    range: at.map((span) => ({ start: { line: span.start.line }, end: { line: span.end.line } })),
  };
}
