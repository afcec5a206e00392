/** Commands as the bench runs them: a program with words and a few environment variables of its own. */
import { spawnSync } from 'node:child_process';

export type Command = {
  readonly program: string;
  readonly words: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
};

/** Longest tail of a failed command's output that is shown, in characters. */
const shownTail = 2000;

/** Runs a command to its end, untimed. Gives its standard output; throws with the end of what it printed unless it exits with 0. */
export function runQuietly(command: Command): string {
  const done = spawnSync(command.program, command.words, {
    env: { ...process.env, ...command.environment },
    stdio: ['ignore', 'pipe', 'pipe'],
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  if (done.error) throw new Error(`${command.program} cannot be started`, { cause: done.error });
  if (done.status !== 0) {
    const tail = `${done.stdout}\n${done.stderr}`.trim().slice(-shownTail);
    throw new Error(`${[command.program, ...command.words].join(' ')} ended with ${done.status ?? done.signal}\n${tail}`);
  }
  return done.stdout;
}

/** The first line that a command prints, or undefined where it is not installed or fails: how a peer is looked for. */
export function firstLine(command: Command): string | undefined {
  try {
    return runQuietly(command).split('\n')[0]?.trim();
  } catch {
    return undefined;
  }
}
