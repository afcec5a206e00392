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
  const meter: Meter = { work: source.length };
  let matched: Set<string> | undefined;
  let unmatched: Set<string> | undefined;
  try {
    const reader = createReader(source, { rules, meter }, (name) => {
      const value = variables.get(name);
      meter.work += value?.length ?? 0;
      if (value === undefined) (unmatched ??= new Set()).add(name);
      else (matched ??= new Set()).add(name);
      return value;
    });
    const { text, words } = reader.readAll();
    meter.work += text.length;
    return { text, words, matched: matched ?? noNames, unmatched: unmatched ?? noNames, work: meter.work, fault: undefined };
  } catch (error) {
    if (!(error instanceof JettisonError)) throw error;
    return { text: '', words: [], matched: matched ?? noNames, unmatched: unmatched ?? noNames, work: meter.work, fault: messageOf(error) };
  }
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

type Context = { readonly rules: WordRules; readonly meter: Meter };

function createReader(source: string, { rules, meter }: Context, lookup: (name: string) => string | undefined) {
  let position = 0;
  let depth = 0;
  let keepEscapes = rules.keepEscapes ?? false;

  const peek = (): string => {
    const code = source.codePointAt(position);
    return code === undefined ? '' : String.fromCodePoint(code);
  };
  const next = (): string => {
    const character = peek();
    position += character.length;
    return character;
  };

  /** Reads up to `stop` ('' for the end) and past it. */
  function readUntil(stop: string, rawEscapes: boolean): Read {
    if (++depth > deepest) throw bad(`variables are nested more than ${deepest} deep`);
    const before = keepEscapes;
    keepEscapes = rawEscapes;
    const out = createCollector();
    for (let character = peek(); character !== ''; character = peek()) {
      if (character === stop) {
        next();
        keepEscapes = before;
        depth--;
        return out.finish();
      }
      if (character === '$') out.addSplit(readDollar());
      else if (rules.plainQuotes !== true && (character === "'" || character === '"'))
        out.addWhole(character === '"' ? readDoubleQuote() : readSingleQuote());
      else if (rules.plainQuotes !== true && character === '<') out.addWhole(readAngle());
      else if (character === rules.escape) readEscape(out);
      else out.addSplit(readPlain(stop));
    }
    if (stop !== '') throw bad(stop === '}' ? "syntax error: missing '}'" : `syntax error: missing '${stop}' in \${}`);
    keepEscapes = before;
    depth--;
    return out.finish();
  }

  /** The character at hand, and what follows it up to the next one that may mean something. */
  function readPlain(stop: string): string {
    const start = position;
    next();
    for (; position < source.length; position++) {
      const character = source[position] ?? '';
      if (character === stop || character === rules.escape || '$\'"<'.includes(character)) break;
    }
    return source.slice(start, position);
  }

  function readEscape(out: Collector): void {
    const escape = next();
    if (keepEscapes) out.addWhole(escape);
    const character = next();
    if (character !== '') out.addWhole(character);
  }

  /** `<<` keeps the white space behind it in the word, so that `<< EOF` is one word. */
  function readAngle(): string {
    const start = position;
    next();
    if (peek() !== '<') return '<';
    next();
    while (peek() !== '' && isSpace(peek())) next();
    return source.slice(start, position);
  }

  function readSingleQuote(): string {
    next();
    const end = source.indexOf("'", position);
    if (end < 0) throw bad('unexpected end of statement while looking for matching single-quote');
    const text = source.slice(position, end);
    position = end + 1;
    return rules.keepQuotes === true ? `'${text}'` : text;
  }

  function readDoubleQuote(): string {
    next();
    const parts: string[] = [rules.keepQuotes === true ? '"' : ''];
    for (;;) {
      const character = peek();
      if (character === '') throw bad('unexpected end of statement while looking for matching double-quote');
      if (character === '"') {
        next();
        if (rules.keepQuotes === true) parts.push('"');
        return parts.join('');
      }
      if (character === '$') parts.push(readDollar());
      else if (character === rules.escape) parts.push(readQuotedEscape());
      else parts.push(next());
    }
  }

  /** Inside double quotes only the quote, `$` and the escape character itself can be escaped. */
  function readQuotedEscape(): string {
    const escape = next();
    const kept = keepEscapes ? escape : '';
    const character = peek();
    if (character === '') return kept;
    if (character === '"' || character === '$' || character === rules.escape) return kept + next();
    return kept + escape;
  }

  function readDollar(): string {
    next();
    if (peek() !== '{') {
      const name = readName();
      if (name === '') return '$';
      const value = lookup(name);
      return value ?? (rules.keepUnset === true ? `$${name}` : '');
    }
    next();
    const character = peek();
    if (character === '') throw bad("syntax error: missing '}'");
    if (character === '{' || character === '}' || character === ':') throw bad('syntax error: bad substitution');
    return readModifier(readName());
  }

  function readModifier(name: string): string {
    let modifier = next();
    if (modifier === '') throw bad("syntax error: missing '}'");
    if (modifier === '}') {
      const value = lookup(name);
      return value ?? (rules.keepUnset === true ? `\${${name}}` : '');
    }
    if (modifier === '/') return readReplacement(name);
    const colon = modifier === ':';
    if (colon) modifier = next();
    const written = `${colon ? ':' : ''}${modifier}`;
    if (!'+-?#%'.includes(modifier) || modifier === '') {
      if (source.indexOf('}', position - 1) < 0) throw bad(`syntax error: missing '}' behind modifier "${written}"`);
      throw bad(`unsupported modifier (${written}) in substitution`);
    }
    const word = readUntil('}', modifier === '#' || modifier === '%').text;
    const value = lookup(name);
    if (value === undefined && rules.keepUnset === true) return `\${${name}${written}${word}}`;
    return limited(applyModifier({ name, modifier, colon, word, value, meter }));
  }

  function readReplacement(name: string): string {
    const all = peek() === '/';
    if (all) next();
    const pattern = readUntil('/', true).text;
    const replacement = readUntil('}', true).text;
    const value = lookup(name);
    if (value === undefined && rules.keepUnset === true) return `\${${name}/${all ? '/' : ''}${pattern}/${replacement}}`;
    return replaceMatches(value ?? '', parseShellPattern(pattern), { replacement, all, longest, meter });
  }

  /** A name, a run of digits, or one of the special parameters of `sh`; '' for none. */
  function readName(): string {
    const start = position;
    if ('@*#?-$!'.includes(peek()) && peek() !== '') {
      next();
      return source.slice(start, position);
    }
    const pattern = /\p{Nd}/u.test(peek()) ? /^\p{Nd}$/u : /^[\p{L}\p{Nd}_]$/u;
    while (pattern.test(peek())) next();
    return source.slice(start, position);
  }

  return { readAll: () => readUntil('', keepEscapes) };
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

type Collector = { addSplit(text: string): void; addWhole(text: string): void; finish(): Read };

/** Puts the result together and cuts it into words beside. */
function createCollector(): Collector {
  const out: string[] = [];
  const words: string[] = [];
  let length = 0;
  let word = '';
  let inWord = false;
  const push = (text: string): void => {
    length += text.length;
    if (length > longest) throw bad(`a word grows longer than ${longest} characters`);
    out.push(text);
  };
  const finishWord = (): void => {
    if (word !== '') words.push(word);
    word = '';
  };
  return {
    addSplit(text) {
      push(text);
      for (let at = 0; at < text.length;) {
        const from = at;
        while (at < text.length && !isSpace(text[at] ?? '')) at++;
        if (at > from) {
          word += text.slice(from, at);
          inWord = true;
        }
        if (at >= text.length) return;
        if (inWord && word !== '') {
          finishWord();
          inWord = false;
        }
        at++;
      }
    },
    addWhole(text) {
      push(text);
      word += text;
      inWord = true;
    },
    finish() {
      finishWord();
      return { text: out.join(''), words };
    },
  };
}

function limited(text: string): string {
  if (text.length > longest) throw bad(`a word grows longer than ${longest} characters`);
  return text;
}
