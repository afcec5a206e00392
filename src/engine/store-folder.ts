/** The folder that everything is kept in: made when it is not there, and refused at once when nothing can be kept there. */
import { accessSync, constants } from 'node:fs';
import { fullDisk, fullDiskHint, JettisonError, messageOf, systemCode } from '#ground/base/errors.ts';
import { makeFolders } from '#ground/base/make-folders.ts';

/** Makes `folder` (absolute) and what is missing above it. Throws `engine/bad-store`. */
export function makeStoreFolder(folder: string): void {
  try {
    makeFolders(folder, 0o700);
    accessSync(folder, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    const code = systemCode(error);
    if (code === undefined) throw error;
    const full = fullDisk(error);
    throw new JettisonError('engine/bad-store', `Cannot keep anything in "${folder}": ${full ?? reasons[code] ?? messageOf(error)}`, {
      fault: 'environment',
      hint: full === undefined ? 'Name another folder in JETTISON_STORE, or make this one writable' : fullDiskHint,
      cause: error,
    });
  }
}

const reasons: Readonly<Record<string, string>> = {
  ENOTDIR: 'it is no folder, or lies below what is none',
  EROFS: 'the file system is read-only',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  ENOENT: 'no folder can be made there',
};
