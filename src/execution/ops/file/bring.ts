/** What `--libs` adds to a copy, with the tools of the op that it is part of. */
import { JettisonError } from '#ground/base/errors.ts';
import type { TreeEntry } from '#ground/linux/tree.ts';
import { bringLibraries, type LibsAction, type Taken } from './libraries.ts';
import { parseMode } from './mode.ts';
import { createEntryPlacer, type LinkedInodes, type Written } from './place-entry.ts';
import { openSource, openTree, placeFor, type TreePlace } from './tree-place.ts';
import type { Upper } from './upper.ts';

export type BringTools = {
  readonly job: { readonly inputs: readonly (TreePlace | undefined)[]; readonly unlinked?: true };
  readonly upper: Upper;
  readonly linked: LinkedInodes;
  readonly written: Written;
  readonly checkpoint: () => void;
  /** The newest time that was seen. */
  readonly newest: { time: bigint };
  readonly name: string;
};

/** What was copied needs and the base lacks; owners and modes stay as they are in the tree. */
export function bring(on: BringTools, action: LibsAction, taken: readonly Taken[]): ReturnType<typeof bringLibraries> {
  const { upper, linked, written, checkpoint, newest } = on;
  const place = placeFor(on.job.inputs, action);
  if (place.kind === 'folder')
    throw new JettisonError('ops/libs-of-folder', 'A folder of the client has no libraries to bring', { fault: 'bug' });
  const tree = openTree(place);
  using source = openSource(place, tree);
  const look = { owner: undefined, mode: parseMode(null) };
  const placer = createEntryPlacer({
    upper,
    source,
    look,
    linked,
    written,
    mayLink: on.job.unlinked !== true,
    sourceName: `${on.name}.libs/`,
  });
  const onEntry = ({ mtime }: TreeEntry): void => {
    if (mtime > newest.time) newest.time = mtime;
  };
  return bringLibraries({ tree, action, checkpoint, taken, upper, placer, onEntry });
}
