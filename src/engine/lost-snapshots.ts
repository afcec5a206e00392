/**
 * A worker's snapshots can be gone while the engine still remembers them: after a crash of the machine those that were not yet safe on disk
 * are dropped, people delete folders, and a prune may remove what nobody held when it began. Then what is remembered of them is forgotten, and the work is done once more.
 */
import type { Report } from '#formats/progress/event.ts';
import { isCode } from '#ground/base/errors.ts';
import { beginBoot, isFirstOfBoot } from '#stores/db/last-boot.ts';
import { parseSnapshotId } from '#execution/worker/contract.ts';
import type { Engine } from './open.ts';
import { snapshotOf } from './results.ts';
import { forgetSnapshot } from './space/forget.ts';

/** Does `work`; when it meets a lost snapshot, forgets all that are lost and does it once more. */
export async function withoutLostSnapshots<T>(engine: Engine, work: () => Promise<T>, report: Report, signal: AbortSignal): Promise<T> {
  try {
    return await work();
  } catch (error) {
    // What is missing has been forgotten already: by others, or by who writes images, which does not know how one is built.
    if (isCode(error, 'engine/result-removed') || isCode(error, 'engine/missing-layer')) return await work();
    if (!isCode(error, 'snapshot/not-found') && !isCode(error, 'snapshot/folder-missing')) throw error;
    // Where none is found, a prune that was under way has forgotten it itself.
    await forgetLost(engine, report, signal);
    return await work();
  }
}

/**
 * What was made before a crash of the machine may be gone, and a build in which everything is known would not look: the first in a boot does. It need not have been a crash.
 */
export async function forgetLostInCrash(engine: Engine, report: Report, signal: AbortSignal): Promise<void> {
  if (!isFirstOfBoot(engine.database)) return;
  await forgetLost(engine, report, signal);
  beginBoot(engine.database);
}

async function forgetLost(engine: Engine, report: Report, signal: AbortSignal): Promise<void> {
  const remembered = new Set([...engine.images.snapshots().map(parseSnapshotId), ...engine.foldedChains.snapshots()]);
  for (const record of engine.records.list()) {
    const snapshot = snapshotOf({ id: record.resultId });
    if (snapshot !== undefined) remembered.add(snapshot);
  }
  if (remembered.size === 0) return;
  const worker = await engine.worker(signal);
  const lost = await worker.missing([...remembered], signal);
  for (const snapshot of lost) {
    forgetSnapshot(engine, snapshot, { at: engine.now(), rule: 'its files were gone from the store' });
  }
  if (lost.length > 0)
    report({
      kind: 'note',
      text: `${lost.length} results of earlier builds are no longer in the store: making again what is needed of them`,
    });
}
