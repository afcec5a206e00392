/** What was changed in a copied tree since its state was recorded. */
import { readlinkSync } from 'node:fs';
import { asByteString, nodePath, type ByteString } from '#ground/base/byte-string.ts';
import { sameAttributes, sameBytes } from '#ground/linux/same-file.ts';
import { statField } from '#ground/linux/stat-rows.ts';
import type { Tree, TreeEntry } from '#ground/linux/tree.ts';
import { fieldOf, hostPathOf, isFolderRow, isWhiteoutRow, joinPath, readFolder, sameRow, type FolderRecord } from './record.ts';

export type Change =
  /** Nothing is there any more. `leftover`: but for a device 0:0, which is overlayfs's own way to say that. */
  | { readonly kind: 'gone'; readonly path: ByteString; readonly leftover: boolean }
  /** `isNew`: nothing that was at this path is in it. Else only the folder itself was changed. */
  | { readonly kind: 'folder'; readonly path: ByteString; readonly isNew: boolean }
  /** Anything else: new, changed, or at least touched. */
  | { readonly kind: 'entry'; readonly path: ByteString; readonly inode: number; readonly links: number };

export type Changes = { readonly changes: readonly Change[]; readonly record: FolderRecord };

type Compared = {
  readonly root: ByteString;
  /** What the tree is a copy of. */
  readonly source: Tree;
  /** The file system does not always tell of writes (see `tellsOfWrites`): bytes count. */
  readonly comparesBytes: boolean;
};
type Place = { readonly path: ByteString; readonly before: FolderRecord | undefined; readonly into: Map<ByteString, FolderRecord> };

const folderFields = [
  statField.mode,
  statField.uid,
  statField.gid,
  statField.mtime,
  statField.mtimeNanoseconds,
  statField.ctime,
  statField.ctimeNanoseconds,
];
const linkFields = new Set<number>([statField.links, statField.ctime, statField.ctimeNanoseconds]);
const fieldsButLinks = Object.values(statField).filter((field) => !linkFields.has(field));

/**
 * Compares a tree, in which nothing runs any more, with `before`; gives way after each folder. A folder comes before what is in it. The record is that of now.
 *
 * The change time is the judge, so a file that was only touched counts as changed, as overlayfs copies it up. Of files that had several names at the beginning, those that
 * only lost or gained another name do not count: overlayfs does not touch them either.
 */
export function* findChanges(tree: Compared, before: FolderRecord): Generator<void, Changes, void> {
  const changes: Change[] = [];
  const top = new Map<ByteString, FolderRecord>();
  const waiting: Place[] = [{ path: root, before, into: top }];
  for (let place = waiting.pop(); place !== undefined; place = waiting.pop()) {
    const now = readFolder(hostPathOf(tree.root, place.path));
    place.into.set(nameIn(place.path), now);
    const same = place.before !== undefined && isSameFolder(place.before, now) ? place.before : undefined;
    if (same === undefined) changes.push({ kind: 'folder', path: place.path, isNew: true });
    else if (!sameRow([same.own, 0], [now.own, 0], folderFields)) changes.push({ kind: 'folder', path: place.path, isNew: false });
    compareNames(tree, { path: place.path, before: same, now }, changes, waiting);
    yield;
  }
  return { changes, record: top.get(root) ?? before };
}

const root = asByteString('');

function nameIn(path: ByteString): ByteString {
  return asByteString(path.slice(path.lastIndexOf('/') + 1));
}

function isSameFolder(before: FolderRecord, now: FolderRecord): boolean {
  return sameRow([before.own, 0], [now.own, 0], [statField.inode, statField.fileSystem]) && before.born === now.born;
}

type Pair = { readonly path: ByteString; readonly before: FolderRecord | undefined; readonly now: FolderRecord };

/** Both lists of names are in byte order. */
function compareNames(tree: Compared, { path, before, now }: Pair, changes: Change[], waiting: Place[]): void {
  const old = before?.names ?? [];
  let at = 0;
  const passUpTo = (name: ByteString | undefined): void => {
    for (let gone = old[at]; gone !== undefined && (name === undefined || gone < name); gone = old[++at]) {
      changes.push({ kind: 'gone', path: joinPath(path, gone), leftover: false });
    }
  };
  for (const [index, name] of now.names.entries()) {
    passUpTo(name);
    const oldIndex = old[at] === name ? at++ : undefined;
    const inner = joinPath(path, name);
    if (isFolderRow(now.rows, index)) waiting.push({ path: inner, before: before?.folders.get(name), into: now.folders });
    else if (isWhiteoutRow(now.rows, index)) changes.push({ kind: 'gone', path: inner, leftover: true });
    else if (before === undefined || oldIndex === undefined || isChanged(tree, inner, [before.rows, oldIndex], [now.rows, index])) {
      const [inode, links] = [fieldOf(now.rows, index, 'inode'), fieldOf(now.rows, index, 'links')];
      changes.push({ kind: 'entry', path: inner, inode, links });
    }
  }
  passUpTo(undefined);
}

function isChanged(
  tree: Compared,
  path: ByteString,
  before: readonly [Float64Array, number],
  now: readonly [Float64Array, number],
): boolean {
  const isAsBefore = sameRow(before, now);
  if (isAsBefore && !tree.comparesBytes) return false;
  if (!isAsBefore && !(fieldOf(before[0], before[1], 'links') > 1 && sameRow(before, now, fieldsButLinks))) return true;
  const entry = tree.source.entry(path);
  return entry === undefined || !sameFile(entry, hostPathOf(tree.root, path), isAsBefore ? 'bytes' : 'all');
}

/** What stat does not tell of an entry of the same kind, size and mode. A write changes neither attributes nor targets. */
function sameFile(entry: TreeEntry, hostPath: ByteString, what: 'bytes' | 'all'): boolean {
  if (what === 'all' && !sameAttributes(entry.hostPath, hostPath)) return false;
  if (entry.kind === 'symlink') return readlinkSync(nodePath(hostPath), 'latin1') === entry.target;
  return entry.kind !== 'file' || entry.size === 0 || sameBytes(entry.hostPath, hostPath);
}
