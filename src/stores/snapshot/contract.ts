/**
 * Snapshots: file trees on disk, each the changes over its parent, in overlayfs's own form: a whiteout is a character device 0:0,
 * an opaque folder has the xattr `trusted.overlay.opaque` = `y`. A committed snapshot's folder is never written again: others may hold
 * hard links to its files.
 */
import { JettisonError } from '#ground/base/errors.ts';

declare const brand: unique symbol;
export type SnapshotId = string & { readonly [brand]: 'SnapshotId' };

/** An id that came from outside (another process, a database). Throws `snapshot/bad-id`. Ids are never used twice, not even after the store was lost. */
export function parseSnapshotId(text: string): SnapshotId {
  if (!/^[0-9a-z]{1,10}$/u.test(text))
    throw new JettisonError('snapshot/bad-id', `Not a snapshot: "${text.slice(0, 40)}"`, { fault: 'bug' });
  return text as SnapshotId; // oxlint-disable-line typescript/no-unsafe-type-assertion
}

export type Snapshot = {
  readonly id: SnapshotId;
  readonly parent: SnapshotId | undefined;
  /** The snapshot that its changes were made in: another one's where this one was stacked, else its own id. */
  readonly content: SnapshotId;
  /** Absolute path of the folder that holds this snapshot's changes; shared with all that have the same `content`. */
  readonly folder: string;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
};

/** A snapshot as an accountant sees it. */
export type ListedSnapshot = {
  readonly id: SnapshotId;
  readonly parent: SnapshotId | undefined;
  /** Whose folder holds its files: its own id unless it was stacked. */
  readonly content: SnapshotId;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  /**
   * Bytes on disk, 0 for one that shares another's folder: `bytes` go when this snapshot goes and nothing else has come to share its files, `linked` are of files that count elsewhere.
   * undefined until it is measured.
   */
  readonly size: SnapshotSize | undefined;
};

export type SnapshotSize = { readonly bytes: number; readonly linked: number };

/** Being written. Disposing without `commit` removes it, unless it is kept. */
export type ActiveSnapshot = AsyncDisposable & {
  readonly id: SnapshotId;
  readonly parent: SnapshotId | undefined;
  /** The upper folder: may be written directly (FileOps, unpacking) or through `mount`. */
  readonly folder: string;
  /**
   * The snapshot's full tree, writable: as an overlay mount, or copied (see `TreeForm`). What was changed in it lies in `folder` once it is disposed; what is written into `folder`
   * from then on must leave the full tree as it is. When `signal` has aborted by then, nothing is kept of it. `order`: in which the folders of its parent are listed;
   * `reversed` counts for overlays only.
   */
  mount(signal: AbortSignal, order?: FolderOrder): Promise<MountedSnapshot>;
  /**
   * Puts what was prepared over nothing over `parent` (committed), before it is mounted or committed. With `takesRoot`, the root folder takes mode
   * and owner of the parent's root. Throws `snapshot/not-found`.
   */
  moveOver(parent: SnapshotId, takesRoot: boolean): void;
  /**
   * From now on nothing but `remove` takes it away: who disposes it without `commit` commits it, and when its process dies, whoever clears up after that does. What was written
   * through `mount` counts, too, in the first case and, within one boot of the machine, in the second.
   */
  keep(): void;
  /** Final: the id stays, the folder may be read and linked by others from now on. Fails while still mounted. */
  commit(signal: AbortSignal): Promise<Snapshot>;
};

export type FolderOrder = 'usual' | 'reversed';

export type MountedSnapshot = AsyncDisposable & { readonly path: string };

/** Snapshots that are gone now, and the bytes on disk that are free with them: what others have under another name is not. */
export type Reclaimed = { readonly ids: readonly SnapshotId[]; readonly bytes: number };

