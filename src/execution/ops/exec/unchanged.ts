/** Leaves out of a step's layer what overlayfs copied up but nobody changed: a file whose owner was set to what it was, or that got a second name. */
import { asByteString, fromText } from '#ground/base/byte-string.ts';
import { sameAttributes, sameBytes } from '#ground/linux/same-file.ts';
import { AT_FDCWD, changeTimeAt, unlinkAt } from '#ground/linux/syscall.ts';
import type { Tree, TreeEntry } from '#ground/linux/tree.ts';
import { isOpaque, openChainTree } from '#stores/snapshot/chain-tree.ts';

/**
 * Removes from `upper` (of an overlay that is unmounted by now) regular files that are the same below: mode, owner, size, time, attributes, bytes.
 * Folders keep their times. Only files older than `since` (nanoseconds since the epoch: when the step began) are looked at, since a copy
 * keeps its time and what the step wrote has a later one or one of its own. `below` (topmost first) is asked for when there is one to compare.
 */
export function dropUnchanged(upper: string, below: () => readonly string[], since: bigint): void {
  const above = openChainTree([upper]);
  let opened: Tree | undefined;
  const lower = (): Tree => (opened ??= openChainTree(below()));
  const visit = (folder: TreeEntry): void => {
    let dropped = false;
    for (const entry of above.list(folder.path)) {
      if (entry.kind === 'folder') {
        // What is in an opaque folder hides what is below: there nothing shows through in its place.
        if (!isOpaque(entry.hostPath)) visit(entry);
      }
      if (entry.kind === 'file' && entry.mtime < since && isUnchanged(entry, lower())) {
        unlinkAt(AT_FDCWD, entry.hostPath);
        dropped = true;
      }
    }
    if (dropped) changeTimeAt(AT_FDCWD, folder.hostPath, folder.mtime);
  };
  const root = above.entry(asByteString(''));
  if (root !== undefined) visit({ ...root, hostPath: fromText(upper) });
}

function isUnchanged(entry: TreeEntry, lower: Tree): boolean {
  const before = lower.entry(entry.path);
  if (before === undefined || before.kind !== 'file' || before.size !== entry.size || before.mtime !== entry.mtime) return false;
  if (before.mode !== entry.mode || before.uid !== entry.uid || before.gid !== entry.gid) return false;
  return sameAttributes(before.hostPath, entry.hostPath) && sameBytes(before.hostPath, entry.hostPath);
}
