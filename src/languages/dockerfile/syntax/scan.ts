/** Cuts a logical line into words. Offsets are into the line's text; nothing here fails. */
import { isSpace } from '#languages/frontend/spaces.ts';
import type { EscapeCharacter } from '#languages/frontend/words.ts';
import type { Word } from '../ast.ts';
import { spanOf, type LogicalLine } from './lines.ts';

/** A stretch of a logical line. */
export type Stretch = { readonly line: LogicalLine; readonly start: number; readonly end: number };

export function wordOf(line: LogicalLine, start: number, end: number): Word {
  return { text: line.text.slice(start, end), span: spanOf(line, start, end) };
}

/** White space that parts an instruction's name and plain words; others (such as no-break spaces) belong to words. */
export function isSeparator(character: string | undefined): boolean {
  return character === ' ' || character === '\t' || character === '\v' || character === '\f' || character === '\r';
}

/** The stretch without white space at its ends. */
export function trimStretch(stretch: Stretch): Stretch {
  const { line, start, end } = stretch;
  let from = start;
  let to = end;
  while (from < to && isSpace(line.text[from] ?? '')) from++;
  while (to > from && isSpace(line.text[to - 1] ?? '')) to--;
  return from === start && to === end ? stretch : { line, start: from, end: to };
}

/** The stretch as a word. */
export function asWord({ line, start, end }: Stretch): Word {
  return wordOf(line, start, end);
}

export function textOf({ line, start, end }: Stretch): string {
  return line.text.slice(start, end);
}

/** Words between separators; quotes do not count. */
export function splitPlain({ line, start, end }: Stretch): Word[] {
  const words: Word[] = [];
  let at = start;
  while (at < end) {
    while (at < end && isSeparator(line.text[at])) at++;
    const from = at;
    while (at < end && !isSeparator(line.text[at])) at++;
    if (at > from) words.push(wordOf(line, from, at));
  }
  return words;
}

/** Words between white space that is neither quoted nor escaped; quotes stay. An escape character at the very end is dropped. */
export function splitQuoted({ line, start, end }: Stretch, escape: EscapeCharacter): Stretch[] {
  const words: Stretch[] = [];
  const { text } = line;
  let at = start;
  while (at < end) {
    while (at < end && isSpace(text[at] ?? '')) at++;
    if (at >= end) break;
    const from = at;
    let quote = '';
    let dropped = false;
    for (; at < end; at++) {
      const character = text[at] ?? '';
      if (quote === '' && isSpace(character)) break;
      if (character === escape && quote !== "'") {
        if (at + 1 === end) dropped = true;
        else at++;
      } else if (quote === '' ? character === '"' || character === "'" : character === quote) quote = quote === '' ? character : '';
    }
    const to = dropped ? end - 1 : Math.min(at, end);
    if (to > from) words.push({ line, start: from, end: to });
  }
  return words;
}
