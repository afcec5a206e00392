/** The files of a container's log, read from the oldest on, and on from one to the next while they get other names. */
import { closeSync, fstatSync, readSync, statSync } from 'node:fs';
import * as v from 'valibot';
import { olderName } from '#execution/worker/log-names.ts';
import { openIfThere } from '#ground/base/open-if-there.ts';

/** As docker's json-file form has it; `time` in RFC 3339 with nanoseconds. */
export type LogEntry = {
  readonly log: string;
  readonly stream: 'stdout' | 'stderr';
  readonly time: string;
  readonly attrs?: Readonly<Record<string, string>> | undefined;
};

const entryShape = v.object({
  log: v.string(),
  stream: v.picklist(['stdout', 'stderr']),
  time: v.string(),
  attrs: v.optional(v.record(v.string(), v.string())),
});
const pieceLength = 1 << 16;
const lineFeed = 0x0a;

export type LogReader = Disposable & {
  /** Leaves out all but the last `count` entries that are there. */
  skipTo(count: number): void;
  /** The whole entries from where it stands. Files that are not there yet have none. */
  read(): Generator<LogEntry, void, void>;
};

/** `path`: of the file that is written to. */
export function openLogReader(path: string): LogReader {
  let file: number | undefined;
  let at = 0;
  let rest = new Uint8Array(0);
  const goTo = (next: number, start: number): void => {
    if (file !== undefined) closeSync(file);
    [file, at, rest] = [next, start, new Uint8Array(0)];
  };
  function* readOn(log: number): Generator<LogEntry, void, void> {
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
  }
  return {
    skipTo(count) {
      const start = startOfLast(path, count);
      if (start !== undefined) goTo(start.file, start.at);
    },
    *read() {
      file ??= openOldest(path);
      while (file !== undefined) {
        yield* readOn(file);
        const next = openNext(path, file);
        if (next === undefined) return;
        // It may have been written to after it was read, and before it got its other name.
        yield* readOn(file);
        goTo(next, 0);
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

/** The inodes of the files, the newest first; undefined for one that is just getting its older name. */
function inodesOf(path: string): readonly (number | undefined)[] {
  const found: (number | undefined)[] = [];
  // While all get older names, one name is free.
  for (let missing = 0; missing < 2;) {
    const inode = statSync(olderName(path, found.length), { throwIfNoEntry: false })?.ino;
    found.push(inode);
    missing = inode === undefined ? missing + 1 : 0;
  }
  return found.slice(0, -2);
}

/** The oldest that is there. */
function openOldest(path: string): number | undefined {
  for (;;) {
    const files = inodesOf(path);
    if (files.length === 0) return undefined;
    const opened = openWhere(path, files.length - 1, files);
    if (opened !== undefined) return opened;
  }
}

/** The file after `file`; undefined where that is the newest. What is no longer there at all is followed by the oldest that is. */
function openNext(path: string, file: number): number | undefined {
  const own = fstatSync(file).ino;
  for (;;) {
    const files = inodesOf(path);
    const age = files.indexOf(own);
    if (age === 0 || files.length === 0) return undefined;
    const wanted = age < 0 ? files.length - 1 : files.findLastIndex((inode, index) => inode !== undefined && index < age);
    // The newest has its older name, and there is none in its place yet.
    if (wanted < 0) return undefined;
    const next = openWhere(path, wanted, files);
    if (next !== undefined) return next;
  }
}

/** Undefined where the names have moved on meanwhile. */
function openWhere(path: string, age: number, files: readonly (number | undefined)[]): number | undefined {
  const file = openIfThere(olderName(path, age));
  if (file === undefined || fstatSync(file).ino === files[age]) return file;
  closeSync(file);
  return undefined;
}

/** Where the last `count` entries of all files begin; undefined where there are no more than these. */
function startOfLast(path: string, count: number): { readonly file: number; readonly at: number } | undefined {
  let left = count;
  for (let age = 0; ; age++) {
    const file = openIfThere(olderName(path, age));
    if (file === undefined) return undefined;
    const found = startIn(file, left);
    if (typeof found === 'object') return { file, at: found.at };
    closeSync(file);
    left -= found;
  }
}

/** Where the last `count` lines of a file begin, its size for none; the number of its lines where there are fewer. */
function startIn(file: number, count: number): { readonly at: number } | number {
  const { size } = fstatSync(file);
  if (count === 0) return { at: size };
  const piece = new Uint8Array(pieceLength);
  let left = count;
  for (let end = size; end > 0;) {
    const start = Math.max(0, end - pieceLength);
    const length = readSync(file, piece, 0, end - start, start);
    for (let index = length - 1; index >= 0; index--) {
      // The last byte ends the last line.
      if (piece[index] === lineFeed && start + index !== size - 1 && --left === 0) return { at: start + index + 1 };
    }
    end = start;
  }
  // The first line has none before it.
  return left === 1 && size > 0 ? { at: 0 } : size === 0 ? 0 : count - left + 1;
}
