/** What an image and the stages of its build weigh, in words: `jettison ledger`, and the last lines of a build. */
import type { BuildOutcome } from '#engine/build-requests.ts';
import type { Ledger, LedgerChange, LedgerDifference, LedgerLine, LedgerStage } from '#engine/ledger-requests.ts';
import { formatSize } from '#ground/base/human.ts';
import { ellipsis } from '#ground/base/human.ts';
import { formatTable } from './table.ts';
import { harmless } from './text.ts';
import { imagePrefix } from './which-image.ts';

const longestText = 60;
const mostNamed = 3;
/** What is less than this part of the image is not worth a term. */
const worthTelling = 1000;

/** The last lines of a build whose images are new: `payload: 12.1MB = 7.4MB debian:12 + 4.7MB of stage build (COPY --from=build ..., Dockerfile:9)`. */
export function ledgerLines(outcome: BuildOutcome): readonly string[] {
  const prefixOf = imagePrefix(outcome, outcome.ledgers.length);
  return outcome.ledgers.flatMap((ledger) => {
    const prefix = `payload: ${prefixOf({ imageId: ledger.image, platform: ledger.platform })}`;
    const lines = [sumLine(ledger), jettisonedLine(ledger), changeLine(ledger)];
    return lines.flatMap((line) => (line === undefined ? [] : [harmless(`${prefix}${line}`, false)]));
  });
}

function sumLine(ledger: Ledger): string {
  const { size, base } = ledger;
  const parts = base === undefined ? [] : [{ bytes: base.size, text: base.name }];
  const own = [...ledger.stages, ...ledger.images]
    .filter(({ carried }) => carried > size / worthTelling)
    .map((one) => ({ bytes: one.carried, text: sourceText(one, ledger) }))
    .toSorted((a, b) => b.bytes - a.bytes);
  const [shown, others] = [own.slice(0, mostNamed), own.slice(mostNamed)];
  const rest = size - [...parts, ...shown].reduce((sum, { bytes }) => sum + bytes, 0);
  const what = others.length > 0 ? 'of others' : own.length > 0 ? 'of files copied again' : 'of its own layers';
  const all = [...parts, ...shown, ...(rest > size / worthTelling ? [{ bytes: rest, text: what }] : [])];
  const terms = all.map(({ bytes, text }) => `${formatSize(bytes)} ${text}`);
  return all.length === 0 ? formatSize(size) : `${formatSize(size)} = ${terms.join(' + ')}`;
}

/** `of stage build (COPY --from=build /app /app, Dockerfile:9)` */
function sourceText(source: LedgerStage | Ledger['images'][number], ledger: Ledger): string {
  if ('isFinal' in source && source.isFinal) return 'of its own steps';
  const copies = ledger.copies.filter(({ from }) => from.some(({ name }) => name === source.name));
  const [copy, ...more] = copies;
  const place = copy === undefined ? '' : ` (${lineText(copy, ledger)}${more.length > 0 ? `, and ${more.length} more` : ''})`;
  return `${'isFinal' in source ? `of stage ${source.name}` : `of ${source.name}`}${place}`;
}

/** Of stages, and of the images that they stand on: `812MB jettisoned (golang:1 700MB, build 112MB)`; nothing where a stage was never weighed, as the sum would be too small. */
function jettisonedLine({ stages, images }: Ledger): string | undefined {
  if (stages.some(({ jettisoned }) => jettisoned === undefined)) return undefined;
  const left = [...stages, ...images.map(({ name, size, carried }) => ({ name, jettisoned: (size ?? carried) - carried }))]
    .flatMap(({ name, jettisoned = 0 }) => (jettisoned > 0 ? [{ name, jettisoned }] : []))
    .toSorted((a, b) => b.jettisoned - a.jettisoned);
  if (left.length === 0) return undefined;
  const sum = left.reduce((all, { jettisoned }) => all + jettisoned, 0);
  const named = left.slice(0, mostNamed).map(({ name, jettisoned }) => `${name} ${formatSize(jettisoned)}`);
  return `${formatSize(sum)} jettisoned (${named.join(', ')}${left.length > mostNamed ? ', ...' : ''})`;
}

/** `1.2MB (+11%) more than app:latest before: RUN make (Dockerfile:5)` */
function changeLine(ledger: Ledger): string | undefined {
  const { before, size } = ledger;
  if (before === undefined || (before.size === size && (before.lines ?? []).length === 0)) return undefined;
  const isMore = size >= before.size;
  const named = (before.lines ?? []).filter((line) => line.size >= line.before === isMore).slice(0, mostNamed);
  const blamed = named.map((line) => `${lineText(line, ledger)}${named.length > 1 ? ` ${signed(line.size - line.before)}` : ''}`);
  return `${changeText(before, size)}${blamed.length === 0 ? '' : `: ${blamed.join('; ')}`}`;
}

