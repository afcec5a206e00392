/** Containers that are to go with their end (`--rm`), and that nobody removed: whoever held them was killed. */
import type { Container } from '#execution/container/store.ts';
import { noteContainer } from './note-events.ts';
import type { Engine } from './open.ts';
import { removeAnonymousVolumes } from './volumes.ts';

/** Removes those among `containers`, by default of all, that have run and that nobody holds. They have no snapshot of their own. */
export function removeLostContainers(engine: Engine, containers: readonly Container[] = engine.containers.list()): void {
  for (const { id, spec, state } of containers) {
    if (!spec.autoRemove || state.kind !== 'exited') continue;
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
