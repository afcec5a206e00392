/** The light half of tending: what a process that never touches a snapshot may load. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startDetached } from '#ground/linux/spawn.ts';

/** A file that is there while a store has something to tend. */
export const tendMark = 'untended';

/**
 * Starts tending `folder` in a process of its own, with the lowest priority, when there is anything to do; returns at once (one stat, or one spawn).
 * Call it when a build has ended, from outside the worker's namespaces: it outlives the caller.
 */
export function startTending(folder: string): void {
  if (!existsSync(join(folder, tendMark))) return;
  startDetached({
    command: process.execPath,
    arguments: [
      fileURLToPath(new URL(import.meta.url.endsWith('.ts') ? './tend-main.ts' : './snapshot-tend.cjs', import.meta.url)),
      folder,
    ],
  });
}
