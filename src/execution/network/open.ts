/** Opens the network of a container that is about to start: finds out what was asked for, what this machine gives, and what to say where it does not. */
import { readlinkSync } from 'node:fs';
import { asByteString } from '#ground/base/byte-string.ts';
import { JettisonError, systemCode, unreachable } from '#ground/base/errors.ts';
import { ipv4Text } from '#ground/base/ipv4.ts';
import { SystemCallError } from '#ground/linux/libc.ts';
import type { ProcessNetwork } from '#ground/linux/namespace.ts';
import { openNetworkNamespace } from '#ground/linux/network-namespace.ts';
import { openRoot, readTextIn } from '#ground/linux/rooted-path.ts';
import type { HomeTools } from './attended.ts';
import { gatewayOf, openBridged, resolvConfOf, type Place } from './bridged.ts';
import { nothingToConnect, type ContainerNetwork, type NetworkedContainer } from './container-network.ts';
import type { Resolving } from './resolv-conf.ts';
import { isPredefined, type NetworkStore } from './store.ts';
import { findUserNetworkProgram, obstacleToUserNetwork, openUserNetwork } from './user-network.ts';
import { placeOfDefault, type Membership, type NetworkWish } from './wish.ts';

/** A container that runs: its first process, as this process sees it, its host name, and what it was asked to resolve names by. */
export type NetworkOwner = {
  readonly id: string;
  readonly pid: number;
  readonly hostname: string;
  readonly resolving: Partial<Resolving>;
};

export type NetworkTools = {
  readonly store: NetworkStore;
  /** Takes what a person should know. */
  readonly note: (text: string) => void;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly processOf: (container: string) => NetworkOwner | undefined;
  /** What was asked for with --dns and its like. */
  readonly resolving?: Partial<Resolving>;
  /** Where a normal user's bridges stand. */
  readonly home: HomeTools;
  /** Told, where it is known before all is done, what the container's worker can be started with: what is given then has the very same. */
  readonly onWorkerNetwork?: (network: ProcessNetwork) => void;
};

/**
 * What it gives is there until it is disposed, which is to be done when the container has ended; nothing is left when it throws: `network/no-bridge`, `network/port-taken`,
 * `network/not-found`, `network/no-program`, `network/not-running`, and what the parts throw.
 */
export async function openContainerNetwork(
  container: NetworkedContainer,
  wish: NetworkWish,
  tools: NetworkTools,
): Promise<ContainerNetwork> {
  const place = wish.place.kind === 'default' ? placeOfDefault(tools.environment['JETTISON_NETWORK']) : wish.place;
  switch (place.kind) {
    case 'host':
      if (wish.published.length > 0 && wish.place.kind === 'host') tools.note('Published ports are discarded when using host network mode');
      else if (wish.published.length > 0) throw noBridge('JETTISON_NETWORK is "host"', 'Say --network bridge, or leave -p out');
      return ofMachine('host');
    case 'none':
      return ofMachine('none');
    case 'container':
      return sharedWith(place.container, tools);
    case 'networks':
      return await openNetworks(container, place.networks, wish, tools);
    default:
      return unreachable(place, 'network');
  }
}

/** The container has the machine's network, or none. */
function ofMachine(runtime: 'host' | 'none'): ContainerNetwork {
  return {
    worker: { kind: 'as-is' },
    runtime,
    addresses: [],
    gateway: undefined,
    resolvConf: undefined,
    hostname: undefined,
    ports: [],
    connect: nothingToConnect,
    [Symbol.asyncDispose]: nothingToConnect,
  };
}

function sharedWith(name: string, { store, processOf }: NetworkTools): ContainerNetwork {
  const other = processOf(name);
  if (other === undefined) throw notRunning(name);
  if (process.getuid?.() !== 0) return joinedWithoutRoot(name, other);
  const namespace = openNetworkNamespace(`/proc/${other.pid}/ns/net`);
  const standing = store.memberships(other.id);
  return {
    ...ofMachine('host'),
    worker: { kind: 'within', file: namespace.file, within: (start) => namespace.within(start) },
    addresses: standing.map(({ address }) => ipv4Text(address)),
    gateway: gatewayOf(store, standing),
    resolvConf: resolvConfOf(other.id, store, other.resolving),
    hostname: other.hostname,
    [Symbol.asyncDispose]: async () => {
      namespace[Symbol.dispose]();
      await Promise.resolve();
    },
  };
}

