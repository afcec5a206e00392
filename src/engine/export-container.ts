/** `jettison export` */
import { open } from 'node:fs/promises';
import type { Report } from '#formats/progress/event.ts';
import { writeDraft } from '#stores/image/archive.ts';
import { containerSnapshot, findContainer } from './container-files.ts';
import { receiveFiles } from './file-streams.ts';
import { noteContainer } from './note-events.ts';
import type { Engine } from './open.ts';

export type ExportRequest = {
  readonly container: string;
  /** A file, which is there only when it is whole; or whoever takes the tar. */
  readonly to: string | ((chunk: Uint8Array) => Promise<void>);
};

/** All files of a container as one tar, without what is mounted in it. Throws `engine/no-such-container`, and what writing a draft throws. */
export async function exportContainer(
  engine: Engine,
  { container: name, to }: ExportRequest,
  report: Report,
  signal: AbortSignal,
): Promise<void> {
  const container = findContainer(engine, name);
  engine.hold();
  noteContainer(engine, container, 'export');
  await using worker = await engine.filesWorker(undefined, signal);
  const place = await containerSnapshot(engine, { container, worker }, report, signal);
  const streams = worker.streams;
  if (streams === undefined) return;
  const read = { place, path: '/', follow: false, name: '' };
  if (typeof to === 'function') {
    await receiveFiles({ worker, streams }, read, to, signal);
    return;
  }
  await writeDraft(to, async (draft) => {
    await using file = await open(draft, 'wx', 0o600);
    await receiveFiles({ worker, streams }, read, async (chunk) => await file.writeFile(chunk), signal);
  });
}
