/** Remembers what chains of layers become when they are folded, so that a build in which nothing ran folds nothing. */
import * as v from 'valibot';
import type { Database } from '#stores/db/open.ts';
import { parseSnapshotId, type FoldedLayers, type LayersAbove, type SnapshotId } from '#execution/worker/contract.ts';

export type FoldedChain = Pick<FoldedLayers, 'top' | 'kept'>;

export type FoldedChains = {
  find(built: LayersAbove): FoldedChain | undefined;
  save(built: LayersAbove, folded: FoldedChain): void;
  /** A snapshot that is gone, built or folded. */
  forget(snapshot: SnapshotId): void;
  /** All that `find` can give. */
  snapshots(): readonly SnapshotId[];
};

/** Migration of the database. `folded`: empty for no files at all. */
export const foldedChainTables = `
CREATE TABLE folded_chains (top TEXT NOT NULL, base INTEGER NOT NULL, folded TEXT NOT NULL, kept TEXT NOT NULL, PRIMARY KEY (top, base)) WITHOUT ROWID;
CREATE INDEX folded_chains_by_folded ON folded_chains (folded);
`;

const stored = v.object({ folded: v.string(), kept: v.string() });
const places = v.array(v.pipe(v.number(), v.integer(), v.minValue(0)));

/** Over a database that has `foldedChainTables`. */
export function openFoldedChains(database: Database): FoldedChains {
  const find = database.prepare('SELECT folded, kept FROM folded_chains WHERE top = ? AND base = ?');
  const save = database.prepare('INSERT OR REPLACE INTO folded_chains (top, base, folded, kept) VALUES (?, ?, ?, ?)');
  const forget = database.prepare('DELETE FROM folded_chains WHERE top = ? OR folded = ?');
  const all = database.prepare("SELECT DISTINCT folded FROM folded_chains WHERE folded != ''");
  return {
    find: ({ top, base }) => {
      const row = find.get(top, base);
      if (row === undefined) return undefined;
      const { folded, kept } = v.parse(stored, row);
      return { top: folded === '' ? undefined : parseSnapshotId(folded), kept: v.parse(places, JSON.parse(kept)) };
    },
    save: ({ top, base }, { top: folded, kept }) => {
      save.run(top, base, folded ?? '', JSON.stringify(kept));
    },
    forget: (snapshot) => {
      forget.run(snapshot, snapshot);
    },
    snapshots: () => all.all().map((row) => parseSnapshotId(String(row['folded']))),
  };
}
