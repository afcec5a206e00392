/**
 * A step adds no time of its own: what it wrote is as old as the newest thing that it was given. So the same inputs give the same layers, on any day, and no layer changes because of what
 * stands beside it. The *epoch* of a snapshot is the newest time of a file in it and in all below it.
 */
import { readSync, writeSync } from 'node:fs';
import { asByteString, type ByteString } from '#ground/base/byte-string.ts';
import { AT_FDCWD, changeTimeAt, closeFile, openAt, openFlags } from '#ground/linux/syscall.ts';
import type { TreeEntry } from '#ground/linux/tree.ts';
import { openChainTree } from '#stores/snapshot/chain-tree.ts';
import type { Snapshot, SnapshotId, SnapshotStore } from '#stores/snapshot/contract.ts';

const fact = 'epoch';
const second = 1_000_000_000n;
/** Whole seconds since 1970. A time from 2100 on is a mistake or a joke, and counts as none. */
const end = 4_102_444_800n;

/** Seconds since 1970; 0 for nothing. Remembered for each snapshot. Throws `snapshot/not-found`. */
export function epochOf(snapshots: SnapshotStore, top: SnapshotId | undefined): bigint {
  if (top === undefined) return 0n;
  const noted = snapshots.getFact(top, fact);
  if (noted !== undefined) return BigInt(noted);
  // From the top: of a chain that a step was just added to, one fact is read.
  const unknown: Snapshot[] = [];
  let epoch = 0n;
  for (const snapshot of snapshots.chain(top).toReversed()) {
    const known = snapshots.getFact(snapshot.id, fact);
    if (known !== undefined) {
      epoch = BigInt(known);
      break;
    }
    unknown.push(snapshot);
  }
  for (const { id, folder } of unknown.toReversed()) {
    epoch = later(epoch, newestIn(folder));
    snapshots.setFact(id, fact, String(epoch));
  }
  return epoch;
}

/** Notes the epoch of a snapshot whose own newest time (nanoseconds since 1970) is known without looking. */
export function noteEpoch(
  snapshots: SnapshotStore,
  { id, parent }: { readonly id: SnapshotId; readonly parent: SnapshotId | undefined },
  newest: bigint,
): void {
  snapshots.setFact(id, fact, String(later(epochOf(snapshots, parent), newest)));
}

/** Of an epoch in seconds, and a time in nanoseconds. */
function later(epoch: bigint, time: bigint): bigint {
  const seconds = time < 0n ? 0n : time / second;
  return seconds > epoch && seconds < end ? seconds : epoch;
}

/** The newest time of an entry in a layer's folder, nanoseconds; the folder itself is none. */
function newestIn(folder: string): bigint {
  let newest = 0n;
  const tree = openChainTree([folder]);
  const waiting: ByteString[] = [asByteString('')];
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    for (const entry of tree.list(path)) {
      if (entry.mtime > newest && entry.mtime / second < end) newest = entry.mtime;
      if (entry.kind === 'folder') waiting.push(entry.path);
    }
  }
  return newest;
}

/** Milliseconds by which the clock that gives files their times may be behind the one that is asked: a tick of the kernel. */
const tick = 20;

/** When a step begins, milliseconds since 1970: nothing it writes has an earlier time, unless it says so itself. */
export function beginningOf(now: number): bigint {
  return BigInt(now - tick) * 1_000_000n;
}

export type Settling = {
  /** Seconds since 1970 that entries of the step's own time get. */
  readonly epoch: bigint;
  /** Of the step, by `beginningOf`. */
  readonly began: bigint;
};

/** Times before they were settled, by name: Python's compiled files say that of their source. */
export type Times = ReadonlyMap<string, bigint>;

/** Of those entries of a folder that will be settled. */
export function timesOf(entries: readonly TreeEntry[], { began }: Settling): Times {
  return new Map(
    entries.flatMap(({ path, mtime, kind }) =>
      kind === 'file' && isOwn(mtime, began) && path.endsWith('.py') ? [[nameOf(path), mtime]] : [],
    ),
  );
}

/** Gives an entry the time that it keeps. */
export function settle(entry: TreeEntry, { epoch, began }: Settling): void {
  if (isOwn(entry.mtime, began)) changeTimeAt(AT_FDCWD, entry.hostPath, epoch * second);
}

/**
 * Did the step's clock give this time? Programs that hand on the time of a file which they just wrote often know its seconds only (passwd's backups by utime(2), tar): the second in which the
 * step began is its own, too.
 */
function isOwn(mtime: bigint, began: bigint): boolean {
  return mtime >= began || mtime === began - (began % second);
}

function nameOf(path: ByteString): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

/** The same for all in a folder of a layer. */
export function settleAll(folder: string, settling: Settling): void {
  const tree = openChainTree([folder]);
  const visit = (path: ByteString): void => {
    for (const entry of tree.list(path)) {
      if (entry.kind === 'folder') visit(entry.path);
      settle(entry, settling);
    }
  };
  visit(asByteString(''));
}

const compiledHead = 16;

/**
 * A compiled file of Python holds the time of its source (PEP 552, without its hash): where that has been settled, it says the settled one. Else each start of the program would compile
 * the source again. `sources`: of the folder of the sources.
 */
export function settleCompiled(entry: TreeEntry, sources: Times, epoch: bigint): void {
  const name = nameOf(entry.path);
  if (entry.kind !== 'file' || entry.size < compiledHead || !name.endsWith('.pyc')) return;
  const source = sources.get(`${name.slice(0, name.indexOf('.'))}.py`);
  if (source === undefined) return;
  const file = openAt(AT_FDCWD, entry.hostPath, { flags: openFlags.readWrite | openFlags.noFollow, resolve: 0 });
  try {
    const head = new Uint8Array(compiledHead);
    const view = new DataView(head.buffer);
    if (readSync(file, head, 0, compiledHead, 0) < compiledHead || view.getUint32(4, true) !== 0) return;
    if (view.getUint32(8, true) !== Number((source / second) & 0xffff_ffffn)) return;
    view.setUint32(8, Number(epoch & 0xffff_ffffn), true);
    writeSync(file, head, 8, 4, 8);
    // Writing was now: one that was given a time of its own keeps it.
    changeTimeAt(AT_FDCWD, entry.hostPath, entry.mtime);
  } finally {
    closeFile(file);
  }
}
