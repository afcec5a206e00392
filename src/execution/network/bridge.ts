/**
 * Bridges as the kernel has them: made when the first container of a network comes, gone soon after the last: removing one takes the kernel tens of milliseconds, which the process
 * that tends the store has. Who makes, uses or removes one holds the lock of the network namespace that it is in, so that a bridge without ports is always one that may go.
 */
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { JettisonError, systemCode } from '#ground/base/errors.ts';
import { ipv4Text, overlap, subnetText, type Subnet } from '#ground/base/ipv4.ts';
import { createLog } from '#ground/base/log.ts';
import { listDroppingChains, listTables, removeRules, writeBridgeRules } from '#ground/linux/firewall.ts';
import * as links from '#ground/linux/links.ts';
import { SystemCallError } from '#ground/linux/libc.ts';
import { openNetlink, type Netlink } from '#ground/linux/netlink.ts';
import type { NetworkNamespace } from '#ground/linux/network-namespace.ts';
import { chooseSubnet, firstAddress } from './addresses.ts';
import type { Network, NetworkStore } from './store.ts';

const log = createLog('network');
/** All our bridges begin so. A device's name has 15 characters at most. */
const bridgeStart = 'jet-';
const vethStart = 'jv';
const tableStart = 'jettison-';
const forwarding = '/proc/sys/net/ipv4/ip_forward';
const usualMtu = 1500;

export function bridgeName({ id }: Pick<Network, 'id'>): string {
  return `${bridgeStart}${id.slice(0, 11)}`;
}

export type Bridge = {
  readonly index: number;
  readonly network: Network & { readonly subnet: Subnet; readonly gateway: number };
  readonly mtu: number;
  /** What a person should know: why nothing goes out of it. */
  readonly notes: readonly string[];
};

/**
 * Makes the bridge of a network work, with what it takes to get out of it. Call it with the lock. A subnet that nobody asked for is chosen, or chosen anew, when something
 * else of the machine has it. Throws `network/subnet-in-use`, `network/no-subnet`, and a SystemCallError (`EPERM`) where bridges are not to be had.
 */
export function raiseBridge(netlink: Netlink, network: Network, store: NetworkStore): Bridge {
  const name = bridgeName(network);
  const devices = links.listLinks(netlink);
  const found = devices.find((link) => link.name === name);
  const isUsed = devices.some(({ master }) => master !== undefined && master === found?.index);
  const placed = place(netlink, network, store, found === undefined ? undefined : { device: found.index, isUsed });
  // It was left by the last container, and has another subnet than the next one gets; or by who was killed while making it, up being the last that one becomes.
  const isPast = found !== undefined && !isUsed && (placed.gateway !== network.gateway || !found.isUp);
  if (isPast) links.removeLink(netlink, found.index);
  const existing = isPast ? undefined : found;
  const mtu = links.outerMtu(netlink) ?? usualMtu;
  if (existing !== undefined) return { index: existing.index, network: placed, mtu, notes: openWayOut(name, placed, 'unless-there') };
  links.makeBridge(netlink, { name, mac: hardwareAddress(placed.gateway, name) });
  const made = links.findLink(netlink, name);
  if (made === undefined) throw new JettisonError('network/lost-bridge', `The bridge ${name} is gone`, { fault: 'environment' });
  try {
    links.addAddress(netlink, made.index, { address: placed.gateway, prefix: placed.subnet.prefix });
    const notes = openWayOut(name, placed, 'anew');
    links.setLinkUp(netlink, made.index);
    return { index: made.index, network: placed, mtu, notes };
  } catch (error) {
    links.removeLink(netlink, made.index);
    throw error;
  }
}

