import type { RunInstruction } from '../ast.ts';
import { hasErrexit, isShell, readShellText, setsErrexit, type ShellCommand } from '../shell-commands.ts';
import { bodyOf, parseHeredocHead } from '../syntax/heredoc.ts';
import { about, stepsOf, type Rule } from './rule.ts';

export const heredocIgnoresFailures: Rule = {
  name: 'HeredocIgnoresFailures',
  summary: 'A here-document of several commands should begin with `set -e`',
  why: 'A shell goes on after a command that fails, and gives what the last one ends with: the step succeeds without what the command was for. Of lines joined by `&&`, the first that fails ends the step. Nothing is said of commands behind `||`, of conditions, of what the next command asks the code of (`$?`), of a single list of commands, and of a text that has functions, `case` or `trap`.',
  isOwn: true,
  example: {
    bad: 'FROM alpine\nRUN <<EOF\napk add curl\ncurl -fsSo /usr/bin/tool https://example.com/tool\nchmod +x /usr/bin/tool\nEOF',
    good: 'FROM alpine\nRUN <<EOF\nset -e\napk add curl\ncurl -fsSo /usr/bin/tool https://example.com/tool\nchmod +x /usr/bin/tool\nEOF',
  },
  *check(subject) {
    for (const { instruction, at, shell } of stepsOf(subject, 'run')) {
      // Of a trigger of the base image, another file has the text.
      if (instruction.kind !== 'run' || at[0] !== instruction.span) continue;
      const ignored = ignoredBy(instruction, shell);
      if (ignored === undefined) continue;
      yield about(
        instruction,
        `The here-document goes on when "${shorten(ignored.text)}" (line ${ignored.line}) fails`,
        'Begin it with "set -e", or write "|| true" where a failure does not matter',
      );
    }
  },
};

/** The first command whose failure the shell passes over. */
function ignoredBy(run: RunInstruction, shell: readonly string[]): ShellCommand | undefined {
  const [heredoc, ...others] = run.heredocs;
  if (heredoc === undefined || others.length > 0 || !goesOn(interpreterOf(run, shell))) return undefined;
  const commands = readShellText(bodyOf(heredoc), heredoc.contentSpan.start.line)?.commands ?? [];
  const end = commands.findIndex(({ text }) => setsErrexit(text));
  return commands.slice(0, end < 0 ? commands.length : end).find((command) => command.isUnguarded && mayFail(command));
}

/** What reads the text, as words: that of its `#!`, a shell that the instruction names, or the one of the stage. undefined for anything else that gets it. */
function interpreterOf({ command, heredocs }: RunInstruction, shell: readonly string[]): readonly string[] | undefined {
  if (command.form === 'exec') return undefined;
  const [body = ''] = heredocs.map(bodyOf);
  if (parseHeredocHead(command.text.text) === undefined) {
    const [, words] =
      /^([\w./-]+(?:\s+[-+][\w-]+|\s+pipefail|\s+errexit)*)\s*<<-?\s*["']?[\w.-]+["']?\s*(?:\d?>.*)?$/u.exec(command.text.text) ?? [];
    return words?.split(/\s+/u);
  }
  const [, program] = /^#!\s*(.*)/u.exec(body) ?? [];
  if (program === undefined) return shell.length > 0 ? shell : ['/bin/sh', '-c'];
  const words = program.trim().split(/\s+/u);
  if (!words[0]?.endsWith('/env')) return words;
  return words.slice(words.findIndex((word, at) => at > 0 && !word.startsWith('-') && !word.includes('=')));
}

function goesOn(words: readonly string[] | undefined): boolean {
  const [program = '', ...options] = words ?? [];
  return isShell(program) && !hasErrexit(options);
}

/** Assignments, and what only prints and sets, are not what a step is for. */
function mayFail({ name, text }: ShellCommand): boolean {
  if (/[<>`]|\$\(/u.test(text.replaceAll(/\d*>+(?:&\s*\d+|\s*\/dev\/null\b)/gu, ''))) return true;
  if (name !== undefined) return !harmless.has(name);
  return !/^(?:\w+=(?:"[^"]*"|'[^']*'|[^\s"'(]*)\s*)+$/u.test(text);
}

const harmless: ReadonlySet<string> = new Set(
  'true : echo printf set shopt export readonly unset local declare alias umask shift exit return break continue wait'.split(' '),
);

function shorten(text: string): string {
  const line = text.replaceAll(/\s+/gu, ' ');
  return line.length > 60 ? `${line.slice(0, 59)}…` : line;
}
