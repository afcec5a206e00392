/** Threads that read and write layers: as many as the machine has cores, started when needed, no reason for the process to stay. */
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { JettisonError, messageOf, unreachable } from '#ground/base/errors.ts';
import type { Answer, FromThread, Job, JobResult, ToThread } from './jobs.ts';

type Call = {
  readonly job: Job;
  readonly onProgress: (bytes: number) => void;
  readonly signal: AbortSignal;
  readonly resolve: (answer: Answer) => void;
};

/** An idle thread costs some megabytes: it ends after this time, in milliseconds. */
const idleTime = 10_000;
export const threadCount = Math.max(1, availableParallelism());
const entry = new URL(import.meta.url.endsWith('.ts') ? './thread.ts' : './layer-thread.cjs', import.meta.url);

const idle: Worker[] = [];
const waiting: Call[] = [];
let busy = 0;

/**
 * Runs a job in a thread; `onProgress` is called with its bytes so far. When `signal` aborts, the job is told to stop, and once it has
 * stopped (nothing is written from then on) the promise rejects with the signal's reason.
 */
export async function runJob<J extends Job>(
  job: J,
  onProgress: (bytes: number) => void,
  signal: AbortSignal,
): Promise<JobResult<J['kind']>> {
  signal.throwIfAborted();
  const answer = Promise.withResolvers<Answer>();
  waiting.push({ job, onProgress, signal, resolve: answer.resolve });
  startNext();
  const result = await answer.promise;
  switch (result.kind) {
    case 'done':
      // The thread answers a job of this kind.
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion
      return result.result as JobResult<J['kind']>;
    case 'failed':
      throw new JettisonError(result.error.code, result.error.message, {
        fault: result.error.fault,
        notes: result.error.notes,
        ...(result.error.hint === undefined ? {} : { hint: result.error.hint }),
      });
    case 'stopped':
      signal.throwIfAborted();
      throw new JettisonError('layer/thread-failed', 'A thread that reads layers stopped without a reason', { fault: 'bug' });
    default:
      return unreachable(result, 'answer of a thread');
  }
}

/** Ends all idle threads now; for whoever wants to end the process by force. */
export async function endThreads(): Promise<void> {
  const ending = idle.splice(0);
  await Promise.all(ending.map(async (thread) => await thread.terminate()));
}

function startNext(): void {
  while (busy < threadCount) {
    const call = waiting.shift();
    if (!call) return;
    if (call.signal.aborted) call.resolve({ kind: 'stopped' });
    else runCall(call);
  }
}

function runCall(call: Call): void {
  const thread = idle.pop() ?? startThread();
  const stop = new Int32Array(new SharedArrayBuffer(4));
  const onAbort = (): void => void Atomics.store(stop, 0, 1);
  const finish = (answer: Answer, isAlive: boolean): void => {
    thread.off('message', onMessage);
    thread.off('error', onError);
    thread.off('exit', onExit);
    call.signal.removeEventListener('abort', onAbort);
    busy--;
    if (isAlive) rest(thread);
    call.resolve(answer);
    startNext();
  };
  const onMessage = (answer: FromThread): void => {
    if (answer.kind === 'progress') call.onProgress(answer.bytes);
    else finish(answer, true);
  };
  const onError = (error: unknown): void => finish(threadFailed(messageOf(error)), false);
  const onExit = (code: number): void => finish(threadFailed(`exit code ${code}`), false);
  busy++;
  call.signal.addEventListener('abort', onAbort, { once: true });
  thread.on('message', onMessage);
  thread.on('error', onError);
  thread.on('exit', onExit);
  thread.ref();
  const message: ToThread = { job: call.job, stop };
  thread.postMessage(message); // oxlint-disable-line unicorn/require-post-message-target-origin -- a thread, not a window
}

function startThread(): Worker {
  const thread = new Worker(entry, { name: 'jettison layer', resourceLimits: { maxYoungGenerationSizeMb: 3 } });
  thread.once('exit', () => {
    const index = idle.indexOf(thread);
    if (index >= 0) idle.splice(index, 1);
  });
  return thread;
}

function rest(thread: Worker): void {
  thread.unref();
  idle.push(thread);
  const timer = setTimeout(() => {
    const index = idle.indexOf(thread);
    if (index < 0) return;
    idle.splice(index, 1);
    void thread.terminate();
  }, idleTime);
  timer.unref();
}

function threadFailed(why: string): Answer {
  return {
    kind: 'failed',
    error: { code: 'layer/thread-failed', message: `A thread that reads layers ended: ${why}`, fault: 'bug', hint: undefined, notes: [] },
  };
}
