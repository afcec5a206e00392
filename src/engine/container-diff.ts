/** `jettison diff` */
import type { FileChange } from '#execution/worker/contract.ts';
import type { Report } from '#formats/progress/event.ts';
import { findContainer, ownFilesOf } from './container-files.ts';
import type { Engine } from './open.ts';
import { isFailedName } from './step-place.ts';

export type { FileChange } from '#execution/worker/contract.ts';

/** What a container has changed since it was created, by path; of `@fail`, what the failed step had written. Throws `engine/no-such-container`, `engine/no-failed-step`. */
export async function diffContainer(engine: Engine, name: string, _report: Report, signal: AbortSignal): Promise<readonly FileChange[]> {
  if (isFailedName(name)) return await (await import('./failed-files.ts')).diffFailedStep(engine, name, signal);
  const container = findContainer(engine, name);
  if (container.snapshot === undefined) return [];
  engine.hold();
  const worker = await engine.worker(signal);
  const { snapshot } = ownFilesOf(container, worker.rung);
  return snapshot === undefined ? [] : await worker.listChanges({ kind: 'container', snapshot }, signal);
}
