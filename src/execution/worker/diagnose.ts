/** Which rungs of the ladder this machine gives: each is looked at and then tried for real, in a store of its own that is gone afterwards. */
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { JettisonError } from '#ground/base/errors.ts';
import { isolations, type Isolation, type Rung } from '#ground/linux/isolation.ts';
import { obstacleTo } from '#ground/linux/ladder.ts';
import { probeHost, type HostFacts } from '#ground/linux/probe.ts';
import type { Obstacle } from '#ground/linux/user-namespace.ts';
import type { Examination } from './contract.ts';
import { startLocalWorker, type LocalWorkerOptions } from './local.ts';

export type Diagnosis = {
  readonly host: HostFacts;
  /** What `auto` takes; undefined when nothing can be built. */
  readonly best: Rung | undefined;
  /** Best first. */
  readonly rungs: readonly RungReport[];
};

export type RungReport = { readonly isolation: Isolation } & (
  | ({ readonly works: true; readonly tree: Rung['tree'] } & Examination)
  | ({ readonly works: false } & Obstacle)
);

export type DiagnosisOptions = Pick<LocalWorkerOptions, 'store' | 'environment' | 'now'>;

/** Takes a second. `store` is there; what is tried lies in it, so that its file system is. */
export async function diagnose(options: DiagnosisOptions, signal: AbortSignal): Promise<Diagnosis> {
  const rungs: RungReport[] = [];
  for (const isolation of isolations) rungs.push(await reportOn(isolation, options, signal));
  const best = rungs.find((rung) => rung.works && rung.runtime !== undefined);
  return { host: probeHost(options.store), best: best?.works === true ? { isolation: best.isolation, tree: best.tree } : undefined, rungs };
}

async function reportOn(isolation: Isolation, options: DiagnosisOptions, signal: AbortSignal): Promise<RungReport> {
  const obstacle = obstacleTo(isolation, options.environment['PATH'] ?? '');
  if (obstacle !== undefined) return { isolation, works: false, ...obstacle };
  const store = mkdtempSync(join(options.store, 'doctor-'));
  try {
    await using worker = await startLocalWorker(
      { ...options, store, isolation, tree: isolation === 'chroot' ? 'copies' : 'auto', stdio: 'none', report: () => undefined },
      signal,
    );
    const { runtime, missing } = await worker.examine(signal);
    const ids = obstacleTo('rootless', options.environment['PATH'] ?? '')?.hint ?? 'Build with isolation "rootless"';
    const found = missing.map((lack) => (lack.what === 'ids' ? { ...lack, hint: ids } : lack));
    return { isolation, works: true, tree: worker.rung.tree, runtime, missing: found };
  } catch (error) {
    if (!(error instanceof JettisonError) || error.fault === 'bug') throw error;
    return { isolation, works: false, problem: error.message, hint: error.hint ?? '' };
  } finally {
    rmSync(store, { recursive: true, force: true });
  }
}