/** A network belongs to the user namespace that it was made in, so the container's worker has that, too. Its ids are those of any other of this user. */
function joinedWithoutRoot(name: string, { pid, hostname }: NetworkOwner): ContainerNetwork {
  try {
    const ofOther = readlinkSync(`/proc/${pid}/ns/net`);
    if (ofOther === readlinkSync('/proc/self/ns/net')) return { ...ofMachine('host'), hostname };
    using root = openRoot(`/proc/${pid}/root`);
    const resolvConf = readTextIn(root, asByteString('etc/resolv.conf'), longestResolvConf);
    return { ...ofMachine('host'), worker: { kind: 'joined', process: pid }, resolvConf, hostname };
  } catch (error) {
    // It has ended meanwhile.
    if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ESRCH') throw notRunning(name);
    throw error;
  }
}

const longestResolvConf = 65_536;

function notRunning(name: string): JettisonError {
  return new JettisonError('network/not-running', `cannot join network of a non running container: ${name}`, {
    hint: `Start it first: jettison start ${name}`,
  });
}

async function openNetworks(
  container: NetworkedContainer,
  memberships: readonly Membership[],
  wish: NetworkWish,
  tools: NetworkTools,
): Promise<ContainerNetwork> {
  const places = memberships.map((membership) => placeOf(membership, tools.store));
  const isDefault = wish.place.kind === 'default';
  if (process.getuid?.() !== 0) return await openWithoutRoot(container, places, wish, tools);
  try {
    return await openBridged(container, places, wish, tools);
  } catch (error) {
    if (!(error instanceof SystemCallError)) throw error;
    const problem = `this machine gives no bridge (${error.message})`;
    const hint = 'Say --network host, or give this process CAP_NET_ADMIN and CAP_SYS_ADMIN';
    if (!isDefault || wish.published.length > 0 || wish.publishAll) throw noBridge(problem, hint, error);
    tools.note(`The container shares the network of the machine: ${problem}`);
    return ofMachine('host');
  }
}

async function openWithoutRoot(
  container: NetworkedContainer,
  places: readonly Place[],
  wish: NetworkWish,
  tools: NetworkTools,
): Promise<ContainerNetwork> {
  if (places.some(({ network }) => !isPredefined(network.name))) {
    const { openAttended } = await import('./attended.ts');
    const networks = places.map(({ membership }) => membership);
    return await openAttended(container, networks, wish, tools);
  }
  const program = findUserNetworkProgram(tools.environment);
  const obstacle = obstacleToUserNetwork();
  if (program !== undefined && obstacle === undefined) return await openUserNetwork(program, container, wish, tools);
  const problem =
    program === undefined
      ? 'without root that takes the program pasta or slirp4netns, and neither is here'
      : `${program.name} cannot give one: ${obstacle ?? ''}`;
  const hint =
    program === undefined
      ? 'Install one of them: apt install passt (or: apt install slirp4netns)'
      : 'What it needs is a default route, and /dev/net/tun for all users (modprobe tun; chmod 666 /dev/net/tun)';
  if (wish.place.kind !== 'default' || wish.published.length > 0 || wish.publishAll) throw noBridge(problem, hint);
  tools.note(`The container shares the network of the machine: ${problem}`);
  tools.note(`${hint}; who means the machine's says so: --network host, or JETTISON_NETWORK=host`);
  return ofMachine('host');
}

/** Throws `network/not-found`, `network/bad-address`, `network/bad-alias` for what a network of that kind does not take. */
export function placeOf(membership: Membership, store: NetworkStore): Place {
  const network = store.get(membership.network);
  if (membership.address !== null && network.isAutomatic) {
    throw new JettisonError(
      'network/bad-address',
      'user specified IP address is supported only when connecting to networks with user configured subnets',
      {
        hint: 'Make a network with --subnet, and name it with --network',
      },
    );
  }
  if (membership.aliases.length > 0 && isPredefined(network.name)) {
    throw new JettisonError('network/bad-alias', 'network-scoped alias is supported only for containers in user defined networks', {
      hint: 'Make a network ("jettison network create NAME"), and name it with --network',
    });
  }
  return { network, membership };
}

function noBridge(problem: string, hint: string, cause?: unknown): JettisonError {
  return new JettisonError('network/no-bridge', `Cannot give the container a network of its own: ${problem}`, {
    fault: 'environment',
    hint,
    ...(cause === undefined ? {} : { cause }),
  });
}
