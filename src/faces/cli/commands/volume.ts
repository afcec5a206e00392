/** `volume create`, `ls`, `inspect`, `rm`, `prune` */
import { badFilter, parseLabelFilter } from '#engine/space-filters.ts';
import type { PrunedVolumes, VolumeFilters, VolumeRow } from '#engine/volume-requests.ts';
import { createVolume, inspectVolume, listVolumes, pruneVolumes, removeVolume } from '#engine/volumes.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { defineCommand } from '../command.ts';
import { confirm } from '../confirm.ts';
import { engineFor } from '../engine.ts';
import { parseBoolean } from '#ground/base/boolean-word.ts';
import { flag, list, text } from '../option.ts';
import { toMap } from '../option-values.ts';
import { formatRows, type Fields } from '../output/rows.ts';
import { forEachName } from './for-each-name.ts';
import { inspectEach } from './inspect-each.ts';
import { noDriver } from './mount-modes.ts';
import { totalReclaimed } from './prune.ts';

export const volumeCreateCommand = defineCommand({
  name: 'volume create',
  summary: 'Create a volume',
  usage: '[OPTIONS] [VOLUME]',
  options: {
    driver: text('driver', { short: 'd', help: 'Driver of the volume: there is "local"' }),
    labels: list('label', { help: 'Set meta data of the volume: "NAME=VALUE"' }),
    name: text('name', { help: 'Name of the volume' }),
    options: list('opt', { short: 'o', value: 'map', help: 'Options of the driver: "type=tmpfs", "device=tmpfs", "o=size=10m"' }),
  },
  notBuilt: 'availability group limit-bytes required-bytes scope secret sharing topology-preferred topology-required type',
  arguments: [0, 1],
  async run({ options, arguments: [word] }, around) {
    if (options.driver !== undefined && options.driver !== 'local') throw noDriver(options.driver);
    if (options.name !== undefined && word !== undefined)
      throw new JettisonError('cli/usage', 'conflicting options: cannot specify a volume-name through both --name and as a positional arg');
    await using engine = await engineFor(around);
    const name = createVolume(engine, {
      name: word ?? options.name,
      labels: Object.fromEntries(toMap(options.labels)),
      options: Object.fromEntries(toMap(options.options)),
    });
    around.streams.stdout.write(`${name}\n`);
    return 0;
  },
});

const titles = {
  Availability: 'AVAILABILITY',
  Driver: 'DRIVER',
  Group: 'GROUP',
  Labels: 'LABELS',
  Links: 'LINKS',
  Mountpoint: 'MOUNTPOINT',
  Name: 'VOLUME NAME',
  Scope: 'SCOPE',
  Size: 'SIZE',
  Status: 'STATUS',
};

export const volumeLsCommand = defineCommand({
  name: 'volume ls',
  summary: 'List volumes',
  usage: '[OPTIONS]',
  options: {
    filter: list('filter', { short: 'f', value: 'filter', help: '"dangling=true", "driver=local", "label=NAME[=VALUE]", "name=PART"' }),
    format: text('format', { help: '"table", "table TEMPLATE", "json" or a Go template for each volume' }),
    quiet: flag('quiet', { short: 'q', help: 'Only display volume names' }),
  },
  notBuilt: 'cluster',
  arguments: [0, 0],
  async run({ options }, around) {
    const filters = readFilters(options.filter);
    await using engine = await engineFor(around);
    const volumes = listVolumes(engine, filters);
    around.streams.stdout.write(
      options.quiet
        ? volumes.map(({ name }) => `${name}\n`).join('')
        : formatRows(volumes.map(fieldsOf), options.format, { titles, table: '{{.Driver}}\t{{.Name}}' }),
    );
    return 0;
  },
});

/** Sizes and links are what "system df -v" shows, as with docker. */
function fieldsOf({ name, labels, mountpoint }: VolumeRow): Fields {
  return {
    Availability: 'N/A',
    Driver: 'local',
    Group: 'N/A',
    Labels: Object.entries(labels)
      .map(([label, value]) => `${label}=${value}`)
      .toSorted()
      .join(','),
    Links: 'N/A',
    Mountpoint: mountpoint,
    Name: name,
    Scope: 'local',
    Size: 'N/A',
    Status: 'N/A',
  };
}

