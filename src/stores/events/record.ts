/**
 * The last events of a store: lines of JSON, each written at once to the end of a file by whoever made it happen. A file that has grown is put aside under another name, in the
 * place of the one that was put aside before: so there is always a bounded number, and nobody has to wait for anybody.
 */
import { closeSync, constants, fstatSync, mkdirSync, openSync, renameSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { systemCode } from '#ground/base/errors.ts';
import { createLog } from '#ground/base/log.ts';
import { takeFileLock } from '#stores/db/file-lock.ts';
import type { NewEvent } from './event.ts';

export type EventRecord = {
  /** Never throws: where it cannot be written, the event is lost. */
  append(event: NewEvent): void;
  /** Where it lies; it need not be there yet. */
  readonly folder: string;
};

export const eventFiles = { current: 'events.jsonl', before: 'events.before.jsonl' } as const;

/** Bytes of a file that is put aside: some thousand events. */
const longestFile = 512 * 1024;
const log = createLog('events');

/** `folder`: made (0700) with the first event. `now`: milliseconds since the epoch. */
export function openEventRecord(folder: string, now: () => number): EventRecord {
  let last = { at: 0, nanoseconds: 0 };
  return {
    folder,
    append(event) {
      const at = Math.floor(now());
      last = { at, nanoseconds: at === last.at ? Math.min(last.nanoseconds + 1, 999_999) : 0 };
      try {
        appendLine(folder, `${JSON.stringify({ ...last, ...event })}\n`);
      } catch (error) {
        if (systemCode(error) === undefined) throw error;
        log('an event is lost: %s', error);
      }
    },
  };
}

function appendLine(folder: string, line: string): void {
  const file = openToAppend(folder);
  let isLong = false;
  try {
    // One write: lines of several processes do not mix.
    writeSync(file, line);
    isLong = fstatSync(file).size > longestFile;
  } finally {
    closeSync(file);
  }
  if (isLong) putAside(folder);
}

function openToAppend(folder: string): number {
  const path = join(folder, eventFiles.current);
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND | constants.O_NOFOLLOW;
  try {
    return openSync(path, flags, 0o600);
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error;
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    return openSync(path, flags, 0o600);
  }
}

/** Two who find it long at once put it aside once. */
function putAside(folder: string): void {
  using lock = takeFileLock(join(folder, 'turn.lock'));
  const path = join(folder, eventFiles.current);
  if (lock !== undefined && statSync(path).size > longestFile) renameSync(path, join(folder, eventFiles.before));
}
