/**
 * Words of a Dockerfile: quotes, escapes and variables, with the rules of BuildKit's lexer (close to those of `sh`).
 * `$x ${x} ${x:-y} ${x-y} ${x:+y} ${x+y} ${x:?e} ${x?e} ${x#p} ${x##p} ${x%p} ${x%%p} ${x/p/r} ${x//p/r}`.
 * One pass over the text, with a limit on nesting and on the length of what comes out.
 */
import { JettisonError, messageOf } from '#ground/base/errors.ts';
import { parseShellPattern, replaceMatches, trimEnd, trimStart, type Meter } from './shell-pattern.ts';

export type EscapeCharacter = '\\' | '`';

export type WordRules = {
  readonly escape: EscapeCharacter;
  /** Quotes stay in the result; they still group. */
  readonly keepQuotes?: boolean;
  /** Escape characters stay in the result; they still escape. */
  readonly keepEscapes?: boolean;
  /** Quotes are plain text (bodies of here-documents). */
  readonly plainQuotes?: boolean;
  /** A variable that is not set stays as written. */
  readonly keepUnset?: boolean;
};

export type Expansion = {
  readonly text: string;
  /** The text cut at white space that was not quoted or escaped. */
  readonly words: readonly string[];
  /** Names of variables that were looked up and set, in order. */
  readonly matched: ReadonlySet<string>;
  /** Names of variables that were looked up and not set, in order. */
  readonly unmatched: ReadonlySet<string>;
  /** Characters that were read and written, values of variables and steps of patterns included: what the expansion cost. */
  readonly work: number;
  /** What is wrong with the text; then `text` and `words` are empty. */
  readonly fault: string | undefined;
};

