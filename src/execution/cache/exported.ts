/** What a cache outside the store says: which keys lead to which layers. Nothing of it is files yet. */
import type { Descriptor } from '#formats/oci/descriptor.ts';
import type { Digest } from '#ground/base/digest.ts';
import type { CacheKey } from './key.ts';

/** A layer whose bytes lie elsewhere. */
export type RemoteLayer = {
  /** Of its uncompressed bytes: whoever unpacks it checks this. */
  readonly diffId: Digest;
  readonly blob: Descriptor;
  /** When it was made, milliseconds since the epoch. */
  readonly createdAt: number;
};

/** A result under all keys that lead to it. */
export type ExportedRecord = {
  /** The key that stands for the result in the keys of what is built on it. */
  readonly key: CacheKey;
  readonly keys: readonly CacheKey[];
  /** Bottom first, at least one. */
  readonly layers: readonly RemoteLayer[];
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  /** How long the op ran, in milliseconds. */
  readonly cost: number;
};

export type ExportedCache = {
  find(key: CacheKey): ExportedRecord | undefined;
  /** Every result once. */
  list(): readonly ExportedRecord[];
};

/** Records by their keys; of two with one key the first counts. */
export function exportedCache(records: readonly ExportedRecord[]): ExportedCache {
  const byKey = new Map<CacheKey, ExportedRecord>();
  for (const record of records) for (const key of record.keys) if (!byKey.has(key)) byKey.set(key, record);
  return { find: (key) => byKey.get(key), list: () => records };
}

/** Where in `layers` the DiffIDs of `chain` stand one after the other; undefined when they do not. */
export function findRun(layers: readonly Digest[], chain: readonly Digest[]): number | undefined {
  if (chain.length === 0) return undefined;
  for (let from = 0; from + chain.length <= layers.length; from++) {
    if (chain.every((diffId, index) => layers[from + index] === diffId)) return from;
  }
  return undefined;
}
