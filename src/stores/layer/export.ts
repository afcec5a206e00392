/** A chain of snapshots out of the store: its files into a folder of the client, or as a tar. Nothing is mounted: the chain is read as one tree. */
import type { ByteString } from '#ground/base/byte-string.ts';
import type { Exported, ExportPart, ExportTarget } from './jobs.ts';
import { runJob } from './threads.ts';

export type { Exported, ExportPart, ExportTarget, TreeNote } from './jobs.ts';

export type ExportRequest = {
  readonly parts: readonly ExportPart[];
  /** What of each tree goes out, links in it followed: the content of a folder, or one file or the like under the path's last name. '' for everything. */
  readonly path: ByteString;
  /** Nanoseconds since the epoch that everything gets as its time, in place of its own. */
  readonly time?: bigint;
  readonly to: ExportTarget;
};

/**
 * Runs in a thread. In a folder everything belongs to this process's user; modes, times, hard links, extended attributes are kept where the file system
 * takes them, sockets are left out; what is there by the same name is replaced, each file at once. No link in the folder is followed. A tar has the owners
 * of the tree; its file is gone when this rejects. `onProgress` gets bytes so far. Throws `layer/nothing-there`, `layer/not-a-folder`, `layer/folder-in-the-way`,
 * `layer/device-refused`, `layer/name-taken`, `layer/disk-full`, `layer/system-error`.
 */
export async function exportTree(request: ExportRequest, onProgress: (bytes: number) => void, signal: AbortSignal): Promise<Exported> {
  return await runJob({ ...request, kind: 'export' }, onProgress, signal);
}
