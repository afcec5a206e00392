/** What the text of a shell starts, as far as that is plain to see (POSIX.1-2024, Shell Command Language, 2.2 to 2.9.3). */
import { readPipeline, skipBlank, type Command, type Pipeline, type Word } from './shell-words.ts';

export type ShellStart = {
  /** Variables that the shell is started with. */
  readonly environment: ReadonlyMap<string, string>;
  /** `$0` and those behind it. */
  readonly parameters: readonly string[];
  /** It ends where a command fails (`-e`). */
  readonly endsOnFailure: boolean;
};

export type ShellProgram = {
  readonly kind: 'program';
  /** Its words up to the first that nobody knows yet. */
  readonly words: readonly string[];
  /** Variables that it is started with. */
  readonly environment: ReadonlyMap<string, string>;
  /** The shell comes to it whatever happens, and ends in failure when it does not start. */
  readonly isCertain: boolean;
  /** Something ran before it that may have brought it, or what it needs. */
  readonly mayBeBrought: boolean;
};

/** A program; or a folder that the shell goes into (`cd`). */
export type ShellCommand = ShellProgram | { readonly kind: 'folder'; readonly name: string };

export type ShellCommands = {
  /** In order. */
  readonly commands: readonly ShellCommand[];
  /** Nothing of the text is left that could be run. */
  readonly isWhole: boolean;
};

/** What always succeeds. */
const succeeding: ReadonlySet<string> = new Set([':', 'true', 'echo', 'printf', 'pwd', 'umask', 'trap', 'wait']);
/** What does nothing to programs that come later, and may fail. */
const failing: ReadonlySet<string> = new Set(['[', 'test', 'false', 'read', 'type', 'hash', 'kill', 'ulimit']);
/** What may be anything behind it: POSIX's reserved words and built-in utilities, and what shells have beside. A program of such a name is none here. */
const opaque: ReadonlySet<string> = new Set(
  `. alias bg bind break builtin caller case chdir command compgen complete continue coproc declare dirs disown do done elif else enable esac eval fc fg fi for
  function getopts help history if in jobs let local logout mapfile popd pushd readarray readonly return select shopt source suspend then time times typeset
  unalias until while { } [[`.split(/\s+/u),
);
/** Programs that bring no others, change none, and end. */
const idle: ReadonlySet<string> = new Set(
  'basename cat cut date df dirname egrep env free grep head hostname id ls mkdir printenv ps rm seq sleep sort stat tr uname wc whoami'.split(
    ' ',
  ),
);

/** Characters of a text, and commands in it, that are looked at: entry scripts have less. */
const [longestText, mostCommands] = [65_536, 2000];

/** What the shell has come to. */
type Way = {
  commandsLeft: number;
  environment: Map<string, string>;
  variables: Map<string, string>;
  parameters: readonly string[];
  endsOnFailure: boolean;
  /** Whatever happens. */
  isReached: boolean;
  mayBeBrought: boolean;
};

/** A command of a list whose end is not known yet. */
type OpenCommand = {
  readonly command: ShellCommand;
  /** Its failure is that of its pipeline. */
  readonly decides: boolean;
  /** The shell becomes it. */
  readonly isExec: boolean;
  /** Of its pipeline in the list, from 1. */
  readonly at: number;
};

/** What comes of a command: it succeeds, it ends with whatever code, it runs as long as it likes, the shell ends, or nobody can say what it does. */
type Outcome = 'succeeds' | 'returns' | 'runs' | 'ends' | 'unclear';

/** Pipelines joined by `&&` and `||`. */
type List = {
  readonly commands: OpenCommand[];
  readonly wasReached: boolean;
  length: number;
  hasOr: boolean;
  /** Of its last pipeline. */
  last: Outcome;
  /** What stands behind the list may not be reached. */
  isLost: boolean;
};

/**
 * The commands of the text up to the first thing that is not plain: compound commands, functions, files of commands, here-documents. A command of which nobody knows the program is passed
 * over, and so are lists with `||`: what fails there may be meant to.
 */
