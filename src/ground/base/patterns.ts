/**
 * Path patterns from files and command lines that nobody vouches for, so they are run as a small automaton (work grows with pattern
 * times path, never faster) and never become a RegExp. Two dialects:
 * - ignore patterns (`.dockerignore`, `COPY --exclude`): https://docs.docker.com/build/concepts/context/#dockerignore-files, as BuildKit
 *   reads them: `**`, `!`, the last pattern that matches a path or a folder above it decides;
 * - wildcards of COPY sources: https://pkg.go.dev/path/filepath#Match.
 */
import { asByteString, toText, type ByteString } from './byte-string.ts';
import { JettisonError } from './errors.ts';

/** Which patterns of a set match a path or a folder above it, one flag a pattern. */
export type PatternState = Uint8Array<ArrayBuffer>;

export type PatternSet = {
  /** What is known above the root. */
  readonly start: PatternState;
  /** Goes one component down: the state of `path`, given the state of its folder. `path` has no leading slash. */
  enter(path: ByteString, folder: PatternState): PatternState;
  /** Does the last pattern that matched say that the path is left out? */
  leavesOut(state: PatternState): boolean;
  /** Which pattern decides, counted from 0; -1 where none matched. */
  decider(state: PatternState): number;
  /** May a `!` pattern match something below this folder? */
  mayKeepBelow(folder: ByteString): boolean;
  /** For single paths: what `enter` gives at the end of all folders above it. */
  stateOf(path: ByteString): PatternState;
  /** For single paths: is `path` left out, itself or through a folder above it? */
  matches(path: ByteString): boolean;
};

/** Ignore patterns, in order; empty ones are skipped. Throws `base/bad-pattern`. */
export function parsePatterns(patterns: readonly string[]): PatternSet {
  const parsed = patterns.flatMap(parseIgnorePattern);
  const hasExceptions = parsed.some((pattern) => pattern.exception);
  const enter = (path: ByteString, folder: PatternState): PatternState => {
    if (parsed.length === 0) return folder;
    const text = toText(path);
    const state = folder.slice();
    for (const [index, pattern] of parsed.entries()) {
      if (state[index] === 0 && pattern.matcher(text)) state[index] = 1;
    }
    return state;
  };
  const leavesOut = (state: PatternState): boolean => {
    const last = state.lastIndexOf(1);
    return last !== -1 && parsed[last]?.exception === false;
  };
  const start = new Uint8Array(parsed.length);
  const stateOf = (path: ByteString): PatternState => {
    let state: PatternState = start;
    for (let end = path.indexOf('/'); ; end = path.indexOf('/', end + 1)) {
      state = enter(end === -1 ? path : asByteString(path.slice(0, end)), state);
      if (end === -1) return state;
    }
  };
  return {
    start,
    enter,
    leavesOut,
    decider: (state) => state.lastIndexOf(1),
    mayKeepBelow(folder) {
      if (!hasExceptions) return false;
      const text = `${toText(folder)}/`;
      return parsed.some((pattern) => pattern.exception && couldContinue(pattern.program, text));
    },
    stateOf,
    matches: (path) => leavesOut(stateOf(path)),
  };
}

/** Does the whole `name` match, by Go's rules (`*` and `?` stop at slashes)? Throws `base/bad-pattern`. */
export function matchGo(pattern: string, name: ByteString): boolean {
  return goMatcher(pattern)(name);
}

/** The same, parsed once for many names. */
export function goMatcher(pattern: string): (name: ByteString) => boolean {
  const matcher = matcherOf(parseProgram(pattern, false));
  return (name) => matcher(toText(name));
}

/** One line of an ignore file in the form that `parsePatterns` works on: without spaces around, `./`, `..`, doubled, leading and trailing slashes. */
export function cleanPattern(line: string): string {
  const text = line.trim();
  // A path of nothing but the root is no exception, as in BuildKit: "!/" and "!/..".
  if (text.startsWith('!')) return `!${cleanPath(text.slice(1).trim()).replace(/^\/$/u, '')}`;
  return cleanPath(text);
}

type Step =
  | { readonly kind: 'literal'; readonly point: number }
  /** `?`: one character, not a slash. */
  | { readonly kind: 'one' }
  | { readonly kind: 'class'; readonly negated: boolean; readonly ranges: readonly (readonly [number, number])[] }
  /** `*`: any run without a slash. */
  | { readonly kind: 'star' }
  /** `**` before more: nothing, or any run that ends with a slash. */
  | { readonly kind: 'folders' }
  /** `**` at the end: anything. */
  | { readonly kind: 'rest' };

type Matcher = (text: string) => boolean;
type IgnorePattern = { readonly exception: boolean; readonly program: readonly Step[]; readonly matcher: Matcher };

const slash = 0x2f;

function parseIgnorePattern(line: string): readonly IgnorePattern[] {
  const cleaned = cleanPattern(line);
  if (cleaned === '') return [];
  const exception = cleaned.startsWith('!');
  const text = exception ? cleaned.slice(1) : cleaned;
  if (text === '') throw badPattern(line, 'there is no path behind "!"');
  const program = parseProgram(text, true);
  return [{ exception, program, matcher: matcherOf(program) }];
}

/** Go's path.Clean, then without a leading slash (a lone `/` stays and matches nothing). */
function cleanPath(path: string): string {
  if (path === '') return '';
  const rooted = path.startsWith('/');
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '' || part === '.') continue;
    if (part !== '..') parts.push(part);
    else if (parts.length > 0 && parts.at(-1) !== '..') parts.pop();
    else if (!rooted) parts.push('..');
  }
  if (parts.length > 0) return parts.join('/');
  return rooted ? '/' : '.';
}

