/** How much room results that nobody holds may take up, kept after builds by the process that tends the store. */
import { statfsSync } from 'node:fs';
import { formatSize } from '#ground/base/human.ts';
import { openStatCache } from '#stores/context/stat-cache.ts';
import type { Keeper } from '#execution/worker/keeper.ts';
import type { Engine } from './open.ts';
import { allowedBytes, parseSpaceLimit, type Disk } from './space-limit.ts';
import { pruneCache, type Pruned } from './space/prune-cache.ts';

const filesStay = 30 * 24 * 3_600_000;

/** Removes garbage, and results until what is left fits: what saves the fewest seconds a byte goes first; what the last build used stays. */
export function keepSpace(engine: Engine, keeper: Keeper, asked: string | undefined): Pruned {
  const text = asked ?? (engine.environment['JETTISON_CACHE_MAX'] || engine.config.cacheMax);
  const limit = text === undefined ? undefined : parseSpaceLimit(text);
  const disk = diskOf(engine.paths.store);
  forgetOldFiles(engine);
  return pruneCache(engine, keeper, {
    mayGo: () => true,
    keep: (unheld) => Math.min(unheld, allowedBytes(limit, disk, unheld)),
    sparesLastBuild: true,
    forgetsHeld: false,
    rule: text === undefined ? `the default of --cache-max, ${formatSize(allowedBytes(limit, disk, Infinity))}` : `--cache-max ${text}`,
  });
}

export function diskOf(folder: string): Disk {
  const { bsize, blocks, bavail } = statfsSync(folder);
  return { total: bsize * blocks, free: bsize * bavail };
}

/** Digests of files in folders that no build has read for a month. */
function forgetOldFiles(engine: Engine): void {
  using files = openStatCache({ database: engine.database });
  files.forgetUnused(engine.now() - filesStay);
}
