/** The result of an expansion while it is put together: as one text and, beside, cut into words. */
import { anySpace, isSpace } from './spaces.ts';
import { badSubstitution, longest } from './word-faults.ts';

export type Read = { readonly text: string; readonly words: readonly string[] };

export type Collector = { readonly parts: string[]; readonly words: string[]; length: number; word: string; inWord: boolean };

function push(out: Collector, text: string): void {
  out.length += text.length;
  if (out.length > longest) throw badSubstitution(`a word grows longer than ${longest} characters`);
  out.parts.push(text);
}

export function createCollector(): Collector {
  return { parts: [], words: [], length: 0, word: '', inWord: false };
}

/** Adds what is no end of a word: quoted or escaped text. */
export function addWhole(out: Collector, text: string): void {
  push(out, text);
  out.word += text;
  out.inWord = true;
}

/** Adds text whose white space ends words. */
export function addSplit(out: Collector, text: string): void {
  if (!anySpace.test(text)) {
    if (text !== '') addWhole(out, text);
    return;
  }
  push(out, text);
  for (let at = 0; at < text.length;) {
    const from = at;
    while (at < text.length && !isSpace(text[at] ?? '')) at++;
    if (at > from) {
      out.word += text.slice(from, at);
      out.inWord = true;
    }
    if (at >= text.length) return;
    if (out.inWord && out.word !== '') {
      finishWord(out);
      out.inWord = false;
    }
    at++;
  }
}

function finishWord(out: Collector): void {
  if (out.word !== '') out.words.push(out.word);
  out.word = '';
}

/** The result; the last word ends here. */
export function finish(out: Collector): Read {
  finishWord(out);
  return { text: out.parts.length === 1 ? (out.parts[0] ?? '') : out.parts.join(''), words: out.words };
}
