import { mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { systemCode } from './errors.ts';

/**
 * Makes `folder` (absolute) and what is missing above it, where a user may have named any place: Node's own recursive mkdir never ends where the
 * kernel lets nothing be made (/proc). Throws the system's error; ENOTDIR where something else stands in the way.
 */
export function makeFolders(folder: string, mode = 0o777): void {
  const found = statSync(folder, { throwIfNoEntry: false });
  if (found?.isDirectory() === true) return;
  if (found !== undefined) throw Object.assign(new Error(`"${folder}" is no folder`), { code: 'ENOTDIR' });
  if (dirname(folder) !== folder) makeFolders(dirname(folder), mode);
  try {
    mkdirSync(folder, { mode });
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error;
  }
}