function parseProgram(pattern: string, deep: boolean): readonly Step[] {
  const points = Array.from(pattern, (character) => character.codePointAt(0) ?? 0);
  const steps: Step[] = [];
  let at = 0;
  while (at < points.length) {
    const point = points[at++] ?? 0;
    switch (point) {
      case 0x2a:
        if (deep && points[at] === 0x2a) at = pushFolders(points, at + 1, steps);
        else if (steps.at(-1)?.kind !== 'star') steps.push({ kind: 'star' });
        break;
      case 0x3f:
        steps.push({ kind: 'one' });
        break;
      case 0x5b:
        at = pushClass(pattern, points, { at, steps });
        break;
      case 0x5c:
        if (at === points.length) throw badPattern(pattern, 'there is nothing behind the last backslash');
        steps.push({ kind: 'literal', point: points[at++] ?? 0 });
        break;
      default:
        steps.push({ kind: 'literal', point });
    }
  }
  return steps;
}

/** BuildKit reads `**` followed by plain text without a slash (`**.log`) as "ends with", not as "in any folder". */
function pushFolders(points: readonly number[], afterStars: number, steps: Step[]): number {
  const at = points[afterStars] === slash ? afterStars + 1 : afterStars;
  if (at === points.length) steps.push({ kind: 'rest' });
  else if (afterStars === 2 && at === afterStars && !points.slice(at).some(isSpecial)) steps.push({ kind: 'rest' });
  else if (steps.at(-1)?.kind !== 'folders') steps.push({ kind: 'folders' });
  return at;
}

/** `[` has been read: `[^a-c\]x]`. At least one range; `]` and `-` only behind a backslash. */
function pushClass(pattern: string, points: readonly number[], place: { readonly at: number; readonly steps: Step[] }): number {
  let at = place.at;
  const negated = points[at] === 0x5e;
  if (negated) at++;
  const ranges: (readonly [number, number])[] = [];
  const next = (): number => {
    let point = points[at++];
    if (point === 0x2d || point === 0x5d) throw badPattern(pattern, 'a "[" is empty or has a "-" or "]" out of place');
    if (point === 0x5c) point = points[at++];
    if (point === undefined || at === points.length) throw badPattern(pattern, 'a "[" is not closed');
    return point;
  };
  do {
    const low = next();
    if (points[at] !== 0x2d) ranges.push([low, low]);
    else {
      at++;
      ranges.push([low, next()]);
    }
  } while (points[at] !== 0x5d);
  place.steps.push({ kind: 'class', negated, ranges });
  return at + 1;
}

function isSpecial(point: number): boolean {
  return point === 0x2a || point === 0x3f || point === 0x5b || point === 0x5c || point === 0x5d;
}

/** Most paths are told apart by the longest literal run of the pattern, long before the automaton runs. */
function matcherOf(program: readonly Step[]): Matcher {
  const runs = literalRuns(program);
  if (program.every((step) => step.kind === 'literal')) {
    const whole = runs[0] ?? '';
    return (text) => text === whole;
  }
  const needed = runs.toSorted((a, b) => b.length - a.length)[0] ?? '';
  return (text) => text.includes(needed) && runProgram(program, text)[program.length] === 1;
}

function literalRuns(program: readonly Step[]): readonly string[] {
  const runs = [''];
  for (const step of program) {
    if (step.kind === 'literal') runs.push((runs.pop() ?? '') + String.fromCodePoint(step.point));
    else runs.push('');
  }
  return runs;
}

function couldContinue(program: readonly Step[], text: string): boolean {
  return runProgram(program, text).subarray(0, program.length).includes(1);
}

/** All places of the program that reading `text` can lead to: flag `i` stands before step `i`, the last flag behind the last step. */
function runProgram(program: readonly Step[], text: string): Uint8Array {
  let places = new Uint8Array(program.length + 1);
  let next = new Uint8Array(program.length + 1);
  reach(program, places, 0);
  for (let at = 0; at < text.length;) {
    const point = text.codePointAt(at) ?? 0;
    at += point > 0xffff ? 2 : 1;
    let alive = false;
    for (let index = 0; index < program.length; index++) {
      if (places[index] === 1 && advance(program, next, index, point)) alive = true;
    }
    [places, next] = [next, places];
    if (!alive) return places;
    next.fill(0);
  }
  return places;
}

/** Reads one character before step `index`: marks where that leads in `next`; false when nowhere. */
function advance(program: readonly Step[], next: Uint8Array, index: number, point: number): boolean {
  const step = program[index];
  if (step === undefined) return false;
  switch (step.kind) {
    case 'rest':
      reach(program, next, index);
      return true;
    case 'folders':
      // Inside the run: it may go on with anything, and may end only with a slash.
      next[index] = 1;
      if (point === slash) reach(program, next, index + 1);
      return true;
    case 'star':
      if (point === slash) return false;
      reach(program, next, index);
      return true;
    case 'literal':
      if (point !== step.point) return false;
      break;
    case 'one':
      if (point === slash) return false;
      break;
    case 'class':
      if (step.ranges.some(([low, high]) => low <= point && point <= high) === step.negated) return false;
      break;
  }
  reach(program, next, index + 1);
  return true;
}

/** Marks `index` and what can be reached from there without reading anything. */
function reach(program: readonly Step[], places: Uint8Array, index: number): void {
  for (let at = index; ; at++) {
    places[at] = 1;
    const kind = program[at]?.kind;
    if (kind !== 'star' && kind !== 'folders' && kind !== 'rest') return;
  }
}

function badPattern(pattern: string, why: string): JettisonError {
  return new JettisonError('base/bad-pattern', `Bad path pattern "${pattern}": ${why}`, {
    hint: 'Put a backslash before *, ?, [, ] and \\ that stand for themselves',
  });
}
