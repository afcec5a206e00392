import { pruneBuildCache } from '#engine/prune.ts';
import type { CachePruneRequest, PrunedCache } from '#engine/space-requests.ts';
import { parseCacheFilters } from '#engine/space-filters.ts';
import { parseBytes } from '#engine/space-limit.ts';
import { formatSize } from '#ground/base/human.ts';
import { builderOption, checkBuilderOption } from './builder-option.ts';
import { defineCommand, type Surroundings } from '../command.ts';
import { confirm } from '../confirm.ts';
import { engineFor } from '../engine.ts';
import { flag, list, parsed, type ValuesOf } from '../option.ts';
import { cacheRows, verboseCache } from '../output/cache-use.ts';
import { formatTable } from '../output/table.ts';

const size = (long: string, help: string) => parsed<number | undefined>(long, { value: 'bytes', initial: undefined, help }, parseBytes);

const pruneOptions = {
  all: flag('all', { short: 'a', help: 'Also forget the steps that images are made of, and what registries said' }),
  filter: list('filter', { value: 'filter', help: 'Remove only what fits: "until=24h", "id=", "type=", "description~="' }),
  force: flag('force', { short: 'f', help: 'Do not prompt for confirmation' }),
  keepStorage: size('keep-storage', 'Old name of "--reserved-space"'),
  maxUsed: size('max-used-space', 'The most that may stay, in bytes'),
  minFree: size('min-free-space', 'Remove until so many bytes of the disk are free'),
  reserved: size('reserved-space', 'So many bytes stay in any case'),
};
type PruneOptions = ValuesOf<typeof pruneOptions>;

/** `builder prune`: says what docker says. */
export const pruneCommand = defineCommand({
  name: 'prune',
  summary: 'Remove build cache',
  usage: '[OPTIONS]',
  options: pruneOptions,
  arguments: [0, 0],
  touchesSnapshots: true,
  async run({ options }, around, signal) {
    const pruned = await ask(options, around, signal);
    if (pruned !== undefined) around.streams.stdout.write(deletedCache(pruned) + totalReclaimed(pruned.bytes));
    return 0;
  },
});

/** `buildx prune`: says what buildx says. */
export const buildxPruneCommand = defineCommand({
  name: 'buildx prune',
  summary: 'Remove build cache',
  usage: '[OPTIONS]',
  options: {
    builder: builderOption(),
    ...pruneOptions,
    verbose: flag('verbose', { help: 'Show all that is known of what is removed' }),
  },
  notBuilt: 'timeout',
  arguments: [0, 0],
  touchesSnapshots: true,
  async run({ options }, around, signal) {
    await checkBuilderOption(options.builder, around.environment);
    const pruned = await ask(options, around, signal);
    if (pruned === undefined) return 0;
    const { items, bytes } = pruned;
    const rows = options.verbose
      ? verboseCache(items, around.now())
      : items.length === 0
        ? ''
        : formatTable(cacheRows(items, around.now()));
    around.streams.stdout.write(`${rows}${formatTable([['Total:', formatSize(bytes, 4)]])}`);
    return 0;
  },
});

/** undefined when the answer is no. */
async function ask(options: PruneOptions, around: Surroundings, signal: AbortSignal): Promise<PrunedCache | undefined> {
  const request = cachePruneRequest(options);
  const what = options.all ? 'all build cache' : 'all dangling build cache';
  if (!options.force && !(await confirm(`WARNING! This will remove ${what}. Are you sure you want to continue?`, around, signal)))
    return undefined;
  await using engine = await engineFor(around);
  return await pruneBuildCache(engine, request);
}

function cachePruneRequest({ all, filter, keepStorage, reserved, maxUsed, minFree }: PruneOptions): CachePruneRequest {
  // What is reserved is also the most that stays, as with docker's --keep-storage, where nothing else is named.
  return { all, filters: parseCacheFilters(filter), reserved: reserved ?? keepStorage, maxUsed, minFree };
}

/** Empty when nothing was removed. */
export function deletedCache({ items }: PrunedCache): string {
  return items.length === 0 ? '' : `Deleted build cache objects:\n${items.map((item) => `${item.id}\n`).join('')}\n`;
}

export function totalReclaimed(bytes: number): string {
  return `Total reclaimed space: ${formatSize(bytes, 4)}\n`;
}
