/** One worker thread for copies and digests that take long, so that the process's own thread stays free; started when first needed, then kept while it is small. */
import { Worker } from 'node:worker_threads';
import { JettisonError, messageOf, systemCode, type Fault } from '#ground/base/errors.ts';
import type { LayerBatch } from '#stores/layer/follow.ts';
import type { ContentBlock } from './content.ts';
import type { DigestJob, JobResult, WriteJob } from './job.ts';

export type FileThread = AsyncDisposable & {
  /**
   * Does a job in the thread, after those before it. When `signal` aborts, settles once the thread has let go of the job's files. `onBatch` gets what a followed job
   * tells and reads, and calls back for each batch when it is done with it; the thread does not run far ahead.
   */
  run(job: WriteJob | DigestJob, signal: AbortSignal, onBatch?: OnBatch): Promise<JobResult>;
};

export type OnBatch = (batch: LayerBatch, onTaken: () => void) => void;

export type ThreadRequest = {
  readonly id: number;
  readonly job: WriteJob | DigestJob;
  /** Two Int32: not 0 when the job shall stop; how many batches were taken. */
  readonly flags: SharedArrayBuffer;
  /** What the job reads comes in these blocks (`sharedBlocks`). */
  readonly memory: SharedArrayBuffer;
};

/** Blocks, and bytes of one: large enough that few messages are needed, few enough to cost little memory. */
const [blockCount, blockLength] = [6, 1 << 20];

export function sharedBlocks(memory: SharedArrayBuffer): readonly Uint8Array[] {
  return Array.from({ length: blockCount }, (_, index) => new Uint8Array(memory, index * blockLength, blockLength));
}

/** `heap`: bytes that the thread's heap has by now. */
export type ThreadAnswer =
  | { readonly id: number; readonly block: ContentBlock }
  | ({ readonly id: number; readonly heap: number } & ({ readonly result: JobResult } | { readonly error: PlainError }));

/** An error as it can be sent between threads. */
export type PlainError = {
  readonly message: string;
  readonly code: string | undefined;
  readonly product:
    | { readonly fault: Fault; readonly hint: string | undefined; readonly retryable: boolean; readonly notes: readonly string[] }
    | undefined;
};

/** Megabytes. Jobs leave much behind that lives shortly: 100,000 files cost 130 MB less of memory than with Node's default, and no time. */
const youngGeneration = 2;
/** Bytes: a thread whose heap has grown beyond this ends with its last job, before whoever waits goes on to start another one. */
const largestIdleHeap = 24 * 1024 * 1024;

type Pending = {
  readonly resolve: (result: JobResult) => void;
  readonly reject: (error: Error) => void;
  readonly take: (block: ContentBlock) => void;
};

/** `entry`: the file the thread starts with. */
export function createFileThread(entry: URL): FileThread {
  const pending = new Map<number, Pending>();
  let counter = 0;
  let worker: Worker | undefined;
  let memory: SharedArrayBuffer | undefined;

  const start = (): Worker => {
    const started = new Worker(entry, { name: 'jettison-files', resourceLimits: { maxYoungGenerationSizeMb: youngGeneration } });
    started.on('message', (answer: ThreadAnswer) => void settle(started, answer));
    started.on('error', (error) => lose(started, error));
    started.on('exit', (code) =>
      lose(started, new JettisonError('ops/thread-ended', `The copying thread ended with ${code}`, { fault: 'bug' })),
    );
    return started;
  };
  const settle = async (from: Worker, answer: ThreadAnswer): Promise<void> => {
    const waiting = pending.get(answer.id);
    if ('block' in answer) {
      waiting?.take(answer.block);
      return;
    }
    pending.delete(answer.id);
    if (pending.size === 0) from.unref();
    if (pending.size === 0 && answer.heap > largestIdleHeap && worker === from) {
      worker = undefined;
      await from.terminate();
    }
    if ('error' in answer) waiting?.reject(fromPlain(answer.error));
    else waiting?.resolve(answer.result);
  };
  const lose = (lost: Worker, error: unknown): void => {
    if (worker !== lost) return;
    worker = undefined;
    for (const waiting of pending.values()) waiting.reject(error instanceof Error ? error : new Error(String(error)));
    pending.clear();
  };

  return {
    async run(job, signal, onBatch) {
      signal.throwIfAborted();
      const id = counter++;
      const flags = new SharedArrayBuffer(8);
      const flag = new Int32Array(flags);
      const abort = (): void => void Atomics.store(flag, 0, 1);
      const onTaken = (): void => {
        Atomics.add(flag, 1, 1);
        Atomics.notify(flag, 1);
      };
      const shared = (memory ??= new SharedArrayBuffer(blockCount * blockLength));
      const blocks = sharedBlocks(shared);
      const take = ({ index, used, ...rest }: ContentBlock): void => {
        const bytes = blocks[index]?.subarray(0, used);
        if (bytes === undefined || onBatch === undefined) onTaken();
        else onBatch({ bytes, ...rest }, onTaken);
      };
      const { promise, resolve, reject } = Promise.withResolvers<JobResult>();
      worker ??= start();
      worker.ref();
      pending.set(id, { resolve, reject, take });
      signal.addEventListener('abort', abort, { once: true });
      try {
        // oxlint-disable-next-line unicorn/require-post-message-target-origin
        worker.postMessage({ id, job, flags, memory: shared } satisfies ThreadRequest);
        return await promise;
      } catch (error) {
        signal.throwIfAborted();
        throw error;
      } finally {
        signal.removeEventListener('abort', abort);
      }
    },
    async [Symbol.asyncDispose]() {
      const last = worker;
      worker = undefined;
      await last?.terminate();
      for (const waiting of pending.values()) waiting.reject(new JettisonError('ops/thread-ended', 'The copying thread was stopped'));
      pending.clear();
    },
  };
}

export function toPlain(error: unknown): PlainError {
  if (error instanceof JettisonError) {
    const { message, code, fault, hint, retryable, notes } = error;
    return { message, code, product: { fault, hint, retryable, notes } };
  }
  const code = systemCode(error);
  const message = error instanceof Error && code === undefined ? (error.stack ?? error.message) : messageOf(error);
  return { message, code, product: undefined };
}

function fromPlain({ message, code, product }: PlainError): Error {
  if (!product || code === undefined) return Object.assign(new Error(message), { code });
  const { fault, hint, retryable, notes } = product;
  return new JettisonError(code, message, { fault, retryable, notes, ...(hint === undefined ? {} : { hint }) });
}
