/** The worker as the two runs of `verify` have it: what a step finds around it is other in the second one, and neither leaves anything behind. */
import { randomUUID } from 'node:crypto';
import type { Mount } from '#formats/graph/op.ts';
import type { Keeper } from '#execution/worker/keeper.ts';
import type { OpRequest, SnapshotId, Worker } from '#execution/worker/contract.ts';
import { isLeaseHeld } from '#stores/db/lease.ts';
import { join } from 'node:path';
import type { Engine } from './open.ts';
import type { Verified } from './verify-requests.ts';

export type Rehearsal = AsyncDisposable & {
  first(): Promise<Worker>;
  second(): Promise<Worker>;
  /** `jobs`: of the first run. */
  conditions(jobs: number): Promise<Pick<Verified, 'changed' | 'unchanged'>>;
};

/** Disposing removes what its steps have made. */
export function openRehearsal(engine: Engine, signal: AbortSignal): Rehearsal {
  const lease = engine.hold();
  const made: SnapshotId[] = [];
  // One that is killed leaves its snapshots, which no record knows, and its cache mounts.
  engine.leaveGarbage();
  const through = (worker: Worker, change: (request: OpRequest) => OpRequest): Worker => ({
    ...worker,
    run: async (request, report, own) => {
      const snapshot = await worker.run(change(request), report, own);
      made.push(snapshot);
      return snapshot;
    },
  });
  const named = (run: string): string => `${mountPrefix}${lease} ${randomUUID()} ${run} `;
  const [firstName, secondName] = [named('first'), named('second')];
  return {
    first: async () => through(await engine.worker(signal), (request) => withOwnMounts(request, firstName)),
    second: async () =>
      through(await engine.worker(signal), (request) => ({ ...withOwnMounts(request, secondName), reversesFolders: true })),
    conditions: async (jobs) => {
      const { rung } = await engine.worker(signal);
      const order = 'folders are listed in the reverse order';
      const isOverlay = rung.tree === 'overlay';
      return {
        changed: [
          'the clock: some seconds later',
          'inodes, mount points, and random numbers: new ones',
          'cache mounts: empty in both runs, and not shared by them',
          ...(jobs > 1 ? [`steps at a time: 1 instead of ${jobs}`] : []),
          ...(isOverlay ? [order] : []),
        ],
        unchanged: [
          'the date: a step has no clock of its own, so what changes by the day is not found',
          'processor and kernel',
          ...(isOverlay ? [] : [`${order}: only where trees are overlays`]),
        ],
      };
    },
    [Symbol.asyncDispose]: async () => {
      if (made.length === 0) return;
      // Not the caller's signal: it may have been aborted.
      const worker = await engine.worker(new AbortController().signal);
      await worker.release(made, new AbortController().signal);
    },
  };
}

const mountPrefix = 'verify ';

/** What other builds left in a cache mount would be seen by one run and changed for all. */
function withOwnMounts(request: OpRequest, name: string): OpRequest {
  const { op } = request;
  if (op.kind !== 'exec') return request;
  const mounts = op.mounts.map((mount): Mount => (mount.kind === 'cache' ? { ...mount, id: name + mount.id } : mount));
  return { ...request, op: { ...op, mounts } };
}

/** Removes cache mounts of those that are over, or were killed. */
export function removeRehearsed(engine: Engine, keeper: Keeper): void {
  const leases = join(engine.paths.store, 'leases');
  const over = keeper.cacheMounts().filter(({ description }) => {
    const [, lease] = description.startsWith(mountPrefix) ? description.split(' ') : [];
    return lease !== undefined && !isLeaseHeld(leases, lease);
  });
  if (over.length > 0) keeper.removeCacheMounts(new Set(over.map(({ id }) => id)));
}
