/** Files on their way between this process and a worker. */
import { once } from 'node:events';
import type { ReadRequest, WriteRequest } from '#execution/worker/contract.ts';
import type { FilesWorker } from './container-files.ts';

/** Hands on the bytes that a worker reads, as they come, and gives their number. */
export async function receiveFiles(
  { worker, streams }: Pick<FilesWorker, 'worker' | 'streams'>,
  request: ReadRequest,
  take: (chunk: Uint8Array) => void | Promise<void>,
  signal: AbortSignal,
): Promise<number> {
  const { output } = streams;
  let total: number | undefined;
  const reading = worker.readFiles(request, signal).then((bytes) => (total = bytes));
  // Waited for below: it must not count as unhandled before that.
  reading.catch(() => undefined);
  let received = 0;
  while (total === undefined || received < total) {
    const chunk: unknown = output.read();
    if (chunk instanceof Uint8Array) {
      received += chunk.length;
      await take(chunk);
      continue;
    }
    const readable = once(output, 'readable', { signal });
    readable.catch(() => undefined);
    await (total === undefined ? Promise.race([readable, reading]) : readable);
  }
  return await reading;
}

/** Sends blocks to a worker that makes files of them, one at a time, and gives the bytes of the files. `blocks` may use their buffers again. */
export async function sendFiles(
  { worker, streams }: Pick<FilesWorker, 'worker' | 'streams'>,
  request: WriteRequest,
  blocks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<number> {
  const { input } = streams;
  // That nobody reads any more is told by the answer.
  input.on('error', () => undefined);
  const writing = worker.writeFiles(request, signal);
  writing.catch(() => undefined);
  try {
    for await (const block of blocks) {
      const written = Promise.withResolvers<void>();
      input.write(block, () => written.resolve());
      await Promise.race([written.promise, writing]);
    }
  } catch (error) {
    // The worker waits for more, and hears of nothing else meanwhile: it clears up at the end of what comes.
    input.end();
    await writing.catch(() => undefined);
    throw error;
  }
  input.end();
  return await writing;
}
