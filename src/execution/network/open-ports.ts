/** Opens the ports that `-p` and `-P` ask for: listens on this machine and leads into the container. Nothing is open when one of them cannot be had. */
import type { Socket } from 'node:dgram';
import { readFileSync } from 'node:fs';
import type { Server } from 'node:net';
import { JettisonError, systemCode } from '#ground/base/errors.ts';
import { forwardTcp, listenTcp, type Listening, type Target } from './forward-tcp.ts';
import { forwardUdp, listenUdp } from './forward-udp.ts';
import { nothingToConnect, type NetworkedContainer } from './container-network.ts';
import type { NetworkStore } from './store.ts';
import type { NetworkWish, OpenPort, PublishedPort } from './wish.ts';

export type OpenPorts = AsyncDisposable & { readonly ports: readonly OpenPort[] };

/** Takes a socket that listens, to lead on what comes to it; it is closed here when that is settled. */
export type LeadOn = (socket: Server | Socket, to: Target) => Promise<void>;

/** How often a free port is looked for that all addresses have. */
const tries = 20;

/** What is to be opened: `-p`, and with `-P` each exposed port (`80/tcp`) that no `-p` names. */
export function portsToOpen({ published, publishAll }: NetworkWish, exposed: readonly string[]): readonly PublishedPort[] {
  if (!publishAll) return published;
  const more = exposed.flatMap((text) => {
    const [port = '', protocol] = text.split('/');
    const isNamed = published.some((one) => one.port === Number(port) && one.protocol === protocol);
    return isNamed || (protocol !== 'tcp' && protocol !== 'udp')
      ? []
      : [{ address: null, host: null, port: Number(port), protocol } as const];
  });
  return [...published, ...more];
}

/**
 * Throws `network/port-taken` in docker's words. `address`: where the container is. `isOurs`: another container has this port of the machine.
 */
export async function openPorts(
  wanted: readonly PublishedPort[],
  where: {
    readonly address: string;
    readonly isOurs: (port: number, protocol: 'tcp' | 'udp') => boolean;
    /** Left out: this process leads on. */
    readonly leadOn?: LeadOn;
  },
): Promise<OpenPorts> {
  await using opened = new AsyncDisposableStack();
  const ports: OpenPort[] = [];
  for (const one of wanted) {
    const found = await openPort(one, where);
    for (const { listening } of found) opened.use(listening);
    ports.push(...found.map(({ listening, address }) => ({ address, host: listening.port, port: one.port, protocol: one.protocol })));
  }
  const stack = opened.move();
  return { ports, [Symbol.asyncDispose]: async () => await stack.disposeAsync() };
}

/** All that a container is to have open, where it has `address`. What goes wrong is told with the container's name, as docker does. */
export async function openContainerPorts(
  { id, name, exposed }: NetworkedContainer,
  {
    wish,
    address,
    store,
    leadOn,
  }: { readonly wish: NetworkWish; readonly address: string; readonly store: NetworkStore; readonly leadOn?: LeadOn },
): Promise<OpenPorts> {
  const isOurs = (port: number, protocol: OpenPort['protocol']): boolean =>
    [...store.ports()].some(([other, ports]) => other !== id && ports.some((one) => one.host === port && one.protocol === protocol));
  try {
    return await openPorts(portsToOpen(wish, exposed), { address, isOurs, ...(leadOn === undefined ? {} : { leadOn }) });
  } catch (error) {
    if (!(error instanceof JettisonError)) throw error;
    const prefix = `failed to set up container networking: driver failed programming external connectivity on endpoint ${name} (${id})`;
    const details = { fault: error.fault, cause: error, ...(error.hint === undefined ? {} : { hint: error.hint }) };
    if (error.code === 'network/port-taken') throw new JettisonError('network/port-taken', `${prefix}: ${error.message}`, details);
    throw new JettisonError('network/no-such-port', `${prefix}: ${error.message}`, details);
  }
}

type Found = { readonly address: string; readonly listening: Listening };
type Where = Parameters<typeof openPorts>[1];

async function openPort(one: PublishedPort, where: Where): Promise<readonly Found[]> {
  const addresses = one.address === null ? ['0.0.0.0', ...(hasIPv6() ? ['::'] : [])] : [one.address];
  const candidates =
    one.host === null
      ? Array.from({ length: tries }, () => 0)
      : Array.from({ length: one.host[1] - one.host[0] + 1 }, (_, index) => (one.host?.[0] ?? 0) + index);
  for (const [index, port] of candidates.entries()) {
    try {
      return await openAll(addresses, port, one, where);
    } catch (error) {
      if (!(error instanceof JettisonError) || error.code !== 'network/port-taken' || index === candidates.length - 1) throw error;
    }
  }
  throw new JettisonError('network/port-taken', 'No port is free', { fault: 'environment' });
}

/** The same port at all addresses. */
async function openAll(
  addresses: readonly string[],
  port: number,
  { port: inside, protocol }: PublishedPort,
  where: Where,
): Promise<readonly Found[]> {
  await using opened = new AsyncDisposableStack();
  const found: Found[] = [];
  for (const address of addresses) {
    const at = { address, port: found[0]?.listening.port ?? port };
    const to = { address: where.address, port: inside };
    try {
      found.push({ address, listening: opened.use(await forward(protocol, at, to, where.leadOn)) });
    } catch (error) {
      throw explain(error, { at, to, protocol, isOurs: where.isOurs(at.port, protocol) });
    }
  }
  opened.move();
  return found;
}

async function forward(protocol: 'tcp' | 'udp', at: Target, to: Target, leadOn: LeadOn | undefined): Promise<Listening> {
  if (leadOn === undefined) return protocol === 'tcp' ? await forwardTcp(at, to) : await forwardUdp(at, to);
  await using listening = protocol === 'tcp' ? await listenTcp(at) : await listenUdp(at);
  await leadOn(listening.socket, to);
  return { port: listening.port, [Symbol.asyncDispose]: nothingToConnect };
}

/** As dockerd puts it. */
function explain(
  error: unknown,
  { at, to, protocol, isOurs }: { readonly at: Target; readonly to: Target; readonly protocol: string; readonly isOurs: boolean },
): unknown {
  const code = systemCode(error);
  const host = at.address.includes(':') ? `[${at.address}]` : at.address;
  if (code === 'EADDRINUSE' && isOurs)
    return portTaken(`Bind for ${host}:${at.port} failed: port is already allocated`, '"jettison ps" shows who has it');
  const reasons: Readonly<Record<string, string>> = {
    EADDRINUSE: 'address already in use',
    EACCES: 'permission denied',
    EADDRNOTAVAIL: 'cannot assign requested address',
  };
  const reason = reasons[code ?? ''];
  if (reason === undefined) return error;
  const text = `failed to bind host port for ${host}:${at.port}:${to.address}:${to.port}/${protocol}: ${reason}`;
  if (code === 'EADDRINUSE')
    return portTaken(text, `Another program of this machine has it ("ss -lnp | grep :${at.port}"); use another port`);
  return new JettisonError('network/no-such-port', text, {
    fault: 'environment',
    hint: code === 'EACCES' ? 'Ports below 1024 are for root: use a higher one' : 'This machine has no such address',
  });
}

function portTaken(message: string, hint: string): JettisonError {
  return new JettisonError('network/port-taken', message, { fault: 'environment', hint });
}

function hasIPv6(): boolean {
  try {
    return readFileSync('/proc/net/if_inet6', 'latin1') !== '';
  } catch (error) {
    if (systemCode(error) === undefined) throw error;
    return false;
  }
}
