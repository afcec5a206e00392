/** Network devices, their addresses and routes (rtnetlink(7)), IPv4. */
import { joinBytes } from '#ground/base/bytes.ts';
import { broadcastOf, ipv4Bytes, ipv4FromBytes, subnetOf, type Subnet } from '#ground/base/ipv4.ts';
import { attribute, attributesIn, nested, netlinkFlags, numberAt, packed, textBytes, textOf, type Netlink } from './netlink.ts';

export type Link = {
  readonly index: number;
  readonly name: string;
  /** `bridge`, `veth`; '' for a device of the machine. */
  readonly kind: string;
  /** Index of the bridge that it is a port of; 0 for none. */
  readonly master: number;
  readonly isUp: boolean;
};

/** An address in its network, of which `prefix` bits are the network's. */
export type LinkAddress = { readonly address: number; readonly prefix: number };

const types = { newLink: 16, removeLink: 17, getLink: 18, newAddress: 20, getAddress: 22, newRoute: 24, getRoute: 26 } as const;
const linkAttributes = { address: 1, name: 3, mtu: 4, master: 10, info: 18, namespaceFile: 28 } as const;
const infoAttributes = { kind: 1, data: 2 } as const;
const vethPeer = 1;
const addressAttributes = { address: 1, local: 2, broadcast: 4 } as const;
const routeAttributes = { destination: 1, device: 4, gateway: 5 } as const;
const inet = 2;
const up = 1;
const mainTable = 254;
const bootProtocol = 3;
const unicast = 1;

/** All devices of the namespace. */
export function listLinks(netlink: Netlink): readonly Link[] {
  return netlink.list({ type: types.getLink, body: linkHeader(0) }, 'links').map((body) => {
    const found = attributesIn(body, linkHeader(0).length);
    const info = found.get(linkAttributes.info);
    return {
      index: numberAt(body, 4),
      name: textOf(found.get(linkAttributes.name)),
      kind: info === undefined ? '' : textOf(attributesIn(info, 0).get(infoAttributes.kind)),
      master: numberAt(found.get(linkAttributes.master) ?? new Uint8Array(), 0),
      isUp: (numberAt(body, 8) & up) !== 0,
    };
  });
}

/** The device of this name; undefined for none. */
export function findLink(netlink: Netlink, name: string): Link | undefined {
  return listLinks(netlink).find((link) => link.name === name);
}

/** A bridge with a hardware address of its own, which does not change with its ports. Throws a SystemCallError (`EEXIST`, `EPERM`). */
export function makeBridge(netlink: Netlink, { name, mac }: { readonly name: string; readonly mac: Uint8Array }): void {
  const attributes = [
    attribute(linkAttributes.name, textBytes(name)),
    attribute(linkAttributes.address, mac),
    nested(linkAttributes.info, attribute(infoAttributes.kind, textBytes('bridge'))),
  ];
  const flags = netlinkFlags.create | netlinkFlags.exclusive;
  netlink.request([{ type: types.newLink, flags, body: joinBytes([linkHeader(0), ...attributes]) }], name);
}

export type VethPair = {
  readonly name: string;
  /** Index of the bridge that this end becomes a port of. */
  readonly master: number;
  readonly mtu: number;
  /** The other end, in the namespace whose open file this is. */
  readonly peer: { readonly name: string; readonly namespace: number; readonly mac: Uint8Array };
};

/** Two ends of a cable; this one is up. Throws a SystemCallError (`EEXIST`, `ENODEV` for a bridge that is gone). */
export function makeVethPair(netlink: Netlink, { name, master, mtu, peer }: VethPair): void {
  const size = attribute(linkAttributes.mtu, packed([32, mtu]));
  const far = nested(
    vethPeer,
    linkHeader(0),
    attribute(linkAttributes.name, textBytes(peer.name)),
    attribute(linkAttributes.address, peer.mac),
    attribute(linkAttributes.namespaceFile, packed([32, peer.namespace])),
    size,
  );
  const info = nested(linkAttributes.info, attribute(infoAttributes.kind, textBytes('veth')), nested(infoAttributes.data, far));
  const attributes = [attribute(linkAttributes.name, textBytes(name)), size, attribute(linkAttributes.master, packed([32, master])), info];
  const flags = netlinkFlags.create | netlinkFlags.exclusive;
  netlink.request([{ type: types.newLink, flags, body: joinBytes([linkHeader(0, up), ...attributes]) }], name);
}

