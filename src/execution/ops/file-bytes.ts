/** How many bytes of files a step wrote: a fact of its snapshot, counted while it is made where that costs nothing. Regular files; names of one inode in it count once. */
import type { TreeEntry } from '#ground/linux/tree.ts';
import { asByteString, type ByteString } from '#ground/base/byte-string.ts';
import { openChainTree } from '#stores/snapshot/chain-tree.ts';
import { snapshotNotFound, type SnapshotId, type SnapshotStore } from '#stores/snapshot/contract.ts';

const fact = 'file-bytes';

/** Of a committed snapshot, whoever counted. */
export function noteFileBytes(snapshots: SnapshotStore, id: SnapshotId, bytes: number): void {
  snapshots.setFact(id, fact, String(bytes));
}

/** undefined where nobody has counted. */
export function knownFileBytes(snapshots: SnapshotStore, id: SnapshotId): number | undefined {
  const known = snapshots.getFact(id, fact);
  return known === undefined ? undefined : Number(known);
}

/** Counts where nobody has, and remembers that. What was stacked over another chain is what it was where it was made. Throws `snapshot/not-found`. */
export function fileBytesOf(snapshots: SnapshotStore, id: SnapshotId): number {
  const found = snapshots.get(id);
  if (found === undefined) throw snapshotNotFound(id);
  const known = knownFileBytes(snapshots, found.content);
  if (known !== undefined) return known;
  const bytes = filesIn(found.folder).reduce((sum, { size }) => sum + size, 0);
  noteFileBytes(snapshots, found.content, bytes);
  return bytes;
}

/** The regular files in a layer's folder (absolute path), each inode once, by the first of its names in byte order. `count` is called for each entry; throws to stop. */
export function filesIn(folder: string, count?: () => void): readonly TreeEntry[] {
  const tree = openChainTree([folder]);
  const seen = new Set<number>();
  const found: TreeEntry[] = [];
  const waiting: ByteString[] = [asByteString('')];
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    for (const entry of tree.list(path)) {
      count?.();
      if (entry.kind === 'folder') waiting.push(entry.path);
      else if (entry.kind === 'file' && !seen.has(entry.inode)) {
        seen.add(entry.inode);
        found.push(entry);
      }
    }
  }
  return found;
}
