/** How images came about, as far as a build of this store made them: a row beside the image, which goes with it. */
import * as v from 'valibot';
import { parseDigest, type Digest } from '#ground/base/digest.ts';
import type { Database } from '#stores/db/open.ts';

export type StoredOrigins = {
  /** The document (`formats/origins/record.ts`). */
  readonly record: Uint8Array;
  /** The blob with each file's origin; undefined until somebody lists them. */
  readonly files: Digest | undefined;
};

export type ImageOrigins = {
  /** Of an image that is in the store; in the place of what was kept of it. `source`: see `ImageStore.originsSource`. */
  keep(imageId: Digest, origins: { readonly source: string; readonly record: Uint8Array }): void;
  of(imageId: Digest): StoredOrigins | undefined;
  /** The blob is there: for an image with a record, or one that nothing else is known of. */
  setFiles(imageId: Digest, files: Digest): void;
  /** Images with a record, newest first. */
  list(): readonly Digest[];
  /** Images with a record and without a list of files, newest first. */
  unlisted(): readonly Digest[];
};

const stored = v.object({ record: v.instance(Uint8Array), files: v.nullable(v.string()) });

/** Over a database that has `imageTables` and `originTables`. */
export function openImageOrigins(database: Database): ImageOrigins {
  const keep = database.prepare('INSERT OR REPLACE INTO image_origins (image_id, source, record, files) VALUES (?, ?, ?, NULL)');
  const find = database.prepare('SELECT record, files FROM image_origins WHERE image_id = ?');
  const add = database.prepare("INSERT INTO image_origins (image_id, source, record, files) VALUES (?, '', ?, ?)");
  const setFiles = database.prepare('UPDATE image_origins SET files = ? WHERE image_id = ?');
  const list = database.prepare('SELECT image_id FROM image_origins ORDER BY rowid DESC');
  const unlisted = database.prepare('SELECT image_id FROM image_origins WHERE files IS NULL ORDER BY rowid DESC');
  return {
    keep: (imageId, { source, record }) => {
      keep.run(imageId, source, record);
    },
    of: (imageId) => {
      const row = find.get(imageId);
      if (row === undefined) return undefined;
      const { record, files } = v.parse(stored, row);
      return { record, files: files === null ? undefined : parseDigest(files) };
    },
    setFiles: (imageId, files) => {
      if (setFiles.run(files, imageId).changes === 0) add.run(imageId, new Uint8Array(), files);
    },
    list: () => list.all().map((row) => parseDigest(String(row['image_id']))),
    unlisted: () => unlisted.all().map((row) => parseDigest(String(row['image_id']))),
  };
}
