/** `jettison images`, `tag` and `rmi` */
import { familiarReference, parseReference, printReference, withDefaultTag } from '#formats/oci/reference.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { suggest } from '#ground/base/human.ts';
import { removeImage } from '#stores/image/remove.ts';
import { imageRows } from '#stores/image/rows.ts';
import { noSuchImage, type ImageRecord } from '#stores/image/store.ts';
import { isUp } from './containers.ts';
import type { Engine } from './open.ts';
import type { ImageRow, RemovedImage } from './image-requests.ts';
import { blobsOfImage } from './space/account.ts';
import { dropBlobs } from './space/drop-blobs.ts';

/** Newest first, a row a name. `filter`: a name as people type it, with or without a tag. */
export function listImages(engine: Engine, options: { readonly filter?: string; readonly all: boolean }): readonly ImageRow[] {
  return imageRows(engine.images, options.filter);
}

/** The image behind a name or id. Throws `image/not-found` with a near name. */
export function findImage(engine: Engine, text: string): ImageRecord {
  const record = engine.images.find(text);
  if (record !== undefined) return record;
  const names = engine.images.list().flatMap((image) => image.names.map((name) => familiarReference(parseReference(name))));
  const near = suggest(text, names);
  throw noSuchImage(text, near === undefined ? '"jettison images" lists what is here' : `Did you mean "${near}"?`);
}

/** Gives an image another name. Throws `image/not-found`, `oci/invalid-reference`. */
export function tagImage(engine: Engine, source: string, target: string): void {
  const name = withDefaultTag(parseReference(target));
  if (name.digest !== undefined) throw new JettisonError('engine/bad-tag', `A name with a digest cannot be given: "${target}"`);
  engine.images.tag(findImage(engine, source).imageId, [printReference(name)]);
}

/** Takes names away, and images when their last name goes. Throws `image/not-found`, `image/in-use`, `engine/image-in-use`. */
export async function removeImages(
  engine: Engine,
  names: readonly string[],
  options: { readonly force: boolean },
  signal: AbortSignal,
): Promise<readonly RemovedImage[]> {
  const removed: RemovedImage[] = [];
  for (const name of names) {
    signal.throwIfAborted();
    removed.push(...removeOne(engine, name, options));
  }
  return await Promise.resolve(removed);
}

/** What only this image held goes, too: its blobs at once, its files when the store is tended, unless the build cache knows them. */
function removeOne(engine: Engine, name: string, { force }: { readonly force: boolean }): readonly RemovedImage[] {
  return engine.database.transaction(() => {
    const image = engine.images.find(name);
    const blobs = image === undefined ? [] : blobsOfImage(engine, image.imageId);
    const removed = removeImage(engine.images, name, { force, mayDelete: (one) => assertUnused(engine, one, force) });
    if (removed.some(({ kind }) => kind === 'deleted')) {
      dropBlobs(engine, blobs);
      engine.leaveGarbage();
    }
    return removed;
  });
}

function assertUnused(engine: Engine, record: ImageRecord, force: boolean): void {
  const user = engine.containers.list().find((container) => container.spec.imageId === record.imageId);
  if (user === undefined || (force && !isUp(user.state))) return;
  throw new JettisonError('engine/image-in-use', `Image ${record.imageId.slice(7, 19)} is used by container ${user.name}`, {
    hint: `Remove the container first: jettison rm ${user.name}`,
  });
}
