/** What may stand where the cursor is: words of commands, options with what they are for, names of images and containers. Shells ask for it (`completion-scripts.ts`). */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { findPaths } from '#engine/paths.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { commandTable } from './commands.ts';
import type { Command, Surroundings } from './command.ts';
import { findCommand, isGroup, type FoundCommand } from './find-command.ts';
import { globalOptionRows } from './global-options.ts';
import { groupSummaries } from './groups.ts';
import type { Option } from './option.ts';
import { harmless } from './output/text.ts';

/** `text` stands for the whole word at the cursor. */
type Candidate = { readonly text: string; readonly about: string };
/** `files`: names of files may stand here, which shells find themselves. */
type Completion = readonly Candidate[] | 'files';

/** The line that tells a shell to offer files. */
export const filesLine = ':files';

/** Lines `WORD<tab>WHAT IT IS` for the last of `words`, which stand behind the program's name; that word may be empty. */
export async function completionLines(words: readonly string[], around: Surroundings): Promise<string> {
  const completion = await complete(skipGlobalOptions(words), around);
  if (completion === 'files') return `${filesLine}\n`;
  const typed = words.at(-1) ?? '';
  const fitting = completion.filter(({ text }) => text.startsWith(typed));
  return fitting.map(({ text, about }) => `${text}\t${harmless(about, false).replaceAll(/[\t\n]/gu, ' ')}\n`).join('');
}

function skipGlobalOptions(words: readonly string[]): readonly string[] {
  let index = 0;
  while (index < words.length - 1 && words[index]?.startsWith('-') === true) {
    const takesValue = globalOptionRows.some(([names]) => names.includes(' string') && names.split(/[ ,]+/u).includes(words[index] ?? ''));
    index += takesValue ? 2 : 1;
  }
  return words.slice(Math.min(index, Math.max(0, words.length - 1)));
}

async function complete(words: readonly string[], around: Surroundings): Promise<Completion> {
  const before = words.slice(0, -1);
  const typed = words.at(-1) ?? '';
  if (before[0] === 'help') return wordsBehind(before.slice(1));
  const path = before.join(' ');
  if (path === '' && typed.startsWith('-')) return globalCandidates();
  if (path === '' || isGroup(path)) {
    const entry = commandTable.find((one) => one.names.includes(path));
    return entry === undefined || !typed.startsWith('-') ? wordsBehind(before) : optionCandidates(await entry.load());
  }
  const found = findOrNothing(before);
  if (found?.kind !== 'command') return [];
  return await completeIn(await found.entry.load(), [...found.rest, typed], around);
}

/** What is no command has nothing behind it. */
function findOrNothing(words: readonly string[]): FoundCommand | undefined {
  try {
    return findCommand(words);
  } catch (error) {
    if (error instanceof JettisonError) return undefined;
    throw error;
  }
}

function globalCandidates(): readonly Candidate[] {
  return globalOptionRows.flatMap(([names, about]) =>
    names.split(/[ ,]+/u).flatMap((text) => (text.startsWith('--') ? [{ text, about }] : [])),
  );
}

/** Commands and groups that go on with these words. */
function wordsBehind(before: readonly string[]): readonly Candidate[] {
  const prefix = before.map((word) => `${word} `).join('');
  const found = new Map<string, string>();
  for (const { names, summary } of commandTable) {
    for (const name of names) {
      const [next = '', more] = name.startsWith(prefix) ? name.slice(prefix.length).split(' ') : [];
      if (next === '' || (more !== undefined && found.has(next))) continue;
      found.set(next, more === undefined ? summary : (groupSummaries[`${prefix}${next}`] ?? ''));
    }
  }
  return [...found].map(([text, about]) => ({ text, about })).toSorted((a, b) => (a.text < b.text ? -1 : 1));
}

async function completeIn(command: Command, words: readonly string[], around: Surroundings): Promise<Completion> {
  const options = Object.values(command.options);
  const typed = words.at(-1) ?? '';
  const { place, awaiting } = countArguments(options, words.slice(0, -1));
  if (awaiting !== undefined) return valueCandidates(awaiting);
  if (typed.startsWith('-')) return optionCandidates(command);
  return await argumentCandidates(argumentAt(command.usage, place), around);
}

