/** Where the thread of `file/thread.ts` starts. */
import { getHeapStatistics } from 'node:v8';
import { parentPort } from 'node:worker_threads';
import { cancelled } from '#ground/base/abort.ts';
import type { LayerBatch } from '#stores/layer/follow.ts';
import { runJob, type JobResult } from './file/job.ts';
import { toPlain, type PlainError, type ThreadAnswer, type ThreadRequest } from './file/thread.ts';

/** Batches. */
const mostWaiting = 16;
/** Milliseconds: after that, a look at whether the job shall stop. */
const longestWait = 100;
let last: Promise<void> = Promise.resolve();

parentPort?.on('message', (request: ThreadRequest) => {
  last = last.then(async () => await answer(request));
});

/** One job after the other: their work is synchronous for the most part, and the disk is one. */
async function answer({ id, job, flags }: ThreadRequest): Promise<void> {
  const flag = new Int32Array(flags);
  const checkpoint = (): void => {
    if (Atomics.load(flag, 0) !== 0) throw cancelled('The step was stopped');
  };
  let told = 0;
  const tell = (batch: LayerBatch): void => {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin
    parentPort?.postMessage({ id, batch } satisfies ThreadAnswer);
    told++;
    // Whoever takes them may be slower, and what waits costs memory.
    for (let taken = Atomics.load(flag, 1); told - taken > mostWaiting; taken = Atomics.load(flag, 1)) {
      checkpoint();
      Atomics.wait(flag, 1, taken, longestWait);
    }
  };
  let end: { readonly result: JobResult } | { readonly error: PlainError };
  try {
    checkpoint();
    end = { result: await runJob(job, checkpoint, job.kind === 'write' && job.isFollowed === true ? tell : undefined) };
  } catch (error) {
    end = { error: toPlain(error) };
  }
  // oxlint-disable-next-line unicorn/require-post-message-target-origin
  parentPort?.postMessage({ id, heap: getHeapStatistics().total_heap_size, ...end } satisfies ThreadAnswer);
}
