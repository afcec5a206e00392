/** Child processes: started without a shell, their exit a value, their output limited or streamed, ended when the signal aborts. */
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { Readable } from 'node:stream';
import { joinBytes } from '#ground/base/bytes.ts';
import { JettisonError, systemCode } from '#ground/base/errors.ts';

/** A stream of the child: nothing, this process's own, an open file, or (output only) taken by us. */
export type ProcessStream = 'ignore' | 'inherit' | 'take' | number;

export type ProcessOptions = {
  /** A name looked up in this process's PATH, or a path. */
  readonly command: string;
  readonly arguments: readonly string[];
  /** The whole environment of the child; undefined: this process's. */
  readonly environment?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Bytes for standard input, which is then closed; an open file; or this process's own. Default: nothing. */
  readonly input?: Uint8Array | number | 'inherit';
  /** Output goes to these as it comes; what has no receiver is captured up to `captureLimit`. */
  readonly onStdout?: (chunk: Uint8Array) => void;
  readonly onStderr?: (chunk: Uint8Array) => void;
  /** Where output goes that is neither captured nor received here. Default 'take'. */
  readonly stdout?: ProcessStream;
  readonly stderr?: ProcessStream;
  /** Open files that the child gets as 3, 4, ... */
  readonly extraFiles?: readonly number[];
  /** Bytes kept of each captured stream, its end; default 1 MiB. */
  readonly captureLimit?: number;
  /** What to send first on abort; default SIGTERM. SIGKILL follows 5 seconds later. */
  readonly stopSignal?: NodeJS.Signals;
  /** For a program that starts others and does not end them when it is ended: abort ends its whole process group, which has no terminal. */
  readonly endsAll?: boolean;
  /** Told the process id once it runs. */
  readonly onStart?: (pid: number) => void;
};

export type ProcessExit = {
  /** Undefined when a signal ended it. */
  readonly code: number | undefined;
  readonly signal: NodeJS.Signals | undefined;
  /** The captured end of its output; empty when it went elsewhere. */
  readonly stdout: Uint8Array;
  readonly stderr: Uint8Array;
};

const killDelay = 5000;
const defaultCapture = 1 << 20;

/**
 * Runs a process to its end; any exit is a value. Rejects with `linux/no-such-command` or `linux/cannot-start`, and with the signal's reason when
 * that aborted (after the process has ended: nothing of it is left running).
 */
export async function runProcess(options: ProcessOptions, signal: AbortSignal): Promise<ProcessExit> {
  signal.throwIfAborted();
  const child = spawn(options.command, [...options.arguments], {
    stdio: [
      options.input === undefined ? 'ignore' : options.input instanceof Uint8Array ? 'pipe' : options.input,
      toNode(options.stdout),
      toNode(options.stderr),
      ...(options.extraFiles ?? []),
    ],
    ...(options.environment === undefined ? {} : { env: { ...options.environment } }),
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    detached: options.endsAll === true,
  });
  const stdout = receive(child.stdout, options.onStdout, options.captureLimit);
  const stderr = receive(child.stderr, options.onStderr, options.captureLimit);
  // A child that closes its input early is not an error: its exit code tells.
  child.stdin?.on('error', () => {});
  if (options.input instanceof Uint8Array) child.stdin?.end(options.input);
  if (child.pid !== undefined) options.onStart?.(child.pid);
  const exit = await exitOf(child, options, signal);
  signal.throwIfAborted();
  return { ...exit, stdout: stdout(), stderr: stderr() };
}

