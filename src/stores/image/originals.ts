/** Manifests of images that others made, as they came in archives: written again as they are, an image keeps its digest. Those that came from registries are in `store.ts`. */
import * as v from 'valibot';
import { digestOf, type Digest } from '#ground/base/digest.ts';
import type { Database } from '#stores/db/open.ts';

export type OriginalManifest = { readonly digest: Digest; readonly mediaType: string; readonly bytes: Uint8Array };

export type OriginalStore = {
  /** Of an image that is in the store. */
  keep(imageId: Digest, manifest: Pick<OriginalManifest, 'mediaType' | 'bytes'>): void;
  /** The last one kept first. */
  of(imageId: Digest): readonly OriginalManifest[];
};

export const originalTables = `
CREATE TABLE original_manifests (
  image_id TEXT NOT NULL REFERENCES images ON DELETE CASCADE, digest TEXT NOT NULL, media_type TEXT NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (image_id, digest));
`;

const storedManifest = v.object({ media_type: v.string(), bytes: v.instance(Uint8Array) });

/** Over a database that has `imageTables` and `originalTables`. */
export function openOriginals(database: Database): OriginalStore {
  const save = database.prepare('INSERT OR REPLACE INTO original_manifests (image_id, digest, media_type, bytes) VALUES (?, ?, ?, ?)');
  const select = database.prepare('SELECT media_type, bytes FROM original_manifests WHERE image_id = ? ORDER BY rowid DESC');
  return {
    keep: (imageId, { mediaType, bytes }) => {
      save.run(imageId, digestOf(bytes), mediaType, bytes);
    },
    of: (imageId) =>
      select.all(imageId).map((row) => {
        const { media_type: mediaType, bytes } = v.parse(storedManifest, row);
        return { digest: digestOf(bytes), mediaType, bytes };
      }),
  };
}
