/** `jettison pull` */
import type { Report } from '#formats/progress/event.ts';
import { familiarReference, parseReference, printReference, withDefaultTag } from '#formats/oci/reference.ts';
import { fetchImage } from './fetch-image.ts';
import { withoutLostSnapshots } from './lost-snapshots.ts';
import { noteImage } from './note-events.ts';
import type { Engine } from './open.ts';
import { nativeOrAsked } from './platform.ts';
import type { PulledImage, PullRequest } from './image-requests.ts';

/**
 * Brings an image and unpacks it. Of an index the image for one platform; the index itself stays with it where nothing else is left out, or all is asked
 * for. Throws `registry/...`; nothing is named then.
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
  noteImage(engine, 'pull', familiarReference(reference), printReference(reference));
  return {
    id: record.imageId,
    digest: (found.index ?? found.manifest).digest,
    reference: printReference(reference),
    upToDate: before?.imageId === record.imageId,
  };
}
