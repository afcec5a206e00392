/** Entry of a layer thread: one job at a time, errors and progress as messages. */
import { parentPort, receiveMessageOnPort } from 'node:worker_threads';
import { fullDisk, fullDiskHint, JettisonError, messageOf, systemCode, unreachable } from '#ground/base/errors.ts';
import type { Bell, FromThread, Job, JobResult, SentError, ToThread, Watch } from './jobs.ts';
import { exportFiles } from './exporting/export-files.ts';
import { identifyLayer, recompressLayerFile, writeLayerFile } from './making/make.ts';
import { unpackLayer } from './unpacking/unpack.ts';

/** Progress is told at most this often, in milliseconds. */
const progressPause = 100;

class Stopped extends Error {}

/** What lies below the layer at hand, once that was told. */
let below: readonly string[] | undefined;

function watch(bell: Bell): Watch {
  let told = 0;
  const check = (): void => {
    if (Atomics.load(bell, 0) !== 0) throw new Stopped();
  };
  return {
    check,
    progress(bytes) {
      const now = Date.now();
      if (now - told < progressPause) return;
      told = now;
      tell({ kind: 'progress', bytes });
    },
    below() {
      if (below === undefined) tell({ kind: 'waiting' });
      for (; below === undefined; hear()) {
        Atomics.wait(bell, 1, 0);
        check();
      }
      return below;
    },
  };
}

/** Takes a message without a turn of the event loop. */
function hear(): void {
  const received: unknown = parentPort ? receiveMessageOnPort(parentPort) : undefined;
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- both ends are this program
  const message = (received as { readonly message: ToThread } | undefined)?.message;
  if (message !== undefined) take(message);
}

async function run(job: Job, stop: Watch): Promise<JobResult<Job['kind']>> {
  switch (job.kind) {
    case 'export':
      return exportFiles(job, stop);
    case 'identity':
      return identifyLayer(job, stop);
    case 'write':
      return await writeLayerFile(job, stop);
    case 'recompress':
      return await recompressLayerFile(job, stop);
    case 'apply':
      return await unpackLayer(job, stop);
    default:
      return unreachable(job, 'job');
  }
}

function take(message: ToThread): void {
  switch (message.kind) {
    case 'job':
      below = message.job.kind === 'apply' && message.job.below !== 'coming' ? message.job.below : undefined;
      void answer(message);
      break;
    case 'below':
      below = message.folders;
      break;
    default:
      unreachable(message, 'message');
  }
}

async function answer({ job, bell }: Extract<ToThread, { kind: 'job' }>): Promise<void> {
  try {
    tell({ kind: 'done', result: await run(job, watch(bell)) });
  } catch (error) {
    tell(error instanceof Stopped ? { kind: 'stopped' } : { kind: 'failed', error: toSent(error, placeOf(job)) });
  }
}

function placeOf(job: Job): string {
  if (job.kind === 'write' || job.kind === 'recompress') return job.file;
  if (job.kind !== 'export') return job.folder;
  return job.to.kind === 'folder' ? job.to.path : job.to.file;
}

function tell(message: FromThread): void {
  parentPort?.postMessage(message); // oxlint-disable-line unicorn/require-post-message-target-origin -- a thread, not a window
}

/** `place`: what the job writes to. */
function toSent(error: unknown, place: string): SentError {
  if (error instanceof JettisonError) {
    const { code, message, fault, hint, notes } = error;
    return { code, message: code === 'layer/disk-full' ? `${message} ("${place}")` : message, fault, hint, notes };
  }
  const code = systemCode(error);
  const message = messageOf(error);
  if (fullDisk(error) !== undefined)
    return { code: 'layer/disk-full', message: `Cannot write "${place}": ${message}`, fault: 'environment', hint: fullDiskHint, notes: [] };
  if (code !== undefined) return { code: 'layer/system-error', message, fault: 'environment', hint: undefined, notes: [] };
  return {
    code: 'layer/thread-failed',
    message,
    fault: 'bug',
    hint: undefined,
    notes: error instanceof Error ? (error.stack ?? '').split('\n') : [],
  };
}

parentPort?.on('message', take);
