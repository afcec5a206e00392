/** Runs a MergeOp: layers over each other that were made apart. No file is copied. */
import type { MergeOp } from '#formats/graph/op.ts';
import { JettisonError } from '#ground/base/errors.ts';
import type { SnapshotId, SnapshotStore } from '#stores/snapshot/contract.ts';
import type { TreeSource } from './file.ts';

export type MergeRequest = {
  readonly op: MergeOp;
  /** Bottom first; undefined for an empty tree. */
  readonly inputs: readonly (TreeSource | undefined)[];
};

/** Gives the committed snapshot at the top of the merged chain. Throws `snapshot/not-found` for an input that is gone. */
export async function runMerge({ inputs }: MergeRequest, snapshots: SnapshotStore, signal: AbortSignal): Promise<SnapshotId> {
  let top: SnapshotId | undefined;
  for (const input of inputs) {
    if (input === undefined) continue;
    if (input.kind === 'folder')
      throw new JettisonError('ops/bad-merge', 'A folder of the client has no layers to merge', { fault: 'bug' });
    if (top === undefined) top = input.snapshot;
    else for (const { content } of snapshots.chain(input.snapshot)) top = (await snapshots.stack(content, top, signal)).id;
  }
  if (top === undefined) throw new JettisonError('ops/bad-merge', 'There is nothing to merge', { fault: 'bug' });
  return top;
}
