/** What a vertex gives, as the text the cache keeps: a committed snapshot, an empty tree, or a folder of the client (which the cache never keeps). */
import { JettisonError } from '#ground/base/errors.ts';
import { parseSnapshotId, type SnapshotId } from '#execution/worker/contract.ts';
import type { Result } from '#execution/solver/contract.ts';

export function snapshotResult(snapshot: SnapshotId | undefined): Result {
  return { id: snapshot === undefined ? 'empty' : `snapshot:${snapshot}` };
}

export function folderResult(name: string): Result {
  return { id: `folder:${name}` };
}

/** The snapshot behind a result; undefined for an empty tree. Throws for a folder of the client. */
export function snapshotOf(result: Result): SnapshotId | undefined {
  if (result.id === 'empty') return undefined;
  if (!result.id.startsWith('snapshot:'))
    throw new JettisonError('engine/not-a-snapshot', `"${result.id}" is no snapshot`, { fault: 'bug' });
  return parseSnapshotId(result.id.slice('snapshot:'.length));
}

/** The name of the client's folder behind a result, or undefined. */
export function folderOf(result: Result): string | undefined {
  return result.id.startsWith('folder:') ? result.id.slice('folder:'.length) : undefined;
}
