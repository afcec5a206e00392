/** A process where a build stopped, or in a stage of it, with its streams. */
import { Readable, Writable } from 'node:stream';
import { attachContainer, type Attachment } from '#execution/worker/control.ts';
import { debugPlace, type AttachedStreams, type DebugWish } from '#engine/debug-step.ts';
import type { Engine } from '#engine/open.ts';
import type { StepPlace } from '#engine/step-place.ts';
import { cancelled } from '#ground/base/abort.ts';
import { JettisonError } from '#ground/base/errors.ts';
import type { Calls } from './calls.ts';
import type { DebugOptions, DebugProcess, TerminalSize } from './debug-process.ts';

/** Settles when the process is about to start. Throws `engine/no-failed-step`, `engine/no-such-place`, `engine/not-in-cache`, `engine/place-gone`, `engine/no-shell`. */
export async function openDebugProcess(
  { call }: Pick<Calls, 'call'>,
  options: DebugOptions,
  findPlace: (engine: Engine, signal: AbortSignal) => Promise<StepPlace>,
): Promise<DebugProcess> {
  const ending = new AbortController();
  const streams = openStreams();
  const signal = options.signal === undefined ? ending.signal : AbortSignal.any([options.signal, ending.signal]);
  const started = Promise.withResolvers<void>();
  const exited = call({ signal }, async (engine, own) => {
    const place = await findPlace(engine, own);
    const attach = async (folder: string): Promise<unknown> => {
      const attachment = await attachContainer(folder, { stdin: true, stdout: true, stderr: true }, streams.take, own);
      if (attachment === undefined) throw new JettisonError('library/no-streams', 'The process ended before it began', { fault: 'bug' });
      using client = attachment;
      streams.connect(client);
      started.resolve();
      return await client.ended;
    };
    return await debugPlace(engine, place, wishOf(options, attach), () => undefined, own);
  });
  exited.then(streams.finish, streams.destroy);
  exited.catch(started.reject);
  await started.promise;
  return {
    ...streams.open,
    exited,
    resize: streams.resize,
    [Symbol.asyncDispose]: async () => {
      ending.abort(cancelled('The process was disposed of'));
      await exited.catch(() => undefined);
    },
  };
}

function wishOf({ command, environment, user, workingDirectory, terminal }: DebugOptions, attach: AttachedStreams['attach']): DebugWish {
  return {
    arguments: command ?? [],
    environment: Object.entries(environment ?? {}).map(([name, value]) => `${name}=${value}`),
    user,
    workingDirectory,
    attached: { isTerminal: terminal !== undefined, size: terminal, endsAtOnce: true, attach },
  };
}

/** Streams of this program that are there before those of the process, and after them. */
function openStreams() {
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
    /** No more comes. */
    finish: (): void => {
      open.stdout.push(null);
      open.stderr.push(null);
      open.stdin.destroy();
    },
    destroy: (): void => void [open.stdin, open.stdout, open.stderr].map((one) => one.destroy()),
  };
}
