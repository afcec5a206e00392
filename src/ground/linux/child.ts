/** A child process that one holds on to, where `runProcess` (spawn.ts) is for those one waits for: its end apart from its output, and output through real pipes. */
import { Socket } from 'node:net';
import { constants } from 'node:os';
import { JettisonError, systemCode, unreachable } from '#ground/base/errors.ts';
import { spawnProgram, type SpawnedProcess, type SpawnRequest, type SpawnStream } from './posix-spawn.ts';
import { closeFile, makePipe } from './syscall.ts';

export type ChildExit = { readonly kind: 'exited'; readonly code: number } | { readonly kind: 'killed'; readonly signal: string };

export type Child = {
  readonly pid: number;
  /** Settles when the process has ended. What it started may still write. Never rejects. */
  readonly ended: Promise<ChildExit>;
  /** Settles when, beside that, nobody can write any more and everything was handed on. Never rejects. */
  readonly exit: Promise<ChildExit>;
  /** Nothing happens when the process has ended. */
  kill(signal: NodeJS.Signals): void;
};

export type ChildStreams =
  /** This process's own stdin, stdout and stderr. */
  | { readonly kind: 'inherit' }
  /** Open files of this process; `release` is called as soon as the child has them, or will never have them. */
  | {
      readonly kind: 'files';
      readonly files: readonly [SpawnStream, SpawnStream, SpawnStream];
      readonly release: () => void;
      /** Takes output that came another way than through the files, after all that did. */
      readonly onRest?: (bytes: Uint8Array) => void;
    }
  /** stdin is /dev/null; what is written comes in pieces as it arrives. */
  | { readonly kind: 'capture'; readonly stdout: (bytes: Uint8Array) => void; readonly stderr: (bytes: Uint8Array) => void };

export type ChildCommand = {
  readonly file: string;
  readonly arguments: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly folder: string;
  /** Open files of this process that the child gets as 3, 4, ... */
  readonly extraFiles?: readonly number[];
  /** The start happens inside this call. */
  readonly around?: (start: () => SpawnedProcess) => SpawnedProcess;
};

/**
 * Starts a process. Captured output goes through real pipes: a child that opens /dev/stdout again could not do so with the sockets that
 * node:child_process makes. Throws `linux/cannot-start`.
 */
export async function startChild(command: ChildCommand, streams: ChildStreams): Promise<Child> {
  const outputs = streams.kind === 'capture' ? [makePipe(), makePipe()] : [];
  const handlers = streams.kind === 'capture' ? [streams.stdout, streams.stderr] : [];
  let spawned: SpawnedProcess | undefined;
  let failure: unknown;
  try {
    const request = {
      file: command.file,
      arguments: [command.file, ...command.arguments],
      environment: Object.entries(command.environment).map(([name, value]) => `${name}=${value}`),
      folder: command.folder,
      streams: [...filesOf(streams, outputs), ...(command.extraFiles ?? [])],
    } satisfies SpawnRequest;
    const { around = (start) => start() } = command;
    spawned = around(() => spawnProgram(request));
  } catch (error) {
    failure = error;
  }
  for (const { writeEnd } of outputs) closeFile(writeEnd);
  if (streams.kind === 'files') streams.release();
  const drained = outputs.map(async ({ readEnd }, index) => await drain(readEnd, handlers[index]));
  if (spawned === undefined) {
    await Promise.all(drained);
    throw new JettisonError('linux/cannot-start', `Cannot start "${command.file}"`, { fault: 'environment', cause: failure });
  }
  return follow(spawned, drained);
}

function filesOf(
  streams: ChildStreams,
  outputs: readonly { readonly writeEnd: number }[],
): readonly [SpawnStream, SpawnStream, SpawnStream] {
  switch (streams.kind) {
    case 'inherit':
      return [0, 1, 2];
    case 'files':
      return streams.files;
    case 'capture':
      return ['nothing', outputs[0]?.writeEnd ?? 'nothing', outputs[1]?.writeEnd ?? 'nothing'];
    default:
      return unreachable(streams, 'streams');
  }
}

function follow({ pid, ended: end }: SpawnedProcess, drained: readonly Promise<void>[]): Child {
  let over = false;
  const ended = end.then((how): ChildExit => {
    over = true;
    return 'code' in how ? { kind: 'exited', code: how.code } : { kind: 'killed', signal: signalName(how.signal) ?? String(how.signal) };
  });
  const exit = Promise.all([ended, ...drained]).then(([result]) => result);
  // The id of a process that has ended may be another's; one that ended and was not waited for yet takes signals without effect.
  return { pid, ended, exit, kill: (signal) => void (over || process.kill(pid, signal)) };
}

/** Sends a signal by its number; nothing happens when no such process is there. */
export function sendSignal(pid: number, signal: number): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (systemCode(error) !== 'ESRCH') throw error;
  }
}

/** The number of a signal name (`SIGTERM`, `TERM`, or a number as text, as STOPSIGNAL takes them); undefined for a name this system does not have. */
export function signalNumber(name: string): number | undefined {
  if (/^\d{1,2}$/u.test(name)) return Number(name) >= 1 && Number(name) <= 64 ? Number(name) : undefined;
  return signalNumbers.get(name.startsWith('SIG') ? name : `SIG${name}`);
}

/** The name of a signal number, `SIGKILL` for 9; undefined where there is none. */
export function signalName(number: number): string | undefined {
  for (const [name, value] of signalNumbers) if (value === number) return name;
  return undefined;
}

const signalNumbers: ReadonlyMap<string, number> = new Map(Object.entries(constants.signals));

/** Hands on what comes from an open pipe, until nobody can write to it any more; closes it. Never rejects. */
export async function drain(file: number, take: ((bytes: Uint8Array) => void) | undefined): Promise<void> {
  const ended = Promise.withResolvers<void>();
  const stream = new Socket({ fd: file, readable: true, writable: false });
  stream.on('data', (bytes: Uint8Array) => take?.(bytes));
  stream.once('error', () => stream.destroy());
  stream.once('close', ended.resolve);
  await ended.promise;
}
