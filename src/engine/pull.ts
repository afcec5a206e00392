/** `jettison pull` */
import type { Report } from '#formats/progress/event.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { printPlatform } from '#formats/oci/platform.ts';
import { familiarReference, nameOf, parseReference, printReference, withDefaultTag, type Reference } from '#formats/oci/reference.ts';
import { fetchImage } from './fetch-image.ts';
import { withoutLostSnapshots } from './lost-snapshots.ts';
import { noteImage } from './note-events.ts';
import type { Engine } from './open.ts';
import { nativeOrAsked, otherPlatform } from './platform.ts';
import type { PulledImage, PullRequest } from './image-requests.ts';

/** A name for each tag that the repository of `text` has, in its registry's order. Throws `registry/...`, `engine/no-tags`. */
export async function findTags(engine: Engine, text: string, report: Report, signal: AbortSignal): Promise<readonly Reference[]> {
  using _ = engine.waits.toldTo(report);
  const reference = parseReference(text);
  const client = await engine.registry();
  const tags = await client.listTags(reference, signal);
  if (tags.length > 0) return tags.map((tag) => ({ ...reference, tag }));
  throw new JettisonError('engine/no-tags', `"${nameOf(reference)}" has no tags`, {
    hint: 'Check the name; what has no tag is pulled by its digest: NAME@sha256:...',
  });
}

/**
 * Brings an image and unpacks it. Of an index the image for one platform; the index itself stays with it where nothing else is left out, or all is asked
 * for. What is there for one platform alone is taken, with a warning when it is another than was asked for. Throws `registry/...`; nothing is named then.
 */
export async function pull(engine: Engine, request: PullRequest, report: Report, signal: AbortSignal): Promise<PulledImage> {
  const reference = withDefaultTag(parseReference(request.reference));
  const before = engine.images.find(printReference(reference));
  const fetch = async () => await fetchImage(engine, { reference, platform: nativeOrAsked(request.platform) }, report, signal);
  const { record, found } = await withoutLostSnapshots(engine, fetch, report, signal);
  if (found.index !== undefined) {
    const { keepIndex } = await import('./pull-index.ts');
    await keepIndex(engine, { reference, index: found.index.digest, main: record, all: request.allPlatforms === true }, report, signal);
  }
  const other = request.platform === undefined ? undefined : otherPlatform(found.config, nativeOrAsked(request.platform));
  if (other !== undefined) {
    const platforms = `wanted ${printPlatform(nativeOrAsked(request.platform))}, actual: ${printPlatform(other)}`;
    const name = familiarReference(reference);
    report({
      kind: 'note',
      text: `WARNING: image with reference ${name} was found but does not match the specified platform: ${platforms}`,
    });
  }
  noteImage(engine, 'pull', familiarReference(reference), printReference(reference));
  return {
    id: record.imageId,
    digest: (found.index ?? found.manifest).digest,
    reference: printReference(reference),
    upToDate: before?.imageId === record.imageId,
  };
}
