/** Which command ended a shell's text, where nobody knows how some of its processes were named: by how many there were, and which commands could be processes. */
import type { ShellCommand } from '#languages/dockerfile/shell-commands.ts';
import { canEndAlone, canEndWith, canStart, isOneByOne, type Ended } from './command-ends.ts';
import { canFailBefore, countOf, kernelName, type Count, type ShellStep } from './shell-processes.ts';

export type CountedShell = {
  readonly step: ShellStep;
  /** Name of the shell's file. */
  readonly file: string | undefined;
  /** The shell became another program itself, and nobody knows which. */
  readonly hasBecomeAnother: boolean;
};

/** All that it may have been. Undefined where nothing can be said. */
export function byCount(known: Ended, { step, file, hasBecomeAnother }: CountedShell): readonly ShellCommand[] | undefined {
  const { script, children, code } = known;
  const count = countOf(step, file);
  if (count === undefined) return undefined;
  if (isOneByOne(script)) {
    const { found, canBeLast } = walk(known, count);
    if (!hasBecomeAnother) return found;
    // A shell becomes the last program. One of which nobody knows what it is may be a program that only starts the shell.
    return canBeLast && isShellFile(file) ? script.commands.slice(-1) : undefined;
  }
  if (hasBecomeAnother) return undefined;
  const ended = (script.hasPipes ? children : children.slice(-1)).filter((child) => child.code === code);
  const found = script.commands.filter(
    (each) =>
      canEndAlone(each, known) ||
      (count(each) === 'unknown' && canEndWith(each, code)) ||
      ended.some(({ name }) => canStart(each, name, known)),
  );
  return found.length < script.commands.length ? found : undefined;
}

function isShellFile(file: string | undefined): boolean {
  return file === 'dash' || file === 'bash' || file === 'busybox';
}

type Walk = {
  readonly found: readonly ShellCommand[];
  /** All processes can be those of the commands before the last one. */
  readonly canBeLast: boolean;
};

/** Goes through commands that run one after the other, each of which is one process or none, in all ways in which the processes can be theirs. */
function walk(known: Ended, count: (command: ShellCommand) => Count): Walk {
  const { script, children, code } = known;
  const found: ShellCommand[] = [];
  const all = children.length;
  /** How many processes the commands so far can have been. */
  let before: ReadonlySet<number> = new Set([0]);
  for (const command of script.commands) {
    if (command === script.commands.at(-1)) break;
    before = step(command);
  }
  const canBeLast = before.has(all);
  const last = script.commands.at(-1);
  if (last !== undefined) step(last);
  return { found, canBeLast };

  function step(command: ShellCommand): ReadonlySet<number> {
    const after = new Set<number>();
    // Where the script goes on after a failure, one that is not found, or whose file cannot be opened, was no process.
    const counted = count(command) === 'one' && !script.stopsAtFirst ? 'unknown' : count(command);
    let isFound = false;
    for (const done of before) {
      const child = children[done];
      if (child !== undefined && counted !== 'none' && isOf(command, child.name, known)) {
        if (done === all - 1 && child.code === code && canEndWith(command, code)) isFound = true;
        if (child.code === 0 || !script.stopsAtFirst) after.add(done + 1);
      }
      if (done === all && canEndUncounted(command, counted, known)) isFound = true;
      if (counted !== 'one') after.add(done);
    }
    if (isFound) found.push(command);
    return after;
  }
}

/** A copy of the shell could not become what it was to be. */
function isOf({ name }: ShellCommand, started: string | undefined, { shell }: Ended): boolean {
  return started === undefined || name === undefined || kernelName(name) === started || started === shell;
}

function canEndUncounted(command: ShellCommand, counted: Count, known: Ended): boolean {
  const { code } = known;
  if (canEndAlone(command, known)) return true;
  return canEndWith(command, code) && (counted !== 'one' || canFailBefore(command.text));
}
