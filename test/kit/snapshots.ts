/** Snapshots that hold what a test needs of them. */
import type { SnapshotId, SnapshotStore } from '#stores/snapshot/contract.ts';

const { signal } = new AbortController();

/** A committed snapshot over `parent`, written through its mount, as a step writes it. Needs the rights to mount. */
export async function writeSnapshot(
  store: SnapshotStore,
  parent: SnapshotId | undefined,
  work: (root: string) => void,
): Promise<SnapshotId> {
  await using active = await store.prepare(parent, signal);
  {
    await using mount = await active.mount(signal);
    work(mount.path);
  }
  return (await active.commit(signal)).id;
}

/** A committed snapshot that stands alone, written straight into its folder, as a copy writes it. */
export async function writeSnapshotFolder(store: SnapshotStore, work: (folder: string) => void): Promise<SnapshotId> {
  await using active = await store.prepare(undefined, signal);
  work(active.folder);
  return (await active.commit(signal)).id;
}
