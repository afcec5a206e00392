/** Variables of an image, as what starts as what starts sees them. */
import { fromText } from '#ground/base/byte-string.ts';
import { joined } from './files.ts';

/** As runtimes set it where an image says nothing. */
const usualPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** `lines`: `NAME=value`; of two of one name the last counts. */
export function environmentOf(lines: readonly string[]): ReadonlyMap<string, string> {
  const environment = new Map<string, string>([['PATH', usualPath]]);
  for (const line of lines) {
    const at = line.indexOf('=');
    if (at > 0) environment.set(line.slice(0, at), line.slice(at + 1));
  }
  return environment;
}

/** Does a file of this path lie in a folder of PATH, or in one that is called as those are? */
export function isWhereCommandsAre(path: string, environment: ReadonlyMap<string, string>): boolean {
  const folder = path.slice(0, path.lastIndexOf('/')) || '/';
  const isSearched = (environment.get('PATH') ?? '').split(':').some((one) => joined('/', fromText(one)) === folder);
  return isSearched || (/\/s?bin$/u.test(folder) && !folder.includes('/node_modules/'));
}
