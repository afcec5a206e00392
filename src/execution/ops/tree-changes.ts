/** Changes between trees: of a container, of a layer, and from one image to another. */
import { closeSync, constants, openSync, readSync } from 'node:fs';
import { asByteString, nodePath, toText, type ByteString } from '#ground/base/byte-string.ts';
import { inSlices } from '#ground/base/slices.ts';
import type { Tree, TreeEntry } from '#ground/linux/tree.ts';
import { openChainTree } from '#stores/snapshot/chain-tree.ts';
import type { SnapshotId, SnapshotStore } from '#stores/snapshot/contract.ts';
import { listChanges, type FileChange } from './container-changes.ts';

export type ChangesRequest =
  | { readonly kind: 'container' | 'layer'; readonly snapshot: SnapshotId }
  /** undefined: an empty tree. */
  | { readonly kind: 'trees'; readonly from: SnapshotId | undefined; readonly to: SnapshotId | undefined };

/** In byte order of their paths; a folder in which something was changed counts as changed itself. Throws `snapshot/not-found`. */
export async function findChanges(request: ChangesRequest, snapshots: SnapshotStore, signal: AbortSignal): Promise<readonly FileChange[]> {
  if (request.kind !== 'trees') return listChanges(request.snapshot, request.kind === 'container', snapshots);
  const treeOf = (id: SnapshotId | undefined): Tree => openChainTree(id === undefined ? [] : snapshots.foldersOf(id));
  const work: Work = { from: treeOf(request.from), to: treeOf(request.to), changes: [] };
  await inSlices(compareFolder(work, asByteString('')), signal);
  return work.changes.toSorted((one, other) => (one.path < other.path ? -1 : 1));
}

type Work = { readonly from: Tree; readonly to: Tree; readonly changes: FileChange[] };

/** Of a folder that both trees have. */
function* compareFolder(work: Work, folder: ByteString): Generator<void, void> {
  const before = new Map(work.from.list(folder).map((entry) => [entry.path, entry]));
  for (const now of work.to.list(folder)) {
    const old = before.get(now.path);
    before.delete(now.path);
    if (old === undefined) yield* addAll(work, now);
    else yield* compareEntry(work, old, now);
  }
  for (const path of before.keys()) note(work, 'deleted', path);
}

function* compareEntry(work: Work, old: TreeEntry, now: TreeEntry): Generator<void, void> {
  yield;
  const [wasFolder, isFolder] = [old.kind === 'folder', now.kind === 'folder'];
  const count = work.changes.length;
  if (wasFolder && isFolder) yield* compareFolder(work, now.path);
  else if (isFolder) for (const inner of work.to.list(now.path)) yield* addAll(work, inner);
  if (work.changes.length > count || !(yield* isSame(work, old, now))) note(work, 'changed', now.path);
}

function* addAll(work: Work, entry: TreeEntry): Generator<void, void> {
  yield;
  note(work, 'added', entry.path);
  if (entry.kind === 'folder') for (const inner of work.to.list(entry.path)) yield* addAll(work, inner);
}

/** The time of a folder says no more than that something in it was changed. */
function* isSame({ from, to }: Work, old: TreeEntry, now: TreeEntry): Generator<void, boolean> {
  // Both chains begin with the same layers.
  if (old.hostPath === now.hostPath) return true;
  const sameLook =
    old.kind === now.kind &&
    old.mode === now.mode &&
    old.uid === now.uid &&
    old.gid === now.gid &&
    old.target === now.target &&
    old.device?.major === now.device?.major &&
    old.device?.minor === now.device?.minor &&
    (now.kind === 'folder' || (old.mtime === now.mtime && old.size === now.size));
  if (!sameLook || !sameAttributes(from.xattrs(old), to.xattrs(now))) return false;
  return now.kind !== 'file' || (yield* sameBytes(old, now));
}

function sameAttributes(one: ReadonlyMap<string, Uint8Array>, other: ReadonlyMap<string, Uint8Array>): boolean {
  return one.size === other.size && [...one].every(([name, value]) => equal(value, other.get(name)));
}

function equal(one: Uint8Array, other: Uint8Array | undefined): boolean {
  return other !== undefined && one.length === other.length && one.every((byte, at) => byte === other[at]);
}

const blockLength = 1 << 18;

/** Files of one length. */
function* sameBytes(one: TreeEntry, other: TreeEntry): Generator<void, boolean> {
  if (one.size === 0) return true;
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const first = openSync(nodePath(one.hostPath), flags);
  try {
    const second = openSync(nodePath(other.hostPath), flags);
    try {
      return yield* sameContent(first, second);
    } finally {
      closeSync(second);
    }
  } finally {
    closeSync(first);
  }
}

function* sameContent(first: number, second: number): Generator<void, boolean> {
  const [a, b] = [new Uint8Array(blockLength), new Uint8Array(blockLength)];
  for (;;) {
    yield;
    const [count, others] = [readSync(first, a), readSync(second, b)];
    // oxlint-disable-next-line no-restricted-globals -- it compares as memcmp does
    if (count !== others || Buffer.compare(a.subarray(0, count), b.subarray(0, count)) !== 0) return false;
    if (count === 0) return true;
  }
}

function note(work: Work, kind: FileChange['kind'], path: ByteString): void {
  work.changes.push({ kind, path: `/${toText(path)}` });
}
