/** Patterns with the rules of Go's path.Match, which docker lays on image names. */
import { JettisonError } from '#ground/base/errors.ts';

type Token = { readonly kind: 'star' } | { readonly kind: 'one'; readonly fits: (character: string) => boolean };

const longestPattern = 600;

/** `*` and `?` stop at slashes, `[a-z]` and `[^a]` are classes, `\` takes the next character as it is. Throws `image/bad-pattern`. */
export function matchesPattern(pattern: string, name: string): boolean {
  const patterns = splitAtSlashes(pattern).map(readTokens);
  const parts = name.split('/');
  return patterns.length === parts.length && patterns.every((tokens, index) => matchPart(tokens, Array.from(parts[index] ?? '')));
}

/** Pieces of the pattern between slashes, each a list of single tokens as they are written. */
function splitAtSlashes(pattern: string): readonly (readonly string[])[] {
  const pieces = pattern.match(/\\.|\[\^?(?:\\.|[^\\\]])+\]|[^\\[]/gsu) ?? [];
  if (pattern.length > longestPattern || pieces.join('') !== pattern) throw badPattern(pattern);
  const parts: string[][] = [[]];
  for (const piece of pieces) {
    if (piece === '/') parts.push([]);
    else parts.at(-1)?.push(piece);
  }
  return parts;
}

function readTokens(pieces: readonly string[]): readonly Token[] {
  return pieces.map((piece) => {
    if (piece === '*') return { kind: 'star' };
    if (piece === '?') return { kind: 'one', fits: () => true };
    if (piece.startsWith('[')) return { kind: 'one', fits: readClass(piece) };
    const wanted = piece.length > 1 && piece.startsWith('\\') ? piece.slice(1) : piece;
    return { kind: 'one', fits: (character) => character === wanted };
  });
}

function readClass(piece: string): (character: string) => boolean {
  const negated = piece.startsWith('[^');
  const inside = piece.slice(negated ? 2 : 1, -1);
  const ranges = [...inside.matchAll(/(\\.|[^\\-])(?:-(\\.|[^\\-]))?/gsu)];
  const limits = ranges.map((range) => [range[1] ?? '', range[2] ?? range[1] ?? ''].map((end) => end.replace(/^\\(?=.)/su, '')));
  if (ranges.map((range) => range[0]).join('') !== inside || limits.some(([low = '', high = '']) => low > high)) throw badPattern(piece);
  return (character) => limits.some(([low = '', high = '']) => character >= low && character <= high) !== negated;
}

/** Goes back only to the last star, so the work is at most pattern times name. */
function matchPart(tokens: readonly Token[], name: readonly string[]): boolean {
  let [token, at] = [0, 0];
  let star: { readonly token: number; at: number } | undefined;
  while (at < name.length || token < tokens.length) {
    const current = tokens[token];
    if (current?.kind === 'star') {
      star = { token, at };
      token++;
    } else if (current && at < name.length && current.fits(name[at] ?? '')) {
      token++;
      at++;
    } else if (star && star.at < name.length) {
      token = star.token + 1;
      at = ++star.at;
    } else return false;
  }
  return true;
}

function badPattern(pattern: string): JettisonError {
  return new JettisonError('image/bad-pattern', `Cannot read the pattern "${pattern.slice(0, 200)}"`);
}
