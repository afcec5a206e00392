/**
 * What is left to do with a step's layer when its process has ended: what overlayfs copied up but nobody changed goes (a file whose owner was set to what it was, or that got a second name),
 * and times of the clock become the step's own.
 */
import { asByteString, fromText } from '#ground/base/byte-string.ts';
import { sameAttributes, sameBytes } from '#ground/linux/same-file.ts';
import { AT_FDCWD, changeTimeAt, unlinkAt } from '#ground/linux/syscall.ts';
import type { Tree, TreeEntry } from '#ground/linux/tree.ts';
import { isOpaque, openChainTree } from '#stores/snapshot/chain-tree.ts';
import { settle, settleCompiled, timesOf, type Settling, type Times } from '../epoch.ts';

/**
 * Removes from `upper` (of an overlay that is unmounted by now) regular files that are the same below: mode, owner, size, time, attributes, bytes.
 * Folders keep their times. What is in an opaque folder hides what is below, so nothing would show in its place. Only files older than the step are looked at, since a copy keeps its time and what the step wrote has a later one or one of its own.
 * `below` (topmost first) is asked for when there is one to compare. All that has a time since the step began gets its epoch.
 * Gives the bytes of the files that stay, each inode once.
 */
export function finishLayer(upper: string, below: () => readonly string[], settling: Settling): number {
  const above = openChainTree([upper]);
  let opened: Tree | undefined;
  let bytes = 0;
  const counted = new Set<number>();
  const count = ({ kind, links, inode, size }: TreeEntry): void => {
    if (kind !== 'file' || (links > 1 && counted.has(inode))) return;
    if (links > 1) counted.add(inode);
    bytes += size;
  };
  const lower = (): Tree => (opened ??= openChainTree(below()));
  const visit = (folder: TreeEntry, { sources, hidesBelow }: { readonly sources: Times; readonly hidesBelow: boolean }): void => {
    const entries = above.list(folder.path);
    const times = timesOf(entries, settling);
    let dropped = false;
    for (const entry of entries) {
      if (entry.kind === 'folder') visit(entry, { sources: times, hidesBelow: hidesBelow || isOpaque(entry.hostPath) });
      else if (entry.kind === 'file' && entry.mtime < settling.began && !hidesBelow && isUnchanged(entry, lower())) {
        unlinkAt(AT_FDCWD, entry.hostPath);
        dropped = true;
      } else {
        count(entry);
        settleCompiled(entry, isCache(folder) ? sources : times, settling.epoch);
        settle(entry, settling);
      }
    }
    if (dropped) changeTimeAt(AT_FDCWD, folder.hostPath, folder.mtime);
    if (folder.path !== '') settle(folder, settling);
  };
  const root = above.entry(asByteString(''));
  if (root !== undefined) visit({ ...root, hostPath: fromText(upper) }, { sources: new Map(), hidesBelow: false });
  return bytes;
}

function isCache({ path }: TreeEntry): boolean {
  return path === '__pycache__' || path.endsWith('/__pycache__');
}

function isUnchanged(entry: TreeEntry, lower: Tree): boolean {
  const before = lower.entry(entry.path);
  if (before === undefined || before.kind !== 'file' || before.size !== entry.size || before.mtime !== entry.mtime) return false;
  if (before.mode !== entry.mode || before.uid !== entry.uid || before.gid !== entry.gid) return false;
  return sameAttributes(before.hostPath, entry.hostPath) && sameBytes(before.hostPath, entry.hostPath);
}
