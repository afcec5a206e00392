/** A chain of snapshots as one plain tree on disk. Both ways give way after each entry: they may take long, and may be stopped there. */
import type { ByteString } from '#ground/base/byte-string.ts';
import { asByteString } from '#ground/base/byte-string.ts';
import { AT_FDCWD, changeTimeAt, closeFile, makeFolderAt, openAt, openFlags, resolveFlags } from '#ground/linux/syscall.ts';
import type { Tree, TreeEntry } from '#ground/linux/tree.ts';
import { createPlacer, dressFolder } from './place.ts';
import { hostPathOf, nameOf, parentOf, recordAt, renewFolder, type FolderRecord } from './record.ts';

const rootPath = asByteString('');
const here = asByteString('.');
const beneath = resolveFlags.beneath | resolveFlags.noSymlinks;

/** Copies `source` into the empty folder `root`. */
export function* copyTree(source: Tree, root: ByteString): Generator<void, void, void> {
  const target = openFolderAt(AT_FDCWD, root);
  try {
    const placer = createPlacer(target);
    const filled: TreeEntry[] = [];
    const top = source.entry(rootPath);
    const waiting = top === undefined ? [] : [top];
    for (let folder = waiting.pop(); folder !== undefined; folder = waiting.pop()) {
      const file = openBeneath(target, folder.path);
      try {
        for (const entry of source.list(folder.path)) {
          if (entry.kind === 'folder') {
            makeFolderAt(file, nameOf(entry.path), 0o700);
            waiting.push(entry);
          } else placer.place(file, entry.path, entry);
          yield;
        }
      } finally {
        closeFile(file);
      }
      filled.push(folder);
    }
    for (const folder of filled.toReversed()) {
      dressFolder(target, folder.path === '' ? here : folder.path, folder);
      yield;
    }
  } finally {
    closeFile(target);
  }
}

/**
 * Makes anew what was taken out of a copied tree: `taken` are paths of `source` that are no folders and are not there now. Brings the record up to date. False when
 * `source` has something else there: then the tree is no copy of it.
 */
export function* refillTree(
  tree: { readonly root: ByteString; readonly record: FolderRecord },
  taken: readonly ByteString[],
  source: Tree,
): Generator<void, boolean, void> {
  const target = openFolderAt(AT_FDCWD, tree.root);
  try {
    const placer = createPlacer(target);
    for (const [path, entries] of Map.groupBy(taken, parentOf)) {
      const folder = source.entry(path);
      const record = recordAt(tree.record, path);
      if (folder?.kind !== 'folder' || record === undefined) return false;
      const file = openBeneath(target, path);
      try {
        for (const inner of entries) {
          const entry = source.entry(inner);
          if (entry === undefined || entry.kind === 'folder') return false;
          placer.place(file, inner, entry);
          yield;
        }
        changeTimeAt(file, here, folder.mtime);
      } finally {
        closeFile(file);
      }
    }
    // Last: a file with names in several folders has its final state only now.
    for (const path of new Set(taken.map(parentOf))) {
      const record = recordAt(tree.record, path);
      if (record !== undefined) renewFolder(record, hostPathOf(tree.root, path));
    }
    return true;
  } finally {
    closeFile(target);
  }
}

function openFolderAt(at: number, path: ByteString): number {
  return openAt(at, path, { flags: openFlags.directory | openFlags.noFollow, resolve: 0 });
}

function openBeneath(at: number, path: ByteString): number {
  return openAt(at, path === '' ? here : path, { flags: openFlags.directory | openFlags.noFollow, resolve: beneath });
}
