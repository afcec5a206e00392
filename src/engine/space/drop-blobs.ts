/** Blobs that were an image's. */
import type { Digest } from '#ground/base/digest.ts';
import type { Engine } from '../open.ts';
import { heldBlobs } from './account.ts';

/** Blobs of images that are gone, unless another image has them; while others work with the store all stay, and go later. Gives the bytes that are free. */
export function dropBlobs(engine: Engine, digests: readonly Digest[]): number {
  return engine.database.transaction(() => {
    if (engine.leasedSince() !== undefined) return 0;
    const held = heldBlobs(engine);
    let bytes = 0;
    for (const digest of new Set(digests)) {
      if (held.has(digest)) continue;
      const size = engine.content.size(digest) ?? 0;
      if (engine.content.delete(digest)) bytes += size;
      engine.images.forgetBlob(digest);
    }
    return bytes;
  });
}
