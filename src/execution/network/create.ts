/** Making a network of what was asked for. */
import { JettisonError } from '#ground/base/errors.ts';
import { isWithin, overlap, parseIPv4, parseSubnet, subnetText, type Subnet } from '#ground/base/ipv4.ts';
import { SystemCallError } from '#ground/linux/libc.ts';
import { listLinks, listReaches } from '#ground/linux/links.ts';
import { openNetlink } from '#ground/linux/netlink.ts';
import { chooseSubnet, firstAddress } from './addresses.ts';
import { bridgeName } from './bridge.ts';
import type { Network, NetworkStore } from './store.ts';

export type CreateNetwork = {
  readonly name: string;
  readonly subnet: string | undefined;
  readonly gateway: string | undefined;
  readonly ipRange: string | undefined;
  readonly isInternal: boolean;
  readonly labels: Readonly<Record<string, string>>;
};

/** The smallest network that has room for a gateway and a container. */
const longestPrefix = 30;

/** Enters it; the kernel hears of it with its first container. Throws `network/bad-subnet`, `network/name-taken`, `network/bad-name`, `network/no-subnet`. */
export function createNetwork(store: NetworkStore, asked: CreateNetwork, now: number): Network {
  return store.transaction(() => {
    const known = store.list().flatMap(({ subnet }) => (subnet === undefined ? [] : [subnet]));
    const subnet =
      asked.subnet === undefined ? chooseSubnet([...known, ...ofBridge(store), ...reaches(store)]) : readSubnet(asked.subnet, known);
    if (asked.subnet === undefined && (asked.gateway ?? asked.ipRange) !== undefined) {
      throw badSubnet('--gateway and --ip-range need a --subnet', 'Say which subnet they are of');
    }
    const gateway = asked.gateway === undefined ? firstAddress(subnet) : readWithin('gateway', asked.gateway, subnet);
    return store.create({
      name: asked.name,
      driver: 'bridge',
      created: now,
      subnet,
      isAutomatic: asked.subnet === undefined,
      gateway,
      range: asked.ipRange === undefined ? undefined : readRange(asked.ipRange, subnet),
      isInternal: asked.isInternal,
      labels: asked.labels,
    });
  });
}

function readSubnet(text: string, known: readonly Subnet[]): Subnet {
  const subnet = parseSubnet(text);
  if (subnet === undefined)
    throw badSubnet(
      `invalid subnet ${text}: invalid CIDR address`,
      text.includes(':') ? 'IPv6 is not built yet' : 'For example 10.1.0.0/24',
    );
  if (subnet.prefix > longestPrefix || subnet.prefix < 1)
    throw badSubnet(`invalid subnet ${text}: it has no room for containers`, 'Use a prefix of 1 to 30');
  if (known.some((other) => overlap(subnet, other))) {
    throw badSubnet(
      'invalid pool request: Pool overlaps with other one on this address space',
      '"jettison network inspect" shows the subnets of the networks',
    );
  }
  return subnet;
}

function readWithin(what: string, text: string, subnet: Subnet): number {
  const address = parseIPv4(text);
  if (address === undefined) throw badSubnet(`invalid ${what} address: ${text}`, 'For example 10.1.0.1');
  if (isWithin(address, subnet)) return address;
  throw badSubnet(`invalid ${what} ${text}: not in subnet ${subnetText(subnet)}`, 'Take one of the subnet');
}

function readRange(text: string, subnet: Subnet): Subnet {
  const range = parseSubnet(text);
  if (range === undefined) throw badSubnet(`invalid ip-range ${text}: invalid CIDR address`, 'For example 10.1.0.128/25');
  if (range.prefix >= subnet.prefix && isWithin(range.base, subnet)) return range;
  throw badSubnet(`invalid ip-range ${text}: not in subnet ${subnetText(subnet)}`, 'Take a part of the subnet');
}

function badSubnet(message: string, hint: string): JettisonError {
  return new JettisonError('network/bad-subnet', message, { hint });
}

/** The first of the pools is for the network that all have, also before its first container. */
function ofBridge(store: NetworkStore): readonly Subnet[] {
  return store.find('bridge')?.subnet === undefined ? [chooseSubnet([])] : [];
}

/** What the machine has elsewhere than on our own bridges. */
function reaches(store: NetworkStore): readonly Subnet[] {
  try {
    using netlink = openNetlink('route');
    const own = new Set(store.list().map(bridgeName));
    const bridges = new Set(listLinks(netlink).flatMap(({ name, index }) => (own.has(name) ? [index] : [])));
    return listReaches(netlink).filter(({ device }) => !bridges.has(device));
  } catch (error) {
    if (!(error instanceof SystemCallError)) throw error;
    return [];
  }
}
