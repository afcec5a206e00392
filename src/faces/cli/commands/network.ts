/** `jettison network create|ls|inspect|rm|prune|connect|disconnect` */
import {
  connectNetwork,
  createNetwork,
  disconnectNetwork,
  inspectNetwork,
  listNetworks,
  pruneNetworks,
  removeNetwork,
  type NetworkRow,
} from '#engine/networks.ts';
import { checkIPv4 } from '#engine/container-requests.ts';
import { badFilter, parseMoment } from '#engine/space-filters.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { defineCommand } from '../command.ts';
import { confirm } from '../confirm.ts';
import { engineFor } from '../engine.ts';
import { flag, list, text } from '../option.ts';
import { toMap } from '../option-values.ts';
import { formatRows, type Fields } from '../output/rows.ts';
import { createdAt, shortId } from '../output/stamp.ts';
import { forEachName } from './for-each-name.ts';
import { inspectEach } from './inspect-each.ts';

export const createNetworkCommand = defineCommand({
  name: 'network create',
  summary: 'Create a network',
  usage: '[OPTIONS] NETWORK',
  options: {
    driver: text('driver', { short: 'd', help: 'Driver to manage the network: there is "bridge"' }),
    gateway: text('gateway', { help: 'IPv4 gateway for the subnet' }),
    internal: flag('internal', { help: 'Restrict external access to the network' }),
    ipRange: text('ip-range', { help: 'Allocate container ip from a sub-range' }),
    labels: list('label', { help: 'Set metadata on a network' }),
    subnet: text('subnet', { help: 'Subnet in CIDR format that represents a network segment' }),
  },
  notBuilt: 'attachable aux-address config-from config-only ingress ipam-driver ipam-opt ipv4 ipv6 o=opt scope',
  arguments: [1, 1],
  async run({ options, arguments: [name = ''] }, around) {
    if (options.driver !== undefined && options.driver !== 'bridge') {
      throw new JettisonError('cli/not-built', `The network driver "${options.driver}" is not built`, {
        hint: 'There is "bridge"; --network host and --network none need no network to be made',
      });
    }
    await using engine = await engineFor(around);
    const { subnet, gateway, ipRange, internal, labels } = options;
    const id = await createNetwork(engine, {
      name,
      subnet,
      gateway,
      ipRange,
      isInternal: internal,
      labels: Object.fromEntries(toMap(labels)),
    });
    around.streams.stdout.write(`${id}\n`);
    return 0;
  },
});

const titles = {
  ID: 'NETWORK ID',
  Name: 'NAME',
  Driver: 'DRIVER',
  Scope: 'SCOPE',
  IPv4: 'IPV4',
  IPv6: 'IPV6',
  Internal: 'INTERNAL',
  Labels: 'LABELS',
  CreatedAt: 'CREATED AT',
};
const table = '{{.ID}}\t{{.Name}}\t{{.Driver}}\t{{.Scope}}';

export const listNetworksCommand = defineCommand({
  name: 'network ls',
  summary: 'List networks',
  usage: '[OPTIONS]',
  options: {
    filter: list('filter', {
      short: 'f',
      value: 'filter',
      help: 'Only what fits: "name=web", "driver=bridge", "id=", "label=", "type=custom", "dangling=true"',
    }),
    format: text('format', { help: '"table", "table TEMPLATE", "json" or a Go template for each network' }),
    noTruncation: flag('no-trunc', { help: 'Do not truncate the output' }),
    quiet: flag('quiet', { short: 'q', help: 'Only display network IDs' }),
  },
  arguments: [0, 0],
  async run({ options }, around) {
    const fits = networkFilter(options.filter);
    await using engine = await engineFor(around);
    const rows = (await listNetworks(engine)).filter(fits).map((row) => fieldsOf(row, options.noTruncation));
    around.streams.stdout.write(
      options.quiet ? rows.map((row) => `${row['ID']}\n`).join('') : formatRows(rows, options.format, { titles, table }),
    );
    return 0;
  },
});

function fieldsOf(row: NetworkRow, isFull: boolean): Fields {
  return {
    CreatedAt: createdAt(row.created),
    Driver: row.driver,
    ID: isFull ? row.id : shortId(row.id),
    IPv4: 'true',
    IPv6: 'false',
    Internal: String(row.isInternal),
    Labels: Object.entries(row.labels)
      .map(([name, value]) => `${name}=${value}`)
      .join(','),
    Name: row.name,
    Scope: 'local',
  };
}

/** Filters of one name are alternatives, those of different names must all fit; labels must all fit. Throws `engine/bad-filter`. */
function networkFilter(filters: readonly string[]): (row: NetworkRow) => boolean {
  const groups = Map.groupBy(filters, (filter) => (filter.startsWith('label') ? filter : filter.slice(0, filter.indexOf('='))));
  const tests = [...groups.values()].map((group) => group.map(readFilter));
  return (row) => tests.every((group) => group.some((test) => test(row)));
}

