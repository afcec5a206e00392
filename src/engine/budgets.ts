/** Limits of an image: read from words, and held against what was built. Loaded by builds that have some. */
import { budgetWords } from '#languages/dockerfile/budgets.ts';
import { JettisonError, unreachable } from '#ground/base/errors.ts';
import { formatSize } from '#ground/base/human.ts';
import type { Span } from '#ground/base/span.ts';
import type { BudgetLimit, Ledger, LedgerDifference, LedgerFile, LedgerLine } from './ledger-requests.ts';

/** `words`: of the command line, each with one limit or several. Throws `engine/bad-budget` with the place in the Dockerfile. */
export function readBudgets(words: readonly string[], source: { readonly text: string; readonly name: string }): readonly BudgetLimit[] {
  const typed = words.flatMap((one) => one.split(/[\s,]+/u).filter((word) => word !== ''));
  if (words.length > 0 && typed.length === 0) throw badBudget('', []);
  return [
    ...typed.map((word) => readLimit(word, [])),
    ...budgetWords(source.text, source.name).map(({ word, at }) => readLimit(word, [at])),
  ];
}

const kinds = ['final', 'layer', 'layers', 'growth', 'file'] as const;
const grammar = /^(?<word>[a-z]+)<=(?<number>\d{1,15}(?:\.\d{1,6})?)(?<unit>%|[kmgtp]?i?b)?$/iu;

function readLimit(text: string, at: readonly Span[]): BudgetLimit {
  const { word = '', number = '', unit = '' } = grammar.exec(text)?.groups ?? {};
  const kind = kinds.find((one) => one === word.toLowerCase());
  const isPart = unit === '%';
  const bytes = Math.floor(Number(number) * unitOf(unit));
  const isRead =
    kind === 'layers' ? unit === '' && !number.includes('.') : unit !== '' && (kind === 'growth' || !isPart) && Number.isSafeInteger(bytes);
  if (kind === undefined || !isRead) throw badBudget(text, at);
  return { kind, most: isPart ? Number(number) / 100 : bytes, isPart, text };
}

/** Units of docker's sizes are of 1000; with an `i`, of 1024. */
function unitOf(unit: string): number {
  const power = Math.max(0, ' kmgtp'.indexOf((unit[0] ?? ' ').toLowerCase()));
  return (/i/iu.test(unit) ? 1024 : 1000) ** power;
}

function badBudget(text: string, at: readonly Span[]): JettisonError {
  return new JettisonError('engine/bad-budget', `Cannot read the budget "${text}"`, {
    at,
    hint: 'Limits are "final<=20MB", "layer<=10MB", "file<=8MB", "layers<=12", "growth<=5%" or "growth<=500kB"',
  });
}

export type Budgeted = {
  readonly ledger: Ledger;
  /** Files of the image before, by path; undefined where it is not known. */
  readonly filesBefore: ReadonlyMap<string, number> | undefined;
};

/** A limit that is passed, in words, and the instruction that is to blame. */
export type Breach = { readonly text: string; readonly line: LedgerLine | undefined };

/** One for each limit that the image passes. */
export function breachesOf({ ledger, filesBefore }: Budgeted, limits: readonly BudgetLimit[]): readonly Breach[] {
  return limits.flatMap((limit) => breachOf({ ledger, filesBefore }, limit) ?? []);
}

