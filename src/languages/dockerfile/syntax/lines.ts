/** From a text to logical lines: continuations joined, comments and directives taken out, every character still knows its place. */
import type { Position, Span } from '#ground/base/span.ts';
import { isSpace, type EscapeCharacter } from '#languages/frontend/words.ts';
import type { Directive } from '../ast.ts';

/** A stretch of a logical line that comes from one physical line; columns count from 1. */
type Piece = { readonly offset: number; readonly line: number; readonly column: number };

export type LogicalLine = {
  readonly file: string;
  readonly text: string;
  readonly pieces: readonly Piece[];
  readonly lastLine: number;
  /** Comment lines just above, without `#` and white space. */
  readonly comments: readonly string[];
  readonly hasEmptyLine: boolean;
};

export type HeredocBody = { readonly content: string; readonly span: Span };

export type LineReader = {
  /** The next instruction's line; undefined at the end. */
  next(): LogicalLine | undefined;
  /** The lines up to the one that is `name`, right behind the last logical line. When no such line comes: undefined, and all lines are used up. */
  readHeredoc(name: string, chomp: boolean): HeredocBody | undefined;
  readonly directives: readonly Directive[];
  readonly escape: EscapeCharacter;
};

export type ReportFault = (rule: string, message: string, span: Span, hint?: string) => void;

export function createLineReader(source: string, file: string, report: ReportFault): LineReader {
  const physical = source.replace(/^\ufeff/u, '').split('\n');
  const endsWithBreak = physical.at(-1) === '';
  if (endsWithBreak) physical.pop();
  let index = 0;
  let escape: EscapeCharacter = '\\';
  let directivesDone = false;
  const directives: Directive[] = [];

  const lineSpan = (number: number): Span => ({
    file,
    start: { line: number, column: 1 },
    end: { line: number, column: Math.max(2, trimBreak(physical[number - 1] ?? '').length + 1) },
  });

  /** Takes `# name=value` lines at the top; the first other line ends them. */
  function readDirective(text: string, number: number): boolean {
    const found = parseDirective(text);
    if (!found) {
      directivesDone = true;
      return false;
    }
    const { name, value } = found;
    if (directives.some((each) => each.name === name))
      report('BadDirective', `Only one ${name} parser directive can be used`, lineSpan(number), 'Remove one of them');
    else if (name !== 'escape') directives.push({ name, value, span: lineSpan(number) });
    else if (value === '\\' || value === '`') {
      escape = value;
      directives.push({ name, value, span: lineSpan(number) });
    } else
      report(
        'BadDirective',
        `Invalid escape token "${value}" does not match \` or \\`,
        lineSpan(number),
        'Use "# escape=`" or leave it out',
      );
    return true;
  }

  function next(): LogicalLine | undefined {
    let comments: string[] = [];
    for (; index < physical.length; index++) {
      const raw = trimBreak(physical[index] ?? '');
      const column = leadingSpace(raw) + 1;
      const text = raw.slice(column - 1);
      if (!directivesDone && readDirective(text, index + 1)) continue;
      if (text === '') comments = [];
      else if (text.startsWith('#')) {
        const comment = text.slice(1).trim();
        if (comment === '') comments = [];
        else comments.push(comment);
      } else return join(text, column, comments);
    }
    return undefined;
  }

  /** Adds the lines that continue the one at `index`. */
  function join(first: string, column: number, comments: readonly string[]): LogicalLine | undefined {
    const pieces: Piece[] = [{ offset: 0, line: index + 1, column }];
    const texts: string[] = [];
    let length = 0;
    let hasEmptyLine = false;
    const add = (text: string): boolean => {
      const kept = withoutContinuation(text, escape);
      texts.push(kept ?? text);
      length += texts.at(-1)?.length ?? 0;
      return kept !== undefined;
    };
    let continues = add(first);
    index++;
    for (; continues && index < physical.length; index++) {
      const raw = trimBreak(physical[index] ?? '');
      const blank = leadingSpace(raw);
      if (blank === raw.length) hasEmptyLine = true;
      else if (raw[blank] !== '#') {
        pieces.push({ offset: length, line: index + 1, column: 1 });
        continues = add(raw);
      }
    }
    return { file, text: texts.join(''), pieces, lastLine: index, comments, hasEmptyLine };
  }

  function readHeredoc(name: string, chomp: boolean): HeredocBody | undefined {
    const start = index;
    for (let at = index; at < physical.length; at++) {
      const line = trimBreak(physical[at] ?? '');
      if ((chomp ? line.replace(/^\t+/u, '') : line) !== name) continue;
      index = at + 1;
      const content = physical
        .slice(start, at)
        .map((each) => `${each}\n`)
        .join('');
      return { content, span: { file, start: { line: start + 1, column: 1 }, end: { line: at + 1, column: line.length + 1 } } };
    }
    index = physical.length;
    return undefined;
  }

  return {
    next,
    readHeredoc,
    directives,
    get escape() {
      return escape;
    },
  };
}

/** The place of the character at `offset`. */
export function positionAt(line: LogicalLine, offset: number): Position {
  let low = 0;
  let high = line.pieces.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((line.pieces[middle]?.offset ?? 0) <= offset) low = middle;
    else high = middle - 1;
  }
  const piece = line.pieces[low] ?? { offset: 0, line: 1, column: 1 };
  return { line: piece.line, column: piece.column + offset - piece.offset };
}

/** From the character at `start` to the one before `end`. */
export function spanOf(line: LogicalLine, start: number, end: number): Span {
  const from = positionAt(line, start);
  if (end <= start) return { file: line.file, start: from, end: from };
  const last = positionAt(line, end - 1);
  return { file: line.file, start: from, end: { line: last.line, column: last.column + 1 } };
}

/** `# name = value` with a known name: what a directive is. `text` begins at the `#`. */
export function parseDirective(text: string): { readonly name: Directive['name']; readonly value: string } | undefined {
  if (!text.startsWith('#')) return undefined;
  const equals = text.indexOf('=');
  if (equals < 0) return undefined;
  const name = text.slice(1, equals).trim().toLowerCase();
  const value = text.slice(equals + 1).trim();
  if (value === '' || (name !== 'syntax' && name !== 'escape' && name !== 'check')) return undefined;
  return { name, value };
}

/** The line without its continuation character, or undefined when it has none. Two escape characters in a row are none. */
function withoutContinuation(text: string, escape: EscapeCharacter): string | undefined {
  let end = text.length;
  while (end > 0 && (text[end - 1] === ' ' || text[end - 1] === '\t')) end--;
  if (text[end - 1] !== escape || text[end - 2] === escape) return undefined;
  return text.slice(0, end - 1);
}

function trimBreak(text: string): string {
  let end = text.length;
  while (end > 0 && text[end - 1] === '\r') end--;
  return text.slice(0, end);
}

function leadingSpace(text: string): number {
  let at = 0;
  while (at < text.length && isSpace(text[at] ?? '')) at++;
  return at;
}
