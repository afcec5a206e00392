/** `jettison network ...` and `port`: networks, who stands on them, and which ports lead in. */
import type { Json } from '#ground/base/canonical-json.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { ipv4Text, subnetText } from '#ground/base/ipv4.ts';
import type { Container } from '#execution/container/store.ts';
import type { CreateNetwork } from '#execution/network/create.ts';
import type { Endpoint, Network } from '#execution/network/store.ts';
import type { Membership, NetworkPlace, OpenPort } from '#execution/network/wish.ts';
import { isUp } from './containers.ts';
import { attendantBeside, resolvingOf } from './container-network.ts';
import { processOfContainer } from './container-process.ts';
import { noteNetwork } from './note-events.ts';
import type { Engine } from './open.ts';

export type { CreateNetwork } from '#execution/network/create.ts';
export type { OpenPort } from '#execution/network/wish.ts';

export type NetworkRow = {
  readonly id: string;
  readonly name: string;
  readonly driver: string;
  readonly created: number;
  readonly isInternal: boolean;
  readonly isPredefined: boolean;
  readonly labels: Readonly<Record<string, string>>;
  /** How many containers that run stand on it. */
  readonly containers: number;
};

/** Gives its id. Throws `network/...`. */
export async function createNetwork(engine: Engine, request: CreateNetwork): Promise<string> {
  const { createNetwork: create } = await import('#execution/network/create.ts');
  const network = create(await engine.networks(), request, engine.now());
  noteNetwork(engine, 'create', network);
  return network.id;
}

/** By name. */
export async function listNetworks(engine: Engine): Promise<readonly NetworkRow[]> {
  const { isPredefined } = await import('#execution/network/store.ts');
  const store = await engine.networks();
  return store.list().map(({ id, name, driver, created, isInternal, labels }) => ({
    id,
    name,
    driver,
    created,
    isInternal,
    labels,
    isPredefined: isPredefined(name),
    containers: store.endpoints(id).length,
  }));
}

/** In the shape of docker's answer. Throws `network/not-found`. */
export async function inspectNetwork(engine: Engine, name: string): Promise<Json> {
  const store = await engine.networks();
  const network = store.get(name);
  const { hardwareAddress, hardwareText } = await import('#execution/network/bridge.ts');
  const { subnet, gateway, range } = network;
  const member = ({ container, address, names }: Endpoint): readonly [string, Json] => [
    container,
    {
      Name: engine.containers.find(container)?.name ?? names[0] ?? '',
      EndpointID: endpointId({ container, network: network.id }),
      MacAddress: hardwareText(hardwareAddress(address)),
      IPv4Address: `${ipv4Text(address)}/${subnet?.prefix ?? 32}`,
      IPv6Address: '',
    },
  ];
  return {
    Name: network.name,
    Id: network.id,
    Created: new Date(network.created).toISOString(),
    Scope: 'local',
    Driver: network.driver,
    EnableIPv4: true,
    EnableIPv6: false,
    IPAM: {
      Driver: 'default',
      Options: network.name === 'bridge' || subnet === undefined ? null : {},
      Config:
        subnet === undefined
          ? null
          : [
              {
                Subnet: subnetText(subnet),
                ...(range === undefined ? {} : { IPRange: subnetText(range) }),
                ...(gateway === undefined ? {} : { Gateway: ipv4Text(gateway) }),
              },
            ],
    },
    Internal: network.isInternal,
    Attachable: false,
    Ingress: false,
    ConfigFrom: { Network: '' },
    ConfigOnly: false,
    Containers: Object.fromEntries(store.endpoints(network.id).map(member)),
    Options: {},
    Labels: network.labels,
  };
}

/** Nothing needs them but people: it is made up of what it joins. */
export function endpointId({ container, network }: Pick<Endpoint, 'container' | 'network'>): string {
  return `${network.slice(0, 32)}${container.slice(0, 32)}`;
}

/** Throws `network/not-found`, `network/in-use`, `network/predefined`. */
export async function removeNetwork(engine: Engine, name: string): Promise<void> {
  const store = await engine.networks();
  const network = store.get(name);
  store.remove(name);
  noteNetwork(engine, 'destroy', network);
}

/** Removes networks that nobody stands on and that fit; gives their names. */
export async function pruneNetworks(engine: Engine, fits: (network: NetworkRow) => boolean): Promise<readonly string[]> {
  const unused = (await listNetworks(engine)).filter((one) => !one.isPredefined && one.containers === 0 && fits(one));
  for (const { name } of unused) await removeNetwork(engine, name);
  return unused.map(({ name }) => name);
}

/** What `connect` is told of the container's place on the network. */
export type Connection = Pick<Membership, 'aliases' | 'address'>;

/** Puts a container on one more network, now if it runs, and at each of its starts. Throws `network/...`, `engine/no-such-container`. */
export async function connectNetwork(
  engine: Engine,
  { network: name, container: text, ...how }: Connection & Where,
  note: (text: string) => void,
): Promise<void> {
  const store = await engine.networks();
  const network = store.get(name);
  const container = findContainer(engine, text);
  const members = membersOf(container, network.name);
  if (members.some((one) => isSame(one, network))) throw alreadyOn(container, network);
  const membership: Membership = { network: network.name, aliases: [...how.aliases], address: how.address };
  if (isUp(container.state)) {
    const [{ placeOf }, { connectRunning }] = await Promise.all([
      import('#execution/network/open.ts'),
      import('#execution/network/bridged.ts'),
    ]);
    const running = { id: container.id, name: container.name, hostname: container.spec.hostname, exposed: [] };
    const place = placeOf(membership, store);
    const first = mustRun(engine, container);
    const home = await homeOfRunning(engine, container, first);
    await renewingNames(engine, container, async () => {
      const notes =
        home === undefined
          ? connectRunning(running, first, place, store)
          : await home({ kind: 'connect', container: running, process: first, network: membership });
      for (const one of notes) note(one);
    });
  }
  changePlace(engine, container, [...members, membership]);
  noteNetwork(engine, 'connect', network, container.id);
}