function breachOf(given: Budgeted, limit: BudgetLimit): Breach | undefined {
  const { ledger } = given;
  const { size, before, layers, files = [] } = ledger;
  switch (limit.kind) {
    case 'final':
      return size <= limit.most
        ? undefined
        : breach(
            `${sizes(size, limit.most)} in all (${limit.text})`,
            largeBase(ledger, limit.most) ?? growthOf(given) ?? largestPart(ledger),
          );
    case 'layers':
      return layers.length <= limit.most ? undefined : breach(`${layers.length} layers (${limit.text})`, lastLine(ledger));
    case 'layer': {
      const large = layers.filter((layer) => !layer.isBase && layer.size > limit.most).toSorted((a, b) => b.size - a.size)[0];
      if (large === undefined) return undefined;
      const file = files.find(({ layer }) => layer.text === large.text && layer.line === large.line);
      return breach(`a layer of ${sizes(large.size, limit.most)} (${limit.text})`, { line: large, file });
    }
    case 'file': {
      const file = files.find((one) => one.size > limit.most);
      return file && breach(`a file of ${sizes(file.size, limit.most)} (${limit.text})`, { line: file.origin, file });
    }
    case 'growth': {
      if (before === undefined) return undefined;
      const growth = size - before.size;
      const most = limit.isPart ? before.size * limit.most : limit.most;
      return growth <= most
        ? undefined
        : breach(`${growthText(growth, before.size)} more than ${before.name} (${limit.text})`, growthOf(given));
    }
    default:
      return unreachable(limit.kind, 'limit');
  }
}

/** With as many figures as tell it from the limit. */
function sizes(bytes: number, most: number): string {
  const figures = [3, 4, 6, 9].find((count) => formatSize(bytes, count) !== formatSize(most, count));
  return figures === undefined ? `${bytes} bytes` : formatSize(bytes, figures);
}

export function growthText(growth: number, before: number): string {
  const part = before === 0 ? '' : ` (${growth < 0 ? '-' : '+'}${Number(((Math.abs(growth) / before) * 100).toPrecision(2))}%)`;
  return `${formatSize(Math.abs(growth))}${part}`;
}

/** Where the base image alone is too much, no instruction above it is to blame. */
function largeBase({ base }: Ledger, most: number): Culprit | undefined {
  if (base === undefined || base.size <= most) return undefined;
  return { line: { text: `its base image ${base.name} alone has ${sizes(base.size, most)}`, stage: undefined, line: undefined } };
}

type Culprit = { readonly line: LedgerLine; readonly file?: LedgerFile | undefined; readonly difference?: LedgerDifference };

/** Of an image that is larger than the one before: the instruction that made most of it, and the largest file of that which is new. */
function growthOf({ ledger, filesBefore }: Budgeted): Culprit | undefined {
  const difference = ledger.before?.lines?.find(({ before, size }) => size > before);
  if (difference === undefined) return undefined;
  const own = (ledger.files ?? []).filter(({ origin }) => origin.text === difference.text && origin.line === difference.line);
  const file = own.find(({ path, size }) => filesBefore === undefined || filesBefore.get(path) !== size);
  return { line: difference, file: file ?? own[0], difference };
}

function largestPart({ files = [], layers }: Ledger): Culprit | undefined {
  const own = layers.filter(({ isBase }) => !isBase).toSorted((a, b) => b.size - a.size)[0];
  if (own === undefined) return undefined;
  const file = files.find(({ layer }) => layer.text === own.text && layer.line === own.line);
  return { line: file?.origin ?? own, file };
}

function lastLine({ layers }: Ledger): Culprit | undefined {
  const last = layers.findLast(({ isBase }) => !isBase);
  return last && { line: last };
}

function breach(what: string, culprit: Culprit | undefined): Breach {
  if (culprit === undefined) return { text: what, line: undefined };
  const { line, file, difference } = culprit;
  const more = difference === undefined ? '' : ` made ${formatSize(difference.size - difference.before)} more`;
  const named = file === undefined ? '' : `${more === '' ? '' : ', of it'} ${file.path} (${formatSize(file.size)})`;
  const place = line.line === undefined ? '' : ` (line ${line.line}${line.stage === undefined ? '' : `, stage ${line.stage}`})`;
  return { text: `${what}: ${shortText(line.text)}${place}${more}${named}`, line };
}

const longestText = 100;

function shortText(text: string): string {
  const line = text.replaceAll(/\s+/gu, ' ');
  return line.length > longestText ? `${line.slice(0, longestText - 1)}…` : line;
}