function changeText(before: LedgerChange, size: number): string {
  const change = size - before.size;
  if (change === 0) return `as large as ${before.name} before`;
  const part = before.size === 0 ? '' : ` (${change > 0 ? '+' : '-'}${Number(((Math.abs(change) / before.size) * 100).toPrecision(2))}%)`;
  return `${formatSize(Math.abs(change))}${part} ${change > 0 ? 'more' : 'less'} than ${before.name} before`;
}

function signed(change: number): string {
  return `${change < 0 ? '-' : '+'}${formatSize(Math.abs(change))}`;
}

/** `RUN make (Dockerfile:5)` */
function lineText(line: LedgerLine, { dockerfile }: Ledger): string {
  const text = shortText(line);
  return line.line === undefined ? text : `${text}, ${dockerfile ?? 'Dockerfile'}:${line.line}`;
}

function shortText({ text }: LedgerLine): string {
  return harmless(ellipsis(text.replaceAll(/\s+/gu, ' '), longestText), false);
}

/** What `jettison ledger` prints. */
export function ledgerText(ledger: Ledger): string {
  const { size, names, image, platform, layers } = ledger;
  const head = `${names[0] ?? image.slice(7, 19)}  ${platform}  ${formatSize(size)} in ${layers.length} layer${layers.length === 1 ? '' : 's'}\n`;
  const parts = [stageTable(ledger), copyTable(ledger), layerTable(ledger), fileTable(ledger), hiddenTable(ledger), changeTable(ledger)];
  const unknown = ledger.stages.length > 0 ? [] : ['How it was built is not known here: these are its layers alone.\n'];
  return [head, ...unknown, ...parts.filter((part) => part !== '')].join('\n');
}

/** Stages and images, and what of each is in the image. */
function stageTable(ledger: Ledger): string {
  const { stages, images, base, repeated } = ledger;
  if (stages.length === 0) return '';
  const rows = stages.map(({ name, built, carried, jettisoned, isFinal }) => [
    `${name}${isFinal ? ' (final)' : ''}`,
    sizeOr(built),
    formatSize(carried),
    sizeOr(jettisoned),
  ]);
  const others = images.map(({ name, size, carried }) => [
    name,
    sizeOr(size),
    formatSize(carried),
    size === undefined ? '?' : formatSize(size - carried),
  ]);
  const again = repeated > 0 ? [['(copied again)', '', formatSize(repeated), '']] : [];
  const below = base === undefined ? [] : [[`${base.name} (base)`, formatSize(base.size), formatSize(base.size), formatSize(0)]];
  return formatTable([['STAGE', 'BUILT', 'CARRIED', 'JETTISONED'], ...below, ...others, ...rows, ...again]);
}

function sizeOr(bytes: number | undefined): string {
  return bytes === undefined ? '?' : formatSize(bytes);
}

function copyTable(ledger: Ledger): string {
  if (ledger.copies.length === 0) return '';
  const rows = ledger.copies.map((copy) => [
    formatSize(copy.bytes),
    copy.from.map(({ name, bytes }) => `${name} ${formatSize(bytes)}`).join(', '),
    lineText(copy, ledger),
  ]);
  return formatTable([['CARRIED', 'MADE IN', 'BY'], ...rows]);
}

function layerTable(ledger: Ledger): string {
  const own = ledger.layers.filter(({ isBase }) => !isBase);
  if (own.length === 0) return '';
  return formatTable([['LAYER', 'BY'], ...own.map((layer) => [formatSize(layer.size), lineText(layer, ledger)])]);
}

function fileTable(ledger: Ledger): string {
  const { files = [] } = ledger;
  if (files.length === 0) return '';
  const rows = files.map(({ path, size, origin, layer }) => {
    const isCopied = origin.text !== layer.text || origin.line !== layer.line;
    return [formatSize(size), harmless(path, false), `${lineText(origin, ledger)}${isCopied ? ` as ${harmless(origin.path, false)}` : ''}`];
  });
  return formatTable([['FILE', 'PATH', 'MADE BY'], ...rows]);
}

/** What "--fold" would leave out. */
function hiddenTable(ledger: Ledger): string {
  const { hidden = [] } = ledger;
  if (hidden.length === 0) return '';
  const rows = hidden.map((one) => [formatSize(one.size), lineText(one.of, ledger), lineText(one, ledger)]);
  return formatTable([['HIDDEN', 'OF', 'BY'], ...rows]);
}

function changeTable(ledger: Ledger): string {
  const { before, size } = ledger;
  if (before === undefined) return '';
  const rows = (before.lines ?? []).map((line) => [signed(line.size - line.before), wasText(line), lineText(line, ledger)]);
  const table = rows.length === 0 ? '' : formatTable([['CHANGE', 'WAS', 'BY'], ...rows]);
  return `${changeText(before, size)} (${before.image.slice(7, 19)})\n${table}`;
}

function wasText({ before, size }: LedgerDifference): string {
  return before === 0 ? 'new' : size === 0 ? 'gone' : formatSize(before);
}
