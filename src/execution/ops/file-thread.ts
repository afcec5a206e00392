/** Where the thread of `file/thread.ts` starts. */
import { getHeapStatistics } from 'node:v8';
import { parentPort } from 'node:worker_threads';
import { cancelled } from '#ground/base/abort.ts';
import { runJob, type JobResult } from './file/job.ts';
import { toPlain, type PlainError, type ThreadAnswer, type ThreadRequest } from './file/thread.ts';

let last: Promise<void> = Promise.resolve();

parentPort?.on('message', (request: ThreadRequest) => {
  last = last.then(async () => await answer(request));
});

/** One job after the other: their work is synchronous for the most part, and the disk is one. */
async function answer({ id, job, stop }: ThreadRequest): Promise<void> {
  const flag = new Int32Array(stop);
  const checkpoint = (): void => {
    if (Atomics.load(flag, 0) !== 0) throw cancelled('The step was stopped');
  };
  let end: { readonly result: JobResult } | { readonly error: PlainError };
  try {
    checkpoint();
    end = { result: await runJob(job, checkpoint) };
  } catch (error) {
    end = { error: toPlain(error) };
  }
  // oxlint-disable-next-line unicorn/require-post-message-target-origin
  parentPort?.postMessage({ id, heap: getHeapStatistics().total_heap_size, ...end } satisfies ThreadAnswer);
}
