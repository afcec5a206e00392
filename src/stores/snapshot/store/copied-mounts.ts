/** What stands for mounts where trees are copied: the same contract, and not one mount(2). */
import { readdirSync } from 'node:fs';
import type { MountedSnapshot, SnapshotId } from '../contract.ts';
import type { CopiedTree, CopiedTrees, Shown } from '../copies/trees.ts';

export type CopiedActive = {
  readonly id: SnapshotId;
  readonly parent: SnapshotId | undefined;
  /** Absolute path of the active snapshot's own folder. */
  readonly folder: string;
  /** Folders of the chain below it, topmost first. */
  readonly lowers: readonly string[];
  /** What was changed is written down also when the work was aborted, and by whoever clears up when this process dies. */
  readonly isKept: boolean;
};

const never = new AbortController().signal;

/** A writable tree of an active snapshot. Disposing writes what was changed into its folder; when that fails, or `signal` has aborted, the tree is dropped. */
export async function mountCopy(
  trees: CopiedTrees,
  active: CopiedActive,
  onUnmount: () => void,
  signal: AbortSignal,
): Promise<MountedSnapshot> {
  const { id, parent, folder, lowers, isKept } = active;
  const isUnwritten = readdirSync(folder).length === 0;
  const shown: Shown =
    isUnwritten && parent !== undefined ? { key: parent, layers: () => lowers } : { key: id, layers: () => [folder, ...lowers] };
  const tree = await trees.own(shown, folder, signal);
  let note: Disposable | undefined;
  if (isKept) {
    const { noteKept } = await import('../copies/kept.ts');
    note = noteKept({ id, tree: tree.path, record: tree.record, isUnwritten: shown.key === parent });
  }
  return disposable(tree, async () => {
    try {
      if (!isKept) signal.throwIfAborted();
      await trees.writeDown(tree, { upper: folder, lowers, shown, note }, isKept ? never : signal);
      trees.giveBack(tree, id);
    } catch (error) {
      // Whoever clears up after this process tries again.
      if (isKept) throw error;
      trees.drop(tree, error);
      if (!signal.aborted) throw error;
    } finally {
      onUnmount();
    }
  });
}

/** A tree to read. `isPrivate`: its user may write to it. */
export async function viewCopy(trees: CopiedTrees, shown: Shown, isPrivate: boolean, signal: AbortSignal): Promise<MountedSnapshot> {
  if (isPrivate) {
    const tree = await trees.own(shown, undefined, signal);
    return disposable(tree, async () => (signal.aborted ? trees.drop(tree) : await trees.giveBackUnchanged(tree, shown, signal)));
  }
  const tree = await trees.share(shown, signal);
  return disposable(tree, async () => trees.release(tree));
}

/** Disposed once. */
function disposable({ path }: CopiedTree, unmount: () => Promise<void>): MountedSnapshot {
  let isMounted = true;
  return {
    path,
    async [Symbol.asyncDispose]() {
      if (!isMounted) return;
      isMounted = false;
      await unmount();
    },
  };
}
