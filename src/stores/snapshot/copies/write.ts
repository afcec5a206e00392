/** Writes what was changed in a copied tree into the folder of its snapshot, in overlayfs's form. */
import { readdirSync } from 'node:fs';
import { asByteString, fromText, toText, type ByteString } from '#ground/base/byte-string.ts';
import { JettisonError, systemCode, unreachable } from '#ground/base/errors.ts';
import { listAttributes, removeAttribute } from '#ground/linux/attributes.ts';
import { removeTreeAt } from '#ground/linux/remove-tree.ts';
import { statField, timeAt } from '#ground/linux/stat-rows.ts';
import { AT_FDCWD, closeFile, linkAt, makeFolderAt, openAt, openFlags, procPath, renameAt, unlinkAt } from '#ground/linux/syscall.ts';
import { describeEntry, lookAt } from '#ground/linux/tree-read.ts';
import type { Tree } from '#ground/linux/tree.ts';
import { markOpaque } from '../chain-tree.ts';
import { isMark, makeWhiteoutAt } from '../whiteout.ts';
import type { Change, Changes } from './changes.ts';
import { createPlacer, dressFolder, type Placer } from './place.ts';
import { fieldOf, hostPathOf, parentOf, recordAt } from './record.ts';

export type Writing = {
  readonly root: ByteString;
  /** Absolute path of the snapshot's folder. What it holds already is brought to what the tree has. */
  readonly upper: string;
  /** The chain below the snapshot. */
  readonly lower: Tree;
  /** What was changed keeps its name in the tree, so that all can be done again when it is broken off; whoever goes on with the tree has to take these names away. */
  readonly leavesNames?: boolean;
};

/**
 * Moves changed files out of the tree, and gives their paths; copies those that have other names which stay in the tree, for nothing may write to a committed file.
 * Gives way after each change. What fails (`ENOSPC`) leaves the folder half written and the tree of no use.
 */
export function* writeChanges({ changes, record }: Changes, on: Writing): Generator<void, readonly ByteString[], void> {
  const upper = openAt(AT_FDCWD, fromText(on.upper), { flags: openFlags.directory, resolve: 0 });
  try {
    const writer = createWriter(on, upper, countNames(changes));
    const taken: ByteString[] = [];
    for (const change of changes) {
      switch (change.kind) {
        case 'gone':
          writer.remove(change);
          break;
        case 'folder':
          if (change.isNew) writer.makeFolder(change.path);
          else writer.openFolder(change.path);
          break;
        case 'entry':
          writer.take(change);
          taken.push(change.path);
          break;
        default:
          return unreachable(change, 'change');
      }
      yield;
    }
    for (const path of writer.folders()) {
      const own = recordAt(record, path)?.own;
      if (own === undefined) throw new JettisonError('snapshot/no-record', `Nothing is known of "${toText(path)}"`, { fault: 'bug' });
      const [uid, gid] = [fieldOf(own, 0, 'uid'), fieldOf(own, 0, 'gid')];
      const look = { mode: fieldOf(own, 0, 'mode') & 0o7777, uid, gid, mtime: timeAt(own, statField.mtime) };
      dressFolder(upper, path === '' ? here : path, { ...look, hostPath: hostPathOf(on.root, path) });
      yield;
    }
    return taken;
  } finally {
    closeFile(upper);
  }
}

const here = asByteString('.');

/** How many names of each inode are among the changes. */
function countNames(changes: readonly Change[]): ReadonlyMap<number, number> {
  const counts = new Map<number, number>();
  for (const change of changes) {
    if (change.kind === 'entry' && change.links > 1) counts.set(change.inode, (counts.get(change.inode) ?? 0) + 1);
  }
  return counts;
}

type Writer = {
  remove(change: Extract<Change, { kind: 'gone' }>): void;
  makeFolder(path: ByteString): void;
  /** As it is in the tree, with those around it. */
  openFolder(path: ByteString): void;
  take(change: Extract<Change, { kind: 'entry' }>): void;
  /** All that were made or opened, innermost first. */
  folders(): readonly ByteString[];
};

function createWriter(
  { root, lower, upper: folder, leavesNames = false }: Writing,
  upper: number,
  names: ReadonlyMap<number, number>,
): Writer {
  const opened = new Set<ByteString>();
  const wasEmpty = readdirSync(folder).length === 0;
  const hostUpper = fromText(folder);
  const placer: Placer = createPlacer(upper);

  const clear = (path: ByteString): void => {
    if (!wasEmpty) removeTreeAt(upper, path);
  };
  const openFolder = (path: ByteString): void => {
    if (opened.has(path)) return;
    if (path !== '') {
      openFolder(parentOf(path));
      try {
        makeFolderAt(upper, path, 0o700);
      } catch (error) {
        if (wasEmpty || systemCode(error) !== 'EEXIST') throw error;
      }
    }
    opened.add(path);
  };
  return {
    remove({ path, leftover }) {
      if (leftover) unlinkAt(AT_FDCWD, hostPathOf(root, path));
      clear(path);
      if (lower.entry(path) === undefined) return;
      openFolder(parentOf(path));
      makeWhiteoutAt(upper, path);
    },
    makeFolder(path) {
      clear(path);
      openFolder(path);
      if (lower.entry(path)?.kind === 'folder') markOpaque(procPath(upper, path));
    },
    openFolder,
    take({ path, inode, links }) {
      openFolder(parentOf(path));
      clear(path);
      const from = hostPathOf(root, path);
      if (links === 1 || names.get(inode) === links) {
        if (leavesNames) linkAt(AT_FDCWD, from, upper, path);
        else renameAt(AT_FDCWD, from, upper, path);
        dropMarks(hostPathOf(hostUpper, path));
        return;
      }
      const stats = lookAt(from);
      if (stats === undefined) throw new JettisonError('snapshot/changed', `"${toText(from)}" is gone`, { fault: 'bug' });
      using target = openParent(upper, path);
      placer.place(target.file, path, describeEntry({ path, hostPath: from, layer: 0, stats }));
      if (!leavesNames) unlinkAt(AT_FDCWD, from);
    },
    folders: () => [...opened].toReversed(),
  };
}

function openParent(upper: number, path: ByteString): Disposable & { readonly file: number } {
  const parent = parentOf(path);
  const file = openAt(upper, parent === '' ? here : parent, { flags: openFlags.directory | openFlags.noFollow, resolve: 0 });
  return { file, [Symbol.dispose]: () => closeFile(file) };
}

/** A step may have written attributes that mean something to overlayfs; under an overlay they could not have come into this folder. */
function dropMarks(path: ByteString): void {
  for (const name of listAttributes(path)) {
    if (isMark(name)) removeAttribute(path, name);
  }
}
