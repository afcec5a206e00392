/** Remembers, for the top snapshot of a chain, the identities of its layers, so that a build in which nothing ran needs no worker to name its image. */
import * as v from 'valibot';
import { parseDigest } from '#ground/base/digest.ts';
import type { Database } from '#stores/db/open.ts';
import { parseSnapshotId, type SnapshotId } from '#execution/worker/contract.ts';
import type { LayerIdentity, Worker } from '#execution/worker/contract.ts';

export type LayerChains = {
  find(top: SnapshotId): readonly LayerIdentity[] | undefined;
  save(top: SnapshotId, layers: readonly LayerIdentity[]): void;
  /** A snapshot that is gone. */
  forget(top: SnapshotId): void;
};

export const layerChainTables = 'CREATE TABLE layer_chains (top TEXT PRIMARY KEY, layers TEXT NOT NULL) WITHOUT ROWID';

const storedLayers = v.array(
  v.object({ snapshot: v.string(), diffId: v.string(), size: v.number(), createdAt: v.number(), epoch: v.optional(v.number()) }),
);

export function openLayerChains(database: Database): LayerChains {
  const find = database.prepare('SELECT layers FROM layer_chains WHERE top = ?');
  const save = database.prepare(
    'INSERT INTO layer_chains (top, layers) VALUES (?, ?) ON CONFLICT (top) DO UPDATE SET layers = excluded.layers',
  );
  const forget = database.prepare('DELETE FROM layer_chains WHERE top = ?');
  return {
    forget: (top) => {
      forget.run(top);
    },
    find: (top) => {
      const row = find.get(top);
      if (row === undefined) return undefined;
      const layers = v.parse(storedLayers, JSON.parse(String(row['layers']))).flatMap(({ snapshot, diffId, epoch, ...layer }) =>
        // An older version did not ask for it.
        epoch === undefined ? [] : [{ snapshot: parseSnapshotId(snapshot), diffId: parseDigest(diffId), epoch, ...layer }],
      );
      return layers.length === 0 ? undefined : layers;
    },
    save: (top, layers) => {
      save.run(top, JSON.stringify(layers));
    },
  };
}

/** The layers of the chain that ends in `top`, bottom first: as remembered, else from a worker, which may have to read them. */
export async function layersOfChain(
  top: SnapshotId,
  from: { readonly chains: LayerChains; readonly worker: () => Promise<Worker> },
  signal: AbortSignal,
): Promise<readonly LayerIdentity[]> {
  const known = from.chains.find(top);
  if (known !== undefined) return known;
  const worker = await from.worker();
  const layers = await worker.layerIdentities(top, signal);
  from.chains.save(top, layers);
  return layers;
}
