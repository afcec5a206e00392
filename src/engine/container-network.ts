/** The network of a container that starts. */
import type { Report } from '#formats/progress/event.ts';
import type { Container } from '#execution/container/store.ts';
import type { ContainerNetwork } from '#execution/network/container-network.ts';
import type { Engine } from './open.ts';

/**
 * Opens what the container's spec asks for. Dispose it when the container has ended. Start the worker with `network.worker`, then call `network.connect`, and run the container with
 * `network.runtime`, `addresses` and `resolvConf`. Throws `network/...`.
 */
export async function openContainerNetwork(engine: Engine, { id, name, spec }: Container, report: Report): Promise<ContainerNetwork> {
  const { openContainerNetwork: open } = await import('#execution/network/open.ts');
  return await open({ id, name, hostname: spec.hostname, exposed: spec.exposedPorts }, spec.network, {
    store: await engine.networks(),
    note: (text) => report({ kind: 'note', text }),
    environment: engine.environment,
    // Nobody keeps the process of a container yet.
    processOf: () => undefined,
  });
}