function readFilters(given: readonly string[]): VolumeFilters {
  const valuesOf = (name: string): readonly string[] =>
    given.flatMap((filter) => (filter.startsWith(`${name}=`) ? [filter.slice(name.length + 1)] : []));
  for (const filter of given) {
    const isKnown = /^(?:dangling|driver|name)=/u.test(filter) || parseLabelFilter(filter) !== undefined;
    if (!isKnown) throw badFilter(filter, 'there is "dangling", "driver", "label" and "name"');
  }
  const dangling = valuesOf('dangling').at(-1);
  if (dangling !== undefined && parseBoolean(dangling) === undefined) throw badFilter(`dangling=${dangling}`, 'use "true" or "false"');
  return {
    dangling: dangling === undefined ? undefined : parseBoolean(dangling),
    drivers: valuesOf('driver'),
    names: valuesOf('name'),
    labels: given.flatMap((filter) => parseLabelFilter(filter) ?? []),
  };
}

export const volumeInspectCommand = defineCommand({
  name: 'volume inspect',
  summary: 'Show what is known of volumes',
  usage: '[OPTIONS] VOLUME [VOLUME...]',
  options: { format: text('format', { short: 'f', help: '"json" or a Go template for each one' }) },
  arguments: [1, Infinity],
  run: async ({ options: { format }, arguments: names }, around) => await inspectEach({ names, format }, around, inspectVolume),
});

export const volumeRmCommand = defineCommand({
  name: 'volume rm',
  summary: 'Remove volumes that no container uses',
  usage: '[OPTIONS] VOLUME [VOLUME...]',
  options: { force: flag('force', { short: 'f', help: 'A volume that is not there is no mistake' }) },
  arguments: [1, Infinity],
  async run({ options, arguments: names }, around) {
    await using engine = await engineFor(around);
    return await forEachName(names, around.streams, async (name) => {
      removeVolume(engine, name, options);
      around.streams.stdout.write(`${name}\n`);
      await Promise.resolve();
    });
  },
});

export const volumePruneCommand = defineCommand({
  name: 'volume prune',
  summary: 'Remove volumes that no container uses',
  usage: '[OPTIONS]',
  options: {
    all: flag('all', { short: 'a', help: 'Remove named volumes, too' }),
    filter: list('filter', { value: 'filter', help: 'Remove only what fits: "label=NAME[=VALUE]", "label!=...", "all=true"' }),
    force: flag('force', { short: 'f', help: 'Do not prompt for confirmation' }),
  },
  arguments: [0, 0],
  touchesSnapshots: true,
  async run({ options }, around, signal) {
    const isAll = /^all=(.*)$/u;
    const all = options.all || options.filter.some((filter) => parseBoolean(isAll.exec(filter)?.[1] ?? '') === true);
    const labels = options.filter.filter((filter) => !isAll.test(filter)).map((filter) => parseLabelFilter(filter) ?? refuse(filter));
    const which = all ? 'all local volumes' : 'anonymous local volumes';
    const question = `WARNING! This will remove ${which} not used by at least one container.\nAre you sure you want to continue?`;
    if (!options.force && !(await confirm(question, around, signal))) return 0;
    await using engine = await engineFor(around);
    const pruned = pruneVolumes(engine, { all, labels });
    around.streams.stdout.write(deletedVolumes(pruned) + totalReclaimed(pruned.bytes));
    return 0;
  },
});

function refuse(filter: string): never {
  throw badFilter(filter, 'there is "label", "label!" and "all"');
}

/** Empty when nothing was removed. */
export function deletedVolumes({ names }: PrunedVolumes): string {
  return names.length === 0 ? '' : `Deleted Volumes:\n${names.map((name) => `${name}\n`).join('')}\n`;
}
