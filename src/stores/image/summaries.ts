/** What a list of images needs of each, without reading their configs: a thousand images are three queries. */
import { parseDigest, type Digest } from '#ground/base/digest.ts';
import type { Database } from '#stores/db/open.ts';

export type ImageSummary = {
  readonly imageId: Digest;
  /** Milliseconds since the epoch. */
  readonly created: number;
  /** Bytes of all layers' files. */
  readonly size: number;
  /** Canonical names with tags, in order. */
  readonly names: readonly string[];
  /** What repositories had of it, the one noted first first. */
  readonly manifests: readonly { readonly repository: string; readonly digest: Digest }[];
};

const newestFirst = `
SELECT image_id, created, (SELECT total(json_extract(value, '$.size')) FROM json_each(layers)) AS size
FROM images ORDER BY created DESC, stored DESC`;

/** Over a database that has the tables of images. Gives them newest first. */
export function readSummaries(database: Database): readonly ImageSummary[] {
  const names = groupByImage(database.prepare('SELECT image_id, name FROM image_names ORDER BY name').all(), (row) => String(row['name']));
  const manifests = groupByImage(
    database.prepare('SELECT image_id, repository, digest FROM image_manifests ORDER BY rowid').all(),
    (row) => ({
      repository: String(row['repository']),
      digest: parseDigest(String(row['digest'])),
    }),
  );
  return database
    .prepare(newestFirst)
    .all()
    .map((row) => {
      const id = String(row['image_id']);
      return {
        imageId: parseDigest(id),
        created: Number(row['created']),
        size: Number(row['size']),
        names: names.get(id) ?? [],
        manifests: manifests.get(id) ?? [],
      };
    });
}

function groupByImage<Row extends Readonly<Record<string, unknown>>, T>(
  rows: readonly Row[],
  read: (row: Row) => T,
): ReadonlyMap<string, readonly T[]> {
  const groups = new Map<string, T[]>();
  for (const row of rows) {
    const id = String(row['image_id']);
    const group = groups.get(id);
    if (group === undefined) groups.set(id, [read(row)]);
    else group.push(read(row));
  }
  return groups;
}
