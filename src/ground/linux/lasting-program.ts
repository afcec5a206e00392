/** A program that goes on when this process has ended, in a session of its own: it says on file 3 when it is ready. */
import { spawn } from 'node:child_process';
import { Readable } from 'node:stream';
import { JettisonError } from '#ground/base/errors.ts';
import { sendSignal } from './child.ts';
import { explainStart } from './spawn.ts';

/** The file of the program to which it writes what is waited for. */
export const readyFile = 3;

const longestComplaint = 4096;
/** Milliseconds until one that is not ready is ended. */
const patience = 30_000;
const killed = 9;

export type LastingProgram = {
  readonly command: string;
  readonly arguments: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
};

/**
 * Starts it and waits until `isReady` finds in all that it has written to file 3 what it looks for; gives that and the number of the process. Rejects with `linux/no-such-command`, and
 * with `linux/program-failed` and what it said when it ends, or closes the file, before; one that takes half a minute is ended.
 */
export async function startLasting<T>(
  { command, arguments: words, environment }: LastingProgram,
  isReady: (text: string) => T | undefined,
): Promise<{ readonly pid: number; readonly found: T }> {
  const child = spawn(command, [...words], {
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
    env: { ...environment },
    cwd: '/',
    detached: true,
  });
  const outcome = Promise.withResolvers<T>();
  child.once('error', (error) => outcome.reject(explainStart(error, { command })));
  const [, , complaints, ready] = child.stdio;
  let [said, text] = ['', ''];
  if (!(ready instanceof Readable) || !(complaints instanceof Readable))
    throw new JettisonError('linux/cannot-start', 'No pipe was made', { fault: 'bug' });
  complaints.setEncoding('utf8').on('data', (chunk: string) => (said = (said + chunk).slice(-longestComplaint)));
  ready.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
    const found = isReady(text);
    if (found !== undefined) outcome.resolve(found);
  });
  const fail = (): void =>
    outcome.reject(new JettisonError('linux/program-failed', said.trim() || `"${command}" ended at once`, { fault: 'environment' }));
  // What it has to say of its end comes on another pipe.
  ready.once('end', () => complaints.once('close', fail));
  child.once('close', fail);
  const timer = setTimeout(() => {
    if (child.pid !== undefined) sendSignal(-child.pid, killed);
  }, patience);
  try {
    return { found: await outcome.promise, pid: child.pid ?? 0 };
  } finally {
    clearTimeout(timer);
    for (const stream of [ready, complaints]) stream.destroy();
    child.unref();
  }
}
