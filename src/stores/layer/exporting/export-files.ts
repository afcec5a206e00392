import { asByteString, toText, type ByteString } from '#ground/base/byte-string.ts';
import { JettisonError } from '#ground/base/errors.ts';
import type { Tree, TreeEntry } from '#ground/linux/tree.ts';
import { openChainTree } from '#stores/snapshot/chain-tree.ts';
import type { Exported, Job, Watch } from '../jobs.ts';
import { fillFolder } from './fill-folder.ts';
import { notesOf, type Note } from './notes.ts';
import { writeTreeTar } from './tree-tar.ts';

/** What goes out: the entry, and what it is called there; '' for a folder whose content goes out. */
export type Chosen = { readonly entry: TreeEntry; readonly name: ByteString };

/** What of which tree, under which folder, and the time that everything gets. */
export type Export = {
  readonly tree: Tree;
  readonly chosen: Chosen;
  readonly under: ByteString | undefined;
  readonly time: bigint | undefined;
  /** Files beside it; nothing else has their names. */
  readonly notes: readonly Note[];
};

/** Throws `layer/nothing-there`, `layer/name-taken` before anything is written. */
export function exportFiles({ parts, path, time, to }: Extract<Job, { kind: 'export' }>, watch: Watch): Exported {
  const exports = parts.map(({ folders, under, notes = [] }): Export => {
    const tree = openChainTree(folders);
    const chosen = choose(tree, path);
    return { tree, chosen, under, time, notes: notesOf(tree, chosen, notes, watch) };
  });
  return to.kind === 'folder' ? fillFolder(to, exports, watch) : writeTreeTar(to, exports, watch);
}

function choose(tree: Tree, path: ByteString): Chosen {
  const wanted = asByteString(path.replaceAll(/^\/+|\/+$/gu, ''));
  const { entry } = tree.resolve(wanted, true);
  if (entry === undefined) {
    throw new JettisonError('layer/nothing-there', `There is no "/${toText(wanted)}" in the result`, {
      hint: 'Look at the path, and at the stage that --target names',
    });
  }
  if (entry.kind === 'folder') return { entry, name: asByteString('') };
  return { entry, name: asByteString(wanted.slice(wanted.lastIndexOf('/') + 1)) };
}
