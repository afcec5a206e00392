/** Which rungs of the ladder this machine gives: each is looked at and then tried for real, in a store of its own that is gone afterwards. */
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { JettisonError } from '#ground/base/errors.ts';
import { isolations, type Isolation, type IsolationWish, type Rung } from '#ground/linux/isolation.ts';
import { obstacleTo } from '#ground/linux/ladder.ts';
import { probeHost, type HostFacts } from '#ground/linux/probe.ts';
import type { Obstacle } from '#ground/linux/user-namespace.ts';
import type { Examination } from './contract.ts';
import { startLocalWorker, type LocalWorkerOptions } from './local.ts';
import { lackOfStore, rungsFor } from './rungs.ts';

export type Diagnosis = {
  readonly host: HostFacts;
  /** What builds of this store take, where nothing else is asked for; undefined when nothing works. */
  readonly taken: RungReport | undefined;
  /** Best first. */
  readonly rungs: readonly RungReport[];
};

export type RungReport = { readonly isolation: Isolation } & (
  | ({ readonly works: true; readonly tree: Rung['tree'] } & Examination)
  | ({ readonly works: false } & Obstacle)
);

export type DiagnosisOptions = Pick<LocalWorkerOptions, 'store' | 'environment' | 'now'> & { readonly wish: IsolationWish };

/** Takes seconds. `store` is there; what is tried lies in it, so that its file system is. */
export async function diagnose({ wish, ...options }: DiagnosisOptions, signal: AbortSignal): Promise<Diagnosis> {
  const tried: RungReport[] = [];
  for (const isolation of isolations) tried.push(await reportOn(isolation, options, signal));
  const rungs = rungsFor(options.store, wish, options.environment['PATH'] ?? '');
  const isTaken = ({ isolation, works }: RungReport): boolean => rungs.includes(isolation) && (works || wish.isolation !== undefined);
  const taken = tried.findIndex(isTaken);
  // What is not taken for its own lacks need not fit the store.
  const reports = tried.map((report, index) => (index <= taken ? withStore(report, options.store) : report));
  return { host: probeHost(options.store), taken: withTree(reports[taken], wish), rungs: reports };
}

function withStore(report: RungReport, store: string): RungReport {
  const lack = report.works ? lackOfStore(store, report.isolation) : undefined;
  return report.works && lack !== undefined ? { ...report, missing: [...report.missing, lack] } : report;
}

function withTree(report: RungReport | undefined, { tree }: IsolationWish): RungReport | undefined {
  return report?.works === true && tree !== undefined ? { ...report, tree } : report;
}

async function reportOn(isolation: Isolation, options: Omit<DiagnosisOptions, 'wish'>, signal: AbortSignal): Promise<RungReport> {
  const obstacle = obstacleTo(isolation, options.environment['PATH'] ?? '');
  if (obstacle !== undefined) return { isolation, works: false, ...obstacle };
  const store = mkdtempSync(join(options.store, 'doctor-'));
  try {
    await using worker = await startLocalWorker(
      { ...options, store, isolation, tree: isolation === 'chroot' ? 'copies' : 'auto', stdio: 'none', report: () => undefined },
      signal,
    );
    const { runtime, missing } = await worker.examine(signal);
    signal.throwIfAborted();
    const ids = obstacleTo('rootless', options.environment['PATH'] ?? '')?.hint ?? 'Build with isolation "rootless"';
    const found = missing.map((lack) => (lack.what === 'ids' ? { ...lack, hint: ids } : lack));
    return { isolation, works: true, tree: worker.rung.tree, runtime, missing: found };
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof JettisonError) || error.fault === 'bug') throw error;
    return { isolation, works: false, problem: error.message, hint: error.hint ?? '' };
  } finally {
    rmSync(store, { recursive: true, force: true });
  }
}
