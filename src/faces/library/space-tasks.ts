/** What measures and frees space. It looks at the files of steps and containers: a normal user's are those of ids that only a user namespace has, see space-main.ts. */
import { diskUse } from '#engine/disk-use.ts';
import { pruneNetworks } from '#engine/networks.ts';
import type { Engine } from '#engine/open.ts';
import { pruneBuildCache, pruneContainers, pruneImages } from '#engine/prune.ts';
import { parseCacheFilters } from '#engine/space-filters.ts';
import { pruneVolumes } from '#engine/volumes.ts';
import type { DiskUsage, Pruned } from './space-functions.ts';

/** `until`: milliseconds since the epoch. */
export type PruneWish = { readonly all: boolean; readonly volumes: boolean; readonly until: number | undefined };

/** In the order of `system prune`: what a container held may go after it. */
export async function pruneStore(engine: Engine, { all, volumes, until }: PruneWish): Promise<Pruned> {
  const filters = parseCacheFilters(until === undefined ? [] : [`until=${Math.max(0, engine.now() - until)}ms`]);
  const containers = await pruneContainers(engine, { until, labels: [] });
  const networks = await pruneNetworks(engine, ({ created }) => until === undefined || created < until);
  const gone = volumes ? pruneVolumes(engine, { all: false, labels: [] }) : { names: [], bytes: 0 };
  const images = await pruneImages(engine, { all, labels: [], until });
  const cache = await pruneBuildCache(engine, { all, filters, reserved: undefined, maxUsed: undefined, minFree: undefined });
  return {
    containers: containers.ids,
    networks,
    volumes: gone.names,
    images: images.removed,
    cache: cache.items.map(({ id }) => id),
    bytes: containers.bytes + gone.bytes + images.bytes + cache.bytes,
  };
}

export async function measureStore(engine: Engine): Promise<DiskUsage> {
  const { images, imageBytes, reclaimableImageBytes, containers, volumes, cache } = await diskUse(engine);
  return {
    images: images.map(({ id, repository, tag, size, sharedBytes, uniqueBytes, containers: users }) => ({
      id,
      repository,
      tag,
      bytes: size,
      sharedBytes,
      uniqueBytes,
      containers: users,
    })),
    imageBytes,
    reclaimableImageBytes,
    containers: containers.map(({ id, name, image, isRunning, bytes }) => ({ id, name, image, isRunning, bytes })),
    volumes,
    cache: cache.map(({ id, type, description, bytes, createdAt, lastUsedAt, uses, isShared, inUse }) => ({
      id,
      type,
      description,
      bytes,
      created: time(createdAt),
      lastUsed: time(lastUsedAt),
      uses,
      isShared,
      inUse,
    })),
  };
}

function time(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}
