/** The text of `--metadata-file`: the keys that buildx writes, of what this build made. */
import type { BuildOutcome } from '#engine/build-requests.ts';
import type { ProgressEvent } from '#formats/progress/event.ts';
import { isoSeconds } from '../output/stamp.ts';

export type BuildWarning = ProgressEvent & { readonly kind: 'warning' };

/**
 * JSON as buildx has it. Without an archive no manifest exists yet, and `containerimage.digest` is the image's id, as docker's own store says it. `warnings`:
 * undefined when they were not asked for (BUILDX_METADATA_WARNINGS).
 */
export function buildMetadata(made: BuildOutcome, warnings: readonly BuildWarning[] | undefined): string {
  const { imageId, manifest, images } = made;
  const isOne = images.length === 1;
  const annotations = { ...(isOne ? { 'config.digest': imageId } : {}), 'org.opencontainers.image.created': isoSeconds(made.created) };
  const metadata = {
    ...(warnings === undefined || warnings.length === 0 ? {} : { 'buildx.build.warnings': warnings.map(describe) }),
    ...(isOne ? { 'containerimage.config.digest': imageId } : {}),
    ...(manifest === undefined
      ? {}
      : {
          'containerimage.descriptor': { annotations, digest: manifest.digest, mediaType: manifest.mediaType, size: manifest.size },
        }),
    'containerimage.digest': manifest?.digest ?? imageId,
    ...(made.tags.length === 0 ? {} : { 'image.name': made.tags.join(',') }),
  };
  return JSON.stringify(metadata, undefined, 2);
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
