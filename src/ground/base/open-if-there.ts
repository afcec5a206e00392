import { openSync } from 'node:fs';
import { systemCode } from './errors.ts';

/** Opens a file to read it, which the caller closes; undefined where there is none. Throws other system errors. */
export function openIfThere(path: string): number | undefined {
  try {
    return openSync(path, 'r');
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}
