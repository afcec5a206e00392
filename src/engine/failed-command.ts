/** Which command of a RUN's shell text ended it: what the kernel wrote down of the shell's children beside what stands in the Dockerfile. Nothing runs again, and nothing is guessed. */
import type { EndedProcesses } from '#execution/worker/contract.ts';
import type { ShellCommand, ShellScript } from '#languages/dockerfile/shell-commands.ts';
import { canEndAlone, canEndWith, canStart, isOneByOne, type Ended } from './command-ends.ts';
import { byCount } from './counted-commands.ts';
import { isBuiltin, kernelName, scriptOf, shortCommand, type ShellStep } from './shell-processes.ts';

export type FailedShell = ShellStep & {
  readonly code: number;
  /** undefined where nobody kept accounts of processes. */
  readonly ended: EndedProcesses | undefined;
  /** The last lines that it wrote. */
  readonly output: string | undefined;
};

export type FailedCommand = {
  /** One where it is known; several where it is one of these. */
  readonly commands: readonly ShellCommand[];
  /** Place of the one among all, from 1. */
  readonly place: number;
  readonly total: number;
};

/** undefined for a single command, and where nothing can be said. */
export function findFailedCommand(failed: FailedShell): FailedCommand | undefined {
  const script = scriptOf(failed);
  if (script === undefined || script.hasHeredocs || script.commands.length < 2) return undefined;
  const known = unfound(script, failed) ?? byProcesses(script, failed);
  const found = known ?? script.commands.filter((command) => canEndWith(command, failed.code));
  const [only, ...others] = found;
  // That it is any of all needs no saying.
  if (only === undefined || others.length > 3 || (known === undefined && found.length === script.commands.length)) return undefined;
  return { commands: found, place: script.commands.indexOf(only) + 1, total: script.commands.length };
}

/** `of 4 commands the 3rd failed: "make install" (Dockerfile:9)`. */
export function describeFailedCommand({ commands, place, total }: FailedCommand, file: string): string {
  const shown = commands.map(({ text, line }) => `"${shortCommand(text)}" (${file}:${line})`);
  if (commands.length === 1) return `of ${total} commands the ${ordinal(place)} failed: ${shown.join('')}`;
  return `of ${total} commands one of these failed: ${shown.join(', ')}`;
}

/** A shell says whom it did not find, and has only started itself once more for it. A script that is run says so too, of a word that may stand in other places of the text. */
function unfound({ commands }: ShellScript, { code, output = '' }: FailedShell): readonly ShellCommand[] | undefined {
  if (code !== 127 && code !== 126) return undefined;
  const said = [...output.matchAll(/: ([^\s:]+): (?:command )?(?:not found|Permission denied|No such file or directory)\s*$/gmu)].at(
    -1,
  )?.[1];
  const found = commands.filter(({ text, name }) => name !== undefined && text.split(/\s/u).find((word) => !/^\w+=/u.test(word)) === said);
  return found.length === 0 ? undefined : found;
}

function byProcesses(script: ShellScript, step: FailedShell): readonly ShellCommand[] | undefined {
  const { ended, words, code } = step;
  if (ended === undefined || !ended.isWhole) return undefined;
  const { commands, hasPipes } = script;
  const shell = kernelName(words[0] ?? '');
  const known: Ended = { script, children: ended.children, shell, code };
  if (ended.own === undefined || (ended.own === shell && ended.children.some(({ name }) => name === undefined)))
    return byCount(known, { step, file: ended.file, hasBecomeAnother: ended.own === undefined });
  if (ended.own !== shell) return becoming(script, ended.own);
  if (isOneByOne(script)) return inOrder(known);
  // What a pipe ends with is that of any of its processes, whichever came last; another child that failed before may have been ignored.
  const seen = hasPipes ? ended.children : ended.children.slice(-1);
  const failed = seen.filter((child) => child.code === code);
  return commands.filter((each) => canEndAlone(each, known) || failed.some(({ name }) => canStart(each, name, known)));
}

/** A shell becomes the last program by itself, and any by `exec`. */
function becoming({ commands }: ShellScript, program: string): readonly ShellCommand[] | undefined {
  const last = commands.at(-1);
  if (last?.name === undefined || kernelName(last.name) !== program) return undefined;
  return commands.filter((each) => each === last || (each.name !== undefined && becomers.has(each.name)));
}

/** They may make another program of the shell. */
const becomers: ReadonlySet<string> = new Set(['exec', 'eval', 'command', 'builtin', '.', 'source']);

function inOrder(known: Ended): readonly ShellCommand[] {
  const { script, children, shell, code } = known;
  const { commands } = script;
  const programs = commands.filter(({ name }) => !isBuiltin(name));
  const isSame = ({ name }: EndedProcesses['children'][number], at: number): boolean => {
    const program = programs[at];
    if (program === undefined) return false;
    // What could not be started has the name of the shell still.
    return program.name === undefined || kernelName(program.name) === name || (at === children.length - 1 && name === shell);
  };
  const here = programs[children.length - 1];
  const hasFailed = children.at(-1)?.code === code;
  if (!children.every(isSame)) {
    // A program may have become another one, or a process whose parent has gone may have come to the shell.
    const name = hasFailed ? children.at(-1)?.name : undefined;
    return commands.filter((each) => canEndAlone(each, known) || (name !== undefined && (each === here || canStart(each, name, known))));
  }
  if (here !== undefined && hasFailed && script.stopsAtFirst) return [here];
  const found = here !== undefined && (hasFailed || (here === commands.at(-1) && canEndAlone(here, known))) ? [here] : [];
  for (const each of commands.slice(here === undefined ? 0 : commands.indexOf(here) + 1)) {
    if (canEndAlone(each, known)) found.push(each);
    // It would have been a process.
    if (each.name !== undefined && !isBuiltin(each.name)) break;
  }
  return found;
}

function ordinal(place: number): string {
  const tens = place % 100;
  const ending = tens >= 11 && tens <= 13 ? 'th' : ({ 1: 'st', 2: 'nd', 3: 'rd' }[place % 10] ?? 'th');
  return `${place}${ending}`;
}
