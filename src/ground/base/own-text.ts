import { lstatSync, readFileSync, rmSync } from 'node:fs';
import { systemCode } from './errors.ts';

/** The text of a small file that this program wrote. What stands there and is no file (a folder, a link, a FIFO that would keep its reader waiting) is removed. Undefined where nothing is, then or now. */
export function readOwnText(file: string): string | undefined {
  const found = lstatSync(file, { throwIfNoEntry: false });
  if (found === undefined) return undefined;
  if (!found.isFile()) {
    rmSync(file, { recursive: true, force: true });
    return undefined;
  }
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}
