/** `jettison ps` and `rm` */
import { JettisonError } from '#ground/base/errors.ts';
import { formatAge } from '#ground/base/human.ts';
import type { Container } from '#execution/container/store.ts';
import type { Engine } from './open.ts';
import type { ContainerRow } from './container-requests.ts';

/** Newest first; only running ones unless `all`. */
export function listContainers(engine: Engine, options: { readonly all: boolean }): readonly ContainerRow[] {
  return engine.containers
    .list()
    .filter((container) => options.all || container.state.kind === 'running')
    .map((container) => ({
      id: container.id,
      name: container.name,
      image: container.image,
      command: container.command.join(' '),
      created: container.created,
      status: statusOf(container, engine.now()),
    }));
}

function statusOf(container: Container, now: number): string {
  if (container.state.kind === 'running') return `Up ${formatAge(now - container.created)}`;
  return `Exited (${container.state.code}) ${formatAge(now - container.state.at)} ago`;
}

/** Gives what was removed, as it was named. Throws `engine/no-such-container`, `engine/container-running`. */
export async function removeContainers(
  engine: Engine,
  names: readonly string[],
  options: { readonly force: boolean },
  signal: AbortSignal,
): Promise<readonly string[]> {
  for (const name of names) await removeContainer(engine, name, options.force, signal);
  return names;
}

async function removeContainer(engine: Engine, name: string, force: boolean, signal: AbortSignal): Promise<void> {
  const container = engine.containers.find(name);
  if (container === undefined)
    throw new JettisonError('engine/no-such-container', `No such container: ${name}`, { hint: '"jettison ps -a" lists what is here' });
  if (container.state.kind === 'running') {
    throw new JettisonError(force ? 'engine/not-built' : 'engine/container-running', `Container ${container.name} is running`, {
      hint: force ? 'Removing a running container is not built yet: end it first' : 'End it first',
    });
  }
  engine.containers.remove(container.id);
  if (container.state.snapshot !== undefined) {
    const worker = await engine.worker(signal);
    await worker.release([container.state.snapshot], signal);
  }
}
