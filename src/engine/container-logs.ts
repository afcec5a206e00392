/** `jettison logs`: what a container has written, from the file that its monitor keeps, and what it writes from now on. */
import { closeSync, fstatSync, openSync, readSync, watch } from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import { systemCode } from '#ground/base/errors.ts';
import { isUp } from './containers.ts';
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

/** As docker's json-file form has it; `time` in RFC 3339 with nanoseconds. */
export type LogEntry = { readonly log: string; readonly stream: 'stdout' | 'stderr'; readonly time: string };

const entryShape = v.object({ log: v.string(), stream: v.picklist(['stdout', 'stderr']), time: v.string() });
const pieceLength = 1 << 16;
const lineFeed = 0x0a;
/** Milliseconds between two looks where nobody says that there is more. */
const lookEvery = 500;

/** Gives each entry in order. Throws `engine/no-such-container`, and the signal's reason when that aborts. */
export async function readLogs(engine: Engine, request: LogsRequest, take: (entry: LogEntry) => void, signal: AbortSignal): Promise<void> {
  const container = findContainer(engine, request.container);
  const path = join(engine.containers.folder(container.id), 'log.json');
  const isRunning = (): boolean => {
    const now = engine.containers.find(container.id);
    return now !== undefined && isUp(now.state);
  };
  const offer = (entry: LogEntry): void => {
    const time = Date.parse(entry.time);
    if ((request.since ?? -Infinity) <= time && time <= (request.until ?? Infinity)) take(entry);
  };
  using reader = openReader(path);
  if (request.tail !== undefined) reader.skipTo(request.tail);
  for (;;) {
    // Asked before reading: what it wrote before it ended is there then.
    const goesOn = request.follow && (request.until ?? Infinity) > engine.now() && isRunning();
    for (const entry of reader.read()) offer(entry);
    if (!goesOn) return;
    await untilChanged(path, signal);
  }
}

type Reader = Disposable & {
  /** Leaves out all but the last `count` entries that are there. */
  skipTo(count: number): void;
  /** The whole entries from where it stands. A file that is not there yet has none. */
  read(): Generator<LogEntry, void, void>;
};

function openReader(path: string): Reader {
  let file: number | undefined;
  let at = 0;
  let rest = new Uint8Array(0);
  const opened = (): number | undefined => (file ??= openIfThere(path));
  return {
    skipTo(count) {
      const log = opened();
      if (log !== undefined) at = startOfLast(log, count);
    },
    *read() {
      const log = opened();
      if (log === undefined) return;
      const piece = new Uint8Array(pieceLength);
      for (let length = readSync(log, piece, 0, pieceLength, at); length > 0; length = readSync(log, piece, 0, pieceLength, at)) {
        at += length;
        const bytes = new Uint8Array(rest.length + length);
        bytes.set(rest);
        bytes.set(piece.subarray(0, length), rest.length);
        const end = bytes.lastIndexOf(lineFeed) + 1;
        for (const line of new TextDecoder().decode(bytes.subarray(0, end)).split('\n')) {
          const entry = entryOf(line);
          if (entry !== undefined) yield entry;
        }
        rest = bytes.slice(end);
      }
    },
    [Symbol.dispose]() {
      if (file !== undefined) closeSync(file);
    },
  };
}

/** Undefined for a line that was cut off when the disk was full, or when its writer was killed. */
function entryOf(line: string): LogEntry | undefined {
  try {
    const parsed = v.safeParse(entryShape, JSON.parse(line));
    return parsed.success ? parsed.output : undefined;
  } catch {
    return undefined;
  }
}

/** Where the last `count` lines of a file begin; its size for none. */
function startOfLast(file: number, count: number): number {
  const { size } = fstatSync(file);
  if (count === 0) return size;
  const piece = new Uint8Array(pieceLength);
  let left = count;
  for (let end = size; end > 0;) {
    const start = Math.max(0, end - pieceLength);
    const length = readSync(file, piece, 0, end - start, start);
    for (let index = length - 1; index >= 0; index--) {
      // The last byte ends the last line.
      if (piece[index] === lineFeed && start + index !== size - 1 && --left === 0) return start + index + 1;
    }
    end = start;
  }
  return 0;
}

function openIfThere(path: string): number | undefined {
  try {
    return openSync(path, 'r');
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
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
