/** What was weighed when an image was built, and which image it took a name from: a row beside the image, which goes with it. */
import * as v from 'valibot';
import { isDigest, type Digest } from '#ground/base/digest.ts';
import type { Database } from '#stores/db/open.ts';

const bytes = v.pipe(v.number(), v.integer(), v.minValue(0));
const place = v.pipe(v.number(), v.integer(), v.minValue(0));
const line = { text: v.string(), stage: v.nullable(v.string()), line: v.nullable(place) };

const ledger = v.object({
  version: v.literal(1),
  /** Of the steps of the image's record of origins, by place; null where they were not weighed. */
  weights: v.nullable(
    v.object({
      steps: v.array(v.object({ made: v.nullable(bytes), wrote: v.nullable(bytes), carried: bytes })),
      copies: v.array(v.object({ step: place, from: v.array(v.object({ step: place, bytes })) })),
    }),
  ),
  /** The image that had the name before; `parts`: bytes of it by the instruction that made them, null where nobody knows. */
  before: v.nullable(
    v.object({
      name: v.string(),
      image: v.pipe(v.string(), v.check(isDigest, 'no digest')),
      size: bytes,
      parts: v.nullable(v.array(v.object({ ...line, bytes }))),
    }),
  ),
});

export type StoredLedger = v.InferOutput<typeof ledger>;

export type ImageLedgers = {
  /** Of an image that is in the store; in the place of what was kept of it. */
  keep(imageId: Digest, ledger: StoredLedger): void;
  /** Undefined, too, where another release wrote it in a form that this one cannot read. */
  of(imageId: Digest): StoredLedger | undefined;
};

/** Over a database that has `imageTables` and `ledgerTables`. */
export function openImageLedgers(database: Database): ImageLedgers {
  const keep = database.prepare('INSERT OR REPLACE INTO image_ledgers (image_id, ledger) VALUES (?, ?)');
  const find = database.prepare('SELECT ledger FROM image_ledgers WHERE image_id = ?');
  return {
    keep: (imageId, stored) => {
      keep.run(imageId, JSON.stringify(stored));
    },
    of: (imageId) => {
      const row = find.get(imageId);
      if (row === undefined) return undefined;
      const read = v.safeParse(ledger, JSON.parse(String(row['ledger'])));
      return read.success ? read.output : undefined;
    },
  };
}
