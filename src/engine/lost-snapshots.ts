/**
 * A worker's snapshots can be gone while the engine still remembers them: after a crash of the machine those that were not yet safe on disk
 * are dropped, and people delete folders. Then what is remembered of them is forgotten, and the work is done once more.
 */
import type { Report } from '#formats/progress/event.ts';
import { isCode } from '#ground/base/errors.ts';
import { parseSnapshotId } from '#execution/worker/contract.ts';
import type { Engine } from './open.ts';
import { snapshotOf } from './results.ts';
import { forgetSnapshot } from './space/forget.ts';

/** Does `work`; when it meets a lost snapshot, forgets all that are lost and does it once more. */
export async function withoutLostSnapshots<T>(engine: Engine, work: () => Promise<T>, report: Report, signal: AbortSignal): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (isCode(error, 'engine/result-removed')) return await work();
    if (!isCode(error, 'snapshot/not-found') && !isCode(error, 'snapshot/folder-missing')) throw error;
    const count = await forgetLost(engine, signal);
    if (count === 0) throw error;
    report({ kind: 'note', text: `${count} results of earlier builds are no longer in the store: making again what is needed of them` });
    return await work();
  }
}

/** Gives how many snapshots were lost. */
async function forgetLost(engine: Engine, signal: AbortSignal): Promise<number> {
  const remembered = new Set(engine.images.snapshots().map(parseSnapshotId));
  for (const record of engine.records.list()) {
    const snapshot = snapshotOf({ id: record.resultId });
    if (snapshot !== undefined) remembered.add(snapshot);
  }
  const worker = await engine.worker(signal);
  const lost = await worker.missing([...remembered], signal);
  for (const snapshot of lost) {
    forgetSnapshot(engine, snapshot, { at: engine.now(), rule: 'its files were gone from the store' });
  }
  return lost.length;
}
