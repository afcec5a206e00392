/** The plainest copy there is. */
import type { CopyAction } from './op.ts';

/** Copies everything below the folder `source` of input 0 as it is: also how to say what a mount reads. */
export function copyFolder(source: string): CopyAction {
  return {
    kind: 'copy',
    input: 0,
    sources: [source],
    wildcards: false,
    destination: '/',
    destinationIsFolder: true,
    owner: null,
    mode: null,
    unpack: false,
    exclude: [],
    parents: false,
  };
}
