import { spawnSync } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Removes `folder`, which holds the store `store`, while holding the lock of the process that tends a store after a build: that one may just be at work in it, or
 * about to begin, and would leave half of it behind.
 */
export function removeWithStore(folder: string, store: string): void {
  const snapshots = join(store, 'snapshots');
  if (existsSync(snapshots))
    spawnSync('flock', ['--wait', '30', join(snapshots, 'tending'), 'rm', '-rf', '--', folder], { stdio: 'ignore' });
  rmSync(folder, { recursive: true, force: true });
}
