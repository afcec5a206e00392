import { resolve } from 'node:path';
import { badValue } from '../option.ts';

/**
 * All `--ssh`, as buildx reads them: `ID` for the user's agent, `ID=PATH[,PATH]` for the socket of another one or for key files; without an id
 * it is `default`. Relative paths are taken from `currentFolder`. Throws `cli/bad-value` for an id given twice.
 */
export function readSsh(given: readonly string[], currentFolder: string): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, readonly string[]>();
  for (const each of given) {
    const [name = '', ...rest] = each.split('=');
    const id = name === '' ? 'default' : name;
    if (found.has(id)) throw badValue('ssh', each, `the id "${id}" was given before`);
    const paths = rest.join('=').split(',');
    if (paths.length > 1 && paths.includes('')) throw badValue('ssh', each, 'one of its paths is empty');
    found.set(id, paths[0] === '' ? [] : paths.map((path) => resolve(currentFolder, path)));
  }
  return found;
}
