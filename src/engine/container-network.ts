/** The network of a container that starts. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Report } from '#formats/progress/event.ts';
import type { AttendantStart, AttendedChange } from '#execution/network/attendant.ts';
import type { Container } from '#execution/container/store.ts';
import type { ContainerNetwork } from '#execution/network/container-network.ts';
import type { NetworkTools } from '#execution/network/open.ts';
import { processOfContainer } from './container-process.ts';
import type { Engine } from './open.ts';

/**
 * Opens what the container's spec asks for. Dispose it when the container has ended. Start the worker with `network.worker`, which `onWorkerNetwork` may be told of sooner, then call `network.connect`, and run the container with
 * `network.runtime`, `addresses` and `resolvConf`. Throws `network/...`.
 */
export async function openContainerNetwork(
  engine: Engine,
  { id, name, spec }: Container,
  report: Report,
  onWorkerNetwork: (network: ContainerNetwork['worker']) => void,
): Promise<ContainerNetwork> {
  const { openContainerNetwork: open } = await import('#execution/network/open.ts');
  return await open({ id, name, hostname: spec.hostname, exposed: spec.exposedPorts }, spec.network, {
    store: await engine.networks(),
    note: (text) => report({ kind: 'note', text }),
    environment: engine.environment,
    resolving: resolvingOf(spec.settings.dns),
    processOf: (other) => processOf(engine, other),
    onWorkerNetwork,
    home: homeOf(engine),
  });
}

/** Where the files of the home of a normal user's bridges are. */
function homeFolder({ paths }: Engine): string {
  return join(paths.store, 'network');
}

/** What has something done in the home of a normal user's bridges; undefined where the process stands in none. */
export async function attendantBeside(
  engine: Engine,
  first: number,
): Promise<((change: AttendedChange) => Promise<readonly string[]>) | undefined> {
  const [{ findUserHome }, { attendOnce }] = await Promise.all([
    import('#execution/network/user-home.ts'),
    import('#execution/network/attendant.ts'),
  ]);
  const home = findUserHome(homeFolder(engine), first);
  return home === undefined ? undefined : async (change) => await attendOnce(attendantStart(engine, home), change);
}

function attendantStart(engine: Engine, home: number): AttendantStart {
  const environment = Object.entries({ ...engine.environment, JETTISON_STORE: engine.paths.store });
  return {
    // Beside this file in the sources, `attend.cjs` in a bundle.
    script: fileURLToPath(new URL(import.meta.url.endsWith('.ts') ? './attend-main.ts' : './attend.cjs', import.meta.url)),
    environment: Object.fromEntries(environment.filter((pair): pair is [string, string] => pair[1] !== undefined)),
    home,
  };
}

function homeOf(engine: Engine): NetworkTools['home'] {
  return {
    folder: homeFolder(engine),
    isolation: async () => {
      const { rungsFor } = await import('#execution/worker/rungs.ts');
      return rungsFor(engine.paths.store, engine.wish, engine.environment['PATH'] ?? '')[0] ?? 'chroot';
    },
    attend: async (home) => {
      const { startAttendant } = await import('#execution/network/attendant.ts');
      return await startAttendant(attendantStart(engine, home));
    },
  };
}

/** Undefined where it does not run. Of one that has another's network only the process is known. */
function processOf(engine: Engine, name: string) {
  const other = engine.containers.find(name);
  const process = other && processOfContainer(engine, other);
  if (other === undefined || process === undefined) return undefined;
  return { id: other.id, pid: process.pid, hostname: other.spec.hostname, resolving: resolvingOf(other.spec.settings.dns) };
}

/** What is not said is as the machine has it; `.` as the only domain is none. */
export function resolvingOf({ servers, search, options }: Container['spec']['settings']['dns']): NetworkTools['resolving'] & {} {
  return {
    ...(servers.length === 0 ? {} : { nameServers: servers }),
    ...(search.length === 0 ? {} : { search: search.filter((domain) => domain !== '.') }),
    ...(options.length === 0 ? {} : { options }),
  };
}
