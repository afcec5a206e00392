/**
 * Snapshots: file trees on disk, each the changes over its parent, in overlayfs's own form: a whiteout is a character device 0:0,
 * an opaque folder has the xattr `trusted.overlay.opaque` = `y`. A committed snapshot's folder is never written again: others may hold
 * hard links to its files.
 */
import type { ByteString } from '#ground/base/byte-string.ts';

declare const brand: unique symbol;
export type SnapshotId = string & { readonly [brand]: 'SnapshotId' };

export type Snapshot = {
  readonly id: SnapshotId;
  readonly parent: SnapshotId | undefined;
  /** Absolute path of the folder that holds this snapshot's own changes. */
  readonly folder: string;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
};

/** Being written. Disposing without `commit` removes it. */
export type ActiveSnapshot = AsyncDisposable & {
  readonly id: SnapshotId;
  readonly parent: SnapshotId | undefined;
  /** The upper folder: may be written directly (FileOps, unpacking) or through `mount`. */
  readonly folder: string;
  /** The snapshot's full tree as an overlay mount, writable. */
  mount(signal: AbortSignal): Promise<MountedSnapshot>;
  /** Final: the id stays, the folder may be read and linked by others from now on. Fails while still mounted. */
  commit(signal: AbortSignal): Promise<Snapshot>;
};

export type MountedSnapshot = AsyncDisposable & { readonly path: string };

export type SnapshotStore = {
  /** A new active snapshot over `parent` (undefined: over nothing); the root folder takes mode and owner of the parent's root, or 0755 0:0. */
  prepare(parent: SnapshotId | undefined, signal: AbortSignal): Promise<ActiveSnapshot>;
  get(id: SnapshotId): Snapshot | undefined;
  /** The snapshot and all below it, bottom first. Throws `snapshot/not-found`. */
  chain(id: SnapshotId): readonly Snapshot[];
  /** Read-only mount of a committed snapshot (undefined: of an empty tree). */
  view(id: SnapshotId | undefined, signal: AbortSignal): Promise<MountedSnapshot>;
  /** Removes committed snapshots; those that others stand on stay until these go. Folders go to the trash by rename. */
  remove(ids: readonly SnapshotId[]): void;
  /** Bytes on disk of the snapshot's own folder. */
  usage(id: SnapshotId): number;
};

/** An entry of a tree seen through its chain of snapshots. */
export type TreeEntry = {
  /** Without a leading slash; '' is the root. */
  readonly path: ByteString;
  readonly kind: 'file' | 'folder' | 'symlink' | 'fifo' | 'socket' | 'character-device' | 'block-device';
  /** Permission bits with setuid, setgid and sticky (07777). */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  /** Nanoseconds since the epoch. */
  readonly mtime: bigint;
  readonly inode: number;
  readonly links: number;
  readonly device: { readonly major: number; readonly minor: number } | undefined;
  /** Target of a symlink. */
  readonly target: ByteString | undefined;
  /** Where the entry's own inode lies on the host, as bytes for node:fs and syscalls; safe to use since nothing on the way is a link and nothing changes. */
  readonly hostPath: ByteString;
  /** Index into the view's folders, 0 the topmost. */
  readonly layer: number;
};

/** The merged tree of a chain, read without mounting it. All look-ups stay inside the root. */
export type TreeView = {
  /** The entry itself (no link followed at the end, and none on the way: undefined when the way is not made of real folders). */
  entry(path: ByteString): TreeEntry | undefined;
  /** Follows links on the way and, if `followLast`, at the end, inside the root. `path` is the real path; `entry` undefined when nothing is there. Throws `snapshot/symlink-loop` after 255 links. */
  resolve(path: ByteString, followLast: boolean): { readonly path: ByteString; readonly entry: TreeEntry | undefined };
  /** Entries of a real folder, in byte order. */
  list(path: ByteString): readonly TreeEntry[];
  /** At most `limit` bytes of a regular file; throws `snapshot/too-large` beyond. */
  readFile(entry: TreeEntry, limit: number): Uint8Array;
  /** Extended attributes of an entry without overlayfs's own (`trusted.overlay.*`, `user.overlay.*`). */
  xattrs(entry: TreeEntry): ReadonlyMap<string, Uint8Array>;
};
