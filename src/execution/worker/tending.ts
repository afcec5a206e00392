/** Having a worker's part of the store tended later, by a process of its own: light enough for a command that starts no worker. */
import { join } from 'node:path';
import { markUntended, startTending, startTendingAfterwards, type TendingProgram } from '#stores/snapshot/start-tending.ts';

/** There is something to remove in the store `store`. */
export function markWorkerStore(store: string): void {
  markUntended(join(store, 'snapshots'));
}

/** Has the store tended by `program` when there is something to do. Returns at once. */
export function startTendingWorkerStore(store: string, program: TendingProgram): void {
  startTending(join(store, 'snapshots'), program);
}

/** The same for when this process has ended, or `begin` is called. */
export function startTendingWorkerStoreAfterwards(store: string, program: TendingProgram): { begin(): void } {
  return startTendingAfterwards(join(store, 'snapshots'), program);
}
