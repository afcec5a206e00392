/** From a text to logical lines: continuations joined, comments and directives taken out, every character still knows its place. */
import type { TextPosition, TextSpan } from '#ground/base/span.ts';
import { isSpace } from '#languages/frontend/spaces.ts';
import type { EscapeCharacter } from '#languages/frontend/words.ts';
import type { Comment, Directive } from '../ast.ts';

/** A stretch of a logical line that comes from one physical line: where it begins in the logical line, and in the text. */
type Piece = { readonly from: number; readonly at: TextPosition };

export type LogicalLine = {
  readonly file: string;
  readonly text: string;
  readonly pieces: readonly Piece[];
  /** The last physical line, when an empty one stands among those that the line is made of. */
  readonly emptyContinuation: TextSpan | undefined;
  /** Comment lines above, back to the instruction or the empty comment before them. */
  readonly comments: readonly Comment[];
};

export type HeredocBody = { readonly content: string; readonly contentSpan: TextSpan; readonly span: TextSpan };

export type LineReader = {
  /** The next instruction's line; undefined at the end. */
  next(): LogicalLine | undefined;
  /** The lines up to the one that is `name`, right behind the last logical line. When no such line comes: undefined, and all lines are used up. */
  readHeredoc(name: string, chomp: boolean): HeredocBody | undefined;
  readonly directives: readonly Directive[];
  /** All comments so far. */
  readonly comments: readonly Comment[];
  readonly escape: EscapeCharacter;
};

export type ReportFault = (rule: string, message: string, span: TextSpan, hint?: string) => void;

const noComments: readonly Comment[] = [];

export function createLineReader(source: string, file: string, report: ReportFault): LineReader {
  const bom = source.startsWith('\ufeff') ? 1 : 0;
  const physical = source.slice(bom).split('\n');
  const starts = startsOf(physical, bom);
  if (physical.at(-1) === '') physical.pop();
  let index = 0;
  let escape: EscapeCharacter = '\\';
  let directivesDone = false;
  const directives: Directive[] = [];
  const allComments: Comment[] = [];

  /** In the line at `index`, columns counted from 0. */
  const placeIn = (column: number): TextPosition => ({
    line: index + 1,
    column: column + 1,
    offset: (starts[index] ?? source.length) + column,
  });
  const spanIn = (from: number, to: number): TextSpan => ({ file, start: placeIn(from), end: placeIn(to) });

  /** Takes `# name=value` lines at the top; the first other line ends them. `text` begins in column `from`, counted from 0. */
  function readDirective(text: string, from: number): boolean {
    const found = parseDirective(text);
    if (!found) {
      directivesDone = true;
      return false;
    }
    const { name, value } = found;
    const span = spanIn(from, from + text.trimEnd().length);
    const valueSpan = spanIn(span.end.column - 1 - value.length, span.end.column - 1);
    if (directives.some((each) => each.name === name))
      report('BadDirective', `Only one ${name} parser directive can be used`, span, 'Remove one of them');
    else if (name !== 'escape') directives.push({ name, value, span, valueSpan });
    else if (value === '\\' || value === '`') {
      escape = value;
      directives.push({ name, value, span, valueSpan });
    } else report('BadDirective', `Invalid escape token "${value}" does not match \` or \\`, span, 'Use "# escape=`" or leave it out');
    return true;
  }

  function next(): LogicalLine | undefined {
    let comments: Comment[] | undefined;
    for (; index < physical.length; index++) {
      const raw = trimBreak(physical[index] ?? '');
      const blank = leadingSpace(raw);
      const text = raw.slice(blank);
      if (!directivesDone && readDirective(text, blank)) continue;
      if (text === '') continue;
      if (text.startsWith('#')) {
        const comment = addComment(text, blank);
        if (comment.text === '') comments = undefined;
        else (comments ??= []).push(comment);
      } else return join(text, blank, comments ?? noComments);
    }
    return undefined;
  }

  function addComment(text: string, from: number): Comment {
    const comment = { text: text.slice(1).trim(), span: spanIn(from, from + text.trimEnd().length) };
    allComments.push(comment);
    return comment;
  }

  /** Adds the lines that continue the one at `index`, whose text begins in column `from`, counted from 0. */
  function join(first: string, from: number, comments: readonly Comment[]): LogicalLine | undefined {
    const pieces: Piece[] = [{ from: 0, at: placeIn(from) }];
    let kept = withoutContinuation(first, escape);
    index++;
    if (kept === undefined) return { file, text: first, pieces, emptyContinuation: undefined, comments };
    const texts = [kept];
    let { length } = kept;
    let hasEmptyLine = false;
    for (; kept !== undefined && index < physical.length; index++) {
      const raw = trimBreak(physical[index] ?? '');
      const blank = leadingSpace(raw);
      if (blank === raw.length) hasEmptyLine = true;
      else if (raw[blank] === '#') addComment(raw.slice(blank), blank);
      else {
        pieces.push({ from: length, at: placeIn(0) });
        kept = withoutContinuation(raw, escape);
        texts.push(kept ?? raw);
        length += (kept ?? raw).length;
      }
    }
    return { file, text: texts.join(''), pieces, emptyContinuation: hasEmptyLine ? lineBefore() : undefined, comments };
  }

  function lineBefore(): TextSpan {
    index--;
    const span = spanIn(0, trimBreak(physical[index] ?? '').length);
    index++;
    return span;
  }

  function readHeredoc(name: string, chomp: boolean): HeredocBody | undefined {
    const start = index;
    for (let at = index; at < physical.length; at++) {
      const line = trimBreak(physical[at] ?? '');
      if ((chomp ? line.replace(/^\t+/u, '') : line) !== name) continue;
      const first: TextPosition = { line: start + 1, column: 1, offset: starts[start] ?? 0 };
      index = at;
      const { start: end, end: behind } = spanIn(0, line.length);
      index = at + 1;
      return {
        content: source.slice(first.offset, end.offset),
        contentSpan: { file, start: first, end },
        span: { file, start: first, end: behind },
      };
    }
    index = physical.length;
    return undefined;
  }

  return {
    next,
    readHeredoc,
    directives,
    comments: allComments,
    get escape() {
      return escape;
    },
  };
}