export function shellCommands(text: string, { environment, parameters, endsOnFailure }: ShellStart): ShellCommands {
  const start = { environment: new Map(environment), variables: new Map(environment) };
  const way: Way = { ...start, parameters, endsOnFailure, isReached: true, mayBeBrought: false, commandsLeft: mostCommands };
  if (text.length > longestText) return { commands: [], isWhole: false };
  const commands: ShellCommand[] = [];
  let list = openList(way);
  let at = skipBlank(text, 0);
  while (at < text.length) {
    const pipeline = readPipeline(text, at, way);
    const outcome = pipeline === undefined ? 'unclear' : takePipeline(pipeline, list, way);
    if (pipeline === undefined || outcome === 'unclear')
      return { commands: [...commands, ...closeList(list, 'unclear', way)], isWhole: false };
    const { operator } = pipeline;
    at = skipBlank(text, pipeline.end);
    if (operator === '&&' || operator === '||') {
      list.hasOr ||= operator === '||';
      if (operator === '||' || outcome !== 'succeeds') way.isReached = false;
      continue;
    }
    // All of the list has a shell of its own: what was taken for this one is not.
    if (operator === '&' && list.length > 1) return { commands, isWhole: false };
    commands.push(...closeList(list, operator === '&' ? 'background' : at >= text.length ? 'end' : 'open', way));
    if (outcome === 'ends') break;
    list = openList(way);
  }
  return { commands, isWhole: true };
}

function openList({ isReached }: Way): List {
  return { commands: [], wasReached: isReached, length: 0, hasOr: false, last: 'succeeds', isLost: false };
}

/** `end`: nothing comes behind the list. */
function closeList(list: List, how: 'end' | 'open' | 'background' | 'unclear', way: Way): readonly ShellCommand[] {
  const { commands, wasReached, length, hasOr, last, isLost } = list;
  way.isReached = wasReached && (how === 'background' || !(isLost || (way.endsOnFailure && last !== 'succeeds')));
  return commands.flatMap(({ command, decides, isExec, at }) => {
    if (command.kind === 'folder') return command;
    const endsIt = how === 'end' || (how === 'open' && (isExec || (way.endsOnFailure && at === length)));
    return hasOr ? [] : { ...command, isCertain: command.isCertain && decides && endsIt };
  });
}

function takePipeline({ commands, operator }: Pipeline, list: List, way: Way): Outcome {
  list.length++;
  const isOwnShell = commands.length > 1 || operator === '&';
  const isNegated = commands[0]?.words[0]?.raw === '!';
  let outcome: Outcome = 'succeeds';
  let brings = false;
  for (const [index, command] of commands.entries()) {
    // What is set there is set nowhere else.
    const inner = isOwnShell ? { ...way, environment: new Map(way.environment), variables: new Map(way.variables) } : way;
    const taken = takeCommand(command, inner);
    if (taken.outcome === 'unclear' || --way.commandsLeft < 0) return 'unclear';
    if (taken.command !== undefined && !(isOwnShell && taken.command.kind === 'folder')) {
      const decides = index === commands.length - 1 && !isNegated;
      list.commands.push({ command: taken.command, decides, isExec: taken.isExec === true && !isOwnShell, at: list.length });
    }
    const ended = taken.outcome === 'ends' && isOwnShell ? 'runs' : taken.outcome;
    outcome = outcome === 'runs' ? outcome : ended;
    brings ||= inner.mayBeBrought;
  }
  // Programs of one pipeline start together.
  way.mayBeBrought ||= brings;
  if (outcome === 'ends' && (!way.isReached || operator === '&&' || operator === '||')) outcome = 'runs';
  list.last = outcome;
  if (outcome === 'runs') list.isLost = true;
  return outcome;
}

type Taken = { readonly outcome: Outcome; readonly command?: ShellCommand; readonly isExec?: boolean };

const unclear: Taken = { outcome: 'unclear' };

function takeCommand({ words, runsOthers, writes }: Command, way: Way): Taken {
  way.mayBeBrought ||= runsOthers;
  const taken = takeWords(words, runsOthers, way);
  way.mayBeBrought ||= writes;
  return taken;
}

function takeWords(words: readonly Word[], runsOthers: boolean, way: Way): Taken {
  const first = words.findIndex(({ raw }) => !isAssignment(raw));
  const assignments = first < 0 ? words : words.slice(0, first);
  if (first < 0) {
    // What a substitution ends with is what the assignment ends with.
    return assign(assignments, way, false) ? { outcome: runsOthers ? 'returns' : 'succeeds' } : unclear;
  }
  const rest = words.slice(first);
  // Quoted it would be a program's.
  const builtin = takeBuiltin(rest[0]?.raw ?? '', rest, way);
  if (builtin !== undefined) return builtin;
  return takeProgram(assignments, rest, way);
}

