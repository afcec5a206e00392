/** From a container's open outputs to all who want what it writes: its log, the command that runs it, clients. The slowest decides how fast it may write, as long as it runs. */
import { write } from 'node:fs';
import type { Duplex, Readable } from 'node:stream';
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';
import { systemCode } from '#ground/base/errors.ts';
import type { OutputName } from './log-file.ts';

/** Takes a piece at once; gives a promise while it wants no more. It must not reject. */
export type Sink = (stream: OutputName, bytes: Uint8Array) => Promise<void> | undefined;

export type Outputs = {
  /** Takes what comes from `source` to its end, each piece as `asWritten` makes it. */
  follow(stream: OutputName, source: Readable, asWritten?: (bytes: Uint8Array) => Uint8Array): void;
  /** Gives what ends it again. */
  add(sink: Sink): () => void;
  /** Nobody reads this output any more: who writes to it is to know. */
  abandon(stream: OutputName): void;
  /** Hands on what did not come from a source. */
  give(stream: OutputName, bytes: Uint8Array): void;
  /** It is ending: what is left goes to all sinks as fast as it comes, so that one that takes nothing holds up no end. */
  release(): void;
  /** Settles when all sources have come to their ends, which it no longer waits with for anybody. */
  drained(): Promise<void>;
};

/** Bytes. Of pieces of this size more are there: Node would read many of them in a row, and who asks for the container's end would wait for the log of all of them. */
const largePiece = 16_384;

export function createOutputs(): Outputs {
  const sinks = new Set<Sink>();
  const sources = new Map<OutputName, Readable>();
  const ends: Promise<void>[] = [];
  const over = Promise.withResolvers<void>();
  const take = async (stream: OutputName, source: Readable, bytes: Uint8Array): Promise<void> => {
    const busy = [...sinks].flatMap((sink) => sink(stream, bytes) ?? []);
    if (busy.length === 0 && bytes.length < largePiece) return;
    source.pause();
    if (busy.length === 0) await turn();
    else await Promise.race([Promise.all(busy), over.promise]);
    source.resume();
  };
  return {
    follow(stream, source, asWritten = (bytes) => bytes) {
      sources.set(stream, source);
      const ended = Promise.withResolvers<void>();
      ends.push(ended.promise);
      source.on('data', (bytes: Uint8Array) => void take(stream, source, asWritten(bytes)));
      // A terminal whose last process has ended says so by an error.
      source.once('error', () => source.destroy());
      source.once('end', () => source.destroy());
      source.once('close', ended.resolve);
    },
    add(sink) {
      sinks.add(sink);
      return () => void sinks.delete(sink);
    },
    give(stream, bytes) {
      for (const sink of sinks) void sink(stream, bytes);
    },
    abandon: (stream) => void sources.get(stream)?.destroy(),
    release: over.resolve,
    async drained() {
      over.resolve();
      await Promise.all(ends);
    },
  };
}

const fullPause = 5;

/** Writes to an open file of this process, which may be anything; `onGone` when nobody reads it any more. Gives what settles when all that was written has arrived. */
export function createFileSink(
  files: Readonly<Record<OutputName, number | undefined>>,
  onGone: (stream: OutputName) => void,
): { readonly sink: Sink; flushed(): Promise<void> } {
  const last: Record<OutputName, Promise<void>> = { stdout: Promise.resolve(), stderr: Promise.resolve() };
  const sink: Sink = (stream, bytes) => {
    const file = files[stream];
    if (file === undefined) return undefined;
    const before = last[stream];
    const next = (async () => {
      await before;
      if (!(await writeAll(file, bytes))) onGone(stream);
    })();
    last[stream] = next;
    return next;
  };
  return { sink, flushed: async () => void (await Promise.all(Object.values(last))) };
}

/** False when nobody reads it, or it cannot be written. In a thread of its own: a pipe that is full must hold up nothing else here. */
async function writeAll(file: number, bytes: Uint8Array): Promise<boolean> {
  for (let at = 0; at < bytes.length;) {
    const { promise, resolve } = Promise.withResolvers<number | string>();
    write(file, bytes, at, bytes.length - at, null, (error, count) => resolve(error === null ? count : (systemCode(error) ?? 'EIO')));
    const done = await promise;
    if (typeof done === 'number') at += done;
    else if (done === 'EAGAIN') await sleep(fullPause);
    else return false;
  }
  return true;
}

/** A client's connection: `wrap` makes what is sent of what was written. */
export function connectionSink(connection: Duplex, wrap: (stream: OutputName, bytes: Uint8Array) => Uint8Array | undefined): Sink {
  return (stream, bytes) => {
    const message = wrap(stream, bytes);
    if (message === undefined || connection.destroyed || connection.write(message)) return undefined;
    const { promise, resolve } = Promise.withResolvers<void>();
    connection.once('drain', resolve).once('close', resolve);
    return promise;
  };
}
