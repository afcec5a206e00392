/** Reading the events of a store: those that were, and those that come. */
import { closeSync, constants, fstatSync, mkdirSync, openSync, readSync, watch } from 'node:fs';
import { join } from 'node:path';
import { systemCode } from '#ground/base/errors.ts';
import { decodeEvent, type StoreEvent } from './event.ts';
import { eventFiles } from './record.ts';

/** Milliseconds, where the kernel does not tell of changes. */
const lookEvery = 1000;
const pieceLength = 65_536;

/** A line that is being written may end within a character: the decoder keeps its bytes. */
type Tail = { readonly file: number; readonly inode: bigint; readonly decoder: InstanceType<typeof TextDecoder>; at: number; rest: string };

/** Milliseconds since the epoch, both included. `since` undefined: only what comes from now on. `until` undefined: until the signal aborts. */
export type EventSpan = { readonly since: number | undefined; readonly until: number | undefined };

/** Gives events, oldest first, to `take`; returns when `until` has come. Throws the signal's reason when that aborts. */
export async function followEvents(
  folder: string,
  { since, until }: EventSpan,
  { now, take }: { readonly now: () => number; readonly take: (event: StoreEvent) => void },
  signal: AbortSignal,
): Promise<void> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  using tails = createTails(folder, since === undefined && until === undefined ? 'end' : 'beginning');
  const give = (): void => {
    for (const event of tails.read()) if (event.at >= (since ?? 0) && event.at <= (until ?? Infinity)) take(event);
  };
  using changes = createChanges(folder, signal);
  for (;;) {
    signal.throwIfAborted();
    const left = until === undefined ? Infinity : until - now();
    give();
    if (left <= 0) return;
    await changes.next(Math.min(left, lookEvery));
  }
}

/** The file that is written, and the one before it: who opened that earlier may still write a line to it. */
function createTails(folder: string, from: 'beginning' | 'end') {
  const tails = [openTail(folder, eventFiles.before), openTail(folder, eventFiles.current)].filter((tail) => tail !== undefined);
  if (from === 'end') for (const tail of tails) tail.at = fstatSync(tail.file).size;
  return {
    read(): readonly StoreEvent[] {
      const next = openTail(folder, eventFiles.current);
      if (next !== undefined && tails.some(({ inode }) => inode === next.inode)) closeSync(next.file);
      else if (next !== undefined) {
        tails.push(next);
        for (const old of tails.splice(0, tails.length - 2)) closeSync(old.file);
      }
      return tails.flatMap(readTail);
    },
    [Symbol.dispose](): void {
      for (const { file } of tails) closeSync(file);
    },
  };
}

function openTail(folder: string, name: string): Tail | undefined {
  try {
    const file = openSync(join(folder, name), constants.O_RDONLY | constants.O_NOFOLLOW);
    return { file, inode: fstatSync(file, { bigint: true }).ino, decoder: new TextDecoder(), at: 0, rest: '' };
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** What was written to it since the last time, whole lines of it. */
function readTail(tail: Tail): readonly StoreEvent[] {
  const bytes = new Uint8Array(pieceLength);
  let text = tail.rest;
  for (
    let count = readSync(tail.file, bytes, 0, pieceLength, tail.at);
    count > 0;
    count = readSync(tail.file, bytes, 0, pieceLength, tail.at)
  ) {
    text += tail.decoder.decode(bytes.subarray(0, count), { stream: true });
    tail.at += count;
  }
  const lines = text.split('\n');
  tail.rest = lines.pop() ?? '';
  return lines.flatMap((line) => decodeEvent(line) ?? []);
}

/** Tells when something in a folder has changed. */
function createChanges(folder: string, signal: AbortSignal) {
  let wake = Promise.withResolvers<void>();
  let isChanged = false;
  const change = (): void => {
    isChanged = true;
    wake.resolve();
  };
  const watcher = tryWatch(folder, change);
  signal.addEventListener('abort', change, { once: true });
  return {
    /** Waits at most so many milliseconds. */
    async next(longest: number): Promise<void> {
      wake = Promise.withResolvers<void>();
      const timer = setTimeout(wake.resolve, longest);
      if (!isChanged) await wake.promise;
      clearTimeout(timer);
      isChanged = false;
    },
    [Symbol.dispose](): void {
      watcher?.close();
      signal.removeEventListener('abort', change);
    },
  };
}

/** undefined where the kernel gives no more watches. */
function tryWatch(folder: string, onChange: () => void) {
  try {
    return watch(folder, onChange).on('error', () => undefined);
  } catch (error) {
    if (systemCode(error) === undefined) throw error;
    return undefined;
  }
}
