/** Where the owners of a snapshot's symbolic links and special files stand while its files can have one owner only: in `o/<id>`, beside `s/<id>`. */
import { basename, dirname, join } from 'node:path';
import { ownersRecordedIn, recordOwnersOf } from '#ground/linux/owner.ts';
import type { TreeEntry } from '#ground/linux/tree.ts';

/** Until it is disposed, `setOwnerAt` below `folder` (a snapshot's) is remembered for entries of all kinds. */
export function recordOwners(folder: string): Disposable {
  return recordOwnersOf(folder, fileFor(folder));
}

/** Gives entries of `folder` (a snapshot's) the owners that they had to get. */
export function recordedOwners(folder: string): (entry: TreeEntry) => TreeEntry {
  return ownersRecordedIn(fileFor(folder));
}

function fileFor(folder: string): string {
  return join(dirname(dirname(folder)), 'o', basename(folder));
}
