/** The network of a container of root: a namespace of its own, a cable to the bridge of each of its networks, a name server, and its ports. */
import { setImmediate as turn } from 'node:timers/promises';
import { ipv4Text, parseIPv4 } from '#ground/base/ipv4.ts';
import { findLink } from '#ground/linux/links.ts';
import { openNetlink, type Netlink } from '#ground/linux/netlink.ts';
import type { ProcessNetwork } from '#ground/linux/namespace.ts';
import { makeNetworkNamespace, openNetworkNamespace, withNetworkLock, type NetworkNamespace } from '#ground/linux/network-namespace.ts';
import { checkAddress, chooseAddress } from './addresses.ts';
import { hasBridges, plugIn, prepareNamespace, raiseBridge, silence, sweepBridges, unplug } from './bridge.ts';
import { nothingToConnect, type ContainerNetwork, type NetworkedContainer } from './container-network.ts';
import { nameServerAddress, serveNames, type Names } from './name-server.ts';
import { openContainerPorts } from './open-ports.ts';
import { parseResolvConf, printResolvConf, reachableServers, readMachineResolvConf, withOwnServer, type Resolving } from './resolv-conf.ts';
import { isPredefined, type Endpoint, type Network, type NetworkStore } from './store.ts';
import type { Membership, NetworkWish } from './wish.ts';

export type BridgedTools = {
  readonly store: NetworkStore;
  /** Takes what a person should know. */
  readonly note: (text: string) => void;
  /** What was asked for with --dns and its like; undefined: as the machine has it. */
  readonly resolving?: Partial<Resolving>;
  /** Told what the container's worker can be started with while the rest is made; should the rest fail, that is worth nothing. */
  readonly onWorkerNetwork?: (network: ProcessNetwork) => void;
};

/** A network that a container is to stand on. */
export type Place = { readonly network: Network; readonly membership: Membership };

/**
 * Everything that can fail has happened when it resolves, and nothing is left of it when it rejects. Throws a SystemCallError (`EPERM`) where neither namespaces nor bridges are to be
 * had, `network/port-taken`, `network/subnet-in-use`, `network/no-address`, `network/bad-address`.
 */
export async function openBridged(
  container: NetworkedContainer,
  places: readonly Place[],
  wish: NetworkWish,
  tools: BridgedTools,
): Promise<ContainerNetwork> {
  const { store, note } = tools;
  await using undo = new AsyncDisposableStack();
  const namespace = undo.use(makeNetworkNamespace());
  prepareNamespace(namespace);
  let hasWorked = false;
  undo.defer(() => {
    if (hasWorked) leaveQuickly(container.id, store);
    else leaveAll(container.id, store);
  });
  const worker = { kind: 'within', file: namespace.file, within: (start) => namespace.within(start) } satisfies ProcessNetwork;
  tools.onWorkerNetwork?.(worker);
  // What was just started is told what it needs before this thread is busy with the rest.
  await turn();
  const { standing, notes } = withNetworkLock(() => {
    using netlink = openNetlink('route');
    sweepBridges(
      netlink,
      places.map(({ network }) => network),
    );
    return standOn(netlink, { container, places, namespace, store });
  });
  for (const text of notes) note(text);
  const naming = namingFor(
    places.map(({ network }) => network),
    { ...tools, isOpen: notes.length === 0 },
  );
  // What is shut in may not speak to the world by the names that it asks for (CVE-2024-29018).
  const upstream = (): readonly string[] =>
    hasWayOut(container.id, store) ? (tools.resolving?.nameServers ?? parseResolvConf(readMachineResolvConf()).nameServers) : [];
  // One that is put on a network with names later is told of it then.
  const server = await serveNames({ namespace, names: namesFor(container.id, store), upstream, isSpare: !naming.isOwn });
  if (server !== undefined) undo.use(server);
  const leading = standing[places.findIndex(({ network }) => !network.isInternal)];
  if (leading === undefined && (wish.published.length > 0 || wish.publishAll))
    note('Published ports are discarded: nothing comes into an internal network');
  const open = undo.use(
    await openContainerPorts(container, {
      wish: leading === undefined ? unpublished(wish) : wish,
      address: ipv4Text(leading?.address ?? 0),
      store,
    }),
  );
  store.openPorts(container.id, open.ports);
  hasWorked = true;
  const stack = undo.move();
  return {
    worker,
    runtime: 'host',
    addresses: standing.map((one) => ipv4Text(one.address)),
    gateway: gatewayOf(store, standing),
    resolvConf: naming.text,
    hostname: undefined,
    ports: open.ports,
    connect: nothingToConnect,
    [Symbol.asyncDispose]: async () => await stack.disposeAsync(),
  };
}

function unpublished(wish: NetworkWish): NetworkWish {
  return { ...wish, published: [], publishAll: false };
}

/** Text of resolv.conf, and whether our name server is in it: where names of containers are known, or the machine's servers are not reached from a bridge. */
function namingFor(
  networks: readonly Network[],
  { resolving: asked, isOpen }: Pick<BridgedTools, 'resolving'> & { readonly isOpen: boolean },
): { readonly isOwn: boolean; readonly text: string } {
  const resolving = { ...parseResolvConf(readMachineResolvConf()), ...asked };
  const direct = reachableServers(resolving);
  const isOwn = !isOpen || direct.length === 0 || networks.some(({ name }) => !isPredefined(name));
  return {
    isOwn,
    text: printResolvConf(isOwn ? withOwnServer(resolving, nameServerAddress, asked?.options) : { ...resolving, nameServers: direct }),
  };
}

