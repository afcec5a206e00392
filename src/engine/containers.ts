/** `jettison ps` and `rm` */
import { JettisonError, unreachable } from '#ground/base/errors.ts';
import { formatAge } from '#ground/base/human.ts';
import type { Container, ContainerState } from '#execution/container/store.ts';
import type { Engine } from './open.ts';
import type { ContainerRow } from './container-requests.ts';

/** Newest first; only running ones unless `all`. */
export function listContainers(engine: Engine, options: { readonly all: boolean }): readonly ContainerRow[] {
  return engine.containers
    .list()
    .filter((container) => options.all || isUp(container.state))
    .map((container) => ({
      id: container.id,
      name: container.name,
      image: container.spec.image,
      command: container.spec.arguments.join(' '),
      created: container.created,
      status: statusOf(container, engine.now()),
    }));
}

/** It has a process, or will have one again without anybody's doing. */
export function isUp({ kind }: ContainerState): boolean {
  return kind === 'running' || kind === 'paused' || kind === 'restarting';
}

/** The words of the docker CLI. */
function statusOf({ state, created }: Container, now: number): string {
  const up = `Up ${formatAge(now - (state.started ?? created))}`;
  const ended = `(${state.code}) ${formatAge(now - (state.ended ?? created))} ago`;
  switch (state.kind) {
    case 'created':
      return 'Created';
    case 'running':
      return up;
    case 'paused':
      return `${up} (Paused)`;
    case 'restarting':
      return `Restarting ${ended}`;
    case 'exited':
      return `Exited ${ended}`;
    case 'dead':
      return 'Dead';
    default:
      return unreachable(state.kind, 'state');
  }
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
  using lock = engine.containers.lock(container.id);
  if (lock === undefined) {
    throw new JettisonError(force ? 'engine/not-built' : 'engine/container-running', `Container ${container.name} is running`, {
      hint: force ? 'Removing a running container is not built yet: end it first' : 'End it first',
    });
  }
  engine.containers.noteRemoval(container.id);
  if (container.snapshot !== undefined) {
    const worker = await engine.worker(signal);
    await worker.release([container.snapshot], signal);
  }
  engine.containers.remove(container.id);
}
