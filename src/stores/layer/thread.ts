/** Entry of a layer thread: one job at a time, errors and progress as messages. */
import { parentPort } from 'node:worker_threads';
import { fullDisk, fullDiskHint, JettisonError, messageOf, systemCode, unreachable } from '#ground/base/errors.ts';
import type { FromThread, Job, LayerBlob, LayerIdentity, SentError, ToThread, Watch } from './jobs.ts';
import { identifyLayer, writeLayerFile } from './making/make.ts';
import { unpackLayer } from './unpacking/unpack.ts';

/** Progress is told at most this often, in milliseconds. */
const progressPause = 100;

class Stopped extends Error {}

function watch(stop: Int32Array): Watch {
  let told = 0;
  return {
    check() {
      if (Atomics.load(stop, 0) !== 0) throw new Stopped();
    },
    progress(bytes) {
      const now = Date.now();
      if (now - told < progressPause) return;
      told = now;
      tell({ kind: 'progress', bytes });
    },
  };
}

async function run(job: Job, stop: Watch): Promise<LayerIdentity | LayerBlob> {
  switch (job.kind) {
    case 'identity':
      return identifyLayer(job, stop);
    case 'write':
      return await writeLayerFile(job, stop);
    case 'apply':
      return await unpackLayer(job, stop);
    default:
      return unreachable(job, 'job');
  }
}

async function answer({ job, stop }: ToThread): Promise<void> {
  try {
    tell({ kind: 'done', result: await run(job, watch(stop)) });
  } catch (error) {
    tell(
      error instanceof Stopped
        ? { kind: 'stopped' }
        : { kind: 'failed', error: toSent(error, job.kind === 'write' ? job.file : job.folder) },
    );
  }
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

parentPort?.on('message', (message: ToThread) => void answer(message));
