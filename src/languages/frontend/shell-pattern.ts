/**
 * Shell patterns of `${x#p}`, `${x%p}` and `${x/p/r}`: `*` is any text, `?` one character, `\` takes the next of `* ? \ } /` literally.
 * Sets in brackets are plain text, as in BuildKit. A pattern is cut at its stars, and each piece is looked for once, so that no pattern
 * makes matching go back; `budget` still bounds the comparisons of long pieces.
 */
import { JettisonError } from '#ground/base/errors.ts';

/** One character, or undefined for `?`. */
type Piece = readonly (string | undefined)[];

/** At least one piece; between two pieces stands a `*`. */
export type ShellPattern = readonly Piece[];

const budget = 1 << 24;

/** Counts the work of matching, for who has to bound the work of many patterns. */
export type Meter = { work: number };
const escapable = '*?\\}/';

/** Throws `frontend/bad-pattern` for a backslash before any other character. */
export function parseShellPattern(text: string): ShellPattern {
  const pieces: (string | undefined)[][] = [[]];
  const characters = Array.from(text);
  for (let index = 0; index < characters.length; index++) {
    let character = characters[index] ?? '';
    if (character === '*') {
      pieces.push([]);
      continue;
    }
    if (character === '\\') {
      character = characters[++index] ?? '';
      if (character === '' || !escapable.includes(character))
        throw new JettisonError('frontend/bad-pattern', `Invalid escape "\\${character}" in pattern "${text.slice(0, 80)}"`, {
          hint: 'Only "*", "?", "\\", "/" and "}" can stand behind a backslash',
        });
      pieces.at(-1)?.push(character);
    } else pieces.at(-1)?.push(character === '?' ? undefined : character);
  }
  return pieces;
}

export type Trimming = { readonly longest: boolean; readonly meter: Meter };

/** `value` without its shortest or longest beginning that the pattern matches. */
export function trimStart(value: string, pattern: ShellPattern, { longest, meter }: Trimming): string {
  const text = Array.from(value);
  const end = createMatcher(text, pattern, meter).endFrom(0, longest);
  return end === undefined ? value : text.slice(end).join('');
}

/** `value` without its shortest or longest end that the pattern matches. */
export function trimEnd(value: string, pattern: ShellPattern, { longest, meter }: Trimming): string {
  const reversed = pattern.map((piece) => piece.toReversed()).toReversed();
  const text = Array.from(value).toReversed();
  const end = createMatcher(text, reversed, meter).endFrom(0, longest);
  return end === undefined ? value : text.slice(end).toReversed().join('');
}

export type Replacing = {
  readonly replacement: string;
  readonly all: boolean;
  /** Of the result, in UTF-16 units. */
  readonly longest: number;
  readonly meter: Meter;
};

/** `value` with the first, or every, longest match from the left replaced. Throws `frontend/too-long`. */
export function replaceMatches(value: string, pattern: ShellPattern, options: Replacing): string {
  const text = Array.from(value);
  const matcher = createMatcher(text, pattern, options.meter);
  const out: string[] = [];
  let length = 0;
  const push = (part: string): void => {
    length += part.length;
    if (length > options.longest) throw new JettisonError('frontend/too-long', `a word grows longer than ${options.longest} characters`);
    out.push(part);
  };
  let from = 0;
  let lastEnd = -1;
  while (from <= text.length) {
    const match = matcher.findFrom(from);
    if (!match) break;
    push(text.slice(from, match.start).join(''));
    const empty = match.end === match.start;
    if (!(empty && match.start === lastEnd)) push(options.replacement);
    if (empty) push(text[match.start] ?? '');
    lastEnd = match.end;
    from = empty ? match.end + 1 : match.end;
    if (!options.all) break;
  }
  push(text.slice(from).join(''));
  return out.join('');
}

type Matcher = {
  /** End of the shortest or longest match that begins at `start`. */
  endFrom(start: number, longest: boolean): number | undefined;
  /** The first place at or behind `from` where the pattern matches, with its longest match. */
  findFrom(from: number): { readonly start: number; readonly end: number } | undefined;
};

function createMatcher(text: readonly string[], pattern: ShellPattern, meter: Meter): Matcher {
  let steps = 0;
  const fits = (piece: Piece, at: number): boolean => {
    if (at < 0 || at + piece.length > text.length) return false;
    for (let index = 0; index < piece.length; index++) {
      meter.work++;
      if (++steps > budget) throw new JettisonError('frontend/costly-pattern', 'Pattern of a variable takes too long to match');
      if (piece[index] !== undefined && piece[index] !== text[at + index]) return false;
    }
    return true;
  };
  const search = (piece: Piece, from: number): number | undefined => {
    for (let at = from; at + piece.length <= text.length; at++) if (fits(piece, at)) return at;
    return undefined;
  };
  const searchBackwards = (piece: Piece, from: number): number | undefined => {
    for (let at = text.length - piece.length; at >= from; at--) if (fits(piece, at)) return at;
    return undefined;
  };
  /** Places all pieces behind the first one, each as far left as it goes; only the last one may go right. */
  const rest = (end: number, longest: boolean): number | undefined => {
    let at = end;
    for (let index = 1; index < pattern.length; index++) {
      const piece = pattern[index] ?? [];
      const found = longest && index === pattern.length - 1 ? searchBackwards(piece, at) : search(piece, at);
      if (found === undefined) return undefined;
      at = found + piece.length;
    }
    return at;
  };
  const first = pattern[0] ?? [];
  return {
    endFrom: (start, longest) => (fits(first, start) ? rest(start + first.length, longest) : undefined),
    findFrom(from) {
      const start = search(first, from);
      if (start === undefined) return undefined;
      const end = rest(start + first.length, true);
      return end === undefined ? undefined : { start, end };
    },
  };
}
