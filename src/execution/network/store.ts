/** Networks by name and id, which container stands on which now, and which ports lead into it. What the kernel has of it is made from this, and may be gone. */
import * as v from 'valibot';
import { randomHex } from '#ground/base/random.ts';
import { JettisonError } from '#ground/base/errors.ts';
import type { Subnet } from '#ground/base/ipv4.ts';
import type { Database, Row } from '#stores/db/open.ts';
import { openPortSchema, type OpenPort } from './wish.ts';

export type Network = {
  /** 64 hexadecimal digits. */
  readonly id: string;
  readonly name: string;
  readonly driver: 'bridge' | 'host' | 'null';
  /** Milliseconds since the epoch. */
  readonly created: number;
  /** Of a bridge. */
  readonly subnet: Subnet | undefined;
  /** Nobody asked for this subnet: another is taken when something else of the machine has it. */
  readonly isAutomatic: boolean;
  readonly gateway: number | undefined;
  /** Where addresses are handed out from, where that is not the whole subnet. */
  readonly range: Subnet | undefined;
  /** Nothing goes out of it. */
  readonly isInternal: boolean;
  readonly labels: Readonly<Record<string, string>>;
};

/** A container on a network. */
export type Endpoint = {
  readonly container: string;
  readonly network: string;
  readonly address: number;
  /** By which others find it, its own name first. */
  readonly names: readonly string[];
};

export type NewNetwork = Omit<Network, 'id'>;

export type NetworkStore = {
  /** Throws `network/name-taken`, `network/bad-name`. */
  create(network: NewNetwork): Network;
  /** By name, id, or the beginning of an id; undefined when nothing fits. Throws `network/ambiguous`. */
  find(text: string): Network | undefined;
  /** As `find`. Throws `network/not-found`. */
  get(text: string): Network;
  /** By name. */
  list(): readonly Network[];
  /** By name or id. Throws `network/not-found`, `network/predefined`, and `network/in-use` while containers that run stand on it. */
  remove(text: string): void;
  /** Another subnet for a network that nobody stands on. */
  move(id: string, subnet: Subnet, gateway: number): void;
  /** Enters a container, with the address that `choose` picks when it knows all that are taken. The ends of those that do not run any more are forgotten. */
  join(endpoint: Omit<Endpoint, 'address'>, choose: (taken: ReadonlySet<number>) => number): Endpoint;
  leave(container: string, network?: string): void;
  /** Of containers that run. */
  endpoints(network: string): readonly Endpoint[];
  /** Of one container. */
  memberships(container: string): readonly Endpoint[];
  /** Enters the ports that lead into a container that has just begun to run. */
  openPorts(container: string, ports: readonly OpenPort[]): void;
  /** Of containers that run, by their ids. */
  ports(): ReadonlyMap<string, readonly OpenPort[]>;
  transaction<T>(work: () => T): T;
};

/** They are always there, and cannot be removed. */
const ownNetworks = { bridge: 'bridge', host: 'host', none: 'null' } as const;

/** Is this one of the networks that are always there? */
export function isPredefined(name: string): boolean {
  return name in ownNetworks;
}

