/** The plainest copies there are. */
import type { CopyAction } from './op.ts';

/** Copies everything below the folder `source` of input 0 as it is: also how to say what a mount reads. */
export function copyFolder(source: string): CopyAction {
  return { ...copyAs(source, '/'), destinationIsFolder: true };
}

/** Copies the file, or all below the folder, that `source` of input 0 is, as it is, to be `destination`. */
export function copyAs(source: string, destination: string): CopyAction {
  return {
    kind: 'copy',
    input: 0,
    sources: [source],
    wildcards: false,
    destination,
    destinationIsFolder: false,
    owner: null,
    mode: null,
    unpack: false,
    exclude: [],
    parents: false,
  };
}