/** A word in which nothing can be special. */
const ordinary = /^[\w./:@=,+%*?#!~^[\]-]{1,4096}$/u;
const noNames: ReadonlySet<string> = new Set();

const deepest = 100;
const longest = 1 << 20;

export type Expand = (source: string, variables: ReadonlyMap<string, string>, rules: WordRules) => Expansion;

/**
 * An `expandWord` for all words of a file. Few words can make many large ones (`ARG b=$a$a`): when all together have cost `most`
 * characters, every further word is a fault.
 */
export function createExpander(most: number): Expand {
  let left = most;
  return (source, variables, rules) => {
    if (left < 0) {
      const fault = `the words of this file grow to more than ${most} characters`;
      return { text: '', words: [], matched: noNames, unmatched: noNames, work: 0, fault };
    }
    const expansion = expandWord(source, variables, rules);
    left -= expansion.work;
    return expansion;
  };
}

/** Takes a word as written and the variables in force; never throws, faults are in the result. */
export function expandWord(source: string, variables: ReadonlyMap<string, string>, rules: WordRules): Expansion {
  if (ordinary.test(source))
    return { text: source, words: [source], matched: noNames, unmatched: noNames, work: source.length, fault: undefined };
  const reader: Reader = {
    source,
    variables,
    rules,
    meter: { work: source.length },
    position: 0,
    depth: 0,
    keepEscapes: rules.keepEscapes ?? false,
    matched: undefined,
    unmatched: undefined,
  };
  try {
    const { text, words } = readUntil(reader, '', reader.keepEscapes);
    reader.meter.work += text.length;
    return resultOf(reader, { text, words, fault: undefined });
  } catch (error) {
    if (!(error instanceof JettisonError)) throw error;
    return resultOf(reader, { text: '', words: [], fault: messageOf(error) });
  }
}

function resultOf(reader: Reader, { text, words, fault }: Pick<Expansion, 'text' | 'words' | 'fault'>): Expansion {
  return { text, words, matched: reader.matched ?? noNames, unmatched: reader.unmatched ?? noNames, work: reader.meter.work, fault };
}

/** White space as Go's unicode.IsSpace has it: what trims and parts words in BuildKit. */
export function isSpace(character: string): boolean {
  const code = character.charCodeAt(0);
  if (code <= 0x20) return code === 0x20 || (code >= 0x09 && code <= 0x0d);
  if (code < 0x85) return false;
  return (
    code === 0x85 ||
    code === 0xa0 ||
    code === 0x1680 ||
    (code >= 0x2000 && code <= 0x200a) ||
    code === 0x2028 ||
    code === 0x2029 ||
    code === 0x202f ||
    code === 0x205f ||
    code === 0x3000
  );
}

/** Without white space at the ends, as Go's strings.TrimSpace; JavaScript's `trim` also takes byte order marks. */
export function trimSpace(text: string): string {
  let [start, end] = [0, text.length];
  while (start < end && isSpace(text[start] ?? '')) start++;
  while (end > start && isSpace(text[end - 1] ?? '')) end--;
  return text.slice(start, end);
}

type Read = { readonly text: string; readonly words: readonly string[] };

function bad(message: string): JettisonError {
  return new JettisonError('frontend/bad-substitution', message);
}

/** A text on its way through the reading. */
type Reader = {
  readonly source: string;
  readonly variables: ReadonlyMap<string, string>;
  readonly rules: WordRules;
  readonly meter: Meter;
  position: number;
  depth: number;
  keepEscapes: boolean;
  matched: Set<string> | undefined;
  unmatched: Set<string> | undefined;
};

function lookUp(reader: Reader, name: string): string | undefined {
  const value = reader.variables.get(name);
  reader.meter.work += value?.length ?? 0;
  if (value === undefined) (reader.unmatched ??= new Set()).add(name);
  else (reader.matched ??= new Set()).add(name);
  return value;
}

/** The UTF-16 unit at hand; '' at the end. */
function peek({ source, position }: Reader): string {
  return source[position] ?? '';
}

/** The character at hand, whole, and past it. */
function next(reader: Reader): string {
  const code = reader.source.codePointAt(reader.position);
  if (code === undefined) return '';
  const { position } = reader;
  reader.position += code > 0xffff ? 2 : 1;
  return reader.source.slice(position, reader.position);
}

/** Reads up to `stop` ('' for the end) and past it. */
function readUntil(reader: Reader, stop: string, rawEscapes: boolean): Read {
  if (++reader.depth > deepest) throw bad(`variables are nested more than ${deepest} deep`);
  const { rules, keepEscapes: before } = reader;
  const hasQuotes = rules.plainQuotes !== true;
  reader.keepEscapes = rawEscapes;
  const out: Collector = { parts: [], words: [], length: 0, word: '', inWord: false };
  for (let character = peek(reader); character !== ''; character = peek(reader)) {
    if (character === stop) {
      reader.position++;
      reader.keepEscapes = before;
      reader.depth--;
      return finish(out);
    }
    if (character === '$') addSplit(out, readDollar(reader));
    else if (hasQuotes && character === '"') addWhole(out, readDoubleQuote(reader));
    else if (hasQuotes && character === "'") addWhole(out, readSingleQuote(reader));
    else if (hasQuotes && character === '<') addWhole(out, readAngle(reader));
    else if (character === rules.escape) readEscape(reader, out);
    else addSplit(out, readPlain(reader, stop));
  }
  if (stop !== '') throw bad(stop === '}' ? "syntax error: missing '}'" : `syntax error: missing '${stop}' in \${}`);
  reader.keepEscapes = before;
  reader.depth--;
  return finish(out);
}

/** What may mean something outside of quotes, for each character that ends what is read. */
const outsideMarks: Readonly<Record<string, RegExp>> = { '': /[$'"<\\`]/gu, '}': /[$'"<\\`}]/gu, '/': /[$'"<\\`/]/gu };
const quotedMarks = /[$"\\`]/gu;

/** Where the next match is, from `position` on; the end of the text for none. */
function findMark({ source }: Reader, mark: RegExp | undefined, position: number): number {
  if (mark === undefined) return position;
  mark.lastIndex = position;
  return mark.test(source) ? mark.lastIndex - 1 : source.length;
}

/** The character at hand, and what follows it up to the next one that may mean something. */
function readPlain(reader: Reader, stop: string): string {
  const start = reader.position;
  reader.position = findMark(reader, outsideMarks[stop], start + 1);
  return reader.source.slice(start, reader.position);
}

function readEscape(reader: Reader, out: Collector): void {
  const escape = next(reader);
  if (reader.keepEscapes) addWhole(out, escape);
  const character = next(reader);
  if (character !== '') addWhole(out, character);
}

/** `<<` keeps the white space behind it in the word, so that `<< EOF` is one word. */
function readAngle(reader: Reader): string {
  const { source, position: start } = reader;
  reader.position++;
  if (peek(reader) !== '<') return '<';
  reader.position++;
  while (reader.position < source.length && isSpace(peek(reader))) reader.position++;
  return source.slice(start, reader.position);
}

function readSingleQuote(reader: Reader): string {
  const { source } = reader;
  const start = reader.position + 1;
  const end = source.indexOf("'", start);
  if (end < 0) throw bad('unexpected end of statement while looking for matching single-quote');
  reader.position = end + 1;
  return reader.rules.keepQuotes === true ? source.slice(start - 1, end + 1) : source.slice(start, end);
}

function readDoubleQuote(reader: Reader): string {
  const { source, rules } = reader;
  const quote = rules.keepQuotes === true ? '"' : '';
  reader.position++;
  let text = quote;
  for (;;) {
    const start = reader.position;
    reader.position = findMark(reader, quotedMarks, start);
    if (reader.position > start) text += source.slice(start, reader.position);
    const character = peek(reader);
    if (character === '') throw bad('unexpected end of statement while looking for matching double-quote');
    if (character === '"') {
      reader.position++;
      return text + quote;
    }
    if (character === '$') text += readDollar(reader);
    else if (character === rules.escape) text += readQuotedEscape(reader);
    else text += next(reader);
  }
}

/** Inside double quotes only the quote, `$` and the escape character itself can be escaped. */
function readQuotedEscape(reader: Reader): string {
  const escape = next(reader);
  const kept = reader.keepEscapes ? escape : '';
  const character = peek(reader);
  if (character === '') return kept;
  if (character === '"' || character === '$' || character === reader.rules.escape) return kept + next(reader);
  return kept + escape;
}

function readDollar(reader: Reader): string {
  reader.position++;
  if (peek(reader) !== '{') {
    const name = readName(reader);
    if (name === '') return '$';
    const value = lookUp(reader, name);
    return value ?? (reader.rules.keepUnset === true ? `$${name}` : '');
  }
  reader.position++;
  const character = peek(reader);
  if (character === '') throw bad("syntax error: missing '}'");
  if (character === '{' || character === '}' || character === ':') throw bad('syntax error: bad substitution');
  return readModifier(reader, readName(reader));
}

function readModifier(reader: Reader, name: string): string {
  const { rules, meter } = reader;
  let modifier = next(reader);
  if (modifier === '') throw bad("syntax error: missing '}'");
  if (modifier === '}') {
    const value = lookUp(reader, name);
    return value ?? (rules.keepUnset === true ? `\${${name}}` : '');
  }
  if (modifier === '/') return readReplacement(reader, name);
  const colon = modifier === ':';
  if (colon) modifier = next(reader);
  const written = `${colon ? ':' : ''}${modifier}`;
  if (!'+-?#%'.includes(modifier) || modifier === '') {
    if (reader.source.indexOf('}', reader.position - 1) < 0) throw bad(`syntax error: missing '}' behind modifier "${written}"`);
    throw bad(`unsupported modifier (${written}) in substitution`);
  }
  const word = readUntil(reader, '}', modifier === '#' || modifier === '%').text;
  const value = lookUp(reader, name);
  if (value === undefined && rules.keepUnset === true) return `\${${name}${written}${word}}`;
  return limited(applyModifier({ name, modifier, colon, word, value, meter }));
}

function readReplacement(reader: Reader, name: string): string {
  const all = peek(reader) === '/';
  if (all) reader.position++;
  const pattern = readUntil(reader, '/', true).text;
  const replacement = readUntil(reader, '}', true).text;
  const value = lookUp(reader, name);
  if (value === undefined && reader.rules.keepUnset === true) return `\${${name}/${all ? '/' : ''}${pattern}/${replacement}}`;
  return replaceMatches(value ?? '', parseShellPattern(pattern), { replacement, all, longest, meter: reader.meter });
}

/** Nearly every name, from where it is looked for. */
const plainName = /[A-Za-z_][A-Za-z0-9_]*/uy;

/** A name, a run of digits, or one of the special parameters of `sh`; '' for none. */
function readName(reader: Reader): string {
  const { source, position: start } = reader;
  const first = peek(reader);
  if ('@*#?-$!'.includes(first) && first !== '') {
    reader.position++;
    return first;
  }
  plainName.lastIndex = start;
  if (plainName.test(source)) {
    reader.position = plainName.lastIndex;
    if (!((source.codePointAt(reader.position) ?? 0) > 0x7f)) return source.slice(start, reader.position);
    reader.position = start;
  } else if (first === '' || (first < '\u0080' && !(first >= '0' && first <= '9'))) return '';
  return readForeignName(reader);
}

/** A name with letters beyond ASCII, or a run of digits. */
function readForeignName(reader: Reader): string {
  const { source, position: start } = reader;
  const pattern = /\p{Nd}/u.test(characterAt(source, start)) ? /^\p{Nd}$/u : /^[\p{L}\p{Nd}_]$/u;
  while (pattern.test(characterAt(source, reader.position))) next(reader);
  return source.slice(start, reader.position);
}

function characterAt(source: string, position: number): string {
  const code = source.codePointAt(position);
  return code === undefined ? '' : String.fromCodePoint(code);
}

function applyModifier(use: {
  readonly name: string;
  readonly modifier: string;
  readonly colon: boolean;
  readonly word: string;
  readonly value: string | undefined;
  readonly meter: Meter;
}): string {
  const { name, modifier, colon, word, value, meter } = use;
  const missing = value === undefined || (colon && value === '');
  switch (modifier) {
    case '-':
      return missing ? word : value;
    case '+':
      return missing ? '' : word;
    case '?':
      if (missing) throw bad(`${name}: ${word === '' ? `is not allowed to be ${value === undefined ? 'unset' : 'empty'}` : word}`);
      return value;
    default: {
      const longestMatch = word.startsWith(modifier);
      const pattern = parseShellPattern(longestMatch ? word.slice(1) : word);
      return (modifier === '#' ? trimStart : trimEnd)(value ?? '', pattern, { longest: longestMatch, meter });
    }
  }
}

/** A result being put together and, beside, cut into words. */
type Collector = { readonly parts: string[]; readonly words: string[]; length: number; word: string; inWord: boolean };

function push(out: Collector, text: string): void {
  out.length += text.length;
  if (out.length > longest) throw bad(`a word grows longer than ${longest} characters`);
  out.parts.push(text);
}

function addWhole(out: Collector, text: string): void {
  push(out, text);
  out.word += text;
  out.inWord = true;
}

/** All that `isSpace` tells. */
const anySpace = /[\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]/u;

function addSplit(out: Collector, text: string): void {
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

function finish(out: Collector): Read {
  finishWord(out);
  return { text: out.parts.length === 1 ? (out.parts[0] ?? '') : out.parts.join(''), words: out.words };
}

function limited(text: string): string {
  if (text.length > longest) throw bad(`a word grows longer than ${longest} characters`);
  return text;
}
