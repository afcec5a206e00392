/** Apart from what mounts: whoever only asks loads nothing for it. */
import { statSync } from 'node:fs';
import { dirname } from 'node:path';

/** Is something mounted there, as this process sees it? */
export function isMounted(path: string): boolean {
  const [here, around] = [path, dirname(path)].map((one) => statSync(one, { throwIfNoEntry: false })?.dev);
  return here !== undefined && here !== around;
}
