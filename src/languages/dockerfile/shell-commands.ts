/** The commands of a RUN's shell text, each with its line in the Dockerfile: for telling which one failed. Nothing is expanded; what is not understood is left alone. */
import type { Dockerfile, RunInstruction } from './ast.ts';

export type ShellCommand = {
  readonly text: string;
  readonly line: number;
  /** What is started, without its folder; undefined where a variable, a substitution or a quote says it. */
  readonly name: string | undefined;
  /** It runs once, when what stands before it has ended, and nothing beside it: it is in no loop, condition or pipe, and not behind "&&" or "||". */
  readonly isPlain: boolean;
  /** Without "set -e" the script goes on when it fails, and nothing in the text provides for that: it ends a list that has no "||", is no condition, and something follows that does not ask for its code. */
  readonly isUnguarded: boolean;
};

export type ShellScript = {
  readonly commands: readonly ShellCommand[];
  /** The commands run one after the other, each once: all stand behind "&&", or none. */
  readonly isStraight: boolean;
  readonly hasPipes: boolean;
  /** It has here-documents of its own. */
  readonly hasHeredocs: boolean;
  /** It is straight and ends with the first command that fails: all stand behind "&&", or it begins with "set -e". */
  readonly stopsAtFirst: boolean;
};

type Character = { readonly text: string; readonly line: number };

