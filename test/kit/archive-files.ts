/** What is in an archive that a build wrote, told by tar. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Names in the layers of a docker archive, sorted, folders with a slash. */
export function filesOf(archive: string, folder: string): readonly string[] {
  const place = mkdtempSync(join(folder, 'archive-'));
  execFileSync('tar', ['-xf', archive, '-C', place]);
  const [image] = JSON.parse(readFileSync(join(place, 'manifest.json'), 'utf8')) as readonly { readonly Layers: readonly string[] }[];
  const names = (image?.Layers ?? []).flatMap((layer) =>
    execFileSync('tar', ['-tf', join(place, layer)], { encoding: 'utf8' })
      .trim()
      .split('\n'),
  );
  return [...new Set(names)].filter((name) => name !== './').toSorted();
}
