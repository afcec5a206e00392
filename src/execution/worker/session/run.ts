/** A container's run as others see it: its streams, its log, its control socket. */
import { closeSync } from 'node:fs';
import { Socket } from 'node:net';
import { constants } from 'node:os';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { JettisonError, systemCode } from '#ground/base/errors.ts';
import { signalNumber } from '#ground/linux/child.ts';
import { createLineBreaks } from '#ground/linux/line-breaks.ts';
import { openPseudoTerminal, type PseudoTerminal } from '#ground/linux/pseudo-terminal.ts';
import { makePipe } from '#ground/linux/syscall.ts';
import { runContainer, type ContainerOutcome, type ContainerRequest, type ContainerTools } from '#execution/ops/container.ts';
import { prepareExec } from '#execution/ops/container-exec.ts';
import type { ProcessStreams, Runtime, StartedProcess } from '#execution/runtime/contract.ts';
import { openOwnInput } from '../own-input.ts';
import type { WireSession } from '../protocol.ts';
import { serveControl, type Controlled } from './control.ts';
import { openContainerLog } from './log-file.ts';
import { createFileSink, createOutputs, type Outputs } from './outputs.ts';

/** Milliseconds for clients to take the last that was written, and for the first of them to come. */
const lastPieces = 2000;
const firstClient = 10_000;
/** Milliseconds; Node takes a longer time for none. */
const longestTimer = 2 ** 31 - 1;
const { signals } = constants;
/** Milliseconds that clients of a container without any are kept waiting. */
const shortRun = 5;
const usualSize = { rows: 24, columns: 80 };

export type SessionTools = ContainerTools & {
  readonly onReady: () => void;
  readonly onStart: (started: StartedProcess) => void;
  readonly now: () => number;
};

/** Runs the container with the streams that `session` says. Throws what `runContainer` throws, `worker/no-terminal`. */
export async function runSession(
  request: ContainerRequest,
  session: WireSession,
  tools: SessionTools,
  signal: AbortSignal,
): Promise<ContainerOutcome> {
  const { runtime } = tools;
  using log = openContainerLog(session.folder, session.log, tools.now);
  const outputs = createOutputs();
  outputs.add((stream, bytes) => {
    log.write(stream, bytes);
    return undefined;
  });
  const own = createFileSink({ stdout: session.own.stdout ? 1 : undefined, stderr: session.own.stderr ? 2 : undefined }, (stream) =>
    outputs.abandon(stream),
  );
  outputs.add(own.sink);
  using streams = request.terminal ? openTerminal(session, outputs, lineBreaksOf(request.id, runtime)) : openPipes(session, outputs);
  const attached = Promise.withResolvers<void>();
  let { size = usualSize } = session;
  let first: number | undefined;
  const early: string[] = [];
  const signalNow = (name: string): void => {
    runtime.signal(request.id, name);
    // Before there is a program nobody may hear it: it is said once more then.
    if (first === undefined) early.push(name);
    // What passes on the output of a terminal must not wait for clients then.
    if (signalNumber(name) === signals.SIGKILL) outputs.release();
  };
  const stopping = createStopping(signalNow, () => runtime.resume(request.id));
  const { input, terminal } = streams;
  const { stop } = stopping;
  const controlled: Controlled = {
    outputs,
    input: input && {
      write: (bytes) => input.destroyed || input.write(bytes),
      whenDrained: (resume) => void input.once('drain', resume).once('close', resume),
      end: () => void input.end(),
    },
    inputEndsWithClient: session.stdinOnce && !request.terminal,
    signal: signalNow,
    stop,
    pause: () => runtime.pause(request.id),
    resume: () => runtime.resume(request.id),
    exec: (asked) => (first === undefined ? undefined : prepareExec(asked, { container: request, first }, tools)),
    usage: () => runtime.usage(request.id),
    limit: async (limits) => await runtime.limit(request.id, limits),
    resize: (asked) => {
      size = asked;
      terminal?.resize(asked);
      runtime.resized(request.id, asked);
    },
    onAttach: attached.resolve,
  };
  // Who has the streams of this process is no client. What serves clients takes as long to load as a short container runs.
  const isOwn = !session.awaitsClient && session.stdin !== 'clients' && !request.terminal;
  await using control = await serveControl(session.folder, controlled, isOwn);
  tools.onReady();
  if (session.awaitsClient) await Promise.race([attached.promise, sleep(firstClient, undefined, { ref: false })]);
  let code: number | undefined;
  let serving: NodeJS.Timeout | undefined;
  try {
    const around = {
      streams: streams.given,
      terminalSize: request.terminal ? size : undefined,
      onStart: (started: StartedProcess): void => {
        // It may have got another size before there was anybody to tell.
        if (request.terminal) runtime.resized(request.id, size);
        first = started.pid;
        for (const name of early) runtime.signal(request.id, name);
        tools.onStart(started);
        serving = setTimeout(() => void control.begin(), shortRun);
      },
    };
    const outcome = await runContainer(request, { ...tools, ...around }, signal);
    ({ code } = outcome);
    return outcome;
  } finally {
    stopping.end();
    clearTimeout(serving);
    streams.given.release();
    input?.destroy();
    await outputs.drained();
    for (const bytes of streams.rest) outputs.give('stdout', bytes);
    await own.flushed();
    await control.finish(code, lastPieces);
  }
}

