/** The process that tends a store after a build, with the lowest priority: `tend-main.ts STORE [CACHE_MAX]`. */
import { existsSync } from 'node:fs';
import { setPriority } from 'node:os';
import { join } from 'node:path';
import { argv, env } from 'node:process';
import { tendWorkerStore } from '#execution/worker/keeper.ts';
import { createLog } from '#ground/base/log.ts';
import { clearBridges } from '#execution/network/bridged.ts';
import { keepSpace } from './keep-space.ts';
import { openEngine } from './open.ts';

const log = createLog('engine');
const [, , store, cacheMax] = argv;
if (store !== undefined) {
  setPriority(19);
  void tend(store);
}

async function tend(folder: string): Promise<void> {
  // Removed meanwhile: opening it would make a new one.
  if (!existsSync(join(folder, 'engine.db'))) return;
  for (const name of clearBridges()) log('bridge %s removed', name);
  await using engine = await openEngine({ environment: { ...env, JETTISON_STORE: folder }, currentFolder: '/' });
  await tendWorkerStore(folder, async (keeper) => {
    const { items, bytes } = keepSpace(engine, keeper, cacheMax);
    if (items.length > 0) log('%d things removed, %d bytes', items.length, bytes);
    await Promise.resolve();
  });
}
