/**
 * The snapshots of one folder on disk, shared by any number of processes:
 *
 *     snapshots.db    which snapshots there are, and facts about them
 *     s/<id>          files of a snapshot, in overlayfs's form
 *     o/<id>          owners of its links and special files, where files can have one owner only
 *     w/<id>          overlayfs's work folder while a snapshot is mounted
 *     m/<owner>/<n>   mount points; the mounts themselves live in one process's namespace only
 *     t/<owner>/<n>   copied trees, where nothing is mounted (see copies/)
 *     owners/, trash/ see store/owners.ts and store/trash.ts
 *     empty/          two folders for mounts that need more layers than there are
 *
 * A folder appears after its row and a row says "committed" after its files are complete, so a crash leaves only what the next opening finds by
 * the owner's name. What a crash of the machine may have cost is noticed by the boot it was written in (see tend.ts).
 */
import { chmodSync, closeSync, existsSync, mkdirSync, openSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { bootId } from '#ground/base/boot.ts';
import { fromText } from '#ground/base/byte-string.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { treeBytes } from '#ground/linux/tree-size.ts';
import type { TreeForm } from '#ground/linux/isolation.ts';
import { readOwner, setOwnerAt } from '#ground/linux/owner.ts';
import { ownRights } from '#ground/linux/own-rights.ts';
import { AT_FDCWD } from '#ground/linux/syscall.ts';
import { openDatabase } from '#stores/db/open.ts';
import { folderMissing } from './chain-tree.ts';
import {
  type ActiveSnapshot,
  type MountedSnapshot,
  type Snapshot,
  type SnapshotId,
  type SnapshotStore,
  snapshotNotFound,
} from './contract.ts';
import type { CopiedTrees } from './copies/trees.ts';
import { checkForm } from './form.ts';
import { tendingLock } from './start-tending.ts';
import { clearUp } from './store/clear-up.ts';
import { mountCopy } from './store/copied-mounts.ts';
import { discard, giveUp, trashTree } from './store/discard.ts';
import { diskUsage } from './store/disk-usage.ts';
import { measureSnapshots } from './store/measure.ts';
import { inStore, lowersOf, mountActive, mountReversed, showAt, track, trashWork, view } from './store/mounts.ts';
import { leaveTendMark, type Store } from './store/opened.ts';
import { joinOwners } from './store/owners.ts';
import { migrations, openRecords, type SnapshotRow } from './store/records.ts';

export type SnapshotStoreOptions = {
  /** Absolute path; made (0700) when missing. */
  readonly folder: string;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** How `mount` and `view` show whole trees; by default overlays. A process that neither mounts nor reads files need not say. */
  readonly tree?: TreeForm;
  /** The process ends when the store has been disposed: nobody waits for the disk then. */
  readonly untilExit?: boolean;
  /** For one container that nobody waits behind: what it wrote and gives up, where that is little, lies in the trash until there is more to do there. */
  readonly leavesSmall?: boolean;
  /** A folder for mount points that is gone with this process. */
  readonly mountFolder?: string;
};

export type OpenSnapshotStore = SnapshotStore &
  AsyncDisposable & {
    /** What a person should know: that a damaged database was put aside, and with it the snapshots. */
    readonly notes: readonly string[];
  };

/** Opens the store, or makes it, and clears up after processes that died. Disposing unmounts what is still mounted; active snapshots should be gone by then. */
export async function openSnapshotStore(options: SnapshotStoreOptions): Promise<OpenSnapshotStore> {
  const { folder, now, tree, untilExit, leavesSmall = false } = options;
  using cleanup = new DisposableStack();
  for (const name of ['s', 'w', 'm', 't', 'owners', 'trash', 'empty/a', 'empty/b', ...(ownRights().hasOneId ? ['o'] : [])])
    mkdirSync(join(folder, name), { recursive: true, mode: 0o700 });
  closeSync(openSync(join(folder, tendingLock), 'a', 0o600));
  for (const name of ['empty/a', 'empty/b']) chmodSync(join(folder, name), 0o755);
  if (tree !== undefined) checkForm(folder);
  const owner = cleanup.use(joinOwners(folder)).name;
  const database = cleanup.adopt(openDatabase({ file: join(folder, 'snapshots.db'), migrations }), (opened) =>
    untilExit === true ? opened.leave() : opened[Symbol.dispose](),
  );
  const layers = cleanup.adopt(openSync(join(folder, 's'), 'r'), closeSync);
  const store: Store = {
    folder,
    owner,
    leavesSmall,
    mountFolder: options.mountFolder ?? join(folder, 'm', owner),
    records: openRecords(database),
    boot: bootId(),
    now,
    layers,
    mountPoints: 0,
    freeMountPoints: [],
    workTrash: undefined,
    mounted: new Set(),
    trees: tree === 'copies' ? await openCopiedTrees(folder, owner) : undefined,
    opaque: new Map(),
  };
  await clearUp(store);
  const resources = cleanup.move();
  return {
    notes: database.notes,
    prepare: async (parent, signal) => prepare(store, parent, signal),
    reopen: async (id, signal) => await Promise.resolve(reopen(store, id, signal)),
    stack: async (content, parent, signal) => await Promise.resolve(stack(store, content, { parent, signal })),
    get(id) {
      const row = store.records.get(id);
      return row && toSnapshot(store, row);
    },
    chain: (id) => chainOf(store, id),
    foldersOf: (id) => foldersOf(store, id),
    view: async (id, signal) => await view(store, id, false, signal),
    showAt: (id, path) => showAt(store, id, path),
    privateView: async (id, signal) => await view(store, id, true, signal),
    remove: (ids) => discard(store, store.records.doom(ids, owner)),
    reclaim(ids, usedBefore) {
      const gone = store.records.doom(ids, owner, usedBefore);
      const sizes = diskUsage(new Map(gone.map((id) => [id, join(folder, 's', id)])));
      discard(store, gone);
      return { ids: gone, bytes: [...sizes.values()].reduce((sum, { bytes }) => sum + bytes, 0) };
    },
    touch: (id) => store.records.touch(id, store.now()),
    endFuture: (at) => store.records.endFuture(at),
    list: () => store.records.list(),
    measure: () => measureSnapshots(folder, store.records),
    usage: (id) => usage(store, id),
    fileBytes: (id) => treeBytes(join(store.folder, 's', id)),
    setFact: (id, name, text) => store.records.setFact(id, name, text),
    getFact: (id, name) => store.records.getFact(id, name),
    findByFact: (name, text) => store.records.findByFact(name, text),
    async [Symbol.asyncDispose]() {
      for (const mount of store.mounted) await mount[Symbol.asyncDispose]();
      if (!resources.disposed && store.mountPoints > 0 && options.mountFolder === undefined) trashWork(store, `m/${owner}`);
      if (!resources.disposed && store.trees !== undefined && store.records.listKept(owner).length === 0)
        trashTree(folder, join(folder, 't', owner));
      resources.dispose();
    },
  };
}

function toSnapshot(store: Store, row: SnapshotRow): Snapshot {
  return { ...row, folder: join(store.folder, 's', row.content) };
}

function chainOf(store: Store, id: SnapshotId): readonly Snapshot[] {
  const rows = store.records.chain(id);
  if (rows.length === 0) throw snapshotNotFound(id);
  return rows.toReversed().map((row) => toSnapshot(store, row));
}

function foldersOf(store: Store, id: SnapshotId): readonly string[] {
  const active = store.records.active(id);
  if (active === undefined) return inStore(store, lowersOf(store, id));
  return inStore(store, [active.id, ...(active.parent === undefined ? [] : lowersOf(store, active.parent))]);
}

function usage(store: Store, id: SnapshotId): number {
  if (store.records.getBytes(id) === undefined) measureSnapshots(store.folder, store.records);
  return store.records.getBytes(id) ?? 0;
}

function prepare(store: Store, below: SnapshotId | undefined, signal: AbortSignal): ActiveSnapshot {
  signal.throwIfAborted();
  const id = store.records.insert({ parent: below, owner: store.owner, createdAt: store.now() });
  const folder = join(store.folder, 's', id);
  const parent = below;
  try {
    mkdirSync(folder);
    takeRoot(folder, parent === undefined ? undefined : rootFolderOf(store, parent));
  } catch (error) {
    discard(store, store.records.discard(id, store.owner));
    throw error;
  }
  return activeOf(store, { id, parent, isKept: false });
}

function reopen(store: Store, id: SnapshotId, signal: AbortSignal): ActiveSnapshot {
  signal.throwIfAborted();
  const found = store.records.get(id);
  const folder = join(store.folder, 's', id);
  if (found?.content === id && !existsSync(folder)) throw folderMissing(folder);
  const { parent } = store.records.reopen(id, store.owner);
  store.opaque.delete(id);
  store.trees?.dropAll(id);
  return activeOf(store, { id, parent, isKept: true });
}

type Opening = { readonly id: SnapshotId; readonly parent: SnapshotId | undefined; readonly isKept: boolean };

function activeOf(store: Store, { id, parent: below, isKept }: Opening): ActiveSnapshot {
  const folder = join(store.folder, 's', id);
  let parent = below;
  let kept = isKept;
  let state: 'active' | 'committed' | 'removed' = 'active';
  let mounted: MountedSnapshot | undefined;
  const demandActive = (): void => {
    if (state !== 'active') throw new JettisonError('snapshot/not-active', `The snapshot "${id}" is ${state}`, { fault: 'bug' });
    if (mounted) throw new JettisonError('snapshot/still-mounted', `The snapshot "${id}" is still mounted`, { fault: 'bug' });
  };
  return {
    id,
    get parent() {
      return parent;
    },
    folder,
    moveOver(over, takesRoot) {
      demandActive();
      if (parent !== undefined) throw new JettisonError('snapshot/has-parent', `The snapshot "${id}" has a parent`, { fault: 'bug' });
      store.records.moveOver(id, over);
      parent = over;
      if (takesRoot) takeRoot(folder, rootFolderOf(store, over));
    },
    async mount(mountSignal, order = 'usual') {
      mountSignal.throwIfAborted();
      demandActive();
      const lowers = parent === undefined ? [] : lowersOf(store, parent);
      const onUnmount = (): void => void (mounted = undefined);
      mounted =
        store.trees === undefined
          ? await (order === 'usual' ? mountActive : mountReversed)(store, { id, isKept: kept }, lowers, onUnmount)
          : track(
              store,
              await mountCopy(store.trees, { id, parent, folder, lowers: inStore(store, lowers), isKept: kept }, onUnmount, mountSignal),
            );
      return mounted;
    },
    keep() {
      demandActive();
      store.records.keep(id);
      kept = true;
    },
    async commit(commitSignal) {
      commitSignal.throwIfAborted();
      demandActive();
      leaveTendMark(store);
      store.records.commit(id, store.boot);
      state = 'committed';
      const row = store.records.get(id);
      if (!row) throw snapshotNotFound(id);
      return toSnapshot(store, row);
    },
    async [Symbol.asyncDispose]() {
      await mounted?.[Symbol.asyncDispose]();
      if (state !== 'active') return;
      if (kept) {
        leaveTendMark(store);
        store.records.commit(id, store.boot);
        state = 'committed';
        return;
      }
      state = 'removed';
      store.trees?.dropAll(id);
      giveUp(store, id);
    },
  };
}

/** A row is all there is to it. */
function stack(
  store: Store,
  content: SnapshotId,
  { parent, signal }: { readonly parent: SnapshotId; readonly signal: AbortSignal },
): Snapshot {
  signal.throwIfAborted();
  leaveTendMark(store);
  return toSnapshot(store, store.records.stack({ content, parent, boot: store.boot, createdAt: store.now() }));
}

/** Folder of the topmost snapshot of a chain whose root was made over what is below it: stacked ones bring the root of another chain. */
function rootFolderOf(store: Store, top: SnapshotId): string {
  let id: SnapshotId = top;
  for (let row = store.records.get(id); row && row.content !== id && row.parent !== undefined; row = store.records.get(id)) id = row.parent;
  return join(store.folder, 's', id);
}

/** The root folder of a snapshot gets mode and owner of its parent's. */
function takeRoot(folder: string, parent: string | undefined): void {
  const from = parent === undefined ? { mode: 0o755, uid: 0, gid: 0 } : statSync(parent, { throwIfNoEntry: false });
  if (from === undefined) throw folderMissing(parent ?? '');
  const owner = ownRights().hasOneId && parent !== undefined ? (readOwner(fromText(parent)) ?? from) : from;
  if (process.getuid?.() === 0) setOwnerAt(AT_FDCWD, fromText(folder), owner.uid, owner.gid);
  chmodSync(folder, from.mode & 0o7777);
}

async function openCopiedTrees(folder: string, owner: string): Promise<CopiedTrees> {
  const { createCopiedTrees } = await import('./copies/trees.ts');
  return createCopiedTrees({
    folder: join(folder, 't', owner),
    trash: (path) => trashTree(folder, path),
  });
}
