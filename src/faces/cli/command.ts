/** What a command is: a table of options, how many arguments it takes, and a function. Its help and its errors are made from the table. */
import type { Readable, Writable } from 'node:stream';
import { isCode, JettisonError } from '#ground/base/errors.ts';
import { suggest } from '#ground/base/human.ts';
import type { Option, ValuesOf } from './option.ts';
import { insteadOfOption, insteadOfOther } from './refused-options.ts';

/** A standard output as commands see it. */
export type Output = Writable & { readonly isTTY?: boolean; readonly columns?: number; readonly rows?: number };
export type Streams = {
  readonly stdin: Readable & { readonly isTTY?: boolean; setRawMode?(on: boolean): unknown };
  readonly stdout: Output;
  readonly stderr: Output;
};

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'fatal';

/** What the world around a command is. */
export type Surroundings = {
  readonly environment: NodeJS.ProcessEnv;
  readonly currentFolder: string;
  readonly streams: Streams;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** `debug`: errors show where they come from; `error` and `fatal`: notes are left out. */
  readonly logLevel: LogLevel;
};

export type Command = {
  /** `image ls`: as it is shown in help and errors. */
  readonly name: string;
  readonly summary: string;
  /** What stands behind the name in a usage line. */
  readonly usage: string;
  readonly options: Readonly<Record<string, Option<unknown>>>;
  /** As in the definition. */
  readonly notBuilt: string;
  /** Exit code when the command itself fails. */
  readonly failureCode: (error: unknown) => number;
  /** Takes the words behind the command's name; gives the exit code. */
  readonly run: (words: readonly string[], around: Surroundings, signal: AbortSignal) => Promise<number>;
};

type Definition<O> = {
  readonly name: string;
  readonly summary: string;
  readonly usage: string;
  readonly options: O;
  /** Options that the docker CLI has and this command has not yet, between blanks: `long`, or `x=long` with a short name. */
  readonly notBuilt?: string;
  /** Fewest and most arguments. */
  readonly arguments: readonly [number, number];
  /** The first argument ends the options: what follows belongs to somebody else. */
  readonly optionsEndAtArgument?: boolean;
  readonly failureCode?: (error: unknown) => number;
  /** It looks at or removes what a worker wrote: without root that needs the worker's ids. */
  readonly touchesSnapshots?: true | ((options: ValuesOf<O>) => boolean);
  readonly run: (
    given: {
      readonly options: ValuesOf<O>;
      readonly arguments: readonly string[];
      /** As typed, options and all. */ readonly words: readonly string[];
    },
    around: Surroundings,
    signal: AbortSignal,
  ) => Promise<number>;
};

/** Makes a command of its table. Thrown by its `run`: `cli/unknown-flag`, `cli/flag-value`, `cli/argument-count`, `cli/not-built`, and what the work itself throws. */
export function defineCommand<O extends Readonly<Record<string, Option<unknown>>>>(definition: Definition<O>): Command {
  return {
    name: definition.name,
    summary: definition.summary,
    usage: definition.usage,
    options: definition.options,
    notBuilt: definition.notBuilt ?? '',
    failureCode: definition.failureCode ?? (() => 1),
    run: async (words, around, signal) => {
      const given = readWords(definition, words);
      if (given !== undefined) {
        const { touchesSnapshots: touches = false } = definition;
        const isElsewhere = (typeof touches === 'function' ? touches(given.options) : touches) && process.getuid?.() !== 0;
        return isElsewhere ? await runAgain(around, signal) : await definition.run({ ...given, words }, around, signal);
      }
      const { commandHelp } = await import('./help.ts');
      around.streams.stdout.write(commandHelp(definition));
      return 0;
    },
  };
}

/** This process's whole command line, where the files of a normal user's steps can be touched. */
async function runAgain({ environment }: Surroundings, signal: AbortSignal): Promise<number> {
  const { findPaths } = await import('#engine/paths.ts');
  const { runAgainWithOwnIds } = await import('#execution/worker/own-ids.ts');
  return await runAgainWithOwnIds(findPaths(environment).store, signal);
}

/**
 * Options and arguments of a command line, by the rules of the docker CLI: `--x=y`, `--x y`, `-xy`, `-x=y`, `-abc`; `--` ends the options.
 * Gives undefined when `--help` is among them.
 */
export function readWords<O extends Readonly<Record<string, Option<unknown>>>>(
  definition: Definition<O>,
  words: readonly string[],
): { readonly options: ValuesOf<O>; readonly arguments: readonly string[] } | undefined {
  const reader = createReader(definition);
  for (let index = 0; index < words.length; index++) {
    const word = words[index] ?? '';
    if (reader.isEnded() || word === '-' || !word.startsWith('-')) reader.argument(word);
    else if (word === '--') reader.end();
    else if (word === '--help' || (word === '-h' && !reader.knows(word))) return undefined;
    else if (reader.option(word, words[index + 1])) index++;
  }
  const found = reader.found();
  checkCount(definition, found.arguments.length);
  return found;
}

type Reader<O> = {
  isEnded(): boolean;
  knows(name: string): boolean;
  end(): void;
  argument(word: string): void;
  /** Takes one word of options; true when it used `next` as its value. */
  option(word: string, next: string | undefined): boolean;
  found(): { readonly options: ValuesOf<O>; readonly arguments: readonly string[] };
};

