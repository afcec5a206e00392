/** Starts the worker process of this machine on the best rung of the ladder that works, or on the one that was asked for. */
import { JettisonError } from '#ground/base/errors.ts';
import { isolations, type Isolation, type IsolationWish } from '#ground/linux/isolation.ts';
import { obstacleTo, requireRung } from '#ground/linux/ladder.ts';
import type { Worker } from './contract.ts';
import { startLocalWorker, type LocalWorkerOptions } from './local.ts';
import { rungsFor } from './rungs.ts';

export type WorkerOptions = Omit<LocalWorkerOptions, 'isolation' | 'tree'> & {
  /** What of it is undefined is found out. */
  readonly wish: IsolationWish;
};

/**
 * Looks first, then tries, best rung first. Throws `linux/no-isolation` when the rung that was asked for is seen not to be had, `linux/namespaces-refused` when it
 * is refused, and `worker/no-rung` when none was asked for and none is to be had.
 */
export async function startWorker({ wish, ...options }: WorkerOptions, signal: AbortSignal): Promise<Worker> {
  const path = options.environment['PATH'] ?? '';
  const start = async (isolation: Isolation): Promise<Worker> =>
    await startLocalWorker({ ...options, isolation, tree: wish.tree ?? (isolation === 'chroot' ? 'copies' : 'auto') }, signal);
  if (wish.isolation !== undefined) {
    requireRung(wish.isolation, path);
    return await start(wish.isolation);
  }
  const refused: JettisonError[] = [];
  for (const isolation of rungsFor(options.store, wish, path)) {
    try {
      return await start(isolation);
    } catch (error) {
      if (!(error instanceof JettisonError) || !['linux/namespaces-refused', 'linux/no-such-command'].includes(error.code)) throw error;
      refused.push(error);
    }
  }
  throw nothingWorks(refused, path);
}

/** What was refused when it was tried says most; else what was seen of the rung that a normal user, or root, would have. */
function nothingWorks(refused: readonly JettisonError[], path: string): JettisonError {
  const [first] = refused;
  const seen = obstacleTo(process.getuid?.() === 0 ? 'oci' : 'rootless', path);
  const problem = first?.message ?? `Cannot build on this machine: ${seen?.problem ?? 'no isolation is to be had'}`;
  return new JettisonError('worker/no-rung', problem, {
    fault: 'environment',
    hint: first?.hint ?? seen?.hint ?? 'See "jettison doctor"',
    notes: [
      ...refused.slice(1).map(({ message }) => message),
      ...isolations.flatMap((isolation) => {
        const obstacle = obstacleTo(isolation, path);
        return obstacle === undefined ? [] : [`Isolation "${isolation}": ${obstacle.problem}`];
      }),
    ],
  });
}
