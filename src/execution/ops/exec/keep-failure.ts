/** What a step whose process failed had written is kept as it was: for whoever wants to look at it. */
import { statfsSync } from 'node:fs';
import type { EndedProcesses } from '#execution/runtime/contract.ts';
import { messageOf } from '#ground/base/errors.ts';
import type { Needle } from '#ground/base/needles.ts';
import { layerIdentity } from '#stores/layer/create.ts';
import type { ActiveSnapshot, SnapshotId } from '#stores/snapshot/contract.ts';

/** How a step failed, and what is left of it. */
export type KeptFailure = {
  /** Of its process: 128 + n when signal n ended it; 125 to 127 when it could not be started. */
  readonly code: number;
  /** What it had written, over its root; undefined: nothing, or it is not kept. */
  readonly snapshot: SnapshotId | undefined;
  /** Why it is not kept. */
  readonly reason?: string;
  /** Which processes it had started, and how they ended; undefined where nobody knows. */
  readonly ended?: EndedProcesses;
};

/** Bytes that must be free on the disk: what filled it is not kept. */
const leastFree = 64 * 1024 * 1024;

export type FailureToKeep = { readonly code: number; readonly below: () => readonly string[]; readonly needles: readonly Needle[] };

/** Commits the snapshot of a process that failed, unless a secret of `needles` stands in it. Never throws: the failure itself is what counts. */
export async function keepFailure(
  active: ActiveSnapshot,
  { code, below, needles }: FailureToKeep,
  signal: AbortSignal,
): Promise<KeptFailure> {
  try {
    const disk = statfsSync(active.folder);
    if (disk.bavail * disk.bsize < leastFree) return { code, snapshot: undefined, reason: 'The disk is nearly full' };
    if (needles.length > 0) await layerIdentity({ folder: active.folder, below: below(), needles }, signal);
    return { code, snapshot: (await active.commit(signal)).id };
  } catch (error) {
    return { code, snapshot: undefined, reason: messageOf(error) };
  }
}