/** How many arguments stand before the cursor, and the option whose value stands there. */
function countArguments(
  options: readonly Option<unknown>[],
  words: readonly string[],
): { readonly place: number; readonly awaiting?: Option<unknown> } {
  let place = 0;
  for (let index = 0; index < words.length; index++) {
    const word = words[index] ?? '';
    if (!word.startsWith('-') || word === '-') place++;
    else {
      const option = options.find(
        (one) => `--${one.long}` === word || (one.short !== undefined && new RegExp(`^-[a-zA-Z]*${one.short}$`, 'u').test(word)),
      );
      if (option?.valueName === undefined) continue;
      if (++index >= words.length) return { place, awaiting: option };
    }
  }
  return { place };
}

/** Words that an option says it takes, in its signature or in quotes; else it may be a file. */
function valueCandidates({ valueName = '', help }: Option<unknown>): Completion {
  const quoted = [...help.matchAll(/"([a-z][\w-]*=?)[^"]*"/gu)].map((match) => match[1] ?? '');
  const words = alternatives(valueName) ?? [...new Set(quoted)];
  return words.length === 0 ? 'files' : words.map((text) => ({ text, about: '' }));
}

function alternatives(text: string): readonly string[] | undefined {
  return /^[\w-]+(?:\|[\w-]+)+$/u.test(text) ? text.split('|') : undefined;
}

function optionCandidates(command: Command): readonly Candidate[] {
  const rows = Object.values(command.options).map((option) => ({ text: `--${option.long}`, about: option.help }));
  return [...rows, { text: '--help', about: 'Print the help of this command' }].toSorted((a, b) => (a.text < b.text ? -1 : 1));
}

/** What the usage line calls the argument at that place; the last one may come as often as one likes. */
function argumentAt(usage: string, place: number): string {
  const names = usage.split(' ').filter((word) => /[A-Za-z]/u.test(word) && word !== '[OPTIONS]');
  return names[place] ?? (usage.includes('...') ? (names.at(-1) ?? '') : '');
}

async function argumentCandidates(name: string, around: Surroundings): Promise<Completion> {
  const words = name === name.toLowerCase() ? alternatives(name) : undefined;
  if (words !== undefined) return words.map((text) => ({ text, about: '' }));
  if (/CONTAINER:/u.test(name)) {
    const containers = await namesInStore('containers', around);
    return containers.map((one) => ({ ...one, text: `${one.text}:` }));
  }
  if (/NAME\|ID/u.test(name)) return [...(await namesInStore('containers', around)), ...(await namesInStore('images', around))];
  if (/CONTAINER/u.test(name)) return await namesInStore('containers', around);
  if (/IMAGE|REPOSITORY|NAME\[:TAG/u.test(name)) return await namesInStore('images', around);
  if (/^\[?CONTEXT\]?$/u.test(name)) return [{ text: 'default', about: '' }];
  return /PATH|FILE|COMMAND|ARG|URL|\.md/iu.test(name) ? 'files' : [];
}

/** Nothing where there is no store yet: looking makes none. */
async function namesInStore(what: 'images' | 'containers', around: Surroundings): Promise<readonly Candidate[]> {
  if (!existsSync(join(findPaths(around.environment).store, 'engine.db'))) return [];
  const { openEngine } = await import('#engine/open.ts');
  const { environment, currentFolder } = around;
  await using engine = await openEngine({ environment, currentFolder, untilExit: true });
  if (what === 'containers') {
    const { listContainers } = await import('#engine/containers.ts');
    return listContainers(engine, { all: true }).map(({ name, image, status }) => ({ text: name, about: `${image}, ${status}` }));
  }
  const { listImages } = await import('#engine/images.ts');
  const { shortId } = await import('./output/stamp.ts');
  const rows = listImages(engine, { all: false, references: [], labels: [], dangling: undefined, before: [], since: [], until: undefined });
  return rows
    .filter(({ tag }) => tag !== '<none>')
    .map(({ repository, tag, id }) => ({ text: `${repository}:${tag}`, about: shortId(id) }));
}
