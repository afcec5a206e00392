/** Checks that a syntax tree's places are those of the text it was made of. */
import assert from 'node:assert/strict';
import type { TextPosition, TextSpan } from '#ground/base/span.ts';
import type { Dockerfile } from '#languages/dockerfile/ast.ts';
import { trimSpace } from '#languages/frontend/spaces.ts';

/** Every span of the tree lies in the text, line and column say the same as the offset, and what stands there is the word. */
export function checkSpans(text: string, dockerfile: Dockerfile): void {
  const place = createPlaceCheck(text);
  const visit = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return;
    if (isSpan(value)) return place(value);
    checkNode(text, value, dockerfile.escape);
    for (const each of Object.values(value)) visit(each);
  };
  visit(dockerfile);
}

function createPlaceCheck(text: string): (span: TextSpan) => void {
  const bom = text.startsWith('\ufeff') ? 1 : 0;
  const starts = [bom];
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
  const check = ({ line, column, offset }: TextPosition): void => {
    assert.equal(offset, (starts[line - 1] ?? Number.NaN) + column - 1, `${line}:${column} of ${JSON.stringify(text)}`);
    assert.ok(offset >= bom && offset <= text.length && offset < (starts[line] ?? Infinity), `${offset} of ${JSON.stringify(text)}`);
  };
  return ({ start, end }) => {
    check(start);
    check(end);
    assert.ok(start.offset <= end.offset);
  };
}

function isSpan(value: object): value is TextSpan {
  return 'start' in value && 'end' in value;
}

function checkNode(text: string, node: object, escape: string): void {
  const written = (span: TextSpan): string => text.slice(span.start.offset, span.end.offset);
  if ('contentSpan' in node && 'content' in node) assert.equal(written(node.contentSpan as TextSpan), node.content);
  if ('valueSpan' in node && 'value' in node) {
    const value = unfold(written(node.valueSpan as TextSpan), escape);
    assert.ok(sameWord(value, typeof node.value === 'string' ? node.value : ''), `${value} in ${JSON.stringify(text)}`);
  }
  if ('text' in node && typeof node.text === 'string' && 'span' in node) {
    const word = unfold(written(node.span as TextSpan), escape);
    assert.ok(sameWord(word, node.text), `${JSON.stringify(word)} is not ${JSON.stringify(node.text)} in ${JSON.stringify(text)}`);
  }
}

/** A word that goes on in the next line, in one piece. */
function unfold(written: string, escape: string): string {
  const lines = written.split('\n');
  const kept = lines.filter((line, index) => index === 0 || (line.trim() !== '' && !line.trim().startsWith('#')));
  return kept
    .map((line, index) => {
      const bare = index < kept.length - 1 ? line.replace(/\r+$/u, '') : line;
      const end = bare.replace(/[ \t]+$/u, '');
      return index < kept.length - 1 && end.endsWith(escape) && !end.endsWith(escape + escape) ? end.slice(0, -1) : bare;
    })
    .join('');
}

/** As it is written, or as a comment, a JSON string or a flag's value is written. */
function sameWord(written: string, word: string): boolean {
  if (
    written === word ||
    written.trim() === word ||
    trimSpace(written) === word ||
    (written.startsWith('#') && written.slice(1).trim() === word)
  )
    return true;
  if (written.startsWith('"') && jsonText(written) === word.trim()) return true;
  // The quote may have begun before the "=" of a flag.
  return ['', '"', "'"].some((open) => withoutQuotes(`${open}${written}`) === word);
}

/** As a flag is read: a backslash takes the next character everywhere, the other kind of quote is plain text inside quotes. */
function withoutQuotes(written: string): string {
  return written.replaceAll(/"((?:\\.|[^"\\])*)"?|'((?:\\.|[^'\\])*)'?|\\.?/gsu, (match, double?: string, single?: string) =>
    withoutEscapes(double ?? single ?? match),
  );
}

function withoutEscapes(text: string): string {
  return text.replaceAll(/\\(.?)/gsu, '$1');
}

function jsonText(written: string): string | undefined {
  try {
    const value: unknown = JSON.parse(written);
    return typeof value === 'string' ? value.toWellFormed().trim() : undefined;
  } catch {
    return undefined;
  }
}
