/** A process that another one holds, with streams of this program: what steps that failed and containers have in common. */
import { Readable, Writable } from 'node:stream';
import type { Attachment } from '#execution/worker/control.ts';
import type { Engine } from '#engine/open.ts';
import type { Report } from '#formats/progress/event.ts';
import { cancelled } from '#ground/base/abort.ts';
import type { EventOptions } from './call-options.ts';
import type { Calls } from './calls.ts';
import type { StreamedProcess, TerminalSize } from './streamed-process.ts';

export type ProcessStreams = {
  readonly open: Pick<StreamedProcess, 'stdin' | 'stdout' | 'stderr'>;
  readonly connect: (client: Attachment) => void;
  readonly take: (name: 'stdout' | 'stderr', bytes: Uint8Array) => void;
  readonly resize: (size: TerminalSize) => void;
  /** No more comes. */
  readonly finish: () => void;
};

/** `began`: the process is to be handed out, with what is known of it. Gives its exit code, once it has ended. */
export type ProcessTask<T> = (
  engine: Engine,
  around: { readonly streams: ProcessStreams; readonly began: (about: T) => void; readonly report: Report },
  signal: AbortSignal,
) => Promise<number>;

/** Settles when the process has begun. Throws what kept it from that; what happens to it later comes out of `exited`, and its streams end. */
export async function openProcess<T>(
  { told }: Pick<Calls, 'told'>,
  given: EventOptions,
  task: ProcessTask<T>,
): Promise<StreamedProcess & T> {
  const ending = new AbortController();
  const streams = openStreams();
  const signal = given.signal === undefined ? ending.signal : AbortSignal.any([given.signal, ending.signal]);
  const begun = Promise.withResolvers<T>();
  const exited = told(
    { ...given, signal },
    async (engine, report, own) => await task(engine, { streams, began: begun.resolve, report }, own),
  );
  exited.then(streams.finish, streams.finish);
  exited.catch(begun.reject);
  const about = await begun.promise;
  return {
    ...about,
    ...streams.open,
    exited,
    resize: streams.resize,
    [Symbol.asyncDispose]: async () => {
      ending.abort(cancelled('The process was disposed of'));
      await exited.catch(() => undefined);
    },
  };
}

/** Streams of this program that are there before those of the process, and after them. */
function openStreams(): ProcessStreams {
  let attachment: Attachment | undefined;
  const full = new Set<Readable>();
  const drain = (stream: Readable): void => {
    full.delete(stream);
    if (full.size === 0) attachment?.resume();
  };
  const send = async (chunk: Uint8Array, done: () => void): Promise<void> => {
    if (attachment?.sendInput(chunk) === false) await attachment.drained();
    done();
  };
  const output = (): Readable =>
    new Readable({
      read() {
        drain(this);
      },
      destroy(error, done) {
        drain(this);
        done(error);
      },
    });
  const open = {
    stdin: new Writable({
      write: (chunk: Uint8Array, _encoding, done) => void send(chunk, done),
      final: (done) => {
        attachment?.endInput();
        done();
      },
    }),
    stdout: output(),
    stderr: output(),
  };
  return {
    open,
    connect: (client: Attachment): void => {
      attachment = client;
    },
    take: (name: 'stdout' | 'stderr', bytes: Uint8Array): void => {
      const stream = open[name];
      if (stream.destroyed || stream.push(new Uint8Array(bytes))) return;
      full.add(stream);
      attachment?.pause();
    },
    resize: (size: TerminalSize): void => attachment?.resize(size),
    finish: () => {
      open.stdout.push(null);
      open.stderr.push(null);
      open.stdin.destroy();
    },
  };
}