function place(
  netlink: Netlink,
  network: Network,
  store: NetworkStore,
  own: { readonly device: number; readonly isUsed: boolean } | undefined,
): Bridge['network'] {
  const { subnet, gateway } = network;
  const others = links.listReaches(netlink).filter(({ device }) => device !== own?.device);
  const clash = subnet === undefined ? undefined : others.find((other) => overlap(subnet, other));
  if (subnet !== undefined && gateway !== undefined && (clash === undefined || own?.isUsed === true))
    return { ...network, subnet, gateway };
  if (clash !== undefined && subnet !== undefined && !network.isAutomatic) {
    throw new JettisonError(
      'network/subnet-in-use',
      `Subnet ${subnetText(subnet)} of network "${network.name}" overlaps with ${subnetText(clash)}, which this machine has elsewhere`,
      {
        fault: 'environment',
        hint: 'Make the network anew with another --subnet',
      },
    );
  }
  const known = store.list().flatMap((one) => (one.id === network.id || one.subnet === undefined ? [] : [one.subnet]));
  const chosen = chooseSubnet([...others, ...known]);
  store.move(network.id, chosen, firstAddress(chosen));
  return { ...network, subnet: chosen, gateway: firstAddress(chosen) };
}

/** A hardware address that is made up from an IPv4 address: a neighbour that remembers it from the container before is still right. */
export function hardwareAddress(address: number, salt = ''): Uint8Array {
  const last = salt === '' ? 0 : (createHash('sha256').update(salt).digest()[0] ?? 0) | 1;
  return Uint8Array.of(0x02, 0x42 ^ last, (address >>> 24) & 255, (address >>> 16) & 255, (address >>> 8) & 255, address & 255);
}

/** `02:42:ac:11:00:02` */
export function hardwareText(address: Uint8Array): string {
  return Array.from(address, (byte) => byte.toString(16).padStart(2, '0')).join(':');
}

/** `anew`: rules that are there may be of a bridge with another subnet. */
function openWayOut(name: string, network: Bridge['network'], rules: 'anew' | 'unless-there'): readonly string[] {
  const leaves = network.isInternal ? undefined : network.subnet;
  try {
    using firewall = openNetlink('firewall');
    const table = tableStart + name;
    // Not written again without need: the kernel takes longer for that than for all else.
    if (rules === 'anew' || !listTables(firewall).includes(table))
      writeBridgeRules(firewall, { table, bridge: name, siblings: bridgeStart, leaves });
    if (leaves === undefined) return [];
    return [...forwardPackets(), ...listDroppingChains(firewall).map(droppedNote(name))];
  } catch (error) {
    if (!(error instanceof SystemCallError)) throw error;
    // Without the rules an internal network would not be one.
    if (network.isInternal)
      throw new JettisonError(
        'network/no-firewall',
        `Cannot shut network "${network.name}" in: the kernel refuses rules of nf_tables (${error.code})`,
        { fault: 'environment', hint: 'Load the module nf_tables, or leave --internal out', cause: error },
      );
    return [`Containers on network "${network.name}" have no way out: the kernel refuses rules of nf_tables (${error.code})`];
  }
}

function droppedNote(bridge: string): (chain: { readonly table: string; readonly chain: string }) => string {
  return ({ table, chain }) =>
    `The firewall of this machine drops what containers send out (chain ${chain} of table ${table}). Allow it: iptables -I FORWARD -i ${bridge} -j ACCEPT; iptables -I FORWARD -o ${bridge} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT`;
}

/** As docker does: the machine passes on packets that are not for it. */
function forwardPackets(): readonly string[] {
  if (readFileSync(forwarding, 'latin1').trim() !== '0') return [];
  try {
    writeFileSync(forwarding, '1');
    return [];
  } catch (error) {
    if (systemCode(error) === undefined) throw error;
    return [
      `Containers have no way out: this machine does not pass packets on, and ${forwarding} cannot be written (${systemCode(error)})`,
    ];
  }
}