export type SnapshotStore = {
  /** A new active snapshot over `parent` (undefined: over nothing); the root folder takes mode and owner of the parent's root, or 0755 0:0. */
  prepare(parent: SnapshotId | undefined, signal: AbortSignal): Promise<ActiveSnapshot>;
  /**
   * A committed snapshot becomes active again, under its id, and is kept; its size and what was remembered of it are forgotten. Only for one whose files nobody has linked: what a container
   * wrote. Throws `snapshot/not-found`, and `snapshot/in-use` when something stands on it or shares its folder, be it for as long as somebody reads it.
   */
  reopen(id: SnapshotId, signal: AbortSignal): Promise<ActiveSnapshot>;
  /**
   * A new committed snapshot: the changes of `content` (committed) over another parent. Its folder is shared, nothing is copied; it stays on disk until
   * the last that shares it is gone. The changes must stand alone, without whiteouts and opaque folders: made by a FileOp over nothing.
   */
  stack(content: SnapshotId, parent: SnapshotId, signal: AbortSignal): Promise<Snapshot>;
  get(id: SnapshotId): Snapshot | undefined;
  /** The snapshot and all below it, bottom first. Throws `snapshot/not-found`. */
  chain(id: SnapshotId): readonly Snapshot[];
  /** Folders of a snapshot and all below it, topmost first; also of one that is being written, be it by another process. Throws `snapshot/not-found`. */
  foldersOf(id: SnapshotId): readonly string[];
  /**
   * The full tree of a committed snapshot (undefined: an empty tree), to be read only: a read-only mount, or a copy that is shared by all who view it in this process, and that nothing but
   * the caller's own care keeps from being written to.
   */
  view(id: SnapshotId | undefined, signal: AbortSignal): Promise<MountedSnapshot>;
  /** Mounts the tree of a committed snapshot at a folder, read-only, where neither devices nor set-user-ID programs of it work; it is the caller's, and outlives the store. Overlays only. */
  showAt(id: SnapshotId | undefined, path: string): void;
  /** The same as `view` for users who may write though they should not: nobody else sees what they write, now or later. */
  privateView(id: SnapshotId | undefined, signal: AbortSignal): Promise<MountedSnapshot>;
  /** Removes committed snapshots; those that others stand on, or share the folder of, stay until these go. Folders go to the trash by rename. */
  remove(ids: readonly SnapshotId[]): void;
  /**
   * Removes as `remove` does, but for those that were touched at `usedBefore` or later (milliseconds since the epoch), and counts what it is good for: reads all names
   * in what is removed.
   */
  reclaim(ids: readonly SnapshotId[], usedBefore: number): Reclaimed;
  /** Somebody is about to use this snapshot, though nothing refers to it yet. False when it is not there, or already on its way out. */
  touch(id: SnapshotId): boolean;
  /** Brings times of touches down to just before `now`: those that a clock which was set back has left in the future. Only while nobody is at work. */
  endFuture(now: number): void;
  /** All committed snapshots, oldest first; sizes as far as they are known. */
  list(): readonly ListedSnapshot[];
  /** Measures what is not measured yet: reads all names in these snapshots. */
  measure(): void;
  /** Bytes on disk of the snapshot's own folder; 0 for one that shares another's. */
  usage(id: SnapshotId): number;
  /** Bytes of the files in the snapshot's own folder, by their lengths: also of one that is being written on. */
  fileBytes(id: SnapshotId): number;
  /** Remembers a fact about a snapshot (`diffId`, the size of its tar) for as long as the snapshot lives; a later text replaces it. Throws `snapshot/not-found`. */
  setFact(id: SnapshotId, name: string, text: string): void;
  getFact(id: SnapshotId, name: string): string | undefined;
  /** Committed snapshots of which this fact is remembered, oldest first. */
  findByFact(name: string, text: string): readonly SnapshotId[];
};

/** `snapshot/not-found`. */
export function snapshotNotFound(id: SnapshotId): JettisonError {
  return new JettisonError('snapshot/not-found', `There is no snapshot "${id}"`, {
    fault: 'environment',
    hint: 'It was removed meanwhile, perhaps by a prune: run the command again',
  });
}
