/**
 * Words of a Dockerfile: quotes, escapes and variables, with the rules of BuildKit's lexer (close to those of `sh`).
 * `$x ${x} ${x:-y} ${x-y} ${x:+y} ${x+y} ${x:?e} ${x?e} ${x#p} ${x##p} ${x%p} ${x%%p} ${x/p/r} ${x//p/r}`.
 * One pass over the text, with a limit on nesting and on the length of what comes out.
 */
import { JettisonError, messageOf } from '#ground/base/errors.ts';
import { addSplit, addWhole, createCollector, finish, type Collector, type Read } from './collector.ts';
import { applyModifier } from './modifiers.ts';
import { parseShellPattern, replaceMatches, type Meter } from './shell-pattern.ts';
import { isSpace } from './spaces.ts';
import { badSubstitution, limited, longest } from './word-faults.ts';

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
  if (++reader.depth > deepest) throw badSubstitution(`variables are nested more than ${deepest} deep`);
  const { rules, keepEscapes: before } = reader;
  const hasQuotes = rules.plainQuotes !== true;
  reader.keepEscapes = rawEscapes;
  const out = createCollector();
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
  if (stop !== '') throw badSubstitution(stop === '}' ? "syntax error: missing '}'" : `syntax error: missing '${stop}' in \${}`);
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
  if (end < 0) throw badSubstitution('unexpected end of statement while looking for matching single-quote');
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
    if (character === '') throw badSubstitution('unexpected end of statement while looking for matching double-quote');
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
  return escape;
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
  if (character === '') throw badSubstitution("syntax error: missing '}'");
  if (character === '{' || character === '}' || character === ':') throw badSubstitution('syntax error: bad substitution');
  return readModifier(reader, readName(reader));
}

function readModifier(reader: Reader, name: string): string {
  const { rules, meter } = reader;
  let modifier = next(reader);
  if (modifier === '') throw badSubstitution("syntax error: missing '}'");
  if (modifier === '}') {
    const value = lookUp(reader, name);
    return value ?? (rules.keepUnset === true ? `\${${name}}` : '');
  }
  if (modifier === '/') return readReplacement(reader, name);
  const colon = modifier === ':';
  if (colon) modifier = next(reader);
  const written = `${colon ? ':' : ''}${modifier}`;
  if (!'+-?#%'.includes(modifier) || modifier === '') {
    if (reader.source.indexOf('}', reader.position - 1) < 0)
      throw badSubstitution(`syntax error: missing '}' behind modifier "${written}"`);
    throw badSubstitution(`unsupported modifier (${written}) in substitution`);
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
