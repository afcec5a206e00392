/**
 * Which sources a copy took, by the names that they had: patterns and links are resolved, archives known for what they are. It is kept as a fact of the layer's snapshot, since the
 * client's folder may be another one when somebody asks where a file came from.
 */
import * as v from 'valibot';
import { asByteString, type ByteString } from '#ground/base/byte-string.ts';
import { isCode } from '#ground/base/errors.ts';
import type { SnapshotId, SnapshotStore } from '#stores/snapshot/contract.ts';

export type TakenSource = {
  /** Place of the copy among the actions of its op. */
  readonly action: number;
  /** Its name in a destination that is a folder. */
  readonly name: ByteString;
  /** In the tree that was read; '' for its root. */
  readonly path: ByteString;
  /** `archive`: it was unpacked. */
  readonly kind: 'file' | 'folder' | 'archive';
  /** Of a folder of the client beside other sources: what lies below it, as far as that has to be known to tell them apart; undefined: nothing need be known, or it is too much. */
  readonly names?: readonly ByteString[];
};

const fact = 'taken';
/** Names of all sources that are kept at most. */
const most = 50_000;

const stored = v.array(
  v.object({
    action: v.number(),
    name: v.string(),
    path: v.string(),
    kind: v.picklist(['file', 'folder', 'archive']),
    names: v.exactOptional(v.array(v.string())),
  }),
);

export function keepTaken(snapshots: SnapshotStore, id: SnapshotId, taken: readonly TakenSource[]): void {
  if (taken.length > 0) snapshots.setFact(id, fact, JSON.stringify(withoutNeedless(taken)));
}

/** Undefined where nothing was kept: the layer came from elsewhere. */
export function findTaken(snapshots: Pick<SnapshotStore, 'getFact'>, id: SnapshotId): readonly TakenSource[] | undefined {
  const text = factOf(snapshots, id);
  if (text === undefined) return undefined;
  return v.parse(stored, JSON.parse(text)).map(({ name, path, names, ...rest }) => ({
    ...rest,
    name: asByteString(name),
    path: asByteString(path),
    ...(names === undefined ? {} : { names: names.map(asByteString) }),
  }));
}

function factOf(snapshots: Pick<SnapshotStore, 'getFact'>, id: SnapshotId): string | undefined {
  try {
    return snapshots.getFact(id, fact);
  } catch (error) {
    if (isCode(error, 'snapshot/not-found')) return undefined;
    throw error;
  }
}

/** One folder hides nothing that single files beside it do not have; of two folders all must be known. */
function withoutNeedless(taken: readonly TakenSource[]): readonly TakenSource[] {
  const folders = new Set(taken.filter(({ kind }) => kind !== 'file').map(({ path }) => path));
  const files = new Set(taken.filter(({ kind }) => kind === 'file').map(({ name }) => name));
  const kept = taken.map((source): TakenSource => {
    const names = folders.size > 1 ? source.names : source.names?.filter((name) => files.has(name));
    const { names: _, ...rest } = source;
    return names === undefined || (folders.size === 1 && files.size === 0) ? rest : { ...rest, names };
  });
  const count = kept.reduce((sum, { names = [] }) => sum + names.length, 0);
  return count <= most ? kept : kept.map(({ action, name, path, kind }) => ({ action, name, path, kind }));
}
