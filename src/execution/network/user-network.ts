/**
 * The network of a container without root: a program of the machine, run by the user, carries its packets, pasta (of the package passt) or slirp4netns. It opens the container's ports
 * itself, and ends with this process.
 */
import { accessSync, constants, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { isCode, JettisonError, systemCode } from '#ground/base/errors.ts';
import { startTied, tiedFiles } from '#ground/linux/tied-program.ts';
import type { ContainerNetwork, NetworkedContainer } from './container-network.ts';
import { openContainerPorts } from './open-ports.ts';
import { parseResolvConf, printResolvConf, reachableServers, readMachineResolvConf, type Resolving } from './resolv-conf.ts';
import type { NetworkStore } from './store.ts';
import type { NetworkWish, OpenPort } from './wish.ts';

export const userNetworkPrograms = ['pasta', 'slirp4netns'] as const;
export type UserNetworkProgram = { readonly name: (typeof userNetworkPrograms)[number]; readonly path: string };

type Environment = Readonly<Record<string, string | undefined>>;
type Tools = { readonly store: NetworkStore; readonly environment: Environment; readonly resolving?: Partial<Resolving> };

/** By which slirp4netns knows the container, and itself as a name server. */
const slirpAddress = '10.0.2.100';
const slirpServer = '10.0.2.3';
/** An address that pasta answers for when the machine's own name servers are on its `lo`. */
const pastaServer = '169.254.1.1';
const usualPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** The one that is taken here; undefined when neither is in PATH. */
export function findUserNetworkProgram(environment: Environment): UserNetworkProgram | undefined {
  const folders = (environment['PATH'] ?? usualPath).split(delimiter).filter((folder) => folder !== '');
  for (const name of userNetworkPrograms) {
    const path = folders.map((folder) => join(folder, name)).find((file) => existsSync(file));
    if (path !== undefined) return { name, path };
  }
  return undefined;
}

/** Throws `network/port-taken` now, and when it is connected `network/program-failed`. */
export async function openUserNetwork(
  program: UserNetworkProgram,
  container: NetworkedContainer,
  wish: NetworkWish,
  { store, environment, resolving = {} }: Tools,
): Promise<ContainerNetwork> {
  const ports = ofProgram(await findPorts(container, wish, store), program, wish);
  const machine = parseResolvConf(readMachineResolvConf());
  const servers = serversBehind(program, machine);
  const undo = new AsyncDisposableStack();
  undo.defer(() => store.leave(container.id));
  return {
    worker: { kind: 'own' },
    runtime: 'host',
    addresses: program.name === 'slirp4netns' ? [slirpAddress] : [],
    gateway: undefined,
    resolvConf: printResolvConf({ ...machine, nameServers: servers, ...resolving }),
    hostname: undefined,
    ports,
    connect: async (pid, signal) => {
      const start = program.name === 'pasta' ? startPasta : startSlirp;
      undo.use(await start({ path: program.path, pid, ports, environment: { PATH: environment['PATH'] ?? usualPath }, servers }, signal));
      store.openPorts(container.id, ports);
    },
    [Symbol.asyncDispose]: async () => await undo.disposeAsync(),
  };
}

/** Name servers as they are reached through the program. */
export function serversBehind(program: UserNetworkProgram, machine: Resolving): readonly string[] {
  if (program.name === 'slirp4netns') return [slirpServer];
  const reachable = reachableServers(machine);
  return reachable.length > 0 ? reachable : [pastaServer];
}

/** slirp4netns knows IPv4 alone: of a port for all addresses there is that half. */
function ofProgram(ports: readonly OpenPort[], { name }: UserNetworkProgram, { published }: NetworkWish): readonly OpenPort[] {
  if (name === 'pasta') return ports;
  const asked = published.find(({ address }) => address?.includes(':'));
  if (asked === undefined) return ports.filter(({ address }) => !address.includes(':'));
  throw new JettisonError('network/program-failed', `slirp4netns opens no port at [${asked.address}]`, {
    fault: 'environment',
    hint: 'Use pasta: apt install passt',
  });
}

/**
 * Why the programs cannot work here, where that can be seen: their device cannot be opened, or there is no way out to lead to. Undefined where nothing is seen.
 */
export function obstacleToUserNetwork(): string | undefined {
  try {
    accessSync('/dev/net/tun', constants.R_OK | constants.W_OK);
    const routes = readFileSync('/proc/self/net/route', 'latin1').split('\n');
    return routes.some((line) => line.split('\t')[1] === '00000000') ? undefined : 'this machine has no default route';
  } catch (error) {
    const code = systemCode(error);
    if (code === undefined) throw error;
    return `/dev/net/tun cannot be opened (${code})`;
  }
}

/** Ports that are free now: tried, and closed again for the program. */
async function findPorts(container: NetworkedContainer, wish: NetworkWish, store: NetworkStore): Promise<readonly OpenPort[]> {
  await using found = await openContainerPorts(container, { wish, address: '127.0.0.1', store });
  return found.ports;
}

type Start = {
  readonly path: string;
  readonly pid: number;
  readonly ports: readonly OpenPort[];
  readonly environment: Readonly<Record<string, string>>;
  readonly servers: readonly string[];
};

/** pasta(1) goes into the background when it is ready; a shell waits for our end and ends it then. */
const pastaScript = `"$@" 3>&- 4<&- || exit; pid=$(cat "$0"); rm -f "$0"; echo ready >&${tiedFiles.ready}; read -r _ <&${tiedFiles.end}; kill "$pid"`;

async function startPasta({ path, pid, ports, environment, servers }: Start, signal: AbortSignal): Promise<AsyncDisposable> {
  const folder = mkdtempSync(join(tmpdir(), 'jettison-pasta-'));
  const file = join(folder, 'pid');
  try {
    const forwards = (['tcp', 'udp'] as const).flatMap((protocol) => {
      const options = ports.filter((one) => one.protocol === protocol).flatMap((one) => pastaPort(one, ports));
      return options.length === 0 ? [protocol === 'tcp' ? '-t' : '-u', 'none'] : options;
    });
    const words = pastaCommand({ path, pid, servers, forwards, file });
    return await startTied({ command: '/bin/sh', arguments: ['-c', pastaScript, file, ...words], environment }, signal);
  } catch (error) {
    throw programFailed('pasta', error);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What leads the network of a process out. It goes into the background when it is ready, its number then being in `file`. */
export function pastaCommand({
  path,
  pid,
  servers,
  forwards,
  file,
}: Pick<Start, 'path' | 'pid' | 'servers'> & { readonly forwards: readonly string[]; readonly file: string }): readonly string[] {
  const names = servers.includes(pastaServer) ? ['--dns-forward', pastaServer] : [];
  return [path, '--config-net', '--no-map-gw', ...forwards, '-T', 'none', '-U', 'none', ...names, '--pid', file, String(pid)];
}

/** The same; it stays in the foreground. `files` are options for its open files. */
export function slirpCommand({ path, pid }: Pick<Start, 'path' | 'pid'>, files: readonly string[]): readonly string[] {
  return [path, '--configure', '--mtu=65520', '--disable-host-loopback', ...files, String(pid), 'tap0'];
}

/** Without an address it takes those of IPv4 and IPv6. */
function pastaPort({ address, host, port, protocol }: OpenPort, all: readonly OpenPort[]): readonly string[] {
  const option = protocol === 'tcp' ? '-t' : '-u';
  const isBoth = (one: string): boolean => all.some((other) => other.address === one && other.host === host && other.protocol === protocol);
  if (address === '::' && isBoth('0.0.0.0')) return [];
  const place = address === '0.0.0.0' && isBoth('::') ? '' : `${address}/`;
  return [option, `${place}${host}:${port}`];
}

async function startSlirp({ path, pid, ports, environment }: Start, signal: AbortSignal): Promise<AsyncDisposable> {
  const folder = mkdtempSync(join(tmpdir(), 'jettison-slirp-'));
  const socket = join(folder, 'api');
  const files = [`--ready-fd=${tiedFiles.ready}`, `--exit-fd=${tiedFiles.end}`, '--api-socket', socket];
  const [command = '', ...words] = slirpCommand({ path, pid }, files);
  await using undo = new AsyncDisposableStack();
  undo.defer(() => rmSync(folder, { recursive: true, force: true }));
  try {
    undo.use(await startTied({ command, arguments: words, environment }, signal));
    for (const one of ports) if (!one.address.includes(':')) await addSlirpPort(socket, one);
  } catch (error) {
    throw programFailed('slirp4netns', error);
  }
  return undo.move();
}

/** slirp4netns(1), API: a request and an answer for each connection. */
async function addSlirpPort(socket: string, { address, host, port, protocol }: OpenPort): Promise<void> {
  const client = connect({ path: socket, allowHalfOpen: true });
  const request = {
    execute: 'add_hostfwd',
    arguments: { proto: protocol, host_addr: address, host_port: host, guest_addr: slirpAddress, guest_port: port },
  };
  client.end(JSON.stringify(request));
  let answer = '';
  for await (const chunk of client) answer += String(chunk);
  if (answer.includes('"error"')) throw new JettisonError('network/program-failed', `port ${host}: ${answer}`, { fault: 'environment' });
}

export function programFailed(name: string, error: unknown): unknown {
  if (!isCode(error, 'linux/program-failed') && systemCode(error) === undefined && !isCode(error, 'network/program-failed')) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new JettisonError('network/program-failed', `Cannot lead the container's network out by ${name}: ${message}`, {
    fault: 'environment',
    hint: existsSync('/dev/net/tun')
      ? 'Use --network host'
      : 'The device /dev/net/tun has to be there: modprobe tun; or use --network host',
    cause: error,
  });
}
