/**
 * The network of a container of a normal user on networks with names. Their bridges stand in the user's home (`user-home.ts`), which this process, having threads, cannot enter: an
 * attendant does, a process that makes and serves there what this one makes by itself for root. It ends with this process, and all that it made with it.
 */
import { JettisonError } from '#ground/base/errors.ts';
import type { Isolation } from '#ground/linux/isolation.ts';
import { nothingToConnect, type ContainerNetwork, type NetworkedContainer } from './container-network.ts';
import { openContainerPorts, type LeadOn } from './open-ports.ts';
import type { Resolving } from './resolv-conf.ts';
import type { NetworkStore } from './store.ts';
import { openUserHome } from './user-home.ts';
import type { Membership, NetworkWish } from './wish.ts';

/** What an attendant makes. */
export type Standing = {
  /** The container's network, by the number of a file that the attendant has open. */
  readonly file: number;
  readonly addresses: readonly string[];
  /** The address to which ports lead; undefined where all networks are shut in. */
  readonly leading: string | undefined;
  readonly gateway: string | undefined;
  readonly resolvConf: string | undefined;
  readonly notes: readonly string[];
};

export type StandRequest = {
  readonly container: NetworkedContainer;
  readonly networks: readonly Membership[];
  readonly resolving: Partial<Resolving>;
};

/** A process in a user's home, for one container. Disposing ends it. */
export type Attendant = AsyncDisposable & {
  /** As this process sees it. */
  readonly pid: number;
  /** Makes the container's network and gives it its places. Throws what `openBridged` throws, and `network/no-bridge`. */
  readonly stand: (request: StandRequest) => Promise<Standing>;
  readonly leadOn: LeadOn;
};

export type HomeTools = {
  /** Of the home's files. */
  readonly folder: string;
  readonly isolation: () => Promise<Isolation>;
  readonly attend: (home: number) => Promise<Attendant>;
};

type Tools = {
  readonly store: NetworkStore;
  readonly note: (text: string) => void;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly resolving?: Partial<Resolving>;
  readonly home: HomeTools;
};

/** Nothing is left when it throws: `network/no-home`, `network/program-failed`, `network/port-taken`, and what the attendant throws. */
export async function openAttended(
  container: NetworkedContainer,
  networks: readonly Membership[],
  wish: NetworkWish,
  { store, note, environment, resolving = {}, home }: Tools,
): Promise<ContainerNetwork> {
  const isolation = await home.isolation();
  if (isolation === 'chroot') {
    throw new JettisonError('network/no-home', 'A network of containers needs namespaces, which isolation "chroot" has none of', {
      fault: 'environment',
      hint: 'See "jettison doctor", or leave --network out',
    });
  }
  await using undo = new AsyncDisposableStack();
  const place = undo.use(await openUserHome({ folder: home.folder, isolation, environment }));
  const attendant = undo.use(await home.attend(place.process));
  const standing = await attendant.stand({ container, networks, resolving: { nameServers: place.servers, ...resolving } });
  for (const text of standing.notes) note(text);
  const isLedOut = place.obstacle === undefined || standing.leading === undefined;
  if (!isLedOut) note(`Containers on networks with names have no way out: ${place.obstacle}`);
  const { leading } = standing;
  const isAsked = wish.published.length > 0 || wish.publishAll;
  if (leading === undefined && isAsked) note('Published ports are discarded: nothing comes into an internal network');
  const ports =
    leading === undefined || !isAsked
      ? []
      : undo.use(await openContainerPorts(container, { wish, address: leading, store, leadOn: attendant.leadOn })).ports;
  store.openPorts(container.id, ports);
  const stack = undo.move();
  return {
    worker: { kind: 'joined', process: place.process, file: `/proc/${attendant.pid}/fd/${standing.file}` },
    runtime: 'host',
    addresses: standing.addresses,
    gateway: standing.gateway,
    resolvConf: standing.resolvConf,
    hostname: undefined,
    ports,
    connect: nothingToConnect,
    [Symbol.asyncDispose]: async () => await stack.disposeAsync(),
  };
}
