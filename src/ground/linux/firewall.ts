/**
 * What leaves a network of containers and what may not: rules of nf_tables, set through the kernel's own interface (no program `nft` or `iptables` has to be there). All rules of
 * one bridge stand in one table, so that they come and go together.
 */
import { joinBytes } from '#ground/base/bytes.ts';
import { ipv4Bytes, maskOf, type Subnet } from '#ground/base/ipv4.ts';
import { attribute, attributesIn, nested, netlinkFlags, packed, textBytes, textOf, type Netlink, type NetlinkRequest } from './netlink.ts';

export type BridgeRules = {
  readonly table: string;
  readonly bridge: string;
  /** What other bridges begin with, to which nothing may go. */
  readonly siblings: string;
  /** The network whose packets leave the machine under the machine's own address; undefined: none leave it. */
  readonly leaves: Subnet | undefined;
};

/** A chain of somebody else's, whose rule for what no rule names is to drop what is forwarded. */
export type DroppingChain = { readonly family: number; readonly table: string; readonly chain: string };

/** A message of this subsystem is its number in the upper byte. */
const subsystem = 10;
const types = { newTable: 0, listTables: 1, removeTable: 2, newChain: 3, listChains: 4, newRule: 6 } as const;
const batch = { begin: 0x10, end: 0x11 } as const;
const ipv4 = 2;
const hooks = { forward: 2, localOut: 3, postRouting: 4 } as const;
const priorities = { filter: 0, sourceNat: 100, destinationNat: -100 } as const;
const verdicts = { drop: 0, accept: 1 } as const;
const register = 1;
const nameSize = 16;
const protocols = { tcp: 6, udp: 17 } as const;

/** Writes the table anew. Throws a SystemCallError (`EPERM`, `EPROTONOSUPPORT` or `EOPNOTSUPP` for a kernel without nf_tables). */
export function writeBridgeRules(netlink: Netlink, rules: BridgeRules): void {
  const { table, bridge, siblings, leaves } = rules;
  const rule = (chain: string, ...expressions: readonly Uint8Array[]): NetlinkRequest => newRule({ table, chain }, expressions);
  const forward = newChain({ table, name: 'forward', type: 'filter', hook: hooks.forward, priority: priorities.filter });
  const [within, without] = [device('in', bridge, 'is'), device('out', bridge, 'is not')];
  const outgoing =
    leaves === undefined
      ? [
          forward,
          rule('forward', ...within, ...without, verdict('drop')),
          rule('forward', ...device('out', bridge, 'is'), ...device('in', bridge, 'is not'), verdict('drop')),
        ]
      : [
          forward,
          rule('forward', ...within, ...without, ...deviceBeginning('out', siblings), verdict('drop')),
          // Ports are led in by processes of the machine: whoever beside it takes it for a router gets no other port either.
          rule('forward', ...device('out', bridge, 'is'), ...device('in', bridge, 'is not'), ...noAnswer(), verdict('drop')),
          newChain({ table, name: 'postrouting', type: 'nat', hook: hooks.postRouting, priority: priorities.sourceNat }),
          rule('postrouting', ...from(leaves), ...without, expression('masq')),
        ];
  send(netlink, [newTable(table), removeTable(table), newTable(table), ...outgoing], table);
}

/** In the namespace of a container: what it sends to port 53 of `address`, by TCP and UDP, goes to other ports of it, so that its own programs may have port 53. */
export function writeNameServerRules(
  netlink: Netlink,
  server: { readonly address: number; readonly ports: Readonly<Record<'tcp' | 'udp', number>> },
): void {
  const table = 'jettison';
  const chain = { table, name: 'output', type: 'nat', hook: hooks.localOut, priority: priorities.destinationNat } as const;
  const rules = (['tcp', 'udp'] as const).map((protocol) =>
    newRule({ table, chain: 'output' }, [
      meta(16),
      compare(Uint8Array.of(protocols[protocol]), 'is'),
      payload('network', 16, 4),
      compare(ipv4Bytes(server.address), 'is'),
      payload('transport', 2, 2),
      compare(Uint8Array.of(0, 53), 'is'),
      load(1, ipv4Bytes(server.address)),
      load(2, Uint8Array.of(server.ports[protocol] >> 8, server.ports[protocol] & 255)),
      expression('nat', attribute(1, big(1)), attribute(2, big(ipv4)), attribute(3, big(1)), attribute(5, big(2))),
    ]),
  );
  send(netlink, [newTable(table), newChain(chain), ...rules], table);
}

/** Nothing happens when there is no such table. */
export function removeRules(netlink: Netlink, table: string): void {
  send(netlink, [newTable(table), removeTable(table)], table);
}

/** Names of all tables of IPv4; none for a kernel without nf_tables. */
export function listTables(netlink: Netlink): readonly string[] {
  const request = { type: (subsystem << 8) | types.listTables, body: header(ipv4) };
  return netlink.list(request, 'tables').map((body) => textOf(attributesIn(body, 4).get(1)));
}

/** Chains through which what is forwarded must pass, and which drop what they do not know. */
export function listDroppingChains(netlink: Netlink): readonly DroppingChain[] {
  const request = { type: (subsystem << 8) | types.listChains, body: header(0) };
  return netlink.list(request, 'chains').flatMap((body) => {
    const found = attributesIn(body, 4);
    const hook = attributesIn(found.get(4) ?? new Uint8Array(), 0);
    const family = body[0] ?? 0;
    const drops = lastByte(found.get(5)) === verdicts.drop && found.has(5);
    if (!hook.has(1) || lastByte(hook.get(1)) !== hooks.forward || !drops || (family !== ipv4 && family !== 1)) return [];
    return [{ family, table: textOf(found.get(1)), chain: textOf(found.get(3)) }];
  });
}

