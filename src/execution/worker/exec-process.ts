/** A process that joins a container that runs: a runtime in the namespaces of the worker that holds the container, with streams of this process. */
import { closeSync, readlinkSync } from 'node:fs';
import { Socket } from 'node:net';
import { constants } from 'node:os';
import type { Duplex, Readable, Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { asByteString, bytesOf, toText } from '#ground/base/byte-string.ts';
import { JettisonError, systemCode } from '#ground/base/errors.ts';
import { sendSignal, signalNumber } from '#ground/linux/child.ts';
import { hasExecuted } from '#ground/linux/container-processes.ts';
import { createLineBreaks } from '#ground/linux/line-breaks.ts';
import { spawnProgram, type SpawnEnd, type SpawnStream } from '#ground/linux/posix-spawn.ts';
import { childrenOf } from '#ground/linux/nested-processes.ts';
import { openPseudoTerminal, resizeTerminalsOf, type PseudoTerminal, type TerminalSize } from '#ground/linux/pseudo-terminal.ts';
import { startDetached } from '#ground/linux/spawn.ts';
import { makePipe } from '#ground/linux/syscall.ts';
import { lastError } from '#execution/runtime/bundle.ts';
import { terminalRest } from '#execution/runtime/terminal-rest.ts';
import type { ExecCall } from './control.ts';
import { openOwnInput } from './own-input.ts';

export type ExecStart = {
  /** The worker's process, as this one counts. */
  readonly worker: number;
  readonly call: ExecCall;
  /** `pipes`: its three streams are pipes to this process. */
  readonly stdin: 'own' | 'nothing' | 'pipes';
  /** It has a terminal of its own, of this size at first. */
  readonly terminal: TerminalSize | undefined;
  /** It has no streams, and goes on when this process has ended. */
  readonly isDetached: boolean;
  /** What it writes is kept, up to a bound, and goes nowhere else. */
  readonly isCaptured?: boolean;
};

export type ExecProcess = {
  /** Settles when the program runs, or has ended. */
  readonly started: Promise<void>;
  /** Gives its exit code, 128 + n for signal n. Rejects with `runtime/exec-failed` when the runtime could not start it. */
  readonly ended: Promise<number>;
  /** What it writes to its terminal, and reads from it. */
  readonly terminal: Duplex | undefined;
  /** Its streams, where they are pipes. */
  readonly pipes: ExecPipes | undefined;
  /** Takes each piece that was read from the terminal, in order; gives it as it was meant. */
  readonly asWritten: (bytes: Uint8Array) => Uint8Array;
  /** What it wrote to its terminal last, where the runtime did not pass that on; when it has ended. */
  rest(): Promise<Uint8Array>;
  resize(size: TerminalSize): void;
  /** Hands a signal (`SIGTERM`) to it. */
  signal(name: string): void;
  /** Ends it, whatever it does. */
  kill(): void;
  /** What it wrote where that is captured: when it has ended. Whom it left behind is not waited for. */
  captured(): Promise<string>;
  /** Leaves it running when this process ends: what it writes to its terminal is read, and thrown away. */
  leave(): void;
};

export type ExecPipes = { readonly stdin: Writable; readonly stdout: Readable; readonly stderr: Readable };

const environment = ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'];

/** Throws system errors where there is no /bin/sh or no pseudo-terminal. */
export function startExec(start: ExecStart): ExecProcess {
  const terminal = start.terminal === undefined ? undefined : openPseudoTerminal(start.terminal);
  const [document, log] = [makePipe(), makePipe()];
  const capture = start.isCaptured === true ? makePipe() : undefined;
  const input = takesInput(start) ? openOwnInput() : undefined;
  const pipes = start.stdin === 'pipes' ? openPipes() : undefined;
  const given = [document.readEnd, log.writeEnd, ...(terminal === undefined ? [] : [terminal.slave])];
  if (capture !== undefined) given.push(capture.writeEnd);
  if (pipes !== undefined) given.push(...pipes.given);
  let spawned: ReturnType<typeof spawnProgram>;
  try {
    spawned = spawnProgram({
      file: '/bin/sh',
      // A session of its own: keys of this process's terminal are not for it, and the end of the terminal is not its end.
      arguments: ['sh', '-c', 'exec setsid nsenter "$@"', 'sh', ...entrance(start.worker), '--', ...start.call.words],
      environment,
      folder: '/',
      streams: [
        ...streamsOf(start, { terminal, capture: capture?.writeEnd, input: input?.file, pipes: pipes?.given }),
        document.readEnd,
        log.writeEnd,
      ],
    });
  } catch (error) {
    closeAll([document.writeEnd, log.readEnd, ...(capture === undefined ? [] : [capture.readEnd])]);
    pipes?.[Symbol.dispose]();
    input?.[Symbol.dispose]();
    throw error;
  } finally {
    closeAll(given);
    input?.release();
  }
  void spawned.ended.then(() => input?.[Symbol.dispose]());
  sendDocument(document.writeEnd, start.call.document);
  const { pid } = spawned;
  const complaint = takeLog(log.readEnd);
  const output = capture === undefined ? undefined : takeOutput(capture.readEnd);
  const ended = endOf(spawned.ended, complaint);
  ended.catch(() => undefined);
  const started = waitForStart(start.worker, pid, spawned.ended);
  let size = start.terminal;
  void started.then(() => (size === undefined ? undefined : resizeAll(pid, size)));
  return {
    started,
    ended,
    terminal: terminal?.master,
    pipes: pipes?.open(),
    asWritten: isCrun(start.call.words) ? (bytes) => bytes : createLineBreaks(() => childrenOf(pid)),
    rest: async () =>
      bytesOf(asByteString(terminal === undefined || !isCrun(start.call.words) ? '' : terminalRest(await complaint.text()))),
    resize(asked) {
      size = asked;
      terminal?.resize(asked);
      resizeAll(pid, asked);
    },
    signal(name) {
      const number = signalNumber(name);
      if (number !== undefined) for (const runtime of childrenOf(pid)) sendSignal(runtime, number);
    },
    kill() {
      for (const inside of insideOf(start.worker, pid)) sendSignal(inside, killed);
    },
    async captured() {
      await spawned.ended;
      return (await output?.text()) ?? '';
    },
    leave() {
      complaint.abandon();
      if (terminal !== undefined) startDetached({ command: 'cat', arguments: [], input: terminal.blockingMaster() });
    },
  };
}

function isCrun(words: readonly string[]): boolean {
  return words.some((word) => word === 'crun' || word.endsWith('/crun'));
}

/** The namespaces of the worker. Those of users and of the network only where they are others than ours: a normal user may not enter the one that it is in. */
function entrance(worker: number): readonly string[] {
  const isOther = (name: NamespaceName): boolean => namespaceOf(worker, name) !== namespaceOf(process.pid, name);
  return [
    '--target',
    String(worker),
    ...(isOther('user') ? ['--user', '--preserve-credentials'] : []),
    '--mount',
    '--pid',
    ...(isOther('net') ? ['--net'] : []),
  ];
}

/** Of this process's own stdin. */
function takesInput({ stdin, terminal, isDetached, isCaptured }: ExecStart): boolean {
  return stdin === 'own' && terminal === undefined && !isDetached && isCaptured !== true;
}

type Given = {
  readonly terminal: PseudoTerminal | undefined;
  readonly capture: number | undefined;
  readonly input: number | undefined;
  readonly pipes: readonly [number, number, number] | undefined;
};

function streamsOf(
  { isDetached }: ExecStart,
  { terminal, capture, input, pipes }: Given,
): readonly [SpawnStream, SpawnStream, SpawnStream] {
  if (pipes !== undefined) return pipes;
  if (capture !== undefined) return ['nothing', capture, capture];
  if (terminal !== undefined) return [terminal.slave, terminal.slave, terminal.slave];
  if (isDetached) return ['nothing', 'nothing', 'nothing'];
  return [input ?? 'nothing', 1, 2];
}

/** Pipes for the three streams of a process. `given`: its ends; `open`: ours as streams. Disposing closes ours, where they are no streams yet. */
function openPipes(): Disposable & { readonly given: readonly [number, number, number]; open(): ExecPipes } {
  const [input, output, error] = [makePipe(), makePipe(), makePipe()];
  return {
    given: [input.readEnd, output.writeEnd, error.writeEnd],
    open: () => {
      const stdin = new Socket({ fd: input.writeEnd, readable: false, writable: true });
      // A process that has ended takes no more: that it has is told by its exit code.
      stdin.on('error', () => stdin.destroy());
      return { stdin, stdout: readerOf(output.readEnd), stderr: readerOf(error.readEnd) };
    },
    [Symbol.dispose]: () => closeAll([input.writeEnd, output.readEnd, error.readEnd]),
  };
}

function readerOf(file: number): Readable {
  return new Socket({ fd: file, readable: true, writable: false });
}

/** As much as a pipe takes at once is not enough for all of them. */
function sendDocument(file: number, text: string): void {
  const pipe = new Socket({ fd: file, readable: false, writable: true });
  // A runtime that ended before it read has its own reasons.
  pipe.on('error', () => pipe.destroy());
  pipe.end(text);
}

const longestLog = 65_536;

/** What the runtime says of itself. */
function takeLog(file: number): { text(): Promise<string>; abandon(): void } {
  let said = '';
  const pipe = new Socket({ fd: file, readable: true, writable: false });
  const ended = Promise.withResolvers<void>();
  pipe.setEncoding('latin1').on('data', (text: string) => (said = (said + text).slice(-longestLog)));
  pipe.once('error', () => pipe.destroy());
  pipe.once('close', ended.resolve);
  return {
    async text() {
      await ended.promise;
      return said;
    },
    // Whoever holds the other end has nothing to say that anybody would hear; it is told so when it tries.
    abandon: () => void pipe.unref(),
  };
}

/** Characters of what is captured; docker keeps as many of a health check. */
const longestOutput = 4096;
/** Milliseconds for what is left in the pipe, which others may hold open. */
const lastPieces = 500;

function takeOutput(file: number): { text(): Promise<string> } {
  let taken = '';
  let isCut = false;
  const pipe = new Socket({ fd: file, readable: true, writable: false });
  const closed = Promise.withResolvers<void>();
  pipe.setEncoding('utf8').on('data', (text: string) => {
    isCut ||= taken.length + text.length > longestOutput;
    taken = (taken + text).slice(0, longestOutput);
  });
  pipe.once('error', () => pipe.destroy());
  pipe.once('close', closed.resolve);
  return {
    async text() {
      await Promise.race([closed.promise, sleep(lastPieces, undefined, { ref: false })]);
      pipe.destroy();
      return isCut ? `${taken}...` : taken;
    },
  };
}

const failedCodes = [1, 255];

async function endOf(ended: Promise<SpawnEnd>, log: { text(): Promise<string> }): Promise<number> {
  const end = await ended;
  if (!('code' in end)) return 128 + end.signal;
  if (!failedCodes.includes(end.code)) return end.code;
  const complaint = lastError(toText(asByteString(await log.text())));
  if (complaint === undefined) return end.code;
  throw new JettisonError('worker/exec-failed', `OCI runtime exec failed: exec failed: unable to start container process: ${complaint}`, {
    fault: 'environment',
  });
}

/** The program runs when the runtime has a child in another PID namespace that has become a program. */
async function waitForStart(worker: number, pid: number, ended: Promise<SpawnEnd>): Promise<void> {
  let isOver = false;
  const over = ended.then(() => (isOver = true));
  for (let wait = 2; !isOver; wait = Math.min(wait + 1, 50)) {
    await Promise.race([over, sleep(wait, undefined, { ref: false })]);
    if (insideOf(worker, pid).some(hasExecuted)) return;
  }
}

/** The process in the container, while it runs: a child of the runtime in another PID namespace than that has. */
function insideOf(worker: number, pid: number): readonly number[] {
  const outside = namespaceOf(worker, 'pid');
  const children = childrenOf(pid).flatMap((runtime) => childrenOf(runtime));
  return children.filter((child) => namespaceOf(child, 'pid') !== outside);
}

/** runc looks at its own terminal when it is told to; crun 1.8 leaves the one that it made as it was. */
function resizeAll(pid: number, size: TerminalSize): void {
  for (const runtime of childrenOf(pid)) {
    resizeTerminalsOf(runtime, size);
    sendSignal(runtime, windowChanged);
  }
}

const { SIGWINCH: windowChanged, SIGKILL: killed } = constants.signals;

type NamespaceName = 'net' | 'pid' | 'user';

function namespaceOf(pid: number, name: NamespaceName): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/${name}`);
  } catch (error) {
    if (systemCode(error) === undefined) throw error;
    return undefined;
  }
}

function closeAll(files: readonly number[]): void {
  for (const file of files) closeSync(file);
}
