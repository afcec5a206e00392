/** Whole trees of snapshots, for as long as somebody looks at them: overlay mounts, or copies. */
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fromText } from '#ground/base/byte-string.ts';
import { mountFlags, unmount } from '#ground/linux/mount.ts';
import { folderMissing, isOpaque } from '../chain-tree.ts';
import { snapshotNotFound, type MountedSnapshot, type SnapshotId } from '../contract.ts';
import { mountOverlay } from '../overlay.ts';
import { viewCopy } from './copied-mounts.ts';
import { leaveTendMark, type Store } from './opened.ts';
import { openBatch } from './trash.ts';

/**
 * Names below `s/`, topmost first, down to the first with an opaque root (see `cutChain`). The kernel takes a folder once: of one that was stacked
 * more than once, the topmost place counts, as it covers everything that the others would show.
 */
export function lowersOf(store: Store, id: SnapshotId): readonly string[] {
  const ids = [...new Set(store.records.chain(id).map((row) => row.content))];
  if (ids.length === 0) throw snapshotNotFound(id);
  const bottom = ids.findIndex((layer) => hasOpaqueRoot(store, layer));
  return bottom < 0 ? ids : ids.slice(0, bottom + 1);
}

/** Asked of every layer at every mount, and never changing once a snapshot is committed: remembered. */
function hasOpaqueRoot(store: Store, id: SnapshotId): boolean {
  const known = store.opaque.get(id);
  if (known !== undefined) return known;
  const folder = join(store.folder, 's', id);
  if (!existsSync(folder)) throw folderMissing(folder);
  const opaque = isOpaque(fromText(folder));
  store.opaque.set(id, opaque);
  return opaque;
}

type Upper = { readonly id: SnapshotId; readonly isKept: boolean };

export function mountActive(store: Store, { id, isKept }: Upper, lowers: readonly string[], onUnmount: () => void): MountedSnapshot {
  const work = join(store.folder, 'w', id);
  mkdirSync(work, { recursive: true });
  const upper = { folder: id, work: `../w/${id}` };
  return mountAt(store, { lowers: lowers.length === 0 ? ['../empty/a'] : lowers, upper }, () => {
    // `volatile` leaves a mark in the work folder that forbids to use it again. Of a snapshot that is given up it goes with the files.
    if (!store.leavesSmall || isKept) trashWork(store, `w/${id}`);
    onUnmount();
  });
}

/** As `mountActive`; folders of the layers below are listed in the reverse order. */
export async function mountReversed(
  store: Store,
  { id, isKept }: Upper,
  lowers: readonly string[],
  onUnmount: () => void,
): Promise<MountedSnapshot> {
  if (lowers.length === 0) return mountActive(store, { id, isKept }, lowers, onUnmount);
  const { coverWithOrder } = await import('./folder-order.ts');
  const name = `order-${id}`;
  const places = join(store.folder, 'm', store.owner);
  mkdirSync(places, { recursive: true });
  const shown = mountAt(store, { lowers: lowers.length === 1 ? [...lowers, '../empty/a'] : lowers, upper: undefined }, () => {});
  let order: Disposable;
  try {
    order = coverWithOrder(shown.path, join(places, name));
  } finally {
    await shown[Symbol.asyncDispose]();
  }
  return mountActive(store, { id, isKept }, [...lowers, `../m/${store.owner}/${name}`], () => {
    order[Symbol.dispose]();
    onUnmount();
  });
}

export async function view(store: Store, id: SnapshotId | undefined, isPrivate: boolean, signal: AbortSignal): Promise<MountedSnapshot> {
  signal.throwIfAborted();
  if (store.trees !== undefined) {
    const shown = { key: id ?? '', layers: () => (id === undefined ? [] : inStore(store, lowersOf(store, id))) };
    return track(store, await viewCopy(store.trees, shown, isPrivate, signal));
  }
  return mountAt(store, { lowers: viewedLowers(store, id), upper: undefined }, () => {});
}

/** Shows the tree at `path`, read-only, in one call: there is no moment in which it is there in another way. */
export function showAt(store: Store, id: SnapshotId | undefined, path: string): void {
  const flags = mountFlags.readOnly | mountFlags.noSuid | mountFlags.noDevice;
  mountOverlay({ lowers: viewedLowers(store, id), upper: undefined, base: store.layers, target: fromText(path), flags });
}

/** The kernel wants two where nothing is to be written. */
function viewedLowers(store: Store, id: SnapshotId | undefined): readonly string[] {
  const lowers = id === undefined ? ['../empty/b'] : lowersOf(store, id);
  return lowers.length === 1 ? [...lowers, '../empty/a'] : lowers;
}

function mountAt(
  store: Store,
  layers: { readonly lowers: readonly string[]; readonly upper: { readonly folder: string; readonly work: string } | undefined },
  onUnmount: () => void,
): MountedSnapshot {
  const path = store.freeMountPoints.pop() ?? makeMountPoint(store);
  try {
    mountOverlay({ ...layers, base: store.layers, target: fromText(path) });
  } catch (error) {
    store.freeMountPoints.push(path);
    onUnmount();
    throw error;
  }
  const mount: MountedSnapshot = {
    path,
    async [Symbol.asyncDispose]() {
      if (!store.mounted.delete(mount)) return;
      unmount(fromText(path));
      store.freeMountPoints.push(path);
      onUnmount();
    },
  };
  store.mounted.add(mount);
  return mount;
}

export function inStore(store: Store, names: readonly string[]): readonly string[] {
  return names.map((name) => join(store.folder, 's', name));
}

/** Disposed with the store, if nobody did before. */
export function track(store: Store, mounted: MountedSnapshot): MountedSnapshot {
  const tracked: MountedSnapshot = {
    path: mounted.path,
    async [Symbol.asyncDispose]() {
      if (store.mounted.delete(tracked)) await mounted[Symbol.asyncDispose]();
    },
  };
  store.mounted.add(tracked);
  return tracked;
}

function makeMountPoint(store: Store): string {
  const path = join(store.mountFolder, String(store.mountPoints++));
  mkdirSync(path, { recursive: true });
  return path;
}

/** Away by rename, for this process alone used it. */
export function trashWork(store: Store, folder: string): void {
  store.workTrash ??= openBatch(store.folder);
  store.workTrash.add(folder);
  leaveTendMark(store);
}