type Where = { readonly network: string; readonly container: string };

/** Takes a container off a network, now if it runs, and for its next starts. Throws `network/not-found`, `engine/no-such-container`, `engine/not-connected`. */
export async function disconnectNetwork(engine: Engine, { network: name, container: text }: Where): Promise<void> {
  const store = await engine.networks();
  const network = store.get(name);
  const container = findContainer(engine, text);
  const members = membersOf(container, network.name);
  const isOn = members.some((one) => isSame(one, network));
  if (!isOn) {
    throw new JettisonError('engine/not-connected', `container ${container.name} is not connected to network ${network.name}`);
  }
  if (isUp(container.state)) {
    const { disconnectRunning } = await import('#execution/network/bridged.ts');
    const home = await homeOfRunning(engine, container, mustRun(engine, container));
    await renewingNames(engine, container, async () => {
      if (home === undefined) disconnectRunning(container.id, network.id, store);
      else await home({ kind: 'disconnect', container: container.id, network: network.id });
    });
  }
  changePlace(
    engine,
    container,
    members.filter((one) => !isSame(one, network)),
  );
  noteNetwork(engine, 'disconnect', network, container.id);
}

/** Another network may be the first, or the last, on which names are known: then the container is told of its name server, or of the machine's. */
async function renewingNames(engine: Engine, container: Container, change: () => Promise<void>): Promise<void> {
  const [{ resolvConfOf }, { renewResolvConf }] = await Promise.all([
    import('#execution/network/bridged.ts'),
    import('#execution/network/resolv-conf.ts'),
  ]);
  const store = await engine.networks();
  const textNow = (): string | undefined => resolvConfOf(container.id, store, resolvingOf(container.spec.settings.dns));
  const before = textNow();
  await change();
  const after = textNow();
  const process = processOfContainer(engine, container)?.pid;
  if (before !== undefined && after !== undefined && process !== undefined && before !== after) renewResolvConf(process, { before, after });
}

/**
 * What has something done in the user's home, in which the container's network stands; undefined for root, whose bridges stand on the machine. Throws `engine/no-network-of-its-own` for one
 * whose network stands elsewhere.
 */
async function homeOfRunning(engine: Engine, { name }: Container, first: number): ReturnType<typeof attendantBeside> {
  if (process.getuid?.() === 0) return undefined;
  const home = await attendantBeside(engine, first);
  if (home !== undefined) return home;
  throw new JettisonError(
    'engine/no-network-of-its-own',
    `container ${name} runs with a network of pasta or slirp4netns: without root it cannot be connected to or disconnected from another while it runs`,
    { hint: 'Make the container anew with --network, naming all of them' },
  );
}

function isSame(member: Membership, network: Network): boolean {
  return member.network === network.name || (member.network.length >= 12 && network.id.startsWith(member.network));
}

function alreadyOn(container: Container, network: Network): JettisonError {
  return new JettisonError('engine/already-connected', `endpoint with name ${container.name} already exists in network ${network.name}`);
}

/** Networks that the container stands on when it runs. Throws `engine/no-network-of-its-own` for one that shares the machine's or another's, or has none. */
function membersOf(container: Container, network: string): readonly Membership[] {
  const { place } = container.spec.network;
  if (place.kind === 'networks') return place.networks;
  if (place.kind === 'default') return [{ network: 'bridge', aliases: [], address: null }];
  const message =
    place.kind === 'host'
      ? 'container cannot be disconnected from host network or connected to host network'
      : `container ${container.name} has network mode "${place.kind}": it cannot be connected to or disconnected from ${network}`;
  throw new JettisonError('engine/no-network-of-its-own', message, { hint: 'Make the container anew with --network' });
}

function changePlace(engine: Engine, { id, spec }: Container, networks: readonly Membership[]): void {
  const place: NetworkPlace = networks.length === 0 ? { kind: 'none' } : { kind: 'networks', networks: [...networks] };
  engine.containers.changeSpec(id, { ...spec, network: { ...spec.network, place } });
}

function mustRun(engine: Engine, container: Container): number {
  const running = processOfContainer(engine, container)?.pid;
  if (running !== undefined) return running;
  throw new JettisonError('engine/not-running', `Container ${container.name} is starting or ending: nothing can be changed now`, {
    hint: 'Try again in a moment',
  });
}

function findContainer(engine: Engine, text: string): Container {
  const container = engine.containers.find(text);
  if (container !== undefined) return container;
  throw new JettisonError('engine/no-such-container', `No such container: ${text}`, { hint: '"jettison ps -a" lists what is here' });
}

/** Ports that lead into a container; none when it does not run. Throws `engine/no-such-container`. */
export async function portsOf(engine: Engine, text: string): Promise<readonly OpenPort[]> {
  const container = findContainer(engine, text);
  return (await engine.networks()).ports().get(container.id) ?? [];
}

/** `exposed`: `80/tcp`. */
export type ContainerPorts = { readonly open: readonly OpenPort[]; readonly exposed: readonly string[] };

/** For a table of all containers: of those that run with a network that is not the machine's, by their ids. */
export async function portsByContainer(engine: Engine): Promise<ReadonlyMap<string, ContainerPorts>> {
  const open = (await engine.networks()).ports();
  return new Map(
    engine.containers
      .list()
      .filter(({ state, spec }) => isUp(state) && spec.network.place.kind !== 'host')
      .map(({ id, spec }) => [id, { open: open.get(id) ?? [], exposed: spec.exposedPorts }]),
  );
}
