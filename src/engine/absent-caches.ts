/** Caches of `--cache-from` in folders where nothing was written yet, or whose path is misspelt. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Report } from '#formats/progress/event.ts';
import type { CacheSource } from './cache-requests.ts';

/** Without an index nothing in the folder can be found. */
export function isAbsent(source: CacheSource): boolean {
  return source.kind === 'folder' && !existsSync(join(source.path, 'index.json'));
}

/** As buildx has it: whether the cache turns out to be needed or not, and however little is said of the build. */
export function tellAbsentCaches(sources: readonly CacheSource[], report: Report): void {
  for (const source of sources)
    if (source.kind === 'folder' && isAbsent(source))
      report({ kind: 'note', text: `Warning: cannot use the cache ${source.path}: it has no index.json`, isUrgent: true });
}
