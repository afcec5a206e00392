/** What a container writes, kept in docker's json-file form: one JSON object a line of output (`log`, `stream`, `time`); a line that is longer is in several. */
import { closeSync, constants, fstatSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { joinBytes } from '#ground/base/bytes.ts';
import { systemCode } from '#ground/base/errors.ts';
import { createLog } from '#ground/base/log.ts';
import type { LogKeeping } from '../contract.ts';
import { logName, olderName } from '../log-names.ts';

export type OutputName = 'stdout' | 'stderr';

export type ContainerLog = Disposable & {
  write(stream: OutputName, bytes: Uint8Array): void;
};

const say = createLog('worker');
/** Bytes of a line, as docker cuts them. */
const longestEntry = 16_384;
const lineFeed = 0x0a;

/**
 * Appends to the log in `folder`, made 0600 when missing; a file that is full gets another name, and a new one is begun: nothing that somebody has open is written over. Disposing writes
 * what has no end of line yet. Undefined for `keeping`: nothing is kept.
 */
export function openContainerLog(folder: string, keeping: LogKeeping | undefined, now: () => number): ContainerLog {
  if (keeping === undefined) return { write: () => undefined, [Symbol.dispose]: () => undefined };
  const log = openFiles(`${folder}/${logName}`, keeping);
  const pending: Record<OutputName, Uint8Array> = { stdout: new Uint8Array(0), stderr: new Uint8Array(0) };
  const stamp = createStamp(now);
  const { attributes } = keeping;
  const attrs = Object.keys(attributes).length === 0 ? {} : { attrs: attributes };
  const entryOf = (stream: OutputName, line: Uint8Array): string =>
    `${JSON.stringify({ log: new TextDecoder().decode(line), stream, ...attrs, time: stamp() })}\n`;
  return {
    write(stream, bytes) {
      const { lines, rest } = splitLines(pending[stream].length === 0 ? bytes : joinBytes([pending[stream], bytes]));
      // What is kept must not be a piece of a buffer that is used again.
      pending[stream] = rest.slice();
      log.append(lines.map((line) => entryOf(stream, line)));
    },
    [Symbol.dispose]() {
      log.append((['stdout', 'stderr'] as const).flatMap((name) => (pending[name].length > 0 ? [entryOf(name, pending[name])] : [])));
      log[Symbol.dispose]();
    },
  };
}

/** A full disk costs lines of the log, not the container. */
function openFiles(path: string, { maxSize = Infinity, maxFiles }: LogKeeping): Disposable & { append(entries: readonly string[]): void } {
  let file = openLog(path);
  let { size } = fstatSync(file);
  let isCut = false;
  const turn = (): void => {
    makeRoom(path, maxFiles);
    const next = openLog(path);
    closeSync(file);
    [file, size] = [next, 0];
  };
  const keep = (text: string): void => {
    // After a write that failed: what comes is on a line of its own.
    const bytes = new TextEncoder().encode(`${isCut ? '\n' : ''}${text}`);
    try {
      if (size >= maxSize) turn();
      writeAll(file, bytes);
      size += bytes.length;
      isCut = false;
    } catch (error) {
      if (systemCode(error) === undefined) throw error;
      isCut = true;
      say('a line of a container is not kept: %s', error);
    }
  };
  return {
    append(entries) {
      if (entries.length > 0) for (const text of maxSize === Infinity ? [entries.join('')] : entries) keep(text);
    },
    [Symbol.dispose]: () => closeSync(file),
  };
}

function openLog(path: string): number {
  return openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND | constants.O_NOFOLLOW, 0o600);
}

/** Each file gets the name of the next older one; the oldest goes. */
function makeRoom(path: string, maxFiles: number): void {
  if (maxFiles === 1) return rmSync(path, { force: true });
  for (let age = maxFiles - 2; age >= 0; age--) {
    try {
      renameSync(olderName(path, age), olderName(path, age + 1));
    } catch (error) {
      if (systemCode(error) !== 'ENOENT') throw error;
    }
  }
}

function splitLines(bytes: Uint8Array): { readonly lines: readonly Uint8Array[]; readonly rest: Uint8Array } {
  const lines: Uint8Array[] = [];
  let at = 0;
  while (at < bytes.length) {
    const end = bytes.indexOf(lineFeed, at);
    const isShort = end >= 0 && end < at + longestEntry;
    if (!isShort && bytes.length < at + longestEntry) break;
    const next = isShort ? end + 1 : wholeCharacters(bytes, at, at + longestEntry);
    lines.push(bytes.subarray(at, next));
    at = next;
  }
  return { lines, rest: bytes.subarray(at) };
}

/** Where a line is cut before `end`, so that no character of UTF-8 (RFC 3629: at most four bytes) is in two pieces. */
function wholeCharacters(bytes: Uint8Array, start: number, end: number): number {
  if (!isWithin(bytes[end])) return end;
  for (let at = end - 1; at > Math.max(start, end - 4); at--) if (!isWithin(bytes[at])) return at;
  return end;
}

function isWithin(byte: number | undefined): boolean {
  return byte !== undefined && (byte & 0xc0) === 0x80;
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
