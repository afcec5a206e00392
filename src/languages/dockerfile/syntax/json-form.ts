/** The JSON form of RUN, CMD, COPY and others: a list of strings. What is no JSON list is taken as plain text, as BuildKit does. */
import type { Word } from '../ast.ts';
import { spanOf } from './lines.ts';
import type { Stretch } from './scan.ts';
import { textOf } from './scan.ts';

export type JsonForm =
  | { readonly kind: 'list'; readonly words: readonly Word[] }
  | { readonly kind: 'plain' }
  | { readonly kind: 'not-strings' };

/** `stretch` without white space at its ends. */
export function readJsonForm(stretch: Stretch): JsonForm {
  const text = textOf(stretch);
  if (!text.startsWith('[') || !text.endsWith(']')) return { kind: 'plain' };
  const value = parseJson(text);
  if (!Array.isArray(value)) return { kind: 'plain' };
  const places = stringPlaces(text);
  const words: Word[] = [];
  for (const [index, item] of value.entries()) {
    if (typeof item !== 'string') return { kind: 'not-strings' };
    const place = places[index] ?? { start: 0, end: text.length };
    words.push({ text: item.toWellFormed(), span: spanOf(stretch.line, stretch.start + place.start, stretch.start + place.end) });
  }
  return { kind: 'list', words };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof RangeError) return undefined;
    throw error;
  }
}

/** Where each string of a valid list of strings stands, quotes included. */
function stringPlaces(text: string): readonly { readonly start: number; readonly end: number }[] {
  const places: { start: number; end: number }[] = [];
  for (let at = text.indexOf('"'); at >= 0; at = text.indexOf('"', at)) {
    const start = at++;
    while (at < text.length && text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
    places.push({ start, end: ++at });
  }
  return places;
}
