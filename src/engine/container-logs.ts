/** `jettison logs`: what a container has written, from the file that its monitor keeps, and what it writes from now on. */
import { watch } from 'node:fs';
import { join } from 'node:path';
import { orAborted } from '#ground/base/abort.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { isKept } from '#execution/container/logging.ts';
import { logName } from '#execution/worker/log-names.ts';
import { isUp } from './containers.ts';
import { openLogReader, type LogEntry } from './container-log-files.ts';
import { findContainer } from './find-container.ts';
import type { Engine } from './open.ts';

export type LogsRequest = {
  readonly container: string;
  /** Go on until the container has ended. */
  readonly follow: boolean;
  /** The last so many entries; undefined: all. */
  readonly tail: number | undefined;
  /** Milliseconds since 1970; what is older, or younger, is left out. */
  readonly since: number | undefined;
  readonly until: number | undefined;
};

export type { LogEntry } from './container-log-files.ts';

/** Milliseconds between two looks where nobody says that there is more. */
const lookEvery = 500;

/**
 * Gives each entry in order; where `take` gives a promise, no more is read before that settles. Throws `engine/no-such-container`, `engine/logs-not-kept`, and the signal's reason when that
 * aborts.
 */
export async function readLogs(
  engine: Engine,
  request: LogsRequest,
  take: (entry: LogEntry) => Promise<void> | undefined,
  signal: AbortSignal,
): Promise<void> {
  const container = findContainer(engine, request.container);
  if (!isKept(container.spec.logging)) throw notKept(container.name);
  const path = join(engine.containers.folder(container.id), logName);
  const isRunning = (): boolean => {
    const now = engine.containers.find(container.id);
    return now !== undefined && isUp(now.state);
  };
  const offer = (entry: LogEntry): Promise<void> | undefined => {
    const time = Date.parse(entry.time);
    return (request.since ?? -Infinity) <= time && time <= (request.until ?? Infinity) ? take(entry) : undefined;
  };
  using reader = openLogReader(path);
  if (request.tail !== undefined) reader.skipTo(request.tail);
  for (;;) {
    // Asked before reading: what it wrote before it ended is there then.
    const goesOn = request.follow && (request.until ?? Infinity) > engine.now() && isRunning();
    for (const entry of reader.read()) {
      const busy = offer(entry);
      if (busy !== undefined) await orAborted(busy, signal);
    }
    if (!goesOn) return;
    await untilChanged(path, signal);
  }
}

function notKept(name: string): JettisonError {
  return new JettisonError('engine/logs-not-kept', 'configured logging driver does not support reading', {
    hint: `Container ${name} was made with "--log-driver none": nothing of what it writes is kept`,
  });
}

/** Until somebody writes to the file, or some time has gone by. */
async function untilChanged(path: string, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, lookEvery);
  const watcher = watchIfThere(path, resolve);
  signal.addEventListener('abort', () => resolve(), { once: true });
  try {
    await promise;
  } finally {
    clearTimeout(timer);
    watcher?.close();
  }
  signal.throwIfAborted();
}

function watchIfThere(path: string, onChange: () => void): ReturnType<typeof watch> | undefined {
  try {
    const watcher = watch(path, onChange);
    watcher.on('error', onChange);
    return watcher;
  } catch {
    // Not there yet, or no more watches for this user: it is looked at again anyway.
    return undefined;
  }
}
