/**
 * What a vertex gives, as the text the cache keeps: a committed snapshot or an empty tree. Two more forms live as long as one build: a folder of the
 * client, and layers that lie in a cache elsewhere.
 */
import { JettisonError } from '#ground/base/errors.ts';
import type { CacheKey } from '#execution/cache/key.ts';
import type { ChainId } from '#formats/oci/layer-ids.ts';
import { parseSnapshotId, type SnapshotId } from '#execution/worker/contract.ts';
import type { Result, Solved } from '#execution/solver/contract.ts';

const remotePrefix = 'layers:';
const snapshotPrefix = 'snapshot:';

export function snapshotResult(snapshot: SnapshotId | undefined): Result {
  return { id: snapshot === undefined ? 'empty' : `${snapshotPrefix}${snapshot}` };
}

export function folderResult(name: string): Result {
  return { id: `folder:${name}` };
}

/** Layers that are not here, and the key that stands for them: `BuildCaches` brings them. */
export function remoteResult(chain: ChainId, key: CacheKey): Result {
  return { id: `${remotePrefix}${chain} ${key}` };
}

export function isRemote(result: Result): boolean {
  return result.id.startsWith(remotePrefix);
}

/** The snapshot behind a result; undefined for an empty tree. Throws for what is no snapshot (yet). */
export function snapshotOf(result: Result): SnapshotId | undefined {
  if (result.id === 'empty') return undefined;
  if (!isSnapshot(result)) throw new JettisonError('engine/not-a-snapshot', `"${result.id}" is no snapshot`, { fault: 'bug' });
  return parseSnapshotId(result.id.slice(snapshotPrefix.length));
}

/** The name of the client's folder behind a result, or undefined. */
export function folderOf(result: Result): string | undefined {
  return result.id.startsWith('folder:') ? result.id.slice('folder:'.length) : undefined;
}

/** A committed snapshot, as `snapshotOf` gives it. */
export function isSnapshot({ id }: Result): boolean {
  return id.startsWith(snapshotPrefix);
}

/** Has a step of the build made files now? Then a worker is there. The client's folder is looked at in every build, and is none. */
export function hasMadeFiles(solved: Solved | undefined): boolean {
  return solved?.vertices.values().some(({ state, result }) => state === 'ran' && result !== undefined && isSnapshot(result)) === true;
}
