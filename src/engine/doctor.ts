/** `jettison doctor`: which rung of the ladder this machine gives, and what is missing for the others. */
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { Diagnosis as LadderDiagnosis } from '#execution/worker/diagnose.ts';
import type { RunnablePlatform } from '#execution/worker/platforms.ts';
import { platformsHere } from './info.ts';
import { workerEnvironment, type Engine } from './open.ts';

export type Diagnosis = LadderDiagnosis & {
  /** Folder of the store. */
  readonly store: string;
  /** Programs that give a step without root a network of its own, which are installed; none of them is used yet. */
  readonly networkPrograms: readonly string[];
  /** Whose programs steps can run. */
  readonly platforms: readonly RunnablePlatform[];
};

/** Tries each rung for real: takes a second. */
export async function diagnose(engine: Engine, signal: AbortSignal): Promise<Diagnosis> {
  const { diagnose: tryLadder } = await import('#execution/worker/diagnose.ts');
  const { store } = engine.paths;
  const environment = workerEnvironment(engine.environment);
  const found = await tryLadder({ store, environment, now: engine.now, wish: engine.wish }, signal);
  const isThere = (name: string): boolean =>
    (environment['PATH'] ?? '').split(delimiter).some((folder) => folder !== '' && existsSync(join(folder, name)));
  return { ...found, store, networkPrograms: ['pasta', 'slirp4netns'].filter(isThere), platforms: platformsHere() };
}
