/** The files of a container that does not run as its process would see them: with its volumes, and with folders of the host, mounted in its own. */
import { mkdirSync, mkdtempSync, rmSync, rmdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mountFileSystem, mountFlags, unmount } from '#ground/linux/mount.ts';
import { openFilesRoot, type FilesRoot } from '#stores/files/root.ts';
import type { SnapshotId, SnapshotStore } from '#stores/snapshot/contract.ts';
import { openRootTree, prepareRoot } from '#execution/runtime/root.ts';
import { mountInside } from '#execution/runtime/own-mounts.ts';
import { openContainerMounts, showImages, type ContainerMount, type ShownMounts } from '../container-mounts.ts';

const runtime = { bindsBy: 'mounting' } as const;

export type MountedFiles = AsyncDisposable & { readonly root: FilesRoot };

/**
 * What is written stays where it is written: in a volume, in a folder of the host, and, with `writes`, in the snapshot, which nobody else may be writing to. Volumes that
 * are empty are filled first, as at a start. Throws what opening mounts throws.
 */
export async function mountFiles(
  {
    snapshot,
    mounts,
    writes,
  }: { readonly snapshot: SnapshotId | undefined; readonly mounts: readonly ContainerMount[]; readonly writes: boolean },
  snapshots: SnapshotStore,
  signal: AbortSignal,
): Promise<MountedFiles> {
  await using undo = new AsyncDisposableStack();
  const active = undo.use(
    writes && snapshot !== undefined ? await snapshots.reopen(snapshot, signal) : await snapshots.prepare(snapshot, signal),
  );
  let tidy: ((upper: string) => void) | undefined;
  undo.defer(() => tidy?.(active.folder));
  const mounted = undo.use(await active.mount(signal));
  const shown = undo.use(await showImages(mounts, { snapshots, runtime, isConfined: true }, signal));
  const folder = mkdtempSync(join(tmpdir(), 'jettison-files-'));
  undo.defer(() => rmdirSync(folder));
  tidy = mountAll(folder, mounted.path, { mounts: shown.mounts, undo }, signal);
  const root = undo.use(openFilesRoot(folder));
  const opened = undo.move();
  return { root, [Symbol.asyncDispose]: async () => await opened.disposeAsync() };
}

/** In a mount of its own, with which all that is mounted inside goes; so do the folders that were made for it. Gives what is left to do when the root is unmounted. */
function mountAll(
  folder: string,
  rootfs: string,
  { mounts, undo }: { readonly mounts: ShownMounts['mounts']; readonly undo: AsyncDisposableStack },
  signal: AbortSignal,
): (upper: string) => void {
  using sources = openContainerMounts(mounts, { rootfs, runtime }, signal);
  const tree = undo.use(openRootTree(rootfs));
  const points = sources.mounts.map(({ mount, point }) => ({ target: mount.target, kind: point }));
  const prepared = prepareRoot(tree, points, '/');
  undo.defer(() => prepared.clean());
  mountFileSystem({ source: rootfs, target: folder, type: '', options: '', flags: mountFlags.bind });
  undo.defer(() => unmount(folder));
  mountFileSystem({ source: '', target: folder, type: '', options: '', flags: mountFlags.private });
  const place = mkdtempSync(join(tmpdir(), 'jettison-files-'));
  try {
    const staging = { folder: join(place, 'folder'), file: join(place, 'file') };
    mkdirSync(staging.folder);
    writeFileSync(staging.file, '');
    const resolved = sources.mounts.map(({ mount }) => ({ ...mount, target: prepared.resolved(mount.target) }));
    mountInside(folder, [], { mounts: resolved, names: noNames, security: 'sandbox', workingDirectory: '/' }, staging);
  } finally {
    rmSync(place, { recursive: true });
  }
  return (upper) => prepared.tidy(upper);
}

const noNames = { readOnly: false, hosts: '', hostname: null, resolvConf: '' };
