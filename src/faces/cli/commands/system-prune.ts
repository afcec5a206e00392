import { pruneNetworks } from '#engine/networks.ts';
import { pruneBuildCache, pruneContainers, pruneImages } from '#engine/prune.ts';
import { badFilter, parseCacheFilters } from '#engine/space-filters.ts';
import { pruneVolumes } from '#engine/volumes.ts';
import { defineCommand } from '../command.ts';
import { confirm } from '../confirm.ts';
import { engineFor } from '../engine.ts';
import { flag, list } from '../option.ts';
import { containerPruneRequest, deletedContainers } from './container-prune.ts';
import { deletedImages, imagePruneRequest } from './image-prune.ts';
import { deletedNetworks, networksToPrune } from './network.ts';
import { deletedCache, totalReclaimed } from './prune.ts';
import { deletedVolumes } from './volume.ts';

export const systemPruneCommand = defineCommand({
  name: 'system prune',
  summary: 'Remove unused data',
  usage: '[OPTIONS]',
  options: {
    all: flag('all', { short: 'a', help: 'Remove all images that no container uses, and all build cache' }),
    filter: list('filter', { value: 'filter', help: 'Remove only what fits: "until=24h", "label=NAME[=VALUE]"' }),
    force: flag('force', { short: 'f', help: 'Do not prompt for confirmation' }),
    volumes: flag('volumes', { help: 'Prune anonymous volumes, too' }),
  },
  arguments: [0, 0],
  touchesSnapshots: true,
  async run({ options }, around, signal) {
    if (options.volumes && options.filter.some((text) => text.startsWith('until=')))
      throw badFilter('until', 'it does not go with "--volumes"');
    const untils = options.filter.filter((text) => text.startsWith('until='));
    const images = imagePruneRequest(options, around.now());
    const containers = containerPruneRequest(options.filter, around.now());
    const networks = networksToPrune(options.filter, around.now());
    const cache = { all: options.all, filters: parseCacheFilters(untils), reserved: undefined, maxUsed: undefined, minFree: undefined };
    if (!options.force && !(await confirm(questionOf(options), around, signal))) return 0;
    await using engine = await engineFor(around);
    // As with docker, what has labels is pruned by them, and the build cache has none.
    const isLabelled = images.labels.length > 0;
    const doneContainers = await pruneContainers(engine, containers);
    const doneNetworks = await pruneNetworks(engine, networks);
    const doneVolumes = options.volumes ? pruneVolumes(engine, { all: false, labels: images.labels }) : { names: [], bytes: 0 };
    const doneImages = await pruneImages(engine, images);
    const doneCache = isLabelled ? { items: [], bytes: 0 } : await pruneBuildCache(engine, cache);
    around.streams.stdout.write(
      deletedContainers(doneContainers) +
        deletedNetworks(doneNetworks) +
        deletedVolumes(doneVolumes) +
        deletedImages(doneImages) +
        deletedCache(doneCache) +
        totalReclaimed(doneContainers.bytes + doneVolumes.bytes + doneImages.bytes + doneCache.bytes),
    );
    return 0;
  },
});

function questionOf({
  all,
  volumes,
  filter,
}: {
  readonly all: boolean;
  readonly volumes: boolean;
  readonly filter: readonly string[];
}): string {
  const lines = [
    'all stopped containers',
    'all networks not used by at least one container',
    ...(volumes ? ['all anonymous volumes not used by at least one container'] : []),
    all ? 'all images without at least one container associated to them' : 'all dangling images',
    all ? 'all build cache' : 'unused build cache',
  ];
  const filters =
    filter.length === 0 ? '' : `\n  Items to be pruned will be filtered with:\n${filter.map((text) => `  - ${text}\n`).join('')}`;
  return `WARNING! This will remove:\n${lines.map((line) => `  - ${line}\n`).join('')}${filters}\nAre you sure you want to continue?`;
}
