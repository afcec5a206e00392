/** Where a tree of a job lies, and how it is read. */
import type { CopyAction } from '#formats/graph/op.ts';
import { fromText } from '#ground/base/byte-string.ts';
import type { Tree } from '#ground/linux/tree.ts';
import { openLocalContext } from '#stores/context/local.ts';
import { openChainTree } from '#stores/snapshot/chain-tree.ts';
import { openClientSource, openCommittedSource, type Source } from './source.ts';

/** Where a tree lies on this machine: folders of a chain, topmost first, or a folder of the client. */
export type TreePlace =
  | { readonly kind: 'chain'; readonly folders: readonly string[] }
  | { readonly kind: 'folder'; readonly path: string; readonly ignore: readonly string[] };

/** What an action of an op with these inputs copies from; an empty tree where that is nothing. */
export function placeFor(inputs: readonly (TreePlace | undefined)[], action: CopyAction): TreePlace {
  return (action.input === null ? undefined : inputs[action.input]) ?? { kind: 'chain', folders: [] };
}

export function openTree(place: TreePlace): Tree {
  return place.kind === 'chain' ? openChainTree(place.folders) : openLocalContext({ folder: place.path, ignore: place.ignore });
}

export function openSource(place: TreePlace, tree: Tree): Source {
  return place.kind === 'chain' ? openCommittedSource(tree) : openClientSource(tree, fromText(place.path));
}
