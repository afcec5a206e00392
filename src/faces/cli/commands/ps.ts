import { containerSizes, listContainers } from '#engine/containers.ts';
import { portsByContainer, type ContainerPorts } from '#engine/networks.ts';
import type { ContainerRow, ContainerSize } from '#engine/container-requests.ts';
import type { Json } from '#ground/base/canonical-json.ts';
import { ellipsis, formatSize } from '#ground/base/human.ts';
import { defineCommand } from '../command.ts';
import { engineFor } from '../engine.ts';
import { badValue, flag, list, parsed, text } from '../option.ts';
import { formatRows, type Fields } from '../output/rows.ts';
import { createdAt, shortId, since } from '../output/stamp.ts';
import { printPorts } from '../output/ports.ts';
import { harmless } from '../output/text.ts';

const titles = {
  ID: 'CONTAINER ID',
  Image: 'IMAGE',
  Command: 'COMMAND',
  RunningFor: 'CREATED',
  CreatedAt: 'CREATED AT',
  Status: 'STATUS',
  Ports: 'PORTS',
  Names: 'NAMES',
  State: 'STATE',
  Labels: 'LABELS',
  Mounts: 'MOUNTS',
  Networks: 'NETWORKS',
  LocalVolumes: 'LOCAL VOLUMES',
  Size: 'SIZE',
  Platform: 'PLATFORM',
};
const table = '{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}';

export const psCommand = defineCommand({
  name: 'ps',
  summary: 'List containers',
  usage: '[OPTIONS]',
  options: {
    all: flag('all', { short: 'a', help: 'Show all containers (default shows just running)' }),
    format: text('format', { help: '"table", "table TEMPLATE", "json" or a Go template for each container' }),
    filter: list('filter', {
      short: 'f',
      value: 'filter',
      help: 'Show what fits: "name=web", "status=exited", "label=a=b", "ancestor=IMAGE" and so on',
    }),
    last: parsed<number | undefined>(
      'last',
      { short: 'n', value: 'int', initial: undefined, help: 'Show the n last created containers' },
      readCount,
    ),
    latest: flag('latest', { short: 'l', help: 'Show the latest created container' }),
    noTruncation: flag('no-trunc', { help: 'Do not truncate output' }),
    quiet: flag('quiet', { short: 'q', help: 'Only display container IDs' }),
    size: flag('size', { short: 's', help: 'Display total file sizes' }),
  },
  touchesSnapshots: (options) => wantsSize(options),
  arguments: [0, 0],
  async run({ options }, around) {
    await using engine = await engineFor(around);
    const ports = await portsByContainer(engine);
    const sizes = wantsSize(options) ? await containerSizes(engine) : undefined;
    const listed = listContainers(engine, { all: options.all, filters: options.filter, last: options.latest ? 1 : options.last });
    const rows = listed.map((row) =>
      sorted({
        ...fieldsOf(row, { now: around.now(), full: options.noTruncation }),
        Ports: portsText(ports.get(row.id)),
        Size: printSize(sizes?.get(row.id)),
      }),
    );
    const labels = new Map(listed.map((row, index) => [rows[index], row.labels]));
    const labelOf = (row: Fields, name: string): string => labels.get(row)?.[name] ?? '';
    around.streams.stdout.write(
      options.quiet
        ? rows.map((row) => `${row['ID']}\n`).join('')
        : formatRows(rows, options.format, { titles, table: options.size ? `${table}\t{{.Size}}` : table, labelOf, inJson }),
    );
    return 0;
  },
});

function fieldsOf(row: ContainerRow, show: { readonly now: number; readonly full: boolean }): Fields {
  const command = harmless(row.command.replaceAll(/[\t\n]/gu, ' '), false);
  return {
    Command: JSON.stringify(show.full ? command : ellipsis(command, 20)),
    CreatedAt: createdAt(row.created),
    ID: show.full ? row.id : shortId(row.id),
    Image: show.full ? row.image : shortId(row.image),
    Labels: harmless(
      Object.entries(row.labels)
        .map(([name, value]) => `${name}=${value}`)
        .toSorted()
        .join(','),
      false,
    ),
    LocalVolumes: String(row.localVolumes),
    Mounts: row.mounts.map((mount) => (show.full ? mount : ellipsis(mount, 15))).join(','),
    Names: row.name,
    Networks: row.networks.join(','),
    Platform: row.platform,
    RunningFor: since(row.created, show.now),
    State: row.state,
    Status: row.status,
  };
}

/** Its platform is an object there; null where its image is gone. */
function inJson(row: Fields): Json {
  const [os = '', architecture = '', variant] = (row['Platform'] ?? '').split('/');
  return { ...row, Platform: os === '' ? null : { architecture, os, ...(variant === undefined ? {} : { variant }) } };
}

/** Also where a template shows it. */
function wantsSize({ size, format }: { readonly size: boolean; readonly format: string | undefined }): boolean {
  return size || /\{\{[^}]*\.Size\b/u.test(format ?? '');
}

function printSize(size: ContainerSize | undefined): string {
  return size === undefined ? '0B' : `${formatSize(size.own)} (virtual ${formatSize(size.all)})`;
}

/** As docker writes it with `--format json`. */
function sorted(fields: Fields): Fields {
  return Object.fromEntries(Object.entries(fields).toSorted(([one], [other]) => (one < other ? -1 : 1)));
}

/** -1 is docker's word for no limit. */
function readCount(value: string): number | undefined {
  if (value === '-1') return undefined;
  if (/^\d{1,6}$/u.test(value)) return Number(value);
  throw badValue('last', value, 'use a number');
}

function portsText(ports: ContainerPorts | undefined): string {
  return ports === undefined ? '' : printPorts(ports.open, ports.exposed);
}
