/** What is certain of how a command of a shell's text may have ended that text. */
import type { EndedProcesses } from '#execution/worker/contract.ts';
import type { ShellCommand, ShellScript } from '#languages/dockerfile/shell-commands.ts';
import { canFailBefore, isBuiltin, isNeverProgram, kernelName, startsMore } from './shell-processes.ts';

/** A script that ended with `code`, with the processes that its shell started, and the shell's own name. */
export type Ended = {
  readonly script: ShellScript;
  readonly children: EndedProcesses['children'];
  readonly shell: string;
  readonly code: number;
};

/** May this command be what a process of that name came from? Of one without a name it is only known that it became a program. */
export function canStart(command: ShellCommand, started: string | undefined, { script, shell }: Ended): boolean {
  const { text, name } = command;
  if (name === undefined || startsMore(text, name) || kernelName(name) === started) return true;
  if (started === undefined) return !isNeverProgram(text, name);
  // Copies of the shell, and what could not become a program; a shell that is the last may be this one.
  return started === shell || (kernelName(name) === shell && command === script.commands.at(-1));
}

/** May it have ended the script without a process of its own? */
export function canEndAlone(command: ShellCommand, { script, shell, code }: Ended): boolean {
  const { text, name } = command;
  const isLast = command === script.commands.at(-1);
  if (!canEndWith(command, code)) return false;
  if (isBuiltin(name) || canFailBefore(text) || code === 126 || code === 127) return true;
  if (name === undefined) return isLast || !text.startsWith('(');
  return isLast && kernelName(name) === shell;
}

/** May this one be what ended the script with that code? Only what is certain is left out. */
export function canEndWith({ name, text }: ShellCommand, code: number): boolean {
  if (name === undefined || canFailBefore(text)) return true;
  if (name === 'true' || name === ':' || name === 'echo' || /^set(?:\s+[-+][aefhmnuvx]+)+$/u.test(text)) return false;
  if (name === 'false') return code === 1;
  if (name === 'test' || name === '[' || name === '[[' || name === 'cd') return code === 1 || code === 2;
  const [, exit] = /^(?:exit|return)\s+(\d+)$/u.exec(text) ?? [];
  return exit === undefined || Number(exit) % 256 === code;
}

/** Each command is one process, or one of the shell's own. */
export function isOneByOne({ commands, isStraight, hasPipes }: ShellScript): boolean {
  return (
    isStraight && !hasPipes && commands.every(({ text, name }) => (name === undefined ? text.startsWith('(') : !startsMore(text, name)))
  );
}
