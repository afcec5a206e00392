/** Which subnet a network gets, and which address a container on it. */
import { JettisonError } from '#ground/base/errors.ts';
import { broadcastOf, ipv4Text, isWithin, overlap, subnetText, type Subnet } from '#ground/base/ipv4.ts';

/** Docker's own pools, in its order: 172.17 to 172.31, then parts of 192.168. */
const pools: readonly Subnet[] = [
  ...Array.from({ length: 15 }, (_, index) => ({ base: ((172 << 24) | ((17 + index) << 16)) >>> 0, prefix: 16 })),
  ...Array.from({ length: 16 }, (_, index) => ({ base: ((192 << 24) | (168 << 16) | (index << 12)) >>> 0, prefix: 20 })),
];

/** The first of docker's pools that has no address in common with what is taken. Throws `network/no-subnet`. */
export function chooseSubnet(taken: readonly Subnet[]): Subnet {
  const free = pools.find((pool) => !taken.some((other) => overlap(pool, other)));
  if (free !== undefined) return free;
  throw new JettisonError('network/no-subnet', 'All predefined address pools have been fully subnetted', {
    fault: 'environment',
    hint: 'Remove networks ("jettison network prune"), or give one a subnet of its own with --subnet',
  });
}

/** The first address of a network behind its base. */
export function firstAddress(subnet: Subnet): number {
  return subnet.base + 1;
}

export type AddressPlace = { readonly name: string; readonly subnet: Subnet; readonly range: Subnet | undefined; readonly gateway: number };

/** The lowest free one. Throws `network/no-address`. */
export function chooseAddress({ name, subnet, range, gateway }: AddressPlace, taken: ReadonlySet<number>): number {
  const [first, last] = [(range ?? subnet).base, broadcastOf(range ?? subnet)];
  for (let address = first; address <= last; address++) {
    const isReserved = address === subnet.base || address === broadcastOf(subnet) || address === gateway;
    if (!isReserved && !taken.has(address)) return address;
  }
  throw new JettisonError('network/no-address', `no available IPv4 addresses on network "${name}" (${subnetText(range ?? subnet)})`, {
    fault: 'environment',
    hint: 'Stop containers of that network, or make one with a larger subnet',
  });
}

/** An address that was asked for. Throws `network/bad-address` for one that is not of the network, or taken. */
export function checkAddress(address: number, { name, subnet, gateway }: AddressPlace, taken: ReadonlySet<number>): number {
  const isReserved = address === subnet.base || address === broadcastOf(subnet) || address === gateway;
  if (!isWithin(address, subnet))
    throw badAddress(`no configured subnet contains IP address ${ipv4Text(address)}`, `Network "${name}" has ${subnetText(subnet)}`);
  if (isReserved || taken.has(address))
    throw badAddress(
      'Address already in use',
      `${ipv4Text(address)} belongs to another container of network "${name}", or to the network itself`,
    );
  return address;
}

function badAddress(message: string, hint: string): JettisonError {
  return new JettisonError('network/bad-address', message, { hint });
}
