/**
 * Which image was made from which, step by step: for builds that keep an image for each step, as the builder before BuildKit did. Such an image is a row and holds
 * nothing: its files stay as long as the build cache, or another image, keeps them.
 */
import { parseDigest, type Digest } from '#ground/base/digest.ts';
import type { Database } from '#stores/db/open.ts';

export type ImageLineage = {
  /** An image came of a step over `parent` (undefined for none). It is a step's only while nobody calls `keep`. */
  note(imageId: Digest, parent: Digest | undefined): void;
  /** Somebody wants the image for itself: it holds its files from now on. */
  keep(imageId: Digest): void;
  /** The image below; undefined where nobody knows, or where it is gone. */
  parentOf(imageId: Digest): Digest | undefined;
  hasChildren(imageId: Digest): boolean;
  /** All that have children. */
  parents(): ReadonlySet<string>;
  /** Does the image belong to no more than a step? */
  isStep(imageId: Digest): boolean;
  /** All that belong to no more than a step and have no name. */
  steps(): ReadonlySet<Digest>;
  /** Removes nameless images of steps but for the newest `keep`, and but for those that `isUsed`. */
  forgetOldest(keep: number, isUsed: (imageId: Digest) => boolean): void;
};

/** Migration of the database, after `imageTables`. */
export const lineageTables = `
CREATE TABLE image_steps (
  number INTEGER PRIMARY KEY AUTOINCREMENT, image_id TEXT NOT NULL UNIQUE REFERENCES images ON DELETE CASCADE, parent TEXT, is_step INTEGER NOT NULL);
CREATE INDEX image_steps_by_parent ON image_steps (parent);
`;

const nameless = 'is_step = 1 AND image_id NOT IN (SELECT image_id FROM image_names)';

export function openImageLineage(database: Database): ImageLineage {
  const note = database.prepare('INSERT OR IGNORE INTO image_steps (image_id, parent, is_step) VALUES (?, ?, 1)');
  const keep = database.prepare('UPDATE image_steps SET is_step = 0 WHERE image_id = ? AND is_step = 1');
  const parentOf = database.prepare(
    'SELECT parent FROM image_steps WHERE image_id = ? AND EXISTS (SELECT 1 FROM images WHERE images.image_id = image_steps.parent)',
  );
  const child = database.prepare('SELECT 1 FROM image_steps WHERE parent = ? LIMIT 1');
  const step = database.prepare('SELECT 1 FROM image_steps WHERE image_id = ? AND is_step = 1');
  const parents = database.prepare('SELECT DISTINCT parent FROM image_steps WHERE parent IS NOT NULL');
  const steps = database.prepare(`SELECT image_id FROM image_steps WHERE ${nameless}`);
  const count = database.prepare('SELECT count(*) AS rows FROM image_steps WHERE is_step = 1');
  const oldest = database.prepare(`SELECT image_id FROM image_steps WHERE ${nameless} ORDER BY number DESC LIMIT -1 OFFSET ?`);
  const remove = database.prepare('DELETE FROM images WHERE image_id = ?');
  return {
    note: (imageId, parent) => {
      note.run(imageId, parent ?? null);
    },
    keep: (imageId) => {
      keep.run(imageId);
    },
    parentOf: (imageId) => {
      const row = parentOf.get(imageId);
      return row === undefined ? undefined : parseDigest(String(row['parent']));
    },
    hasChildren: (imageId) => child.get(imageId) !== undefined,
    parents: () => new Set(parents.all().map((row) => String(row['parent']))),
    isStep: (imageId) => step.get(imageId) !== undefined,
    steps: () => new Set(steps.all().map((row) => parseDigest(String(row['image_id'])))),
    forgetOldest: (most, isUsed) => {
      if (Number(count.get()?.['rows'] ?? 0) <= most) return;
      for (const row of oldest.all(most)) {
        const imageId = parseDigest(String(row['image_id']));
        if (!isUsed(imageId)) remove.run(imageId);
      }
    },
  };
}
