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
  checkWords(request);
  checkUlimits(request.ulimits ?? []);
  using tree = openRootTree(request.rootfs);
  checkRoot(tree);
  checkCommand(tree, request);
  return numberOf(request.stopSignal);
}

/** The number of a signal by its name (`SIGTERM`). Throws `runtime/unknown-signal`. */
export function numberOf(name: string): number {
  const number = signalNumber(name);
  if (number === undefined)
    throw new JettisonError('runtime/unknown-signal', `Unknown signal "${name}"`, {
      hint: 'The image or its STOPSIGNAL names it: use a name such as SIGTERM, or a number',
    });
  return number;
}

/** Of one word, NUL included (execve(2), MAX_ARG_STRLEN). */
const longestWord = 131_072;
/** Runtimes compare each variable with each. */
const mostVariables = 10_000;

/** What no process can be started with. Throws `runtime/bad-argument`. */
function checkWords(request: ProcessRequest): void {
  const hint = 'Change it in the Dockerfile, or in the image that it comes from';
  const refuse = (why: string): never => {
    throw new JettisonError('runtime/bad-argument', `The process cannot be started: ${why}`, { hint });
  };
  for (const text of [...request.arguments, ...request.environment, request.workingDirectory]) {
    const shown = text.slice(0, 40);
    if (text.includes('\0')) refuse(`"${shown}" holds a NUL byte`);
    if (text.length >= longestWord / 4 && bytesOf(text) >= longestWord)
      refuse(`the argument or variable "${shown}..." has ${bytesOf(text)} bytes, and Linux takes ${longestWord - 1}`);
  }
  if (request.environment.length > mostVariables)
    refuse(`it has ${request.environment.length} variables; at most ${mostVariables} are taken`);
}

function bytesOf(text: string): number {
  return new TextEncoder().encode(text).length;
}
