/** What is known of a RUN's shell beside its text: which of its commands become processes, and under which names the kernel keeps them. */
import { parseDockerfile } from '#languages/dockerfile/parse.ts';
import { isShell, shellScriptAt, type ShellCommand, type ShellScript } from '#languages/dockerfile/shell-commands.ts';

/** A RUN: its Dockerfile, its line there, and the words of its process: a shell, its options, `-c`, the text. */
export type ShellStep = {
  readonly text: string;
  readonly file: string;
  readonly line: number;
  readonly words: readonly string[];
  /** `NAME=value` of the image and the step. */
  readonly environment: readonly string[];
};

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

/** No shell has it but as a word of its own. */
export function isNeverProgram(text: string, name: string): boolean {
  return everywhereBuiltin.has(name) && !firstWord(text).includes('/');
}

/** How many processes a command is: of a program that the shell may have built in it is not known. */
export type Count = 'none' | 'one' | 'unknown';

/**
 * Which commands of a step are processes, where nobody knows the names of these. Undefined where a word may stand for more than one program: it may be a function that the shell has
 * read from a file at its start. `file`: of the shell.
 */
export function countOf({ words, environment }: ShellStep, file: string | undefined): ((command: ShellCommand) => Count) | undefined {
  const shell = kernelName(words[0] ?? '');
  const isUsual = ['sh', 'bash', 'dash', 'ash'].includes(shell) && words.slice(1, -1).every((word) => usualOptions.has(word));
  if (!isUsual || environment.some((variable) => /^(?:ENV|BASH_ENV|BASH_FUNC_[^=]*)=/u.test(variable))) return undefined;
  const isKnown = file === 'dash' || file === 'bash';
  return ({ text, name }) => {
    if (name === undefined) return isKnown && text.startsWith('(') ? 'one' : 'unknown';
    if (startsMore(text, name)) return 'unknown';
    if (firstWord(text).includes('/')) return 'one';
    if (everywhereBuiltin.has(name)) return 'none';
    if (isBuiltin(name)) return isKnown ? 'none' : 'unknown';
    return rarelyBuiltin.has(name) || (!isKnown && elsewhereBuiltin.has(name)) ? 'unknown' : 'one';
  };
}

/** That is no assignment. */
function firstWord(text: string): string {
  return text.split(/\s/u).find((each) => !/^\w+=/u.test(each)) ?? '';
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
const usualOptions: ReadonlySet<string> = new Set(
  '-c -e -u -x -ec -xc -uc -ex -eu -eux -exc -euc -euxc -euo -euxo -exo -eo -o pipefail errexit nounset xtrace'.split(' '),
);
/** No shell could do without them by a program. */
const everywhereBuiltin: ReadonlySet<string> = new Set(
  'cd exit return . eval exec set export readonly unset shift break continue times : read umask wait trap'.split(' '),
);
/** Of one of dash and bash. */
const rarelyBuiltin: ReadonlySet<string> = new Set(
  'alias bg bind caller chdir compgen complete compopt dirs disown enable fc fg help history jobs logout suspend time'.split(' '),
);
/** Of other shells: busybox, mksh and ksh do such things themselves, as they were built. */
const elsewhereBuiltin: ReadonlySet<string> = new Set(
  (
    'arch ascii base64 basename bc cat chgrp chmod chown cksum clear cmp comm cp crc32 cut date dd df dirname du expand expr factor fds find fmt fold free ' +
    'fsync getconf grep gunzip gzip head hostid hostname id install join kill link ln logname ls md5sum mkdir mkfifo mknod mktemp mv nl nohup nproc od paste ' +
    'pathchk print printenv ps readlink realpath rename rev rm rmdir sed seq sha1sum sha256sum sha512sum sha3sum shred shuf sleep sort split stat stty sum sync ' +
    'tac tail tar tee touch tr truncate tsort tty uname unexpand uniq unlink usleep vmstat wc which whence whoami xargs yes zcat let busybox'
  ).split(' '),
);
