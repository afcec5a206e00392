import { spawnSync } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { withOwnIds } from '#ground/linux/user-namespace.ts';

/**
 * Removes `folder`, which holds the store `store`, while holding the lock of the process that tends a store after a build: that one may just be at work in it, or
 * about to begin, and would leave half of it behind.
 */
export function removeWithStore(folder: string, store: string): void {
  const snapshots = join(store, 'snapshots');
  if (existsSync(snapshots)) {
    // Files of a normal user's steps have owners that only the user namespace of the worker knows.
    const [command, ...words] = withOwnIds(['flock', '--wait', '300', join(snapshots, 'tending'), 'rm', '-rf', '--', folder], 'rootless');
    spawnSync(command, words, { stdio: 'ignore' });
  }
  rmSync(folder, { recursive: true, force: true });
}
