/** The process that tends a store after a build, with the lowest priority: `tend-main.ts STORE [CACHE_MAX]`. */
import { existsSync } from 'node:fs';
import { setPriority } from 'node:os';
import { join } from 'node:path';
import { argv, env } from 'node:process';
import { setTimeout } from 'node:timers/promises';
import { tendWorkerStore } from '#execution/worker/keeper.ts';
import { createLog } from '#ground/base/log.ts';
import { hasBridges } from '#execution/network/bridge.ts';
import { clearBridges } from '#execution/network/bridged.ts';
import { listOrigins } from './origin-lists.ts';
import { removeLostContainers } from './lost-containers.ts';
import { keepSpace } from './keep-space.ts';
import { openEngine } from './open.ts';
import { removeRehearsed } from './verify-rehearsal.ts';

const log = createLog('engine');
/** Milliseconds that a bridge without ports is left. */
const bridgeRest = 500;
const [, , store, cacheMax] = argv;
if (store !== undefined) {
  setPriority(19);
  void tend(store);
}

async function tend(folder: string): Promise<void> {
  // Removed meanwhile: opening it would make a new one.
  if (!existsSync(join(folder, 'engine.db'))) return;
  // Not at once: the next container of a row of them finds its bridge there. Before the rest, which waits for the disk.
  if (hasBridges()) await setTimeout(bridgeRest);
  for (const name of clearBridges()) log('bridge %s removed', name);
  await using engine = await openEngine({ environment: { ...env, JETTISON_STORE: folder }, currentFolder: '/' });
  removeLostContainers(engine);
  await tendWorkerStore(folder, async (keeper) => {
    removeRehearsed(engine, keeper);
    await listOrigins(engine, keeper);
    const { items, bytes } = keepSpace(engine, keeper, cacheMax);
    if (items.length > 0) log('%d things removed, %d bytes', items.length, bytes);
    await Promise.resolve();
  });
}
