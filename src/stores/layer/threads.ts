/** Threads that read and write layers: as many as the machine has cores, started when needed, no reason for the process to stay. */
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { JettisonError, messageOf, unreachable } from '#ground/base/errors.ts';
import type { Answer, Bell, FromThread, Job, JobResult, ToThread } from './jobs.ts';

type Call = {
  readonly job: Job;
  readonly coming: ComingBelow | undefined;
  readonly onProgress: (bytes: number) => void;
  readonly signal: AbortSignal;
  readonly resolve: (answer: Answer) => void;
};

/** Folders below a layer, topmost first, once they are complete. Never rejects: whoever waits in vain is aborted. */
export type ComingBelow = Promise<readonly string[]>;

/** An idle thread costs some megabytes: it ends after this time, in milliseconds. */
const idleTime = 10_000;
export const threadCount = Math.max(1, availableParallelism());
/** Layers begun before those below them are complete, at most: each may come to wait, and a thread that waits keeps its memory. */
const mostAhead = Math.min(threadCount, 4);
const entry = new URL(import.meta.url.endsWith('.ts') ? './thread.ts' : './layer-thread.cjs', import.meta.url);

const idle: Worker[] = [];
const waiting: Call[] = [];
/** Threads at work; one that waits for what lies below its layer is not. */
let busy = 0;
/** Calls running that began before what lies below their layer was complete. */
let ahead = 0;
const complete = new WeakSet<Call>();

/**
 * Runs a job in a thread; `onProgress` is called with its bytes so far, `coming` is what lies below where the job says so. When `signal` aborts, the job
 * is told to stop, and once it has stopped (nothing is written from then on) the promise rejects with the signal's reason.
 */
export async function runJob<J extends Job>(
  job: J,
  onProgress: (bytes: number) => void,
  signal: AbortSignal,
  coming?: ComingBelow,
): Promise<JobResult<J['kind']>> {
  signal.throwIfAborted();
  const answer = Promise.withResolvers<Answer>();
  const call: Call = { job, coming, onProgress, signal, resolve: answer.resolve };
  waiting.push(call);
  const leave = (): void => {
    const index = waiting.indexOf(call);
    if (index < 0) return;
    waiting.splice(index, 1);
    call.resolve({ kind: 'stopped' });
  };
  signal.addEventListener('abort', leave, { once: true });
  startNext();
  void noteComplete(call);
  const result = await answer.promise;
  signal.removeEventListener('abort', leave);
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

/** First come, first served, but for those that may not begin yet. The lowest layer of all always may: so those that wait for others never wait for ever. */
function startNext(): void {
  while (busy < threadCount) {
    const index = waiting.findIndex((call) => !isAhead(call) || ahead < mostAhead);
    const [call] = index < 0 ? [] : waiting.splice(index, 1);
    if (!call) return;
    runCall(call);
  }
}

async function noteComplete(call: Call): Promise<void> {
  await call.coming;
  complete.add(call);
  startNext();
}

function isAhead(call: Call): boolean {
  return call.coming !== undefined && !complete.has(call);
}

function runCall(call: Call): void {
  const thread = idle.pop() ?? startThread();
  const bell: Bell = new Int32Array(new SharedArrayBuffer(8));
  const wasAhead = isAhead(call);
  let state: 'working' | 'waiting' | 'over' = 'working';
  const send = (message: ToThread): void => thread.postMessage(message); // oxlint-disable-line unicorn/require-post-message-target-origin -- a thread, not a window
  const ring = (): void => {
    if (state === 'waiting') busy++;
    if (state !== 'over') state = 'working';
    Atomics.store(bell, 1, 1);
    Atomics.notify(bell, 1);
  };
  const onAbort = (): void => {
    Atomics.store(bell, 0, 1);
    ring();
  };
  const finish = (answer: Answer, isAlive: boolean): void => {
    thread.off('message', onMessage);
    thread.off('error', onError);
    thread.off('exit', onExit);
    call.signal.removeEventListener('abort', onAbort);
    if (state === 'working') busy--;
    if (wasAhead) ahead--;
    state = 'over';
    if (isAlive) rest(thread);
    call.resolve(answer);
    startNext();
  };
  const onMessage = (answer: FromThread): void => {
    if (answer.kind === 'progress') call.onProgress(answer.bytes);
    else if (answer.kind !== 'waiting') finish(answer, true);
    else if (Atomics.load(bell, 1) === 0) {
      state = 'waiting';
      busy--;
      startNext();
    }
  };
  const onError = (error: unknown): void => finish(threadFailed(messageOf(error)), false);
  const onExit = (code: number): void => finish(threadFailed(`exit code ${code}`), false);
  busy++;
  if (wasAhead) ahead++;
  call.signal.addEventListener('abort', onAbort, { once: true });
  thread.on('message', onMessage);
  thread.on('error', onError);
  thread.on('exit', onExit);
  thread.ref();
  send({ kind: 'job', job: call.job, bell });
  const tellBelow = async (): Promise<void> => {
    const folders = await call.coming;
    if (folders === undefined || state === 'over') return;
    send({ kind: 'below', folders });
    ring();
  };
  void tellBelow();
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
