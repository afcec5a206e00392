/** What a container has changed in the files of its image, or a layer in those below it: `diff`. */
import { readdirSync } from 'node:fs';
import { asByteString, fromText, nodePath, toText, type ByteString } from '#ground/base/byte-string.ts';
import { describeEntry, lookAt } from '#ground/linux/tree-read.ts';
import type { Tree, TreeEntry } from '#ground/linux/tree.ts';
import { isOpaque, openChainTree } from '#stores/snapshot/chain-tree.ts';
import type { SnapshotId, SnapshotStore } from '#stores/snapshot/contract.ts';
import { isWhiteout } from '#stores/snapshot/whiteout.ts';

/** `path` begins with `/`. */
export type FileChange = { readonly kind: 'added' | 'changed' | 'deleted'; readonly path: string };

type Work = { readonly lower: Tree; readonly ofContainer: boolean; readonly changes: FileChange[] };

/** What a start puts into a root that has none, as places for mounts. */
const mountPoints = new Set([
  'dev',
  'proc',
  'sys',
  'etc/hosts',
  'etc/hostname',
  'etc/resolv.conf',
  'dev/pts',
  'dev/shm',
  'dev/mqueue',
  'dev/console',
  'etc/mtab',
  'run/.containerenv',
  '.dockerenv',
]);

/**
 * In byte order of their paths; a folder in which something was changed counts as changed itself, as with docker. Reads names of the snapshot's own folder and of what lies below it. Empty
 * places for mounts do not count in those of a container.
 */
export function listChanges(snapshot: SnapshotId, ofContainer: boolean, snapshots: SnapshotStore): readonly FileChange[] {
  const [upper, ...lowers] = snapshots.foldersOf(snapshot);
  if (upper === undefined) return [];
  const work: Work = { lower: openChainTree(lowers), ofContainer, changes: [] };
  compareFolder(work, { path: asByteString(''), hostPath: fromText(upper), showsBelow: !isOpaque(fromText(upper)) });
  return work.changes.toSorted((one, other) => (one.path < other.path ? -1 : 1));
}

type Folder = { readonly path: ByteString; readonly hostPath: ByteString; readonly showsBelow: boolean };

function compareFolder(work: Work, folder: Folder): void {
  const names = readdirSync(nodePath(folder.hostPath), 'latin1').map(asByteString);
  const below = folder.showsBelow || work.lower.entry(folder.path)?.kind === 'folder';
  for (const name of names) compareEntry(work, folder, { name, old: below ? work.lower.entry(inside(folder.path, name)) : undefined });
  if (folder.showsBelow || !below) return;
  // An opaque folder hides what it does not have.
  const own = new Set<string>(names);
  for (const { path } of work.lower.list(folder.path)) if (!own.has(path.slice(path.lastIndexOf('/') + 1))) note(work, 'deleted', path);
}

function compareEntry(work: Work, folder: Folder, { name, old }: { readonly name: ByteString; readonly old: TreeEntry | undefined }): void {
  const [path, hostPath] = [inside(folder.path, name), asByteString(`${folder.hostPath}/${name}`)];
  const stats = lookAt(hostPath);
  if (stats === undefined) return;
  if (isWhiteout(stats, hostPath)) {
    if (old !== undefined) note(work, 'deleted', path);
    return;
  }
  const now = describeEntry({ path, hostPath, layer: 0, stats });
  if (now.kind !== 'folder') {
    if (old === undefined && isMountPoint(work, now)) return;
    note(work, old === undefined ? 'added' : 'changed', path);
    return;
  }
  const count = work.changes.length;
  compareFolder(work, { path, hostPath, showsBelow: old?.kind === 'folder' && !isOpaque(hostPath) });
  const hasChanges = work.changes.length > count;
  if (old === undefined) {
    if (hasChanges || !isMountPoint(work, now)) note(work, 'added', path);
  } else if (hasChanges || old.kind !== 'folder' || !isSameFolder(old, now)) note(work, 'changed', path);
}

/** Its time says no more than that something in it was changed, perhaps by a start. */
function isSameFolder(old: TreeEntry, now: TreeEntry): boolean {
  return old.mode === now.mode && old.uid === now.uid && old.gid === now.gid;
}

function isMountPoint({ ofContainer }: Work, { path, kind, size }: TreeEntry): boolean {
  return ofContainer && mountPoints.has(path) && (kind === 'folder' || size === 0);
}

function note(work: Work, kind: FileChange['kind'], path: ByteString): void {
  work.changes.push({ kind, path: `/${toText(path)}` });
}

function inside(folder: ByteString, name: ByteString): ByteString {
  return folder === '' ? name : asByteString(`${folder}/${name}`);
}
