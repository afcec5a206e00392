/** Commands that touch a worker's files from outside a worker: a normal user's lie under ids that only a user namespace has. */
import { join } from 'node:path';
import { runProcess, type ProcessExit } from '#ground/linux/spawn.ts';
import { withOwnIds } from '#ground/linux/user-namespace.ts';
import { isolationOf } from '#stores/snapshot/form.ts';

/** A script of ours and what it takes, with these variables; the end of what it writes is kept, up to so many bytes. */
export type OwnIdsProgram = {
  readonly words: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly captureLimit: number;
};

/** Runs a script with this Node where it has the ids of the worker that wrote to `store`. */
export async function runWithOwnIds(store: string, program: OwnIdsProgram, signal: AbortSignal): Promise<ProcessExit> {
  const { words, environment, captureLimit } = program;
  const [command, ...rest] = withOwnIds([process.execPath, ...words], isolationOf(join(store, 'snapshots')));
  return await runProcess({ command, arguments: rest, environment, captureLimit }, signal);
}

/**
 * Runs this process's own command line once more where it has the ids of the worker that wrote to `store`, on the same standard streams; gives its exit code. A signal that
 * ends it gives 128 and more, as in a shell.
 */
export async function runAgainWithOwnIds(store: string, signal: AbortSignal): Promise<number> {
  const words = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  const [command, ...rest] = withOwnIds(words, isolationOf(join(store, 'snapshots')));
  const exit = await runProcess({ command, arguments: rest, input: 'inherit', stdout: 'inherit', stderr: 'inherit' }, signal);
  return exit.code ?? 128;
}
