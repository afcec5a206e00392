/** Versions of a copy of the client's files: what the newest one kept for the next, as facts of its snapshot. */
import type { FileOp } from '#formats/graph/op.ts';
import { opDigest } from '#formats/graph/vertex.ts';
import { canonicalJson } from '#ground/base/canonical-json.ts';
import { digestOf } from '#ground/base/digest.ts';
import type { SnapshotId, SnapshotStore } from '#stores/snapshot/contract.ts';
import type { TreeSource } from '../file.ts';
import { isOneCopy } from './job.ts';
import type { EarlierCopy } from './stamps.ts';

export type Versions = {
  /** What makes two copies versions of one: the same op, with files of the same folders of the client. */
  readonly copy: string;
  readonly newest: SnapshotId | undefined;
  readonly earlier: EarlierCopy | undefined;
};

const facts = { copy: 'copy', stamps: 'copy-stamps' } as const;

/** Undefined for an op whose files will be of no use to another one. */
export function findVersions(
  { op, inputs }: { readonly op: FileOp; readonly inputs: readonly (TreeSource | undefined)[] },
  snapshots: SnapshotStore,
): Versions | undefined {
  const folders = inputs.flatMap((input) => (input?.kind === 'folder' && input.isPassing !== true ? [input.path] : []));
  if (folders.length === 0 || !isOneCopy(op)) return undefined;
  const copy = digestOf(canonicalJson({ version: 1, op: opDigest(op), folders }));
  const newest = snapshots.findByFact(facts.copy, copy).at(-1);
  if (newest === undefined) return { copy, newest, earlier: undefined };
  const folder = snapshots.get(newest)?.folder;
  const stamps = snapshots.getFact(newest, facts.stamps);
  return { copy, newest, earlier: folder === undefined || stamps === undefined ? undefined : { folder, stamps } };
}

/** The version before forgets its stamps: they are some 70 bytes a file. */
export function keepVersion(
  snapshots: SnapshotStore,
  { copy, newest }: Versions,
  made: { readonly id: SnapshotId; readonly stamps: string },
): void {
  snapshots.setFact(made.id, facts.copy, copy);
  snapshots.setFact(made.id, facts.stamps, made.stamps);
  if (newest === undefined || snapshots.get(newest) === undefined) return;
  snapshots.setFact(newest, facts.copy, '');
  snapshots.setFact(newest, facts.stamps, '');
}
