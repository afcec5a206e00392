/** Commands that touch a worker's files from outside a worker: a normal user's lie under ids that only a user namespace has. */
import { join } from 'node:path';
import { runProcess } from '#ground/linux/spawn.ts';
import { withOwnIds } from '#ground/linux/user-namespace.ts';
import { isolationOf } from '#stores/snapshot/form.ts';

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