function lastByte(bytes: Uint8Array | undefined): number {
  return bytes?.at(-1) ?? 0;
}

function send(netlink: Netlink, requests: readonly NetlinkRequest[], subject: string): void {
  netlink.request([batchMark(batch.begin), ...requests, batchMark(batch.end)], subject);
}

function batchMark(type: number): NetlinkRequest {
  return { type, body: packed([8, 0], [8, 0], [8, 0], [8, subsystem]), unanswered: true };
}

function firewallRequest(type: number, flags: number, ...attributes: readonly Uint8Array[]): NetlinkRequest {
  return { type: (subsystem << 8) | type, flags, body: joinBytes([header(ipv4), ...attributes]) };
}

/** struct nfgenmsg */
function header(family: number): Uint8Array {
  return packed([8, family], [8, 0], [16, 0]);
}

function newTable(name: string): NetlinkRequest {
  return firewallRequest(types.newTable, netlinkFlags.create, attribute(1, textBytes(name)));
}

function removeTable(name: string): NetlinkRequest {
  return firewallRequest(types.removeTable, 0, attribute(1, textBytes(name)));
}

type NewChain = {
  readonly table: string;
  readonly name: string;
  readonly type: 'filter' | 'nat';
  readonly hook: number;
  readonly priority: number;
};

function newChain({ table, name, type, hook, priority }: NewChain): NetlinkRequest {
  return firewallRequest(
    types.newChain,
    netlinkFlags.create,
    attribute(1, textBytes(table)),
    attribute(3, textBytes(name)),
    nested(4, attribute(1, big(hook)), attribute(2, big(priority))),
    attribute(5, big(verdicts.accept)),
    attribute(7, textBytes(type)),
  );
}

function newRule({ table, chain }: { readonly table: string; readonly chain: string }, expressions: readonly Uint8Array[]): NetlinkRequest {
  const list = nested(4, ...expressions);
  return firewallRequest(
    types.newRule,
    netlinkFlags.create | netlinkFlags.append,
    attribute(1, textBytes(table)),
    attribute(2, textBytes(chain)),
    list,
  );
}

function expression(name: string, ...data: readonly Uint8Array[]): Uint8Array {
  return nested(1, attribute(1, textBytes(name)), nested(2, ...data));
}

/** The device that a packet came in by or goes out by. */
function device(way: 'in' | 'out', name: string, how: 'is' | 'is not'): readonly Uint8Array[] {
  const whole = new Uint8Array(nameSize);
  whole.set(new TextEncoder().encode(name));
  return [meta(way === 'in' ? 6 : 7), compare(whole, how)];
}

function deviceBeginning(way: 'in' | 'out', start: string): readonly Uint8Array[] {
  return [meta(way === 'in' ? 6 : 7), compare(new TextEncoder().encode(start), 'is')];
}

/** Packets whose sender is in the network. */
function from({ base, prefix }: Subnet): readonly Uint8Array[] {
  return [payload('network', 12, 4), masked(ipv4Bytes(maskOf(prefix))), compare(ipv4Bytes(base), 'is')];
}

/** Packets that neither belong to a connection that the other side began, nor tell of one (NF_CT_STATE_BIT of IP_CT_ESTABLISHED and IP_CT_RELATED, in the byte order of the machine). */
function noAnswer(): readonly Uint8Array[] {
  const state = expression('ct', attribute(1, big(register)), attribute(2, big(0)));
  return [state, masked(packed([32, 2 | 4])), compare(packed([32, 0]), 'is')];
}

/** Leaves the bits of `mask`, of four bytes, in the register. */
function masked(mask: Uint8Array): Uint8Array {
  return expression(
    'bitwise',
    attribute(1, big(register)),
    attribute(2, big(register)),
    attribute(3, big(4)),
    attribute(4, attribute(1, mask)),
    attribute(5, attribute(1, big(0))),
  );
}

/** Takes a fact about the packet (NFT_META_...) into the register. */
function meta(key: number): Uint8Array {
  return expression('meta', attribute(1, big(register)), attribute(2, big(key)));
}

function payload(where: 'network' | 'transport', at: number, size: number): Uint8Array {
  const base = where === 'network' ? 1 : 2;
  return expression('payload', attribute(1, big(register)), attribute(2, big(base)), attribute(3, big(at)), attribute(4, big(size)));
}

/** Goes on with the rule if the register is, or begins with, these bytes. */
function compare(bytes: Uint8Array, how: 'is' | 'is not'): Uint8Array {
  return expression('cmp', attribute(1, big(register)), attribute(2, big(how === 'is' ? 0 : 1)), nested(3, attribute(1, bytes)));
}

function load(to: number, bytes: Uint8Array): Uint8Array {
  return expression('immediate', attribute(1, big(to)), nested(2, attribute(1, bytes)));
}

function verdict(what: keyof typeof verdicts): Uint8Array {
  return expression('immediate', attribute(1, big(0)), nested(2, nested(2, attribute(1, big(verdicts[what])))));
}

/** A number of 32 bits as the network has it. */
function big(value: number): Uint8Array {
  return ipv4Bytes(value >>> 0);
}
