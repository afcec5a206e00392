/** The network of a container that starts. */
import type { Report } from '#formats/progress/event.ts';
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
  });
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
