/** Which command a line means: by its first words, the longest name first. Words that are none of ours are refused as docker refuses them. */
import { JettisonError } from '#ground/base/errors.ts';
import { suggest } from '#ground/base/human.ts';
import { commandTable, notBuiltCommands, type CommandEntry } from './commands.ts';
import { insteadOf } from './refused-commands.ts';

export type FoundCommand =
  | { readonly kind: 'command'; readonly entry: CommandEntry; readonly rest: readonly string[] }
  /** `image`: a word that only stands before others. `asked`: with `--help`. */
  | { readonly kind: 'group'; readonly name: string; readonly asked: boolean };

/** Throws `cli/unknown-command` with a near name, `cli/not-built` with what to use instead. */
export function findCommand(words: readonly string[]): FoundCommand {
  for (const length of [3, 2, 1]) {
    const name = words.slice(0, length).join(' ');
    const entry = words.length < length ? undefined : commandTable.find((one) => one.names.includes(name));
    if (entry) return { kind: 'command', entry, rest: words.slice(length) };
  }
  const depth = words.findIndex((_, index) => !isGroup(words.slice(0, index + 1).join(' ')));
  const group = words.slice(0, depth < 0 ? words.length : depth).join(' ');
  const next = depth < 0 ? undefined : words[depth];
  if (group !== '' && (next === undefined || next === '--help' || next === '-h'))
    return { kind: 'group', name: group, asked: next !== undefined };
  throw unknownWords(words, group, next ?? '');
}

/** Do commands begin with these words? */
export function isGroup(name: string): boolean {
  return commandTable.some((entry) => entry.names.some((one) => one.startsWith(`${name} `)));
}

function unknownWords(words: readonly string[], group: string, next: string): JettisonError {
  const path = ['jettison', ...(group === '' ? [] : [group])].join(' ');
  const help = `Run '${path} --help' for more information`;
  if (next.startsWith('-')) return unknownFlag(next, path, help);
  const refused = insteadOf(words);
  if (refused) return new JettisonError('cli/not-built', `"jettison ${refused.name}" is not part of jettison`, { hint: refused.hint });
  const name = group === '' ? next : `${group} ${next}`;
  if (notBuiltCommands.has(name)) return new JettisonError('cli/not-built', `"jettison ${name}" is not built yet`, { hint: help });
  const near = suggest(name, [...new Set(commandTable.flatMap((one) => one.names))]);
  const usage = group === '' ? [] : ['', `Usage:  ${path}`];
  const lines = [...(near === undefined ? [] : [`Did you mean "${near}"?`]), ...usage, '', help];
  return new JettisonError('cli/unknown-command', `jettison: unknown command: jettison ${name}`, { hint: lines.join('\n') });
}

/** The error for a flag that stands before or in the place of a command. */
export function unknownFlag(word: string, path: string, help: string): JettisonError {
  const what = word.startsWith('--')
    ? `unknown flag: ${word.replace(/=.*$/su, '')}`
    : `unknown shorthand flag: '${word[1] ?? ''}' in ${word}`;
  const usage = path === 'jettison' ? `${path} [OPTIONS] COMMAND [ARG...]` : `${path} COMMAND`;
  return new JettisonError('cli/unknown-flag', what, { hint: `\nUsage:  ${usage}\n\n${help}` });
}
