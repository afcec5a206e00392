/** `jettison doctor`: which rung of the ladder this machine gives, and what is missing for the others. */
import type { Diagnosis as LadderDiagnosis } from '#execution/worker/diagnose.ts';
import type { RunnablePlatform } from '#execution/worker/platforms.ts';
import { platformsHere } from './info.ts';
import { workerEnvironment, type Engine } from './open.ts';

export type Diagnosis = LadderDiagnosis & {
  /** Folder of the store. */
  readonly store: string;
  /** What network containers get here, and what is missing for one of their own. */
  readonly containerNetwork: string;
  /** Whose programs steps can run. */
  readonly platforms: readonly RunnablePlatform[];
};

/** Tries each rung for real: takes a second. */
export async function diagnose(engine: Engine, signal: AbortSignal): Promise<Diagnosis> {
  const { diagnose: tryLadder } = await import('#execution/worker/diagnose.ts');
  const { store } = engine.paths;
  const environment = workerEnvironment(engine.environment);
  const found = await tryLadder({ store, environment, now: engine.now, wish: engine.wish }, signal);
  const { describeNetworks } = await import('#execution/network/diagnose.ts');
  return { ...found, store, containerNetwork: describeNetworks(environment), platforms: platformsHere() };
}
