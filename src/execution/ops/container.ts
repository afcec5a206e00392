/** Containers of `jettison run`. */
import { JettisonError } from '#ground/base/errors.ts';
import type { SnapshotId, SnapshotStore } from '#stores/snapshot/contract.ts';
import type { Runtime } from '#execution/runtime/contract.ts';

export async function runContainer(
  _request: { readonly id: string },
  _tools: { readonly snapshots: SnapshotStore; readonly runtime: Runtime },
  _signal: AbortSignal,
): Promise<{ readonly code: number; readonly snapshot: SnapshotId | undefined }> {
  return await Promise.reject(new JettisonError('ops/not-built', 'Running containers is not built yet'));
}

export function signalContainer(_id: string, _name: string): void {}