function createReader<O extends Readonly<Record<string, Option<unknown>>>>(definition: Definition<O>): Reader<O> {
  const values = new Map(Object.entries(definition.options).map(([key, option]) => [key, option.initial]));
  const byName = new Map(
    Object.entries(definition.options).flatMap(([key, option]) => namesOf(option).map((name) => [name, { key, option }])),
  );
  const rest: string[] = [];
  let ended = false;
  const find = (name: string, shown: string) => byName.get(name) ?? refuse(definition, name, shown);
  const set = (key: string, option: Option<unknown>, value: string): void => {
    try {
      values.set(key, option.add(values.get(key), value));
    } catch (error) {
      throw isCode(error, 'cli/bad-value') ? badFlagValue(definition, option, error) : error;
    }
  };
  const long = (word: string, next: string | undefined): boolean => {
    const equals = word.indexOf('=');
    const name = equals < 0 ? word : word.slice(0, equals);
    const { key, option } = find(name, word);
    if (equals >= 0) set(key, option, word.slice(equals + 1));
    else if (option.valueName === undefined) set(key, option, 'true');
    else set(key, option, next ?? missingValue(definition, name));
    return equals < 0 && option.valueName !== undefined;
  };
  const short = (word: string, next: string | undefined): boolean => {
    for (let index = 1; index < word.length; index++) {
      const { key, option } = find(`-${word[index]}`, word);
      const behind = word.slice(index + 1);
      if (option.valueName === undefined && !behind.startsWith('=')) set(key, option, 'true');
      else if (behind === '') set(key, option, next ?? missingValue(definition, `-${word[index]}`));
      else set(key, option, behind.startsWith('=') ? behind.slice(1) : behind);
      if (option.valueName !== undefined || behind.startsWith('=')) return behind === '';
    }
    return false;
  };
  return {
    isEnded: () => ended,
    knows: (name) => byName.has(name),
    end: () => {
      ended = true;
    },
    argument(word) {
      rest.push(word);
      if (definition.optionsEndAtArgument) ended = true;
    },
    option: (word, next) => (word.startsWith('--') ? long(word, next) : short(word, next)),
    found: () => ({ options: Object.fromEntries(values) as ValuesOf<O>, arguments: rest }),
  };
}

function namesOf(option: Option<unknown>): readonly string[] {
  return option.short === undefined ? [`--${option.long}`] : [`--${option.long}`, `-${option.short}`];
}

export type Described = { readonly name: string; readonly usage: string; readonly options: object; readonly notBuilt?: string };

function refuse(command: Described, name: string, shown: string): never {
  const isLong = name.startsWith('--');
  const refused = splitNotBuilt(command.notBuilt).find((one) => one.names.includes(name));
  if (refused) {
    const hint = insteadOfOption(command.name, refused.long) ?? usageLines(command);
    throw new JettisonError('cli/not-built', `"--${refused.long}" is not built yet`, { hint });
  }
  const what = isLong ? `unknown flag: ${name}` : `unknown shorthand flag: '${name.slice(1)}' in ${shown}`;
  const instead = isLong ? insteadOfOther(command.name, name.slice(2)) : undefined;
  const near = isLong && instead === undefined ? suggest(name, [...longNames(command), '--help']) : undefined;
  const first = near === undefined ? instead : `Did you mean "${near}"?`;
  throw new JettisonError('cli/unknown-flag', what, { hint: `${first === undefined ? '' : `${first}\n`}${usageLines(command)}` });
}

/** The options that a definition's `notBuilt` names. */
export function splitNotBuilt(text = ''): readonly { readonly long: string; readonly names: readonly string[] }[] {
  return text
    .split(/\s+/u)
    .filter((entry) => entry !== '')
    .map((entry) => {
      const [first = '', second] = entry.split('=');
      return second === undefined ? { long: first, names: [`--${first}`] } : { long: second, names: [`--${second}`, `-${first}`] };
    });
}

function longNames(command: Described): readonly string[] {
  const options = Object.values(command.options) as readonly Option<unknown>[];
  return [...options, ...splitNotBuilt(command.notBuilt)].map((option) => `--${option.long}`);
}

function missingValue(command: Described, name: string): never {
  const shown = name.startsWith('--') ? name : `'${name.slice(1)}' in ${name}`;
  throw new JettisonError('cli/flag-value', `flag needs an argument: ${shown}`, { hint: usageLines(command) });
}

/** With the short name, too, and with the usage below. */
function badFlagValue(command: Described, { long, short }: Option<unknown>, error: JettisonError): JettisonError {
  const message = short === undefined ? error.message : error.message.replace(`for "--${long}" flag`, `for "-${short}, --${long}" flag`);
  return new JettisonError('cli/flag-value', message, {
    hint: `${error.hint === undefined ? '' : `${error.hint}\n`}${usageLines(command)}`,
    cause: error,
  });
}

function checkCount(command: Described & { readonly arguments: readonly [number, number] }, count: number): void {
  const [fewest, most] = command.arguments;
  if (count >= fewest && count <= most) return;
  const number = count < fewest ? fewest : most;
  const howMany =
    most === 0
      ? 'accepts no arguments'
      : fewest > 0 && most !== fewest && Number.isFinite(most)
        ? `requires at least ${fewest} and at most ${most} arguments`
        : `requires ${fewest === most ? '' : count < fewest ? 'at least ' : 'at most '}${number} argument${number === 1 ? '' : 's'}`;
  throw new JettisonError('cli/argument-count', `jettison: 'jettison ${command.name}' ${howMany}`, {
    hint: usageLines(command, fewest !== most && count < fewest ? 'See' : 'Run'),
  });
}

/** What docker writes below a mistake on the command line. */
function usageLines(command: { readonly name: string; readonly usage: string }, verb = 'Run'): string {
  return `\nUsage:  jettison ${command.name} ${command.usage}\n\n${verb} 'jettison ${command.name} --help' for more information`;
}
