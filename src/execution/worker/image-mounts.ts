/**
 * Trees of images as mounts of the machine, made by root's own process in its own namespace: they outlive it, as no worker's mounts do. The kernel holds them, nobody else; what they are
 * called and counted is the caller's.
 */
import { mkdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { JettisonError, systemCode } from '#ground/base/errors.ts';
import { tryLockFile } from '#ground/linux/lock-file.ts';
import { unmount } from '#ground/linux/mount.ts';
import type { SnapshotId } from '#stores/snapshot/contract.ts';
import { openSnapshotStore } from '#stores/snapshot/store.ts';
import { isMounted } from './mount-point.ts';

/** Whoever mounts or unmounts holds it; waits for others. */
export function lockMounts(store: string): Disposable {
  mkdirSync(join(store, 'mounts'), { recursive: true, mode: 0o700 });
  const lock = tryLockFile(join(store, 'mounts', 'lock'), { exclusive: true, wait: true });
  if (lock !== undefined) return lock;
  throw new JettisonError('worker/mounts-locked', 'Another command is mounting images', { fault: 'environment', hint: 'Try again' });
}

/** The tree of a snapshot (undefined: an empty one) at `path`, which is made; nothing can be written, and neither devices nor set-user-ID programs of it work. Throws `snapshot/...`. */
export async function mountTree(
  store: string,
  { snapshot, path }: { readonly snapshot: SnapshotId | undefined; readonly path: string },
  signal: AbortSignal,
): Promise<void> {
  await using snapshots = await openSnapshotStore({ folder: join(store, 'snapshots'), now: Date.now, tree: 'overlay' });
  signal.throwIfAborted();
  mkdirSync(path, { recursive: true, mode: 0o700 });
  try {
    snapshots.showAt(snapshot, path);
  } catch (error) {
    unmountTree(path);
    throw error;
  }
}

/** Takes it away, also while somebody has files of it open, for whom they stay. Nothing when it is not there. */
export function unmountTree(path: string): void {
  while (isMounted(path)) unmount(path);
  try {
    rmdirSync(path);
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error;
  }
}