/** The script of the RUN that begins on `line`; undefined for the exec form, for a heredoc that another program reads, and for what is not understood. */
export function shellScriptAt(dockerfile: Dockerfile, text: string, line: number): ShellScript | undefined {
  const run = dockerfile.stages
    .flatMap(({ instructions }) => instructions)
    .find((each): each is RunInstruction => each.kind === 'run' && each.span.start.line === line);
  if (run === undefined || run.command.form !== 'shell') return undefined;
  const [heredoc, ...others] = run.heredocs;
  if (heredoc === undefined) return readScript(continued(run, text, dockerfile.escape));
  const isWhole = others.length === 0 && /^<<-?\s*["']?[\w.-]+["']?$/u.test(run.command.text.text.trim());
  // A text that names its own program is not the shell's.
  if (!isWhole || heredoc.content.startsWith('#!')) return undefined;
  return readShellText(heredoc.content, heredoc.contentSpan.start.line);
}

/** The script of a text whose first line is `line` of the Dockerfile; undefined for what is not understood. */
export function readShellText(text: string, line: number): ShellScript | undefined {
  return readScript(withLines(text, line));
}

/** A shell whose texts read as here: that of POSIX and its kin. */
export function isShell(program: string): boolean {
  return /(?:^|\/)(?:ba|da|a|k|z)?sh$/u.test(program);
}

/** `set -e`, `set -euo pipefail`, `set -o errexit`. */
export function setsErrexit(text: string): boolean {
  const words = text.split(/\s+/u);
  const end = words.indexOf('--');
  return words[0] === 'set' && hasErrexit(end < 0 ? words : words.slice(0, end));
}

/** Among the options of a shell or of `set`. */
export function hasErrexit(words: readonly string[]): boolean {
  return words.some(
    (word, at) => /^-[a-zA-Z]*e[a-zA-Z]*$/u.test(word) || (word === 'errexit' && /^-[a-zA-Z]*o$/u.test(words[at - 1] ?? '')),
  );
}

/** Continuations joined, comment lines and empty lines between them left out, as the shell gets it. */
function continued({ command }: RunInstruction, text: string, escape: string): readonly Character[] {
  if (command.form !== 'shell') return [];
  const { start, end } = command.text.span;
  const lines = text.slice(start.offset, end.offset).split('\n');
  return lines.flatMap((line, index) => {
    if (index > 0 && /^\s*(?:#|$)/u.test(line)) return [];
    const cut = line.trimEnd();
    const own = cut.endsWith(escape) && index < lines.length - 1 ? cut.slice(0, -1) : line;
    return withLines(own, start.line + index);
  });
}

function withLines(text: string, first: number): readonly Character[] {
  let line = first;
  return Array.from(text, (character) => ({ text: character, line: character === '\n' ? line++ : line }));
}

/** Words that stand where a command could. */
const openers: ReadonlySet<string> = new Set(['if', 'then', 'else', 'elif', 'while', 'until', 'do', '!', '{', 'time']);
const closers: ReadonlySet<string> = new Set(['fi', 'done', 'esac', '}']);

function readScript(characters: readonly Character[]): ShellScript | undefined {
  const pieces = splitScript(characters);
  if (pieces === undefined) return undefined;
  let { isStraight } = pieces;
  const commands: Commands = createCommands();
  for (const piece of pieces.list) {
    let words = piece.text.trim();
    let [first = ''] = words.split(/\s/u, 1);
    if (first === 'case' || first === 'function' || /^[\w-]+\(\)/u.test(words)) return undefined;
    while (openers.has(first)) {
      if (first === '!') return undefined;
      isStraight = false;
      commands.open(first);
      words = words.slice(first.length).trim();
      [first = ''] = words.split(/\s/u, 1);
    }
    // Its commands run last, whatever failed; those of a list are nobody's.
    if (first === 'trap' || (first === 'for' && /\$\(|`/u.test(words))) return undefined;
    if (first === 'for' || closers.has(first)) {
      isStraight = false;
      if (first === 'for') commands.open(first);
      else commands.close(piece.end);
    } else if (words !== '') commands.add({ text: words, line: piece.line, name: nameOf(words) }, piece.end);
  }
  const list = commands.finish();
  const isSet = setsErrexit(list[0]?.text ?? '') && !list.some(({ text }) => /^set\s+\+/u.test(text));
  const { hasPipes, hasHeredocs, isChained } = pieces;
  return { commands: list, isStraight, hasPipes, hasHeredocs, stopsAtFirst: isStraight && (isSet || isChained) };
}

/** What stands behind a command: `;` is any end of a list. */
type End = ';' | '&' | '&&' | '||' | '|';

type Commands = ReturnType<typeof createCommands>;

/** The commands with what the text around them says of each. */
function createCommands() {
  const all: ShellCommand[] = [];
  /** Where compounds that something is said of behind them begin (1) and end (-1). */
  const guarded: { readonly at: number; readonly by: number }[] = [];
  /** Where each compound that is open began. */
  const open: number[] = [];
  let isCondition = false;
  /** Of the list that is being read. */
  let list = { from: 0, hasOr: false, hasOthers: false };
  /** Where what stands outside of all compounds began last. */
  let unit = 0;
  return {
    open(word: string): void {
      if (word === 'if' || word === 'while' || word === 'until' || word === 'for' || word === '{') open.push(all.length);
      if (word === 'then' || word === 'do' || word === 'else') isCondition = false;
      else isCondition ||= word === 'if' || word === 'elif' || word === 'while' || word === 'until';
    },
    close(end: End): void {
      const from = open.pop() ?? 0;
      isCondition = false;
      // The shell ends nothing for what stands before these.
      if (end === '&&' || end === '||') guarded.push({ at: from, by: 1 }, { at: all.length, by: -1 });
      list = { from: all.length, hasOr: end === '||', hasOthers: end !== ';' };
      if (open.length === 0) unit = from;
    },
    add(command: Pick<ShellCommand, 'text' | 'line' | 'name'>, end: End): void {
      if (open.length === 0 && list.from === all.length && !list.hasOthers) unit = all.length;
      list.hasOr ||= end === '||';
      const isPlain = open.length === 0 && !list.hasOthers && end !== '|' && end !== '&';
      all.push({ ...command, isPlain, isUnguarded: end === ';' && !list.hasOr && !isCondition });
      list = end === ';' || end === '&' ? { from: all.length, hasOr: false, hasOthers: false } : { ...list, hasOthers: true };
    },
    /** What the script ends with is what it gives. */
    finish(): readonly ShellCommand[] {
      const changes = new Map<number, number>();
      for (const { at, by } of guarded) changes.set(at, (changes.get(at) ?? 0) + by);
      let guards = 0;
      return all.map((each, at) => {
        guards += changes.get(at) ?? 0;
        return at >= unit || guards > 0 || asksForCode(all[at + 1]) ? { ...each, isUnguarded: false } : each;
      });
    },
  };
}

/** Does it read how the command before it ended? */
function asksForCode(next: ShellCommand | undefined): boolean {
  return next !== undefined && /\$(?:\?|\{\?|PIPESTATUS|\{PIPESTATUS)/u.test(next.text);
}

type Pieces = {
  readonly list: readonly { readonly text: string; readonly line: number; readonly end: End }[];
  readonly isStraight: boolean;
  readonly hasPipes: boolean;
  readonly hasHeredocs: boolean;
  readonly isChained: boolean;
};

function splitScript(characters: readonly Character[]): Pieces | undefined {
  const list: { text: string; line: number; end: End }[] = [];
  let [isStraight, hasPipes, hasHeredocs] = [true, false, false];
  /** Pieces before the first end of a list. */
  let ends = 0;
  let hasAnd = false;
  let current = { text: '', line: 0 };
  /** Here-documents whose texts begin behind this line. */
  let coming: HeredocEnd[] = [];
  let quote: string | undefined;
  let depth = 0;
  const cut = (end: End): void => {
    if (current.text.trim() !== '') list.push({ ...current, end });
    current = { text: '', line: 0 };
  };
  const take = (character: Character | undefined): void => {
    if (character === undefined) return;
    if (current.line === 0 && character.text.trim() !== '') current.line = character.line;
    current.text += character.text;
  };
  for (let at = 0; at < characters.length; at++) {
    const here = characters[at];
    if (here === undefined) break;
    const { text } = here;
    const next = characters[at + 1]?.text;
    if (text === '\\' && quote !== "'") {
      take(here);
      take(characters[++at]);
    } else if (quote !== undefined) {
      if (text === quote) quote = undefined;
      take(here);
    } else if (text === "'" || text === '"' || text === '`') {
      quote = text;
      take(here);
    } else if (depth > 0 || (text === '$' && (next === '(' || next === '{'))) {
      if (text === '$') {
        take(here);
        take(characters[++at]);
        depth++;
      } else {
        if (text === '(' || text === '{') depth++;
        if (text === ')' || text === '}') depth--;
        take(here);
      }
    } else if (text === '#' && /(?:^|\s)$/u.test(current.text)) {
      while (at + 1 < characters.length && characters[at + 1]?.text !== '\n') at++;
    } else if (text === '<' && next === '<') {
      const head = heredocEnd(characters, at);
      if (head === undefined) return undefined;
      if (head.end !== undefined) coming.push(head.end);
      hasHeredocs = true;
      for (const last = at + head.length - 1; at <= last; at++) take(characters[at]);
      at--;
    } else if (text === '(') {
      // A subshell is one command of the shell; what runs in it are others' children.
      if (current.text.trim() !== '') return undefined;
      depth++;
      take(here);
    } else if (text === '&' && next === '&') {
      [at, hasAnd] = [at + 1, true];
      cut('&&');
    } else if (text === '|') {
      if (next === '|') [at, isStraight] = [at + 1, false];
      else hasPipes = true;
      cut(next === '|' ? '||' : '|');
    } else if (text === '&' && !/[<>]$/u.test(current.text) && next !== '>') {
      isStraight = false;
      cut('&');
    } else if (text === ';' || text === '\n') {
      if (ends === 0 && current.text.trim() !== '') ends = list.length + 1;
      cut(';');
      if (text !== '\n' || coming.length === 0) continue;
      const past = skipHeredocs(characters, at, coming);
      if (past === undefined) return undefined;
      [at, coming] = [past, []];
    } else take(here);
  }
  if (quote !== undefined || depth > 0 || coming.length > 0) return undefined;
  cut(';');
  const isChained = ends === 0 || ends === list.length;
  return { list, isStraight: isStraight && (isChained || !hasAnd), hasPipes, hasHeredocs, isChained };
}

type HeredocEnd = { readonly name: string; readonly chomps: boolean };

/** At `<<`: what ends the text, and how long the words are that say so; no end for `<<< word`. */
function heredocEnd(characters: readonly Character[], at: number): { readonly end?: HeredocEnd; readonly length: number } | undefined {
  const ahead = characters
    .slice(at, at + mostHead)
    .map(({ text }) => text)
    .join('');
  if (ahead.startsWith('<<<')) return { length: 3 };
  const [words, dash, name] = /^<<(-?)[ \t]*["']?([\w.-]+)["']?/u.exec(ahead) ?? [];
  return words === undefined || name === undefined ? undefined : { end: { name, chomps: dash === '-' }, length: words.length };
}

/** Longer words than any that ends a here-document. */
const mostHead = 200;

/** From the end of a line to that of the last of these texts; undefined where one has no end. */
function skipHeredocs(characters: readonly Character[], newline: number, ends: readonly HeredocEnd[]): number | undefined {
  let at = newline;
  for (const { name, chomps } of ends) {
    for (let isOver = false; !isOver;) {
      let line = '';
      if (at + 1 >= characters.length) return undefined;
      for (at++; at < characters.length && characters[at]?.text !== '\n'; at++) line += characters[at]?.text ?? '';
      isOver = (chomps ? line.replace(/^\t+/u, '') : line) === name;
    }
  }
  return at;
}

/** The first word that is no assignment. */
function nameOf(words: string): string | undefined {
  const word = words.split(/\s+/u).find((each) => !/^\w+=/u.test(each));
  if (word === undefined || !/^[\w./+[\]:@%,-]+$/u.test(word)) return undefined;
  return word.slice(word.lastIndexOf('/') + 1);
}
