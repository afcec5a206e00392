/** What goes with an index that is gone: its images that have no name of their own, and its documents. */
import type { Digest } from '#ground/base/digest.ts';
import { documentsOf, imagesOf, type IndexRecord } from '#stores/image/indexes.ts';
import type { RemovedImage } from './image-requests.ts';
import { usedImages } from './mounted-images.ts';
import type { Engine } from './open.ts';
import { blobsOfImage } from './space/account.ts';

export type RemovedMembers = { readonly removed: readonly RemovedImage[]; readonly blobs: readonly Digest[] };

/** Of those `indexes` that are no longer in the store. An image that another index has, or a container or a mount uses, stays. Call it in a transaction. */
export function removeMembers(engine: Engine, indexes: readonly IndexRecord[]): RemovedMembers {
  const gone = indexes.filter(({ indexId }) => engine.indexes.get(indexId) === undefined);
  if (gone.length === 0) return { removed: [], blobs: [] };
  const used = usedImages(engine);
  const blobs: Digest[] = gone.flatMap(documentsOf);
  const removed = new Set(gone.flatMap((index) => imagesOf(index).map(({ imageId }) => imageId)));
  for (const imageId of removed) {
    const image = engine.images.get(imageId);
    const stays = image === undefined || image.names.length > 0 || used.has(imageId) || engine.indexes.holding(imageId).length > 0;
    if (stays) removed.delete(imageId);
    else blobs.push(...blobsOfImage(engine, imageId));
    if (!stays) engine.images.remove(imageId);
  }
  return { removed: [...removed].map((id) => ({ kind: 'deleted', id })), blobs };
}
