/** A program that serves for as long as this process lives: it says when it is ready, and ends when a pipe ends, which it does however this process ends. */
import { spawn } from 'node:child_process';
import { Duplex } from 'node:stream';
import { JettisonError } from '#ground/base/errors.ts';
import { explainStart } from './spawn.ts';

/** Files of the program: it writes to the first when it is ready, and the second ends when it is to end. */
export const tiedFiles = { ready: 3, end: 4 } as const;

const longestComplaint = 4096;

/**
 * Starts it, in a session of its own (Ctrl-C of a terminal is for the command, which may go on for a while), and waits until it is ready. Rejects with `linux/no-such-command`, and `linux/program-failed` with what it said when it ends before. Disposing ends it.
 */
export async function startTied(
  {
    command,
    arguments: words,
    environment,
  }: { readonly command: string; readonly arguments: readonly string[]; readonly environment: Readonly<Record<string, string>> },
  signal: AbortSignal,
): Promise<AsyncDisposable> {
  signal.throwIfAborted();
  const child = spawn(command, [...words], {
    stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'pipe'],
    env: { ...environment },
    cwd: '/',
    detached: true,
  });
  const [, , , ready, end] = child.stdio;
  const exit = Promise.withResolvers<void>();
  const outcome = Promise.withResolvers<void>();
  let said = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-longestComplaint)));
  if (end instanceof Duplex) end.on('error', () => undefined);
  ready?.once('data', () => outcome.resolve());
  child.once('error', (error) => {
    exit.resolve();
    outcome.reject(explainStart(error, { command }));
  });
  child.once('close', () => {
    exit.resolve();
    outcome.reject(new JettisonError('linux/program-failed', lastWords(said) || `"${command}" ended at once`, { fault: 'environment' }));
  });
  const stop = (): void => {
    if (end instanceof Duplex) end.destroy();
  };
  signal.addEventListener('abort', stop, { once: true });
  try {
    await outcome.promise;
  } finally {
    signal.removeEventListener('abort', stop);
  }
  return {
    async [Symbol.asyncDispose]() {
      stop();
      await exit.promise;
    },
  };
}

/** What it complains of, without what it tells of the log of the system. */
function lastWords(said: string): string {
  return said
    .split('\n')
    .filter((line) => line.trim() !== '' && !line.includes('syslog'))
    .slice(-3)
    .join('; ');
}