type Streams = Disposable & {
  readonly given: Extract<ProcessStreams, { kind: 'files' }>;
  readonly input: Duplex | undefined;
  readonly terminal: PseudoTerminal | undefined;
  /** Output that came another way, to follow the rest. */
  readonly rest: readonly Uint8Array[];
};

/** Real pipes: what writes to a socket could not open /dev/stdout again. */
function openPipes({ stdin }: WireSession, outputs: Outputs): Streams {
  const [stdout, stderr] = [makePipe(), makePipe()];
  const pipe = stdin === 'clients' ? makePipe() : undefined;
  const own = stdin === 'own' ? openOwnInput() : undefined;
  const input = pipe && new Socket({ fd: pipe.writeEnd, readable: false, writable: true });
  // A process that closes its stdin, or ends, wants no more of it.
  input?.on('error', () => input.destroy());
  const close = closeOnce([stdout.writeEnd, stderr.writeEnd, ...(pipe === undefined ? [] : [pipe.readEnd])]);
  let isFollowed = false;
  // Read when the process has been started: what that takes to load is loaded while the runtime is at work.
  const release = (): void => {
    close();
    own?.release();
    if (isFollowed) return;
    isFollowed = true;
    outputs.follow('stdout', new Socket({ fd: stdout.readEnd, readable: true, writable: false }));
    outputs.follow('stderr', new Socket({ fd: stderr.readEnd, readable: true, writable: false }));
  };
  const first = own?.file ?? pipe?.readEnd ?? 'nothing';
  return {
    given: { kind: 'files', files: [first, stdout.writeEnd, stderr.writeEnd], release },
    input,
    terminal: undefined,
    rest: [],
    [Symbol.dispose]() {
      release();
      own?.[Symbol.dispose]();
    },
  };
}

/** The runtime passes on what goes between this terminal and the one that it makes inside. */
function openTerminal({ stdin, size = usualSize }: WireSession, outputs: Outputs, asWritten: (bytes: Uint8Array) => Uint8Array): Streams {
  const terminal = tryTerminal(size);
  outputs.follow('stdout', terminal.master, asWritten);
  const { slave } = terminal;
  const release = closeOnce([slave]);
  const rest: Uint8Array[] = [];
  return {
    given: { kind: 'files', files: [slave, slave, slave], release, onRest: (bytes) => void rest.push(bytes) },
    input: stdin === 'clients' ? terminal.master : undefined,
    terminal,
    rest,
    [Symbol.dispose]: release,
  };
}

function lineBreaksOf(id: string, runtime: Runtime): (bytes: Uint8Array) => Uint8Array {
  return runtime.name === 'runc' ? createLineBreaks(() => runtime.relays(id)) : (bytes) => bytes;
}

function tryTerminal(size: { readonly rows: number; readonly columns: number }): PseudoTerminal {
  try {
    return openPseudoTerminal(size);
  } catch (error) {
    if (systemCode(error) === undefined) throw error;
    throw new JettisonError('worker/no-terminal', `Cannot make a terminal: ${String(systemCode(error))}`, {
      fault: 'environment',
      cause: error,
      hint: 'This machine gives no pseudo-terminals (/dev/ptmx, /dev/pts): leave "-t" out',
    });
  }
}

function closeOnce(files: readonly number[]): () => void {
  let isOpen = true;
  return () => {
    if (isOpen) for (const file of files) closeSync(file);
    isOpen = false;
  };
}

/** A stop signal now, SIGKILL when it has not ended after some seconds. */
function createStopping(signal: (name: string) => void, resume: () => void) {
  let timer: NodeJS.Timeout | undefined;
  return {
    stop: (name: string, seconds: number): void => {
      signal(name);
      resume();
      clearTimeout(timer);
      if (seconds >= 0) timer = setTimeout(() => signal('SIGKILL'), Math.min(seconds * 1000, longestTimer));
    },
    end: () => clearTimeout(timer),
  };
}
