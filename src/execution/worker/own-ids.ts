/** Commands that touch a worker's files from outside a worker: a normal user's lie under ids that only a user namespace has. */
import { runProcess } from '#ground/linux/spawn.ts';
import { requireOwnIds, withOwnIds } from '#ground/linux/user-namespace.ts';

/**
 * Runs this process's own command line once more where it has the worker's ids, on the same standard streams; gives its exit code. A signal that ends it gives
 * 128 and more, as in a shell. Throws `linux/no-ids`.
 */
export async function runAgainWithOwnIds(path: string, signal: AbortSignal): Promise<number> {
  requireOwnIds(path);
  const [command, ...rest] = withOwnIds([process.execPath, ...process.execArgv, ...process.argv.slice(1)]);
  const exit = await runProcess({ command, arguments: rest, input: 'inherit', stdout: 'inherit', stderr: 'inherit' }, signal);
  return exit.code ?? 128;
}