/** Has a device work. */
export function setLinkUp(netlink: Netlink, index: number): void {
  netlink.request([{ type: types.newLink, body: linkHeader(index, up) }], `device ${index}`);
}

/** Nothing goes through a device any more: a fraction of the time that its removal takes. */
export function setLinkDown(netlink: Netlink, index: number): void {
  netlink.request([{ type: types.newLink, body: linkHeader(index, 0, up) }], `device ${index}`);
}

/** Removes a device, and with one end of a cable the other. */
export function removeLink(netlink: Netlink, index: number): void {
  netlink.request([{ type: types.removeLink, body: linkHeader(index) }], `device ${index}`);
}

/** Gives a device an address, and with it the route to its network. */
export function addAddress(netlink: Netlink, index: number, { address, prefix }: LinkAddress): void {
  const body = joinBytes([
    packed([8, inet], [8, prefix], [8, 0], [8, 0], [32, index]),
    attribute(addressAttributes.local, ipv4Bytes(address)),
    attribute(addressAttributes.address, ipv4Bytes(address)),
    attribute(addressAttributes.broadcast, ipv4Bytes(broadcastOf(subnetOf(address, prefix)))),
  ]);
  netlink.request([{ type: types.newAddress, flags: netlinkFlags.create | netlinkFlags.exclusive, body }], `device ${index}`);
}

/** Sends all that goes nowhere else to `gateway`. */
export function addDefaultRoute(netlink: Netlink, gateway: number): void {
  const body = joinBytes([routeHeader(0), attribute(routeAttributes.gateway, ipv4Bytes(gateway))]);
  netlink.request([{ type: types.newRoute, flags: netlinkFlags.create, body }], 'default route');
}

/** Networks that something of this namespace leads to, those of its own addresses included; without the default route. `device`: the index, 0 for none. */
export function listReaches(netlink: Netlink): readonly (Subnet & { readonly device: number })[] {
  const routes = netlink.list({ type: types.getRoute, body: routeHeader(0) }, 'routes').flatMap((body) => {
    const found = attributesIn(body, routeHeader(0).length);
    const [family, prefix = 0] = body;
    const destination = found.get(routeAttributes.destination);
    if (family !== inet || body[4] !== mainTable || prefix === 0 || destination === undefined) return [];
    return [
      { ...subnetOf(ipv4FromBytes(destination), prefix), device: numberAt(found.get(routeAttributes.device) ?? new Uint8Array(), 0) },
    ];
  });
  const addresses = netlink
    .list({ type: types.getAddress, body: packed([8, inet], [8, 0], [8, 0], [8, 0], [32, 0]) }, 'addresses')
    .flatMap((body) => {
      const address = attributesIn(body, 8).get(addressAttributes.address);
      return body[0] !== inet || address === undefined
        ? []
        : [{ ...subnetOf(ipv4FromBytes(address), body[1] ?? 32), device: numberAt(body, 4) }];
    });
  return [...routes, ...addresses];
}

/** What fits into one packet on the way out of this namespace, in bytes; undefined where there is no such way. */
export function outerMtu(netlink: Netlink): number | undefined {
  const ways = netlink.list({ type: types.getRoute, body: routeHeader(0) }, 'routes').flatMap((body) => {
    const device = attributesIn(body, routeHeader(0).length).get(routeAttributes.device);
    return body[0] === inet && body[1] === 0 && body[4] === mainTable && device !== undefined ? [numberAt(device, 0)] : [];
  });
  const sizes = netlink.list({ type: types.getLink, body: linkHeader(0) }, 'links').flatMap((body) => {
    const size = attributesIn(body, linkHeader(0).length).get(linkAttributes.mtu);
    return size === undefined || !ways.includes(numberAt(body, 4)) ? [] : [numberAt(size, 0)];
  });
  return sizes.length === 0 ? undefined : Math.min(...sizes);
}

/** struct ifinfomsg; `changed`: the bits of `state` that count. */
function linkHeader(index: number, state = 0, changed = state): Uint8Array {
  return packed([8, 0], [8, 0], [16, 0], [32, index], [32, state], [32, changed]);
}

/** struct rtmsg */
function routeHeader(prefix: number): Uint8Array {
  return packed([8, inet], [8, prefix], [8, 0], [8, 0], [8, mainTable], [8, bootProtocol], [8, 0], [8, unicast], [32, 0]);
}
