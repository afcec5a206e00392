/** Does a command print what a tutorial shows? What is different each time (ids, times, sizes) counts as the same; so do blanks between words, since columns are as wide as what stands in them. */
import { masked } from './masks.ts';

export type Comparison =
  | { readonly kind: 'same' }
  | {
      readonly kind: 'different';
      /** What was shown and did not come, what came and was not shown, in order; lines as they were written. */
      readonly lines: readonly DifferentLine[];
    };
export type DifferentLine = { readonly kind: 'both' | 'shown' | 'printed' | 'left-out'; readonly text: string };

type Wanted = { readonly text: string; readonly pattern: RegExp | undefined };

/** How many lines around a difference are told. */
const context = 2;

/**
 * A shown line of `...` or `…` stands for any lines, also none; in a line they stand for any text. In an excerpt that is so between all lines.
 * Blank lines and escape sequences do not count.
 */
export function compareOutput(shown: readonly string[], printed: string, isExcerpt: boolean): Comparison {
  const wanted = shown.filter((line) => line.trim() !== '').map((text) => ({ text, pattern: patternOf(text) }));
  const lines = linesPrinted(printed);
  const came = lines.map((line) => masked(line));
  const matches = (want: Wanted, index: number): boolean => want.pattern?.test(came[index] ?? '') ?? false;
  if (fits(wanted, came.length, { matches, isExcerpt })) return { kind: 'same' };
  return { kind: 'different', lines: shorten(differences(wanted, lines, { matches, isExcerpt })) };
}

type How = { readonly matches: (want: Wanted, index: number) => boolean; readonly isExcerpt: boolean };

/** Glob matching over lines: where a gap was left is gone back to, so the time is the product of both lengths at most. */
function fits(wanted: readonly Wanted[], count: number, { matches, isExcerpt }: How): boolean {
  let at = 0;
  let line = 0;
  let gap: { readonly at: number; line: number } | undefined = isExcerpt ? { at: 0, line: 0 } : undefined;
  while (line < count) {
    const want = wanted[at];
    if (want !== undefined && want.pattern === undefined) {
      gap = { at: at + 1, line };
      at++;
    } else if (want !== undefined && matches(want, line)) {
      at++;
      line++;
      // In an excerpt, whatever follows a line that was found may be left out.
      if (isExcerpt) gap = { at, line };
    } else if (gap !== undefined) {
      gap.line++;
      ({ at, line } = gap);
    } else return false;
  }
  return wanted.slice(at).every((want) => want.pattern === undefined);
}

function differences(wanted: readonly Wanted[], lines: readonly string[], { matches, isExcerpt }: How): readonly DifferentLine[] {
  const found: DifferentLine[] = [];
  let at = 0;
  let line = 0;
  for (const [wantIndex, lineIndex] of longestCommon(wanted, lines.length, matches)) {
    found.push(...between(wanted.slice(at, wantIndex), lines.slice(line, lineIndex), isExcerpt), {
      kind: 'both',
      text: lines[lineIndex] ?? '',
    });
    at = wantIndex + 1;
    line = lineIndex + 1;
  }
  return [...found, ...between(wanted.slice(at), lines.slice(line), isExcerpt)];
}

function between(wanted: readonly Wanted[], lines: readonly string[], isExcerpt: boolean): readonly DifferentLine[] {
  const missing = wanted.filter(({ pattern }) => pattern !== undefined).map(({ text }): DifferentLine => ({ kind: 'shown', text }));
  const mayBeMore = isExcerpt || missing.length < wanted.length;
  const more = lines.map((text): DifferentLine => ({ kind: mayBeMore ? 'left-out' : 'printed', text }));
  return [...missing, ...more];
}

/** At how many shown lines times printed lines the exact way is left: then lines are taken as they come. */
const mostCells = 4_000_000;

/** Pairs of a shown and a printed line that go together, in order, as many as there are. */
function longestCommon(wanted: readonly Wanted[], count: number, matches: How['matches']): readonly (readonly [number, number])[] {
  const height = wanted.length;
  if (height * count > mostCells) return firstCommon(wanted, count, matches);
  const width = count + 1;
  const lengths = new Uint32Array((height + 1) * width);
  const at = (row: number, column: number): number => lengths[row * width + column] ?? 0;
  for (let row = height - 1; row >= 0; row--) {
    const want = wanted[row];
    for (let column = count - 1; column >= 0; column--) {
      const isPair = want !== undefined && matches(want, column);
      lengths[row * width + column] = isPair ? at(row + 1, column + 1) + 1 : Math.max(at(row + 1, column), at(row, column + 1));
    }
  }
  const pairs: (readonly [number, number])[] = [];
  for (let row = 0, column = 0; row < height && column < count;) {
    const want = wanted[row];
    if (want !== undefined && matches(want, column)) pairs.push([row++, column++]);
    else if (at(row + 1, column) >= at(row, column + 1)) row++;
    else column++;
  }
  return pairs;
}

function firstCommon(wanted: readonly Wanted[], count: number, matches: How['matches']): readonly (readonly [number, number])[] {
  const pairs: (readonly [number, number])[] = [];
  let line = 0;
  for (const [index, want] of wanted.entries()) {
    const start = line;
    while (line < count && !matches(want, line)) line++;
    if (line < count) pairs.push([index, line++]);
    else line = start;
  }
  return pairs;
}

/** Undefined for a line that stands for any lines. */
function patternOf(text: string): RegExp | undefined {
  const line = text.trim();
  if (/^(?:#\s*)?[[(]?\s*(?:\.\.\.|…)\s*[\])]?$/u.test(line)) return undefined;
  const parts = masked(line)
    .split(/\.\.\.|…/u)
    .map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/gu, String.raw`\$&`));
  return new RegExp(`^${parts.join('.*')}$`, 'u');
}

function linesPrinted(printed: string): readonly string[] {
  return printed
    .split(/\r?\n/u)
    .map((line) => plain(line))
    .filter((line) => line.trim() !== '');
}

/** Without escape sequences (ECMA-48), and what stands behind the last carriage return: what a terminal shows. */
function plain(line: string): string {
  // oxlint-disable-next-line no-control-regex -- terminals are made of these
  const text = line.replaceAll(/\u001B(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007]*(?:\u0007|\u001B\\)|[@-Z\\-_])/gu, '');
  return text.slice(text.trimEnd().lastIndexOf('\r') + 1);
}

function shorten(lines: readonly DifferentLine[]): readonly DifferentLine[] {
  const isNear = lines.map((_, index) =>
    lines.slice(Math.max(0, index - context), index + context + 1).some(({ kind }) => kind === 'shown' || kind === 'printed'),
  );
  return lines.flatMap((line, index) => {
    if (isNear[index] === true) return [line];
    return isNear[index - 1] === true || (index === 0 && lines.length > 0) ? [{ kind: 'left-out', text: '...' }] : [];
  });
}
