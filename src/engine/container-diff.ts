/** `jettison diff` */
import type { FileChange } from '#execution/worker/contract.ts';
import type { Report } from '#formats/progress/event.ts';
import { findContainer, ownFilesOf } from './container-files.ts';
import type { Engine } from './open.ts';

export type { FileChange } from '#execution/worker/contract.ts';

/** What a container has changed since it was created, by path. Throws `engine/no-such-container`. */
export async function diffContainer(engine: Engine, name: string, _report: Report, signal: AbortSignal): Promise<readonly FileChange[]> {
  const container = findContainer(engine, name);
  if (container.snapshot === undefined) return [];
  engine.hold();
  const worker = await engine.worker(signal);
  const { snapshot } = ownFilesOf(container, worker.rung);
  return snapshot === undefined ? [] : await worker.listChanges({ kind: 'container', snapshot }, signal);
}
