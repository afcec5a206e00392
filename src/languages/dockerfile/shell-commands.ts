/** The commands of a RUN's shell text, each with its line in the Dockerfile: for telling which one failed. Nothing is expanded; what is not understood is left alone. */
import type { Dockerfile, RunInstruction } from './ast.ts';

export type ShellCommand = {
  readonly text: string;
  readonly line: number;
  /** What is started, without its folder; undefined where a variable, a substitution or a quote says it. */
  readonly name: string | undefined;
};

export type ShellScript = {
  readonly commands: readonly ShellCommand[];
  /** The commands run one after the other, each once: all stand behind "&&", or none. */
  readonly isStraight: boolean;
  readonly hasPipes: boolean;
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
  return readScript(withLines(heredoc.content, heredoc.contentSpan.start.line));
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
  const commands: ShellCommand[] = [];
  for (const piece of pieces.list) {
    let words = piece.text.trim();
    let [first = ''] = words.split(/\s/u, 1);
    if (first === 'case' || first === 'function' || /^[\w-]+\(\)/u.test(words)) return undefined;
    while (openers.has(first)) {
      if (first === '!') return undefined;
      isStraight = false;
      words = words.slice(first.length).trim();
      [first = ''] = words.split(/\s/u, 1);
    }
    // Its commands run last, whatever failed; those of a list are nobody's.
    if (first === 'trap' || (first === 'for' && /\$\(|`/u.test(words))) return undefined;
    if (first === 'for' || closers.has(first)) isStraight = false;
    else if (words !== '') commands.push({ text: words, line: piece.line, name: nameOf(words) });
  }
  const isSet = /^set\s+-\w*e/u.test(commands[0]?.text ?? '') && !commands.some(({ text }) => /^set\s+\+/u.test(text));
  return { commands, isStraight, hasPipes: pieces.hasPipes, stopsAtFirst: isStraight && (isSet || pieces.isChained) };
}

type Pieces = {
  readonly list: readonly { readonly text: string; readonly line: number }[];
  readonly isStraight: boolean;
  readonly hasPipes: boolean;
  readonly isChained: boolean;
};

function splitScript(characters: readonly Character[]): Pieces | undefined {
  const list: { text: string; line: number }[] = [];
  let [isStraight, hasPipes] = [true, false];
  /** Pieces before the first end of a list. */
  let ends = 0;
  let hasAnd = false;
  let current = { text: '', line: 0 };
  let quote: string | undefined;
  let depth = 0;
  const cut = (): void => {
    if (current.text.trim() !== '') list.push(current);
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
    } else if (text === '<' && next === '<') return undefined;
    else if (text === '(') {
      // A subshell is one command of the shell; what runs in it are others' children.
      if (current.text.trim() !== '') return undefined;
      depth++;
      take(here);
    } else if (text === '&' && next === '&') {
      [at, hasAnd] = [at + 1, true];
      cut();
    } else if (text === '|') {
      if (next === '|') [at, isStraight] = [at + 1, false];
      else hasPipes = true;
      cut();
    } else if (text === '&' && !/[<>]$/u.test(current.text) && next !== '>') {
      isStraight = false;
      cut();
    } else if (text === ';' || text === '\n') {
      if (ends === 0 && current.text.trim() !== '') ends = list.length + 1;
      cut();
    } else take(here);
  }
  if (quote !== undefined || depth > 0) return undefined;
  cut();
  const isChained = ends === 0 || ends === list.length;
  return { list, isStraight: isStraight && (isChained || !hasAnd), hasPipes, isChained };
}

/** The first word that is no assignment. */
function nameOf(words: string): string | undefined {
  const word = words.split(/\s+/u).find((each) => !/^\w+=/u.test(each));
  if (word === undefined || !/^[\w./+[\]:@%,-]+$/u.test(word)) return undefined;
  return word.slice(word.lastIndexOf('/') + 1);
}
