/** The network of a container that starts, and the process of one that runs, by which others reach its network. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import type { Report } from '#formats/progress/event.ts';
import { systemCode } from '#ground/base/errors.ts';
import { startOf } from '#ground/base/process-identity.ts';
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
    processOf: (text) => {
      const other = engine.containers.find(text);
      const pid = other && processOfContainer(engine, other);
      return other === undefined || pid === undefined ? undefined : { id: other.id, pid, hostname: other.spec.hostname };
    },
  });
}

const stateSchema = v.object({ process: v.nullable(v.object({ pid: v.number(), start: v.nullable(v.string()) })) });

/** The first process of a container, as this process sees it; undefined for one that does not run. */
export function processOfContainer(engine: Engine, { id }: Container): number | undefined {
  if (!engine.containers.isHeld(id)) return undefined;
  try {
    const { process } = v.parse(stateSchema, JSON.parse(readFileSync(join(engine.containers.folder(id), 'state.json'), 'utf8')));
    return process !== null && startOf(process.pid) === process.start ? process.pid : undefined;
  } catch (error) {
    // It is just starting.
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}