function readFilter(filter: string): (row: NetworkRow) => boolean {
  const at = filter.indexOf('=');
  const [name, value] = [filter.slice(0, Math.max(0, at)), filter.slice(at + 1)];
  switch (name) {
    case 'name':
      return (row) => row.name.includes(value);
    case 'id':
      return (row) => row.id.startsWith(value);
    case 'driver':
      return (row) => row.driver === value;
    case 'scope':
      return () => value === 'local';
    case 'label':
      return labelFilter(value);
    case 'type':
      if (value !== 'custom' && value !== 'builtin') throw badFilter(filter, 'use "custom" or "builtin"');
      return (row) => row.isPredefined === (value === 'builtin');
    case 'dangling':
      if (!['true', '1', 'false', '0'].includes(value)) throw badFilter(filter, 'use "true" or "false"');
      return (row) => (row.containers === 0 && !row.isPredefined) === ['true', '1'].includes(value);
    default:
      throw badFilter(filter, 'there is "name", "id", "driver", "scope", "label", "type" and "dangling"');
  }
}

function labelFilter(value: string): (row: NetworkRow) => boolean {
  const at = value.indexOf('=');
  return (row) => (at < 0 ? Object.hasOwn(row.labels, value) : row.labels[value.slice(0, at)] === value.slice(at + 1));
}

export const inspectNetworkCommand = defineCommand({
  name: 'network inspect',
  summary: 'Show what is known of networks',
  usage: '[OPTIONS] NETWORK [NETWORK...]',
  options: { format: text('format', { short: 'f', help: '"json" or a Go template for each one' }) },
  notBuilt: 'v=verbose',
  arguments: [1, Infinity],
  run: async ({ options: { format }, arguments: names }, around) => await inspectEach({ names, format }, around, inspectNetwork),
});

export const removeNetworksCommand = defineCommand({
  name: 'network rm',
  summary: 'Remove one or more networks',
  usage: 'NETWORK [NETWORK...]',
  options: { force: flag('force', { short: 'f', help: 'Do not error if the network does not exist' }) },
  arguments: [1, Infinity],
  async run({ options, arguments: names }, around) {
    await using engine = await engineFor(around);
    return await forEachName(names, around.streams, async (name) => {
      try {
        await removeNetwork(engine, name);
        around.streams.stdout.write(`${name}\n`);
      } catch (error) {
        if (!options.force || !(error instanceof JettisonError) || error.code !== 'network/not-found') throw error;
      }
    });
  },
});

export const pruneNetworksCommand = defineCommand({
  name: 'network prune',
  summary: 'Remove all networks that no container stands on',
  usage: '[OPTIONS]',
  options: {
    filter: list('filter', { value: 'filter', help: 'Remove only what fits: "until=24h", "label=NAME[=VALUE]", "label!=NAME[=VALUE]"' }),
    force: flag('force', { short: 'f', help: 'Do not prompt for confirmation' }),
  },
  arguments: [0, 0],
  async run({ options }, around, signal) {
    const fits = networksToPrune(options.filter, around.now());
    const question =
      'WARNING! This will remove all custom networks not used by at least one container.\nAre you sure you want to continue?';
    if (!options.force && !(await confirm(question, around, signal))) return 0;
    await using engine = await engineFor(around);
    const names = await pruneNetworks(engine, fits);
    around.streams.stdout.write(deletedNetworks(names));
    return 0;
  },
});

/** Throws `engine/bad-filter`. */
export function networksToPrune(filters: readonly string[], now: number): (row: NetworkRow) => boolean {
  const tests = filters.map((filter) => pruneFilter(filter, now));
  return (row) => tests.every((test) => test(row));
}

/** Empty when nothing was removed. */
export function deletedNetworks(names: readonly string[]): string {
  return names.length === 0 ? '' : `Deleted Networks:\n${names.map((name) => `${name}\n`).join('')}\n`;
}

function pruneFilter(filter: string, now: number): (row: NetworkRow) => boolean {
  if (filter.startsWith('until=')) {
    const until = parseMoment(filter, filter.slice('until='.length), now);
    return (row) => row.created < until;
  }
  if (filter.startsWith('label=')) return labelFilter(filter.slice('label='.length));
  if (!filter.startsWith('label!=')) throw badFilter(filter, 'there is "until", "label" and "label!"');
  const test = labelFilter(filter.slice('label!='.length));
  return (row) => !test(row);
}

export const connectNetworkCommand = defineCommand({
  name: 'network connect',
  summary: 'Connect a container to a network',
  usage: '[OPTIONS] NETWORK CONTAINER',
  options: {
    aliases: list('alias', { help: 'Add network-scoped alias for the container' }),
    ip: text('ip', { help: 'IPv4 address (e.g., "172.30.100.104")' }),
  },
  notBuilt: 'driver-opt gw-priority ip6 link link-local-ip',
  arguments: [2, 2],
  async run({ options, arguments: [network = '', container = ''] }, around) {
    await using engine = await engineFor(around);
    const connection = {
      network,
      container,
      aliases: [...options.aliases],
      address: options.ip === undefined ? null : checkIPv4(options.ip),
    };
    await connectNetwork(engine, connection, (note) => around.streams.stderr.write(`${note}\n`));
    return 0;
  },
});

export const disconnectNetworkCommand = defineCommand({
  name: 'network disconnect',
  summary: 'Disconnect a container from a network',
  usage: '[OPTIONS] NETWORK CONTAINER',
  options: {
    force: flag('force', { short: 'f', help: 'Force the container to disconnect from a network: nothing here has to be forced' }),
  },
  arguments: [2, 2],
  async run({ arguments: [network = '', container = ''] }, around) {
    await using engine = await engineFor(around);
    await disconnectNetwork(engine, { network, container });
    return 0;
  },
});
