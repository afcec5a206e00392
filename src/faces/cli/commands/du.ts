import { listCacheUse } from '#engine/disk-use.ts';
import type { CacheUse } from '#engine/space-requests.ts';
import { parseCacheFilters } from '#engine/space-filters.ts';
import { formatSize } from '#ground/base/human.ts';
import { builderOption, checkBuilderOption } from './builder-option.ts';
import { defineCommand } from '../command.ts';
import { engineFor } from '../engine.ts';
import { flag, list, text } from '../option.ts';
import { cacheFields, cacheRows, verboseCache } from '../output/cache-use.ts';
import { formatRows } from '../output/rows.ts';
import { formatTable } from '../output/table.ts';

const titles = {
  ID: 'ID',
  Reclaimable: 'RECLAIMABLE',
  Size: 'SIZE',
  LastUsedSince: 'LAST ACCESSED',
  LastUsedAt: 'LAST USED AT',
  CreatedAt: 'CREATED AT',
  CreatedSince: 'CREATED',
  Description: 'DESCRIPTION',
  Mutable: 'MUTABLE',
  Parents: 'PARENTS',
  Shared: 'SHARED',
  Type: 'TYPE',
  UsageCount: 'USAGE',
};
const table = '{{.ID}}\t{{.Reclaimable}}\t{{.Size}}\t{{.LastUsedSince}}';

export const duCommand = defineCommand({
  name: 'du',
  summary: 'Show what the build cache takes up',
  usage: '[OPTIONS]',
  options: {
    builder: builderOption(),
    filter: list('filter', {
      value: 'filter',
      help: 'Show what fits: "id=", "type=", "until=24h", "inuse", "shared", "private", "description~="',
    }),
    format: text('format', { help: '"table", "table TEMPLATE", "json", "pretty" or a Go template for each thing' }),
    verbose: flag('verbose', { help: 'Shorthand for "--format=pretty"' }),
  },
  notBuilt: 'timeout',
  arguments: [0, 0],
  touchesSnapshots: true,
  async run({ options }, around) {
    await checkBuilderOption(options.builder, around.environment);
    const filters = parseCacheFilters(options.filter);
    await using engine = await engineFor(around);
    const uses = await listCacheUse(engine, filters);
    const isPretty = options.verbose || options.format === 'pretty';
    const isTable = isPretty || options.format === undefined || options.format === 'table';
    const rows = uses.map((use) => cacheFields(use, around.now()));
    around.streams.stdout.write(
      isPretty
        ? verboseCache(uses, around.now())
        : isTable
          ? formatTable(cacheRows(uses, around.now()))
          : formatRows(rows, options.format, { titles, table }),
    );
    // As buildx: a part of the cache has no sums.
    if (isTable && filters.texts.length === 0) around.streams.stdout.write(sums(uses));
    return 0;
  },
});

function sums(uses: readonly CacheUse[]): string {
  const sum = (isWanted: (use: CacheUse) => boolean): number => uses.reduce((total, use) => total + (isWanted(use) ? use.bytes : 0), 0);
  const [shared, total] = [sum((use) => use.isShared), sum(() => true)];
  const rows: readonly (readonly string[])[] = [
    ...(shared > 0
      ? [
          ['Shared:', formatSize(shared, 4)],
          ['Private:', formatSize(total - shared, 4)],
        ]
      : []),
    [
      'Reclaimable:',
      formatSize(
        sum((use) => !use.inUse),
        4,
      ),
    ],
    ['Total:', formatSize(total, 4)],
  ];
  return formatTable(rows);
}
