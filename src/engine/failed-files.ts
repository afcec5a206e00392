/** The files that a failed step left, for `diff` and `cp`: names that begin with `@` stand where else a container's does. */
import { JettisonError } from '#ground/base/errors.ts';
import type { FileChange } from '#execution/worker/contract.ts';
import { checkThere } from './debug-step.ts';
import type { FilesWorker } from './container-files.ts';
import type { Engine } from './open.ts';
import { findFailedStep, placeOfFailed } from './step-place.ts';

/** What it had written, by path. Throws `engine/no-failed-step`, `engine/place-gone`. */
export async function diffFailedStep(engine: Engine, name: string, signal: AbortSignal): Promise<readonly FileChange[]> {
  engine.hold();
  const kept = await findFailedStep(engine, name);
  const place = placeOfFailed(kept);
  if (!kept.step.wrote && kept.step.reason !== null)
    throw new JettisonError('engine/state-not-kept', `What the step wrote is not kept: ${kept.step.reason}`, {
      hint: '"jettison debug" opens the files before it',
    });
  if (!kept.step.wrote || place.snapshot === undefined) return [];
  const worker = await engine.worker(signal);
  await checkThere(worker, place, signal);
  return await worker.listChanges({ kind: 'layer', snapshot: place.snapshot }, signal);
}

/** A worker with its files. Throws as above. */
export async function openFailedFiles(engine: Engine, name: string, signal: AbortSignal): Promise<FilesWorker> {
  engine.hold();
  const place = placeOfFailed(await findFailedStep(engine, name));
  await using opened = new AsyncDisposableStack();
  const worker = opened.use(await engine.filesWorker(undefined, signal));
  const { streams } = worker;
  if (streams === undefined) throw new JettisonError('engine/no-streams', 'The worker has no streams', { fault: 'bug' });
  await checkThere(worker, place, signal);
  const resources = opened.move();
  return {
    worker,
    streams,
    place: { kind: 'snapshot', snapshot: place.snapshot },
    [Symbol.asyncDispose]: async () => await resources.disposeAsync(),
  };
}