export type DetachedProgram = {
  readonly command: string;
  readonly arguments: readonly string[];
  /** Left out: this process's own. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
};

/** Starts a process that outlives this one, without streams but for an open file as its input, in a session of its own. */
export function startDetached(options: DetachedProgram & { readonly input?: number }): void {
  const child = spawn(options.command, [...options.arguments], {
    stdio: [options.input ?? 'ignore', 'ignore', 'ignore'],
    detached: true,
    cwd: '/',
    ...(options.environment === undefined ? {} : { env: options.environment }),
  });
  child.on('error', () => {});
  child.unref();
}

export type ReportingProcess = {
  /** What it says on file 3, line by line, until it closes that or ends. */
  readonly lines: AsyncIterable<string>;
  /** This process is no longer kept alive by it. */
  leave(): void;
};

/** Starts a process that outlives this one, in a session of its own, without streams but for file 3, on which it reports. Throws `linux/cannot-start`. */
export async function startReporting(options: {
  readonly command: string;
  readonly arguments: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}): Promise<ReportingProcess> {
  const child = spawn(options.command, [...options.arguments], {
    stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
    detached: true,
    cwd: '/',
    env: { ...options.environment },
  });
  const started = Promise.withResolvers<void>();
  child.once('spawn', started.resolve);
  child.once('error', (error) => started.reject(explainStart(error, options)));
  await started.promise;
  const [, , , report] = child.stdio;
  if (!(report instanceof Readable)) throw new JettisonError('linux/cannot-start', 'No pipe was made', { fault: 'bug' });
  return {
    // Loaded here: few need it. Not by import(): launched chunks cannot, of Node's modules.
    lines: process.getBuiltinModule('node:readline').createInterface({ input: report }),
    leave() {
      report.destroy();
      child.unref();
    },
  };
}

/**
 * Has a program started, detached as by `startDetached`, when this process has ended, however it ends, or when `begin` is called; only if the file `mark` is there
 * by then. A shell waits for that: at the end of this process nothing has to be started any more. Does nothing where there is no shell, unless `begin` is called.
 */
export function startAfterwards(options: DetachedProgram & { readonly mark: string }): { begin(): void } {
  const { command, mark, environment } = options;
  // What it waits for is the end of its input, which is this process's end of a socket.
  const script = 'read -r _; [ -e "$0" ] && exec "$@"';
  const shell = spawn('/bin/sh', ['-c', script, mark, command, ...options.arguments], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
    cwd: '/',
    ...(environment === undefined ? {} : { env: environment }),
  });
  let isWaiting = true;
  shell.once('error', () => (isWaiting = false));
  shell.stdin.on('error', () => {});
  shell.unref();
  return {
    begin() {
      if (isWaiting) shell.stdin.end();
      else if (existsSync(mark)) startDetached(options);
    },
  };
}

/** Settles when the process has ended and all its output has arrived; when aborted, output that others still hold open is not waited for. */
async function exitOf(child: ChildProcess, options: ProcessOptions, signal: AbortSignal): Promise<Pick<ProcessExit, 'code' | 'signal'>> {
  const done = Promise.withResolvers<Pick<ProcessExit, 'code' | 'signal'>>();
  const send = (name: NodeJS.Signals): void => {
    if (options.endsAll === true && child.pid !== undefined) endGroup(child.pid, name);
    else child.kill(name);
  };
  child.once('error', (error) => {
    if (child.pid === undefined) done.reject(explainStart(error, options));
  });
  child.once('exit', () => {
    if (!signal.aborted) return;
    if (options.endsAll === true) send('SIGKILL');
    child.stdout?.destroy();
    child.stderr?.destroy();
  });
  child.once('close', (code, endedBy) => done.resolve({ code: code ?? undefined, signal: endedBy ?? undefined }));
  let timer: NodeJS.Timeout | undefined;
  const stop = (): void => {
    send(options.stopSignal ?? 'SIGTERM');
    timer = setTimeout(() => send('SIGKILL'), killDelay);
  };
  signal.addEventListener('abort', stop, { once: true });
  try {
    return await done.promise;
  } finally {
    signal.removeEventListener('abort', stop);
    clearTimeout(timer);
  }
}

function endGroup(leader: number, name: NodeJS.Signals): void {
  try {
    process.kill(-leader, name);
  } catch (error) {
    if (systemCode(error) !== 'ESRCH') throw error;
  }
}

function toNode(stream: ProcessStream | undefined): 'ignore' | 'inherit' | 'pipe' | number {
  return stream === undefined || stream === 'take' ? 'pipe' : stream;
}

function receive(
  stream: NodeJS.ReadableStream | null,
  receiver: ((chunk: Uint8Array) => void) | undefined,
  limit = defaultCapture,
): () => Uint8Array {
  let chunks: Uint8Array[] = [];
  let length = 0;
  stream?.on('data', (chunk: Uint8Array) => {
    if (receiver) return receiver(chunk);
    chunks.push(chunk);
    length += chunk.length;
    if (length > 2 * limit + 65536) {
      chunks = [lastBytes(chunks, limit)];
      length = limit;
    }
  });
  return () => lastBytes(chunks, limit);
}

/** The last `limit` bytes. */
function lastBytes(chunks: readonly Uint8Array[], limit: number): Uint8Array {
  const all = joinBytes(chunks);
  return all.length > limit ? all.slice(all.length - limit) : all;
}

/** What a program that cannot be started is told as: `linux/no-such-command`, `linux/cannot-start`. */
export function explainStart(error: Error, options: Pick<ProcessOptions, 'command' | 'cwd'>): JettisonError {
  const code = systemCode(error);
  if (code === 'ENOENT') {
    return new JettisonError('linux/no-such-command', `Cannot find the program "${options.command}"`, {
      fault: 'environment',
      cause: error,
      hint:
        options.cwd === undefined ? `Install it, or add its folder to PATH` : `Install it, and see that the folder "${options.cwd}" exists`,
    });
  }
  return new JettisonError('linux/cannot-start', `Cannot start "${options.command}": ${code ?? error.message}`, {
    fault: 'environment',
    cause: error,
  });
}
