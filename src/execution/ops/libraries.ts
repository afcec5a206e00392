/** Which files of a snapshot `COPY --libs` has brought: a fact of it, since only the copy itself knows what the base lacked. */
import { array, number, parse, strictObject, string } from 'valibot';
import type { SnapshotId, SnapshotStore } from '#stores/snapshot/contract.ts';

export type BroughtLibrary = {
  /** Absolute real path in the tree that was copied from. */
  readonly source: string;
  /** Absolute path in the image. */
  readonly destination: string;
  /** Bytes. */
  readonly size: number;
};

const fact = 'libraries';
const shape = array(strictObject({ source: string(), destination: string(), size: number() }));

export function noteLibraries(snapshots: SnapshotStore, id: SnapshotId, brought: readonly BroughtLibrary[]): void {
  snapshots.setFact(id, fact, JSON.stringify(brought));
}

/** undefined for a snapshot that no such copy made here: of one that was unpacked nobody knows. */
export function librariesIn(snapshots: Pick<SnapshotStore, 'getFact'>, id: SnapshotId): readonly BroughtLibrary[] | undefined {
  const text = snapshots.getFact(id, fact);
  return text === undefined ? undefined : parse(shape, JSON.parse(text));
}
