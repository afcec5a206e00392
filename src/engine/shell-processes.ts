/** What is known of a RUN's shell beside its text: which of its commands become processes, and under which names the kernel keeps them. */
import { parseDockerfile } from '#languages/dockerfile/parse.ts';
import { isShell, shellScriptAt, type ShellScript } from '#languages/dockerfile/shell-commands.ts';

/** A RUN: its Dockerfile, its line there, and the words of its process: a shell, its options, `-c`, the text. */
export type ShellStep = { readonly text: string; readonly file: string; readonly line: number; readonly words: readonly string[] };

/** undefined where its process is no shell, or the text is not understood. */
export function scriptOf({ text, file, line, words }: ShellStep): ShellScript | undefined {
  if (!isShell(words[0] ?? '') || !/^-[a-z]*c$/u.test(words.at(-2) ?? '')) return undefined;
  return shellScriptAt(parseDockerfile(text, file).dockerfile, text, line);
}

/** As much of a name as the kernel keeps. */
export function kernelName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1, path.lastIndexOf('/') + 16);
}

/** The shell opens files and expands variables before it starts anybody. */
export function canFailBefore(text: string): boolean {
  return /[<>`$]/u.test(text.replaceAll(/\d*[<>]+(?:&\s*(?:\d+|-)|\s*\/dev\/null\b)/gu, ''));
}

/** It may start others than the one that it names. */
export function startsMore(text: string, name: string): boolean {
  return starters.has(name) || /\$\(|`|[<>]\(/u.test(text);
}

export function isBuiltin(name: string | undefined): boolean {
  return name !== undefined && builtins.has(name);
}

/** On one line, and no longer than one. */
export function shortCommand(text: string): string {
  const line = text.replaceAll(/\s+/gu, ' ');
  return line.length > 80 ? `${line.slice(0, 79)}…` : line;
}

const builtins: ReadonlySet<string> = new Set(
  (
    'cd test [ [[ exit false return . source eval command builtin exec read getopts kill type umask wait shift unset unalias hash ulimit let declare typeset ' +
    'pushd popd shopt mapfile readarray break continue times echo printf true : export set local readonly alias pwd'
  ).split(' '),
);
const starters: ReadonlySet<string> = new Set(
  '. source eval command builtin exec env nice ionice nohup setsid chroot sudo gosu su-exec setpriv stdbuf timeout xargs chpst'.split(' '),
);