/** A text as one line by itself. */
export function lineOf(text: string, file = ''): LogicalLine {
  const start = { line: 1, column: 1, offset: 0 };
  return { file, text, pieces: [{ from: 0, at: start }], emptyContinuation: undefined, comments: [] };
}

/** The place of the character at `offset`. */
function positionAt(line: LogicalLine, offset: number): TextPosition {
  let low = 0;
  let high = line.pieces.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((line.pieces[middle]?.from ?? 0) <= offset) low = middle;
    else high = middle - 1;
  }
  const { from, at } = line.pieces[low] ?? { from: 0, at: { line: 1, column: 1, offset: 0 } };
  return { line: at.line, column: at.column + offset - from, offset: at.offset + offset - from };
}

/** From the character at `start` to the one before `end`. */
export function spanOf(line: LogicalLine, start: number, end: number): TextSpan {
  const from = positionAt(line, start);
  if (end <= start) return { file: line.file, start: from, end: from };
  const length = end - start;
  if (line.pieces.length === 1)
    return { file: line.file, start: from, end: { line: from.line, column: from.column + length, offset: from.offset + length } };
  const last = positionAt(line, end - 1);
  return { file: line.file, start: from, end: { line: last.line, column: last.column + 1, offset: last.offset + 1 } };
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

/** Where each line begins in the text, whose first lines begin at `first`. */
function startsOf(lines: readonly string[], first: number): Float64Array {
  const starts = new Float64Array(lines.length);
  let at = first;
  for (let index = 0; index < lines.length; index++) {
    starts[index] = at;
    at += (lines[index]?.length ?? 0) + 1;
  }
  return starts;
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
