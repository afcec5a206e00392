/** Deleting what removed volumes held: by who has the ids of its files. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { systemCode } from '#ground/base/errors.ts';
import { removeTree } from '#ground/linux/remove-tree.ts';
import { trashName } from './store.ts';

/** `folder`: of all volumes; it need not be there. A container that still has one mounted keeps the mount, and finds it empty. */
export function clearVolumeTrash(folder: string): void {
  const trash = join(folder, trashName);
  for (const name of namesIn(trash)) removeTree(join(trash, name));
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return [];
    throw error;
  }
}
