/** The network of a container in docker's document: `NetworkSettings`, and what `HostConfig` says of it. */
import type { Json } from '#ground/base/canonical-json.ts';
import { unreachable } from '#ground/base/errors.ts';
import { ipv4Text } from '#ground/base/ipv4.ts';
import type { Container } from '#execution/container/store.ts';
import type { Endpoint, Network, NetworkStore } from '#execution/network/store.ts';
import type { Membership, OpenPort } from '#execution/network/wish.ts';
import { isUp } from './containers.ts';
import { endpointId } from './networks.ts';
import type { Engine } from './open.ts';

type JsonObject = Readonly<Record<string, Json>>;

/** Where it stands now, and its ports; of one that does not run the names of its networks only. */
export async function inspectNetworkSettings(engine: Engine, container: Container): Promise<JsonObject> {
  const [store, { hardwareAddress, hardwareText }] = await Promise.all([engine.networks(), import('#execution/network/bridge.ts')]);
  const endpoints = store.memberships(container.id);
  const networks = membershipsOf(container).map((membership): readonly [string, JsonObject] => {
    const network = store.find(membership.network);
    const endpoint = isUp(container.state) ? endpoints.find((one) => one.network === network?.id) : undefined;
    return [
      network?.name ?? membership.network,
      describe(membership, { network, endpoint, macOf: (address) => hardwareText(hardwareAddress(address)) }),
    ];
  });
  const {
    IPAMConfig: _ipam,
    Aliases: _aliases,
    DNSNames: _names,
    NetworkID: _id,
    ...usual
  } = networks.find(([name]) => name === 'bridge')?.[1] ?? {};
  return { ...notHere, Ports: portsOf(container, store), ...emptyEnd, ...usual, Networks: Object.fromEntries(networks) };
}

/** What docker's document has besides; templates may name it. */
const notHere: JsonObject = {
  Bridge: '',
  HairpinMode: false,
  LinkLocalIPv6Address: '',
  LinkLocalIPv6PrefixLen: 0,
  SandboxID: '',
  SandboxKey: '',
  SecondaryIPAddresses: null,
  SecondaryIPv6Addresses: null,
};

const emptyEnd = {
  EndpointID: '',
  Gateway: '',
  GlobalIPv6Address: '',
  GlobalIPv6PrefixLen: 0,
  IPAddress: '',
  IPPrefixLen: 0,
  IPv6Gateway: '',
  MacAddress: '',
};

function membershipsOf({ spec }: Container): readonly Membership[] {
  const { place } = spec.network;
  if (place.kind === 'networks') return place.networks;
  return place.kind === 'container' ? [] : [{ network: place.kind === 'default' ? 'bridge' : place.kind, aliases: [], address: null }];
}

type Standing = {
  readonly network: Network | undefined;
  readonly endpoint: Endpoint | undefined;
  readonly macOf: (address: number) => string;
};

function describe({ aliases, address }: Membership, { network, endpoint, macOf }: Standing): JsonObject {
  const end =
    endpoint === undefined
      ? {}
      : {
          EndpointID: endpointId(endpoint),
          Gateway: network?.gateway === undefined ? '' : ipv4Text(network.gateway),
          IPAddress: ipv4Text(endpoint.address),
          IPPrefixLen: network?.subnet?.prefix ?? 0,
          MacAddress: macOf(endpoint.address),
        };
  return {
    IPAMConfig: address === null ? null : { IPv4Address: address },
    Aliases: aliases.length === 0 ? null : [...aliases],
    NetworkID: network?.id ?? '',
    ...emptyEnd,
    ...end,
    DNSNames: endpoint === undefined || network?.name === 'bridge' ? null : [...endpoint.names],
  };
}

/** Those that lead in, and with null those that are only exposed. */
function portsOf({ id, state, spec }: Container, store: NetworkStore): JsonObject {
  if (!isUp(state)) return {};
  const ports: Record<string, { HostIp: string; HostPort: string }[] | null> = {};
  if (spec.network.place.kind !== 'host') for (const port of spec.exposedPorts) ports[port] = null;
  for (const one of store.ports().get(id) ?? []) (ports[`${one.port}/${one.protocol}`] ??= []).push(bindingOf(one));
  return inOrder(ports);
}

/** As Go writes the keys of maps. */
export function inOrder<T extends Json>(values: Readonly<Record<string, T>>): Readonly<Record<string, T>> {
  return Object.fromEntries(Object.entries(values).toSorted(([one], [other]) => (one < other ? -1 : 1)));
}

function bindingOf({ address, host }: OpenPort) {
  return { HostIp: address, HostPort: String(host) };
}

/** As it was asked for. */
export function inspectNetworkWish({ network }: Container['spec']): JsonObject {
  const { place, published, publishAll } = network;
  const bindings: Record<string, { HostIp: string; HostPort: string }[]> = {};
  for (const { address, host, port, protocol } of published) {
    const range = host === null ? '' : host[0] === host[1] ? String(host[0]) : `${host[0]}-${host[1]}`;
    (bindings[`${port}/${protocol}`] ??= []).push({ HostIp: address ?? '', HostPort: range });
  }
  return { NetworkMode: modeOf(place), PortBindings: inOrder(bindings), PublishAllPorts: publishAll };
}

function modeOf(place: Container['spec']['network']['place']): string {
  switch (place.kind) {
    case 'networks':
      return place.networks[0]?.network ?? 'bridge';
    case 'container':
      return `container:${place.container}`;
    case 'default':
      return 'bridge';
    case 'host':
    case 'none':
      return place.kind;
    default:
      return unreachable(place, 'place');
  }
}
