/**
 * What takes up space in a worker's part of the store, and how to free it: snapshots and cache mounts. It works on the folder itself, in whichever process asks: nothing
 * is mounted for it.
 */
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { syncFileSystem } from '#ground/linux/file-bytes.ts';
import type { TraceWish } from '#execution/ops/origins.ts';
import type { Traced } from '#formats/origins/trail.ts';
import { listUnsafe, unmarkSafe } from '#execution/ops/cache-mount-safety.ts';
import { listCacheMounts, removeCacheMounts, type KeptCacheMount } from '#execution/ops/cache-mounts.ts';
import { removeLeftFolders } from '#execution/runtime/own-folders.ts';
import type { Reclaimed, SnapshotId, SnapshotStore } from '#stores/snapshot/contract.ts';
import { openSnapshotStore } from '#stores/snapshot/store.ts';
import { clearVolumeTrash } from '#stores/volume/trash.ts';
import { clearTrash, tendStore } from '#stores/snapshot/tend.ts';

export type { KeptCacheMount } from '#execution/ops/cache-mounts.ts';

export type KeptSnapshot = {
  readonly id: SnapshotId;
  readonly parent: SnapshotId | undefined;
  /** Whose folder holds its files: its own id, or another's, which stays on disk as long. */
  readonly content: SnapshotId;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  /** Bytes on disk that count for it. */
  readonly bytes: number;
  /** Bytes of files that it shares with older snapshots, where they count. */
  readonly linked: number;
};

export type Keeper = {
  /** Oldest first. */
  snapshots(): readonly KeptSnapshot[];
  cacheMounts(): readonly KeptCacheMount[];
  /** As `Worker.traceOrigins`. */
  traceOrigins(wish: TraceWish, signal: AbortSignal): Promise<Traced>;
  /** Bytes of the files in a snapshot, by their lengths: also of one that a container writes on. */
  fileBytes(id: SnapshotId): number;
  /**
   * Removes snapshots, but for those that a worker has found for somebody at `usedBefore` or later (milliseconds since the epoch); what others stand on goes
   * with these. Gives those that are gone, and the bytes that are free once they are deleted.
   */
  release(ids: readonly SnapshotId[], usedBefore: number): Reclaimed;
  /** Brings times of use down to just before `now` (milliseconds since the epoch): only while nobody is at work. */
  endFuture(now: number): void;
  /** Gives those that are gone: not those that a step has open. */
  removeCacheMounts(ids: ReadonlySet<string>): readonly string[];
};

/** Opens the worker's part of the store `store`. Disposing deletes what was removed, as far as nobody can be reading it any more: that may take seconds. */
export async function openKeeper(store: string): Promise<Keeper & AsyncDisposable> {
  const folder = snapshotsIn(store);
  const snapshots = await openSnapshotStore({ folder, now: Date.now });
  let removed = 0;
  const keeper = keeperOver(snapshots, store);
  return {
    ...keeper,
    release(ids, usedBefore) {
      const gone = keeper.release(ids, usedBefore);
      removed += gone.ids.length;
      return gone;
    },
    async [Symbol.asyncDispose]() {
      await snapshots[Symbol.asyncDispose]();
      if (removed > 0) clearTrash(folder);
    },
  };
}

/** Tends the worker's part of the store (see tendStore), letting `keep` free what should not stay. */
export async function tendWorkerStore(store: string, keep: (keeper: Keeper) => Promise<void>): Promise<void> {
  removeLeftFolders(join(store, 'bundles'));
  clearVolumeTrash(join(store, 'volumes'));
  await tendStore(snapshotsIn(store), async (snapshots) => {
    makeCacheMountsSafe(join(store, 'cache-mounts'));
    await keep(keeperOver(snapshots, store));
  });
}

/** Their file system need not be that of the snapshots. Where it is, there is nothing left to sync, and this takes no time. */
function makeCacheMountsSafe(mounts: string): void {
  const unsafe = listUnsafe(mounts);
  if (unsafe.length === 0) return;
  const folder = openSync(mounts, 'r');
  try {
    syncFileSystem(folder);
  } finally {
    closeSync(folder);
  }
  unmarkSafe(unsafe);
}

function snapshotsIn(store: string): string {
  const folder = join(store, 'snapshots');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  return folder;
}

function keeperOver(snapshots: SnapshotStore, store: string): Keeper {
  const mounts = join(store, 'cache-mounts');
  return {
    snapshots() {
      snapshots.measure();
      return snapshots.list().map(({ size, ...snapshot }) => ({ ...snapshot, bytes: size?.bytes ?? 0, linked: size?.linked ?? 0 }));
    },
    cacheMounts: () => listCacheMounts(mounts),
    traceOrigins: async (wish, signal) => await (await import('#execution/ops/origins.ts')).traceOrigins(wish, snapshots, signal),
    fileBytes: (id) => snapshots.fileBytes(id),
    release: (ids, usedBefore) => snapshots.reclaim(ids, usedBefore),
    endFuture: (now) => snapshots.endFuture(now),
    removeCacheMounts: (ids) => removeCacheMounts(mounts, ids),
  };
}
