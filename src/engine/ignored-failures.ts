/** Commands of a RUN's here-document that failed while the step succeeded: what the kernel wrote down of the shell's children beside what stands in the text. Only what is certain is told. */
import type { EndedProcesses } from '#execution/worker/contract.ts';
import type { ExecOp } from '#formats/graph/op.ts';
import type { Vertex } from '#formats/graph/vertex.ts';
import { hasErrexit, setsErrexit, type ShellCommand } from '#languages/dockerfile/shell-commands.ts';
import { countOf, isBuiltin, kernelName, scriptOf, shortCommand, startsMore, type ShellStep } from './shell-processes.ts';

/** A step that succeeded, though something that it started did not. */
export type PassedStep = { readonly vertex: Vertex; readonly op: ExecOp; readonly ended: EndedProcesses };

export type PassedShell = ShellStep & { readonly ended: EndedProcesses };

export type IgnoredFailure = { readonly command: ShellCommand; readonly code: number };

/**
 * Those whose end nobody asked for: not behind or before `||`, in no condition, loop or pipe, nor before `&&`. Each command that runs once must be one of the
 * children, in their order: where one is missing or too many, nothing is said of any.
 */
export function findIgnoredFailures(passed: PassedShell): readonly IgnoredFailure[] {
  const { words, ended } = passed;
  if (!ended.isWhole || hasErrexit(words.slice(1, -1))) return [];
  const commands = scriptOf(passed)?.commands ?? [];
  // Whoever switches it off means it.
  if (commands.some(({ text }) => /^set\s.*\+/u.test(text))) return [];
  const shell = kernelName(words[0] ?? '');
  const expected = expectedOf(commands, shell);
  if (expected === undefined) return [];
  const { once, others } = expected;
  // A shell becomes the last program.
  const own = ended.own === shell ? undefined : once.pop();
  if (ended.own !== shell && (own === undefined || own !== commands.at(-1))) return [];
  const children = ended.children.filter(({ name }) => name === undefined || !others.has(name));
  if (children.length !== once.length) return [];
  const isNamed = ended.own !== undefined && children.every(({ name }) => name !== undefined);
  if (!isNamed && !canCount(passed, commands, once)) return [];
  const until = commands.findIndex(({ text }) => setsErrexit(text));
  const found: IgnoredFailure[] = [];
  for (const [at, command] of once.entries()) {
    const { name, code } = children[at] ?? { name: '', code: 0 };
    // What could not be started has the name of the shell still.
    const isSame = name === undefined || name === kernelName(command.name ?? '') || (name === shell && code !== 0);
    // A program may have become another one; where others may be among the children, it could also be one of theirs.
    if (!isSame && others.size > 0) return [];
    const isBefore = until < 0 || commands.indexOf(command) < until;
    if (isSame && code !== 0 && command.isUnguarded && isBefore) found.push({ command, code });
  }
  return found;
}

/** Is each process one of those that run once, in their order, whatever its name is? Each of these may be a process or none, all others must be none. */
function canCount(passed: PassedShell, commands: readonly ShellCommand[], once: readonly ShellCommand[]): boolean {
  const count = countOf(passed, passed.ended.file);
  return count !== undefined && commands.every((each) => once.includes(each) || isAssignment(each.text) || count(each) === 'none');
}

type Expected = { readonly once: ShellCommand[]; readonly others: ReadonlySet<string> };

/** Whose processes must be there, in order, and the names of those that may be, at any place; undefined where that cannot be said. */
function expectedOf(commands: readonly ShellCommand[], shell: string): Expected | undefined {
  const once: ShellCommand[] = [];
  const others = new Set<string>();
  for (const command of commands) {
    const { name, text, isPlain } = command;
    if (startsMore(text, name ?? '')) return undefined;
    // In a pipe, what the shell does itself is a copy of it.
    if (!isPlain) others.add(shell);
    if (isBuiltin(name) || (name === undefined && isAssignment(text))) continue;
    if (name === undefined) return undefined;
    if (isPlain) once.push(command);
    else others.add(kernelName(name));
  }
  return { once, others };
}

function isAssignment(text: string): boolean {
  return /^(?:\w+=(?:"[^"]*"|'[^']*'|[^\s"'(]*)\s*)+$/u.test(text);
}

/** `Warning: the step went on after "make" (Dockerfile:4) ended with code 2`; undefined for none. */
export function describeIgnoredFailures(found: readonly IgnoredFailure[], file: string): string | undefined {
  if (found.length === 0) return undefined;
  const shown = found
    .slice(0, mostShown)
    .map(({ command: { text, line }, code }) => `"${shortCommand(text)}" (${file}:${line}) ended with code ${code}`);
  const more = found.length > mostShown ? `, and ${found.length - mostShown} more that failed` : '';
  return `Warning: the step went on after ${shown.join(', ')}${more}: "set -e" at the beginning of the here-document ends it there`;
}

const mostShown = 3;
