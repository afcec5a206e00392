/** Folders that belong to one process each, told apart by a locked file: whoever comes after a process removes what it left. */
import { mkdirSync, readdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { randomHex } from '#ground/base/random.ts';
import { JettisonError, systemCode } from '#ground/base/errors.ts';
import { tryLockFile } from '#ground/linux/lock-file.ts';
import { removeTree } from '#ground/linux/remove-tree.ts';

const prefix = 'own-';
const unfinished = 'new-';
const lockName = 'lock';

/** Makes one in `parent`, for as long as this process lives or until it is disposed, which removes it. */
export function openOwnFolder(parent: string): Disposable & { readonly path: string } {
  mkdirSync(parent, { recursive: true, mode: 0o700 });
  const name = randomHex(6);
  const path = join(parent, prefix + name);
  const draft = join(parent, unfinished + name);
  mkdirSync(draft, { mode: 0o700 });
  // Locked before anybody can take it for a dead one's.
  const lock = tryLockFile(join(draft, lockName), { exclusive: true, wait: false });
  if (lock === undefined) throw new JettisonError('runtime/busy-folder', `Somebody else has the new folder "${draft}"`, { fault: 'bug' });
  renameSync(draft, path);
  return {
    path,
    [Symbol.dispose]() {
      removeTree(path);
      lock[Symbol.dispose]();
    },
  };
}

/** Removes those in `parent` (which need not be there) whose processes have ended. */
export function removeLeftFolders(parent: string): void {
  for (const name of namesIn(parent)) {
    if (!name.startsWith(prefix)) continue;
    using lock = lockIn(join(parent, name));
    if (lock !== undefined) removeTree(join(parent, name));
  }
}

function lockIn(folder: string): Disposable | undefined {
  try {
    return tryLockFile(join(folder, lockName), { exclusive: true, wait: false });
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return [];
    throw error;
  }
}
