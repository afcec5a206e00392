/** Where the thread of `file/thread.ts` starts. */
import { getHeapStatistics } from 'node:v8';
import { parentPort } from 'node:worker_threads';
import { cancelled } from '#ground/base/abort.ts';
import { dropUmask } from '#ground/linux/syscall.ts';
import type { ContentBlock } from './file/content.ts';
import { runJob, type JobResult } from './file/job.ts';
import { sharedBlocks, toPlain, type PlainError, type ThreadAnswer, type ThreadRequest } from './file/thread.ts';

/** Milliseconds: after that, a look at whether the job shall stop. */
const longestWait = 100;
let last: Promise<void> = Promise.resolve();

dropUmask();

parentPort?.on('message', (request: ThreadRequest) => {
  last = last.then(async () => await answer(request));
});

/** One job after the other: their work is synchronous for the most part, and the disk is one. */
async function answer({ id, job, flags, memory }: ThreadRequest): Promise<void> {
  const flag = new Int32Array(flags);
  const checkpoint = (): void => {
    if (Atomics.load(flag, 0) !== 0) throw cancelled('The step was stopped');
  };
  const blocks = sharedBlocks(memory);
  let told = 0;
  /** Whoever takes the blocks may be slower. */
  const waitUntilLeft = (most: number): void => {
    for (let taken = Atomics.load(flag, 1); told - taken > most; taken = Atomics.load(flag, 1)) {
      checkpoint();
      Atomics.wait(flag, 1, taken, longestWait);
    }
  };
  const send = (block: ContentBlock): void => {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin
    parentPort?.postMessage({ id, block } satisfies ThreadAnswer);
    told++;
    waitUntilLeft(blocks.length - 1);
  };
  let end: { readonly result: JobResult } | { readonly error: PlainError };
  try {
    checkpoint();
    end = { result: await runJob(job, checkpoint, { blocks, send }) };
    // The next job writes to the same memory.
    waitUntilLeft(0);
  } catch (error) {
    end = { error: toPlain(error) };
  }
  // oxlint-disable-next-line unicorn/require-post-message-target-origin
  parentPort?.postMessage({ id, heap: getHeapStatistics().total_heap_size, ...end } satisfies ThreadAnswer);
}
