/** The folder that everything is kept in: made when it is not there, and refused at once when nothing can be kept there. */
import { accessSync, constants, statSync } from 'node:fs';
import { join } from 'node:path';
import { fullDisk, fullDiskHint, JettisonError, messageOf, systemCode } from '#ground/base/errors.ts';
import { makeFolders } from '#ground/base/make-folders.ts';

/** Makes `folder` (absolute) and what is missing above it. Throws `engine/bad-store`, also when somebody else keeps things in it. */
export function makeStoreFolder(folder: string): void {
  try {
    makeFolders(folder, 0o700);
    accessSync(folder, constants.R_OK | constants.W_OK | constants.X_OK);
    for (const part of parts) {
      const found = statSync(join(folder, part), { throwIfNoEntry: false });
      if (found?.isDirectory() === false) throw partIsFile(join(folder, part));
    }
  } catch (error) {
    const code = systemCode(error);
    if (code === undefined || error instanceof JettisonError) throw error;
    const full = fullDisk(error);
    throw new JettisonError('engine/bad-store', `Cannot keep anything in "${folder}": ${full ?? reasons[code] ?? messageOf(error)}`, {
      fault: 'environment',
      hint: full === undefined ? 'Name another folder in JETTISON_STORE, or make this one writable' : fullDiskHint,
      cause: error,
    });
  }
  refuseOthers(folder);
}

/**
 * Files of two users in one store would be in the way of both: root may write everywhere, and the owner could not change what root made. The folder itself may be
 * another's (a volume), what is in it not.
 */
function refuseOthers(folder: string): void {
  const owner = statSync(join(folder, 'engine.db'), { throwIfNoEntry: false })?.uid;
  if (owner === undefined || owner === process.geteuid?.()) return;
  throw new JettisonError('engine/bad-store', `The store "${folder}" belongs to another user (id ${owner})`, {
    fault: 'environment',
    hint: 'Build as that user, or name another folder in JETTISON_STORE',
  });
}

/** Those that every command may need. */
const parts = ['content', 'builds', 'leases', 'snapshots'];

function partIsFile(path: string): JettisonError {
  return new JettisonError('engine/bad-store', `"${path}" is no folder: something else wrote into the store`, {
    fault: 'environment',
    hint: 'Move it away, or name another folder in JETTISON_STORE',
  });
}

const reasons: Readonly<Record<string, string>> = {
  ENOTDIR: 'it is no folder, or lies below what is none',
  EROFS: 'the file system is read-only',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  ENOENT: 'no folder can be made there',
};