/** undefined: no program nor anything of the shell's own that is known here. */
function takeBuiltin(name: string, words: readonly Word[], way: Way): Taken | undefined {
  if (succeeding.has(name)) return { outcome: 'succeeds' };
  if (failing.has(name)) return { outcome: 'returns' };
  const known = words.slice(1).flatMap(({ values }) => values ?? []);
  const areKnown = words.every(({ values }) => values !== undefined);
  switch (name) {
    case 'export':
      return words.slice(1).every(({ raw }) => !raw.startsWith('-')) && assign(words.slice(1), way, true)
        ? { outcome: 'succeeds' }
        : unclear;
    case 'unset':
      for (const one of known) forget(one, way);
      return areKnown && known.every((one) => /^\w+$/u.test(one) && !isLookedUp(one)) ? { outcome: 'succeeds' } : unclear;
    case 'set':
      return areKnown ? set(known, way) : unclear;
    case 'shift':
      if (!way.isReached || words.length > 1) return unclear;
      way.parameters = [...way.parameters.slice(0, 1), ...way.parameters.slice(2)];
      return { outcome: 'succeeds' };
    case 'cd':
      if (!way.isReached || !areKnown || known.length !== 1 || /^-|^$/u.test(known[0] ?? '')) return unclear;
      return { outcome: 'succeeds', command: { kind: 'folder', name: known[0] ?? '' } };
    case 'exit':
      return { outcome: 'ends' };
    default:
      return opaque.has(name) ? unclear : undefined;
  }
}

/** `set -eu -o pipefail`, `set -- a b`. */
function set(words: readonly string[], way: Way): Taken {
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? '';
    if (word === '--' && way.isReached) {
      way.parameters = [...way.parameters.slice(0, 1), ...words.slice(at + 1)];
      return { outcome: 'succeeds' };
    }
    if (!/^[-+][befhmuvxCEHPT]*o?$/u.test(word) || word.length < 2) return unclear;
    const option = word.endsWith('o') ? words[++at] : undefined;
    if (word.endsWith('o') && option === undefined) return unclear;
    if (word.includes('e') || option === 'errexit') way.endsOnFailure = word.startsWith('-') && way.isReached;
  }
  return { outcome: 'succeeds' };
}

function takeProgram(assignments: readonly Word[], words: readonly Word[], way: Way): Taken {
  const own: Way = { ...way, environment: new Map(way.environment), variables: new Map(way.variables) };
  const isExec = words[0]?.raw === 'exec';
  const rest = isExec ? words.slice(1) : words;
  const unknown = rest.findIndex(({ values }) => values === undefined);
  const known = rest.slice(0, unknown < 0 ? undefined : unknown).flatMap(({ values }) => values ?? []);
  const [name] = known;
  if (isExec && rest.length === 0) return { outcome: 'succeeds' };
  const isKnown = name !== undefined && name !== '' && !name.startsWith('-') && words[0]?.raw !== '!' && assign(assignments, own, true);
  const { mayBeBrought } = way;
  const isIdle = isKnown && idle.has(name) && !known.includes('infinity');
  // The shell that becomes a program brings no more.
  way.mayBeBrought ||= !isIdle && !isExec;
  const outcome = isExec ? 'ends' : isIdle ? 'returns' : 'runs';
  if (!isKnown) return { outcome: isExec ? 'runs' : outcome };
  const command = { kind: 'program', words: known, environment: own.environment, isCertain: way.isReached, mayBeBrought } as const;
  return { outcome, command, isExec };
}

function isAssignment(raw: string): boolean {
  return /^[A-Za-z_]\w*\+?=/u.test(raw);
}

/** What the shell and loaders look for programs and libraries by. */
function isLookedUp(name: string): boolean {
  return /^(?:PATH|LD_\w+|IFS|CDPATH|ENV|BASH_ENV|POSIXLY_CORRECT)$/u.test(name);
}

/** false where nobody knows what programs are looked up by afterwards. `isExported`: for programs; else only where the variable is for them already. */
function assign(words: readonly Word[], way: Way, isExported: boolean): boolean {
  for (const { raw, values } of words) {
    const name = /^\w+/u.exec(raw)?.[0] ?? '';
    const [known] = values?.length === 1 && way.isReached && !/^\w+\+=/u.test(raw) ? values : [];
    const value = isAssignment(raw) ? known?.slice(name.length + 1) : way.variables.get(name);
    if (!/^\w+(?:\+?=|$)/u.test(raw)) return false;
    if (value === undefined && isLookedUp(name)) return false;
    if (value === undefined) {
      forget(name, way);
      continue;
    }
    way.variables.set(name, value);
    if (isExported || way.environment.has(name)) way.environment.set(name, value);
  }
  return true;
}

function forget(name: string, { variables, environment }: Way): void {
  variables.delete(name);
  environment.delete(name);
}