/** `isRunning`: does the container of this id run? */
export function openNetworkStore(database: Database, isRunning: (container: string) => boolean, now: () => number): NetworkStore {
  const insert = database.prepare('INSERT INTO networks (id, name, created, document) VALUES (?, ?, ?, ?)');
  const byName = database.prepare('SELECT * FROM networks WHERE name = ?');
  const byPrefix = database.prepare('SELECT * FROM networks WHERE substr(id, 1, ?) = ? LIMIT 2');
  const all = database.prepare('SELECT * FROM networks ORDER BY name');
  const update = database.prepare('UPDATE networks SET document = ? WHERE id = ?');
  const remove = database.prepare('DELETE FROM networks WHERE id = ?');
  const allEndpoints = database.prepare('SELECT * FROM network_endpoints WHERE network = ? ORDER BY address');
  const ofContainer = database.prepare('SELECT * FROM network_endpoints WHERE container = ? ORDER BY rowid');
  const enter = database.prepare('INSERT OR REPLACE INTO network_endpoints (container, network, address, names) VALUES (?, ?, ?, ?)');
  const leave = database.prepare('DELETE FROM network_endpoints WHERE container = ?1 AND (?2 IS NULL OR network = ?2)');
  const enterPorts = database.prepare('INSERT OR REPLACE INTO network_ports (container, ports) VALUES (?, ?)');
  const allPorts = database.prepare('SELECT * FROM network_ports');
  const leavePorts = database.prepare('DELETE FROM network_ports WHERE container = ?');

  const save = (network: NewNetwork): Network => {
    const id = randomHex(32);
    insert.run(id, network.name, network.created, documentOf(network));
    return { ...network, id };
  };
  const predefine = (): void =>
    database.transaction(() => {
      for (const [name, driver] of Object.entries(ownNetworks)) {
        const none = { subnet: undefined, gateway: undefined, range: undefined, isInternal: false, labels: {} };
        if (byName.get(name) === undefined) save({ name, driver, created: now(), isAutomatic: true, ...none });
      }
    });
  const list = (): readonly Network[] => {
    if (byName.get('bridge') === undefined) predefine();
    return all.all().map(decodeNetwork);
  };
  const find = (text: string): Network | undefined => {
    if (isPredefined(text) && byName.get(text) === undefined) predefine();
    const named = byName.get(text);
    if (named !== undefined) return decodeNetwork(named);
    if (!/^[0-9a-f]{1,64}$/u.test(text)) return undefined;
    const rows = byPrefix.all(text.length, text);
    if (rows.length > 1)
      throw new JettisonError('network/ambiguous', `network ${text} is ambiguous (${rows.length} matches found based on ID prefix)`, {
        hint: 'Give more of the id',
      });
    return rows[0] === undefined ? undefined : decodeNetwork(rows[0]);
  };

  const get = (text: string): Network => {
    const network = find(text);
    if (network !== undefined) return network;
    throw new JettisonError('network/not-found', `network ${text} not found`, { hint: '"jettison network ls" lists what is here' });
  };
  const endpoints = (network: string): readonly Endpoint[] =>
    allEndpoints
      .all(network)
      .map(decodeEndpoint)
      .filter(({ container }) => isRunning(container));

  return {
    create: (network) =>
      database.transaction(() => {
        assertName(network.name);
        if (isPredefined(network.name))
          throw new JettisonError('network/predefined', `operation is not permitted on predefined ${network.name} network`);
        if (list().some(({ name }) => name === network.name)) {
          throw new JettisonError('network/name-taken', `network with name ${network.name} already exists`, {
            hint: 'Choose another name, or remove that one ("jettison network rm")',
          });
        }
        return save(network);
      }),
    find,
    list,
    get,
    remove: (text) =>
      database.transaction(() => {
        const network = get(text);
        if (isPredefined(network.name))
          throw new JettisonError('network/predefined', `${network.name} is a pre-defined network and cannot be removed`);
        const members = endpoints(network.id);
        if (members.length > 0) throw inUse(network, members);
        remove.run(network.id);
      }),
    move: (id, subnet, gateway) =>
      database.transaction(() => {
        const network = find(id);
        if (network !== undefined) update.run(documentOf({ ...network, subnet, gateway }), id);
      }),
    join: (endpoint, choose) =>
      database.transaction(() => {
        const taken = new Set<number>();
        for (const other of allEndpoints.all(endpoint.network).map(decodeEndpoint)) {
          if (other.container !== endpoint.container && isRunning(other.container)) taken.add(other.address);
          else leave.run(other.container, other.network);
        }
        const address = choose(taken);
        enter.run(endpoint.container, endpoint.network, address, JSON.stringify(endpoint.names));
        return { ...endpoint, address };
      }),
    leave: (container, network) => {
      leave.run(container, network ?? null);
      if (network === undefined) leavePorts.run(container);
    },
    endpoints,
    memberships: (container) => ofContainer.all(container).map(decodeEndpoint),
    openPorts: (container, ports) => void enterPorts.run(container, JSON.stringify(ports)),
    ports: () =>
      new Map(
        allPorts
          .all()
          .map((row) => v.parse(storedPorts, row))
          .filter(({ container }) => isRunning(container))
          .map(({ container, ports }) => [container, v.parse(v.array(openPortSchema), JSON.parse(ports))] as const),
      ),
    transaction: (work) => database.transaction(work),
  };
}

function inUse({ name }: Network, members: readonly Endpoint[]): JettisonError {
  const list = members.map(({ container, names }) => `name:"${names[0] ?? ''}" id:"${container.slice(0, 12)}"`).join(', ');
  return new JettisonError('network/in-use', `error while removing network: network ${name} has active endpoints (${list})`, {
    hint: 'Stop these containers, or take them off it (jettison network disconnect)',
  });
}

function assertName(name: string): void {
  if (/^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,254}$/u.test(name)) return;
  throw new JettisonError('network/bad-name', `Invalid network name "${name}"`, {
    hint: 'Letters, digits, "_", "." and "-", beginning with a letter or digit',
  });
}

const subnetSchema = v.object({ base: v.number(), prefix: v.number() });
const documentSchema = v.object({
  driver: v.picklist(['bridge', 'host', 'null']),
  subnet: v.optional(subnetSchema),
  isAutomatic: v.boolean(),
  gateway: v.optional(v.number()),
  range: v.optional(subnetSchema),
  isInternal: v.boolean(),
  labels: v.record(v.string(), v.string()),
});
const storedNetwork = v.object({ id: v.string(), name: v.string(), created: v.number(), document: v.string() });
const storedEndpoint = v.object({ container: v.string(), network: v.string(), address: v.number(), names: v.string() });
const storedPorts = v.object({ container: v.string(), ports: v.string() });

function documentOf({ driver, subnet, isAutomatic, gateway, range, isInternal, labels }: NewNetwork): string {
  return JSON.stringify({ driver, subnet, isAutomatic, gateway, range, isInternal, labels });
}

function decodeNetwork(row: Row): Network {
  const { document, ...rest } = v.parse(storedNetwork, row);
  const { subnet, gateway, range, ...more } = v.parse(documentSchema, JSON.parse(document));
  return { ...rest, ...more, subnet, gateway, range };
}

function decodeEndpoint(row: Row): Endpoint {
  const { names, ...rest } = v.parse(storedEndpoint, row);
  return { ...rest, names: v.parse(v.array(v.string()), JSON.parse(names)) };
}