/** The text of resolv.conf of a container that runs, which was asked for with `resolving`; undefined: the machine's. */
export function resolvConfOf(container: string, store: NetworkStore, resolving?: Partial<Resolving>): string | undefined {
  const networks = store.memberships(container).map(({ network }) => store.get(network));
  return networks.length === 0 ? undefined : namingFor(networks, { isOpen: true, ...(resolving === undefined ? {} : { resolving }) }).text;
}

/** By which a container reaches the machine. */
export function gatewayOf(store: NetworkStore, standing: readonly Endpoint[]): string | undefined {
  for (const { network } of standing) {
    const gateway = store.find(network)?.gateway;
    if (gateway !== undefined) return ipv4Text(gateway);
  }
  return undefined;
}

type Standing = {
  readonly container: NetworkedContainer;
  readonly places: readonly Place[];
  readonly namespace: NetworkNamespace;
  readonly store: NetworkStore;
};

function standOn(
  netlink: Netlink,
  { container, places, namespace, store }: Standing,
): { readonly standing: readonly Endpoint[]; readonly notes: readonly string[] } {
  const wayOut = places.find(({ network }) => !network.isInternal);
  const notes: string[] = [];
  const standing = places.map((place) => {
    const added = addTo(netlink, { container, place, namespace, store, isWayOut: place === wayOut });
    notes.push(...added.notes);
    return added.endpoint;
  });
  return { standing, notes };
}

type Adding = Omit<Standing, 'places'> & { readonly place: Place; readonly isWayOut: boolean };

function addTo(
  netlink: Netlink,
  { container, place, namespace, store, isWayOut }: Adding,
): { readonly endpoint: Endpoint; readonly notes: readonly string[] } {
  const bridge = raiseBridge(netlink, place.network, store);
  const { network, membership } = { network: bridge.network, membership: place.membership };
  const names = [container.name, ...membership.aliases, container.id.slice(0, 12), container.hostname].filter((name) => name !== '');
  const asked = membership.address === null ? undefined : parseIPv4(membership.address);
  const endpoint = store.join({ container: container.id, network: network.id, names: [...new Set(names)] }, (taken) =>
    asked === undefined ? chooseAddress(network, taken) : checkAddress(asked, network, taken),
  );
  try {
    plugIn(netlink, bridge, { container: container.id, name: freeDevice(namespace), namespace, address: endpoint.address, isWayOut });
  } catch (error) {
    store.leave(container.id, network.id);
    throw error;
  }
  return { endpoint, notes: bridge.notes };
}

function freeDevice(namespace: NetworkNamespace): string {
  return namespace.within(() => {
    using inside = openNetlink('route');
    for (let number = 0; ; number++) if (findLink(inside, `eth${number}`) === undefined) return `eth${number}`;
  });
}

/** Shuts all cables, which the kernel takes out with the namespace, and gives the addresses back. A bridge that is left without ports is cleared later. */
function leaveQuickly(container: string, store: NetworkStore): void {
  withNetworkLock(() => {
    using netlink = openNetlink('route');
    for (const { network } of store.memberships(container)) silence(netlink, container, network);
    store.leave(container);
  });
}

/** Takes all cables out, and gives the addresses back. */
function leaveAll(container: string, store: NetworkStore): void {
  withNetworkLock(() => {
    using netlink = openNetlink('route');
    for (const { network } of store.memberships(container)) unplug(netlink, container, network);
    store.leave(container);
    sweepBridges(netlink);
  });
}

/** Puts a container that runs on one more network; `process` is its first, as this process sees it. Gives what a person should know. */
export function connectRunning(container: NetworkedContainer, process: number, place: Place, store: NetworkStore): readonly string[] {
  using namespace = openNetworkNamespace(`/proc/${process}/ns/net`);
  return withNetworkLock(() => {
    using netlink = openNetlink('route');
    const isWayOut = !place.network.isInternal && !hasWayOut(container.id, store);
    return addTo(netlink, { container, place, namespace, store, isWayOut }).notes;
  });
}

/** Does a container stand on a network that is not shut in? */
function hasWayOut(container: string, store: NetworkStore): boolean {
  return store.memberships(container).some(({ network }) => store.find(network)?.isInternal === false);
}

/** Takes a container that runs off a network. */
export function disconnectRunning(container: string, network: string, store: NetworkStore): void {
  withNetworkLock(() => {
    using netlink = openNetlink('route');
    unplug(netlink, container, network);
    store.leave(container, network);
    sweepBridges(netlink);
  });
}

/** Removes what containers that are gone have left in the kernel: bridges without ports, and their rules. Names of the bridges. */
export function clearBridges(): readonly string[] {
  if (process.getuid?.() !== 0 || !hasBridges()) return [];
  return withNetworkLock(() => {
    using netlink = openNetlink('route');
    return sweepBridges(netlink);
  });
}

/** Names of containers on the networks that one stands on now, those that all have excepted, on which docker names nobody. */
function namesFor(container: string, store: NetworkStore): Names {
  const neighbours = (): readonly { readonly endpoint: Endpoint; readonly network: string }[] =>
    store.memberships(container).flatMap((own) => {
      const network = store.find(own.network);
      if (network === undefined || isPredefined(network.name)) return [];
      return store.endpoints(network.id).map((endpoint) => ({ endpoint, network: network.name.toLowerCase() }));
    });
  return {
    addresses: (name) => {
      const found = neighbours().filter(({ endpoint, network }) =>
        endpoint.names.map((one) => one.toLowerCase()).some((one) => one === name || `${one}.${network}` === name),
      );
      return found.length === 0 ? undefined : found.map(({ endpoint }) => endpoint.address);
    },
    nameOf: (address) => {
      const found = neighbours().find(({ endpoint }) => ipv4Text(endpoint.address) === address);
      return found === undefined ? undefined : `${found.endpoint.names[0] ?? ''}.${found.network}`;
    },
  };
}
