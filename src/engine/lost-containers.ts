/** Containers that are to go with their end (`--rm`), and that nobody removed: whoever held them, or was to start them, was killed. */
import { join } from 'node:path';
import type { Container } from '#execution/container/store.ts';
import { isLeaseHeld } from '#stores/db/lease.ts';
import { noteContainer } from './note-events.ts';
import type { Engine } from './open.ts';
import { removeAnonymousVolumes } from './volumes.ts';

/** Removes those among `containers`, by default of all, that have run, or were to, and that nobody holds. They have no snapshot of their own. */
export function removeLostContainers(engine: Engine, containers: readonly Container[] = engine.containers.list()): void {
  for (const container of containers) {
    const { id } = container;
    if (!isLost(engine, container)) continue;
    using lock = engine.containers.lock(id);
    // Somebody is removing it.
    if (lock === undefined) continue;
    const lost = engine.containers.find(id);
    // With its folder, which taking the lock has made again where it was gone.
    engine.containers.remove(id);
    if (lost === undefined) continue;
    noteContainer(engine, lost, 'destroy');
    removeAnonymousVolumes(engine, lost.spec);
  }
}

function isLost(engine: Engine, container: Container): boolean {
  const { spec, state } = container;
  if (!spec.autoRemove) return false;
  return state.kind === 'exited' || (state.kind === 'created' && spec.starter !== undefined && !hasStarter(engine, container));
}

/** Is somebody about to start it for the first time, who has made it for that (`run`)? */
export function isAboutToStart(engine: Engine, container: Container): boolean {
  const { state } = container;
  return state.kind === 'created' && state.error === undefined && hasStarter(engine, container);
}

function hasStarter(engine: Engine, { spec }: Container): boolean {
  return spec.starter !== undefined && isLeaseHeld(join(engine.paths.store, 'leases'), spec.starter);
}
