/** What is looked at before a process is started, whatever starts it. */
import { JettisonError } from '#ground/base/errors.ts';
import { signalNumber } from '#ground/linux/child.ts';
import { checkCommand } from './command.ts';
import type { ProcessRequest } from './contract.ts';
import { checkRoot, openRootTree } from './root.ts';
import { checkUlimits } from './ulimits.ts';

/**
 * Gives the number of the stop signal. Throws `runtime/unknown-signal`, `runtime/bad-argument`, `runtime/limit-too-high`, `runtime/unsafe-root`, `runtime/command-not-found`,
 * `runtime/command-not-executable`.
 */
export function checkBefore(request: ProcessRequest): number {
  if (!/^[\w-]{1,128}$/u.test(request.id))
    throw new JettisonError('runtime/bad-id', `Invalid container id "${request.id}"`, { fault: 'bug' });
  for (const text of [...request.arguments, ...request.environment]) {
    if (text.includes('\0')) throw new JettisonError('runtime/bad-argument', 'An argument or variable holds a NUL byte');
  }
  checkUlimits(request.ulimits ?? []);
  using tree = openRootTree(request.rootfs);
  checkRoot(tree);
  checkCommand(tree, request);
  return numberOf(request.stopSignal);
}

/** The number of a signal by its name (`SIGTERM`). Throws `runtime/unknown-signal`. */
export function numberOf(name: string): number {
  const number = signalNumber(name);
  if (number === undefined) throw new JettisonError('runtime/unknown-signal', `Unknown signal "${name}"`);
  return number;
}
