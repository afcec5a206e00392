/** What a container writes, kept in docker's json-file form: one JSON object a line of output (`log`, `stream`, `time`); a line that is longer is in several. */
import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { joinBytes } from '#ground/base/bytes.ts';
import { systemCode } from '#ground/base/errors.ts';
import { createLog } from '#ground/base/log.ts';

export type OutputName = 'stdout' | 'stderr';

export type ContainerLog = Disposable & {
  write(stream: OutputName, bytes: Uint8Array): void;
};

const say = createLog('worker');
/** Bytes of a line, as docker cuts them. */
const longestEntry = 16_384;
const lineFeed = 0x0a;

/** Appends to `path`, made 0600 when missing. Disposing writes what has no end of line yet. */
export function openContainerLog(path: string, now: () => number): ContainerLog {
  const file = openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND | constants.O_NOFOLLOW, 0o600);
  const pending: Record<OutputName, Uint8Array> = { stdout: new Uint8Array(0), stderr: new Uint8Array(0) };
  const stamp = createStamp(now);
  let isCut = false;
  const append = (entries: readonly string[]): void => {
    if (entries.length === 0) return;
    try {
      // After a write that failed: what comes is on a line of its own.
      writeAll(file, new TextEncoder().encode(`${isCut ? '\n' : ''}${entries.join('')}`));
      isCut = false;
    } catch (error) {
      // A full disk costs lines of the log, not the container.
      if (systemCode(error) === undefined) throw error;
      isCut = true;
      say('a line of a container is not kept: %s', error);
    }
  };
  return {
    write(stream, bytes) {
      const { lines, rest } = splitLines(pending[stream].length === 0 ? bytes : joinBytes([pending[stream], bytes]));
      // What is kept must not be a piece of a buffer that is used again.
      pending[stream] = rest.slice();
      append(lines.map((line) => entryOf(stream, line, stamp())));
    },
    [Symbol.dispose]() {
      append((['stdout', 'stderr'] as const).flatMap((name) => (pending[name].length > 0 ? [entryOf(name, pending[name], stamp())] : [])));
      closeSync(file);
    },
  };
}

function splitLines(bytes: Uint8Array): { readonly lines: readonly Uint8Array[]; readonly rest: Uint8Array } {
  const lines: Uint8Array[] = [];
  let at = 0;
  while (at < bytes.length) {
    const end = bytes.indexOf(lineFeed, at);
    const next = Math.min(end < 0 ? Infinity : end + 1, at + longestEntry);
    if (next > bytes.length) break;
    lines.push(bytes.subarray(at, next));
    at = next;
  }
  return { lines, rest: bytes.subarray(at) };
}

function entryOf(stream: OutputName, line: Uint8Array, time: string): string {
  return `${JSON.stringify({ log: new TextDecoder().decode(line), stream, time })}\n`;
}

/** Times in nanoseconds of which each is later than the one before, as long as the clock does not go back. */
function createStamp(now: () => number): () => string {
  let last = 0;
  let count = 0;
  return () => {
    const time = Math.floor(now());
    count = time === last ? Math.min(count + 1, 999_999) : 0;
    last = time;
    return `${new Date(time).toISOString().slice(0, -1)}${String(count).padStart(6, '0')}Z`;
  };
}

function writeAll(file: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at);
}