/** Leads a cable from the bridge into a namespace, where it becomes the device `name`. Call it with the lock. */
export function plugIn(
  netlink: Netlink,
  bridge: Bridge,
  to: {
    readonly container: string;
    readonly name: string;
    readonly namespace: NetworkNamespace;
    readonly address: number;
    readonly isWayOut: boolean;
  },
): void {
  const { subnet, gateway, id } = bridge.network;
  const mac = hardwareAddress(to.address);
  const cable = cableName(to.container, id);
  const left = links.findLink(netlink, cable);
  if (left !== undefined) links.removeLink(netlink, left.index);
  links.makeVethPair(netlink, {
    name: cable,
    master: bridge.index,
    mtu: bridge.mtu,
    peer: { name: to.name, namespace: to.namespace.file, mac },
  });
  to.namespace.within(() => {
    using inside = openNetlink('route');
    const device = links.findLink(inside, to.name);
    if (device === undefined) throw new JettisonError('network/lost-bridge', `The device ${to.name} is gone`, { fault: 'environment' });
    writeSetting(`/proc/sys/net/ipv6/conf/${to.name}/disable_ipv6`, '1');
    links.addAddress(inside, device.index, { address: to.address, prefix: subnet.prefix });
    links.setLinkUp(inside, device.index);
    if (to.isWayOut) links.addDefaultRoute(inside, gateway);
  });
  log('%s has %s by %s', to.container.slice(0, 12), ipv4Text(to.address), cable);
}

/** What every container's own network begins with: `lo`, and what docker lets all users do. */
export function prepareNamespace(namespace: NetworkNamespace): void {
  namespace.within(() => {
    using inside = openNetlink('route');
    const device = links.findLink(inside, 'lo');
    if (device !== undefined) links.setLinkUp(inside, device.index);
    writeSetting('/proc/sys/net/ipv4/ip_unprivileged_port_start', '0');
    writeSetting('/proc/sys/net/ipv4/ping_group_range', '0 2147483647');
  });
}

function writeSetting(path: string, value: string): void {
  try {
    writeFileSync(path, value);
  } catch (error) {
    // A kernel without it, or a /proc that may only be read: nothing depends on it.
    if (systemCode(error) === undefined) throw error;
    log('%s: %s', path, systemCode(error));
  }
}

/** Shuts the cable of a container whose namespace is about to go, and the cable with it. Call it with the lock. */
export function silence(netlink: Netlink, container: string, network: string): void {
  const cable = links.findLink(netlink, cableName(container, network));
  if (cable !== undefined) links.setLinkDown(netlink, cable.index);
}

/** Takes the cable between a container and a network out. Call it with the lock. */
export function unplug(netlink: Netlink, container: string, network: string): void {
  const cable = links.findLink(netlink, cableName(container, network));
  if (cable !== undefined) links.removeLink(netlink, cable.index);
}

/** One of the machine, for a container and a network. */
function cableName(container: string, network: string): string {
  return `${vethStart}${createHash('sha256').update(`${container} ${network}`).digest('hex').slice(0, 12)}`;
}

/** Has this machine a bridge of ours? A look, without the lock. */
export function hasBridges(): boolean {
  try {
    // A line begins with the name, behind blanks where that is short.
    const lines = readFileSync('/proc/self/net/dev', 'latin1').split('\n');
    return lines.some((line) => line.trimStart().startsWith(bridgeStart));
  } catch (error) {
    if (systemCode(error) === undefined) throw error;
    return false;
  }
}

/** Removes our bridges without ports but for those of `wanted` networks, and the rules of those that are gone. Call it with the lock. Names of what went. */
export function sweepBridges(netlink: Netlink, wanted: readonly Pick<Network, 'id'>[] = []): readonly string[] {
  const devices = links.listLinks(netlink);
  const used = new Set(devices.map(({ master }) => master));
  const wantedNames = new Set(wanted.map(bridgeName));
  const ours = devices.filter(({ kind, name }) => kind === 'bridge' && name.startsWith(bridgeStart));
  const unused = ours.filter(({ index, name }) => !used.has(index) && !wantedNames.has(name));
  for (const { index } of unused) links.removeLink(netlink, index);
  sweepRules(new Set(ours.filter((bridge) => !unused.includes(bridge)).map(({ name }) => tableStart + name)));
  return unused.map(({ name }) => name);
}

function sweepRules(needed: ReadonlySet<string>): void {
  try {
    using firewall = openNetlink('firewall');
    for (const table of listTables(firewall))
      if (table.startsWith(tableStart + bridgeStart) && !needed.has(table)) removeRules(firewall, table);
  } catch (error) {
    if (!(error instanceof SystemCallError)) throw error;
    log('rules: %s', error.code);
  }
}
