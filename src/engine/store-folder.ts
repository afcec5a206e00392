/** The folder that everything is kept in: made when it is not there, and refused at once when nothing can be kept there. */
import { accessSync, constants, mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { fullDisk, fullDiskHint, JettisonError, messageOf, systemCode } from '#ground/base/errors.ts';

/** Makes `folder` (absolute) and what is missing above it. Throws `engine/bad-store`. */
export function makeStoreFolder(folder: string): void {
  try {
    makeFolders(folder);
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

/** Node's own recursive mkdir never ends where the kernel lets nothing be made (/proc). */
function makeFolders(folder: string): void {
  const found = statSync(folder, { throwIfNoEntry: false });
  if (found?.isDirectory() === true) return;
  if (found !== undefined) throw Object.assign(new Error(`"${folder}" is no folder`), { code: 'ENOTDIR' });
  if (dirname(folder) !== folder) makeFolders(dirname(folder));
  try {
    mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error;
  }
}
