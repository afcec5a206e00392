/** Where files of an image came from, in words. */
import { sumBy, type Blame, type Explained, type Grouping, type TracedFile, type Trail } from '#engine/blame-requests.ts';
import { instructionWords, longestText, originLabel, placeWords, sourceWords } from '#faces/documents/make-blame-words.ts';
import { unreachable } from '#ground/base/errors.ts';
import { ellipsis, formatSize } from '#ground/base/human.ts';
import { formatTable } from './table.ts';
import { harmless } from './text.ts';

export type Blamed = { readonly name: string; readonly blame: Blame };

/** Sums, largest first. */
export function blameSums({ name, blame }: Blamed, by: Grouping): string {
  const sums = sumBy(by, blame.routes, blame);
  const total = sums.reduce((sum, { bytes }) => sum + bytes, 0);
  const files = sums.reduce((sum, one) => sum + one.files, 0);
  const rows = sums.map((sum) => [formatSize(sum.bytes), shareOf(sum.bytes, total), String(sum.files), safe(originLabel(sum, by, blame))]);
  const head = ['SIZE', 'SHARE', 'FILES', by.toUpperCase()];
  return `${headLine(name, blame, { total, files })}\n${unknownLine(blame)}\n${formatTable([head, ...rows], 0)}`;
}

/** Each file with its line. */
export function blameFiles({ blame }: Blamed): string {
  const rows = blame.files.map((file) => {
    const route = blame.routes[file.content.route];
    return [file.kind === 'file' ? formatSize(file.bytes) : kindWords[file.kind], placeOf(route), route?.stage ?? '', pathWords(file)];
  });
  return formatTable([['SIZE', 'ORIGIN', 'STAGE', 'PATH'], ...rows.map((row) => row.map(safe))], 0);
}

/** The way of one file; of a folder, then the sums of what is in it. */
export function blamePath(blamed: Blamed): string {
  const { blame } = blamed;
  const [first] = blame.files;
  if (first === undefined) return '';
  const own = [
    `${safe(first.path)}  ${kindWords[first.kind]}${first.kind === 'file' ? `, ${formatSize(first.bytes)}` : ''}, in layer ${first.layer} of ${blame.layers}`,
    ...(first.linkOf === undefined ? [] : [`  another name of ${safe(first.linkOf)}`]),
    ...trailLines(blame, first, first.content),
    ...(first.metadata === undefined ? [] : ['mode and owner:', ...trailLines(blame, first, first.metadata, setWords)]),
  ];
  if (first.kind !== 'folder' || blame.files.length === 1) return `${own.join('\n')}\n`;
  const inside = { ...blamed, blame: { ...blame, files: blame.files.slice(1) } };
  return `${own.join('\n')}\n\n${blameSums({ ...inside, name: `${blamed.name}:${first.path}` }, 'origin')}`;
}

const kindWords = { file: 'file', folder: 'folder', symlink: 'link', other: 'special' } as const;

function pathWords({ path, linkOf }: TracedFile): string {
  return linkOf === undefined ? path : `${path} (= ${linkOf})`;
}

function headLine(name: string, blame: Blame, { total, files }: { readonly total: number; readonly files: number }): string {
  const hidden = blame.size - total;
  const isWhole = !name.includes(':/');
  const more = isWhole && hidden > 0 ? `, and ${formatSize(hidden)} that upper layers hide` : '';
  return safe(`${name} (${blame.platform}): ${formatSize(total)} in ${files} file${files === 1 ? '' : 's'}${more}`);
}

export const unreadableWords =
  'Another release of jettison kept how this image was built, in a form that this one cannot read: build it again here (its steps can all be cached), or ask that release';

function unknownLine({ isKnown, isUnreadable }: Blame): string {
  return isKnown || isUnreadable
    ? ''
    : 'Nothing is known of how it was built: the lines are those of its history. Its registry may know more ("--remote").\n';
}

type EndWords = { readonly run: string; readonly copy: string };
const wroteWords: EndWords = { run: 'wrote it', copy: 'made by the instruction itself' };
const setWords: EndWords = { run: 'set them', copy: 'set by the instruction' };

function trailLines(blame: Blame, { path }: TracedFile, trail: Trail, words = wroteWords): readonly string[] {
  const route = blame.routes[trail.route];
  if (route === undefined) return [];
  const paths = trail.paths.length === 0 ? route.copies.map(() => path) : trail.paths;
  const rows = route.copies.map((copy, at) => [
    ...instructionWords(copy),
    copiedWords(paths[at] ?? '', at === route.copies.length - 1 ? route : undefined),
  ]);
  return formatTable(
    [...rows, ...endRows(blame, route, { path: paths.at(-1) ?? path, words })].map((row) => ['', ...row.map(safe)]),
    2,
  )
    .trimEnd()
    .split('\n')
    .map((line) => line.trimEnd());
}

function copiedWords(path: string, last: Explained | undefined): string {
  if (path === '') return 'from there';
  const { source } = last ?? {};
  if (source?.kind === 'context')
    return `from ${source.name === 'context' ? 'the build context' : `context ${source.name}`}: ${path.slice(1)}`;
  return last?.kind === 'url' ? '' : `from ${path}`;
}

type Ending = { readonly path: string; readonly words: EndWords };

function endRows(blame: Blame, route: Explained, { path, words }: Ending): readonly (readonly string[])[] {
  const { kind, made, source, isUnpacked } = route;
  const member = isUnpacked ? `member ${path.slice(1)} of that archive` : '';
  switch (kind) {
    case 'run':
      return made === null ? [] : [[...instructionWords(made), words.run]];
    case 'container':
      return made === null ? [] : [[...instructionWords(made), 'its processes wrote it']];
    case 'copy':
      return made === null ? [] : [[...instructionWords(made), words.copy]];
    case 'heredoc':
      return made === null ? [] : [[...instructionWords(made), 'text of the Dockerfile']];
    case 'gone':
      return [[...(made === null ? ['', '', ''] : instructionWords(made)), 'its files are not in the store any more']];
    case 'context':
      return isUnpacked ? [['', '', '', member]] : [];
    case 'image':
      return [['', '', sourceWords(source), historyWords(blame, route)], ...(isUnpacked ? [['', '', '', member]] : [])];
    case 'url':
    case 'git':
      return [['', '', sourceWords(source), isUnpacked ? member : kind === 'git' ? path : '']];
    case 'unknown':
      return [['', '', `layer ${route.layer}`, blame.history[route.layer - 1] ?? 'nothing is known of it']];
    default:
      return unreachable(kind, 'end of a trail');
  }
}

/** Of the image's own base, whose layers the image has. */
function historyWords({ history }: Blame, { source, copies, layer }: Explained): string {
  if (source?.kind !== 'image' || source.layer === null) return '';
  const words = copies.length === 0 ? (history[layer - 1] ?? '') : '';
  return `layer ${source.layer} of ${source.layers}${words === '' ? '' : `: ${ellipsis(words, longestText)}`}`;
}

/** `Dockerfile:4`, or what is no line. */
function placeOf(route: Explained | undefined): string {
  if (route === undefined) return '';
  if (route.made !== null) return placeWords(route.made) || route.made.text;
  return route.source === null ? `layer ${route.layer}` : sourceWords(route.source);
}

function shareOf(bytes: number, total: number): string {
  return total === 0 ? '' : `${((bytes / total) * 100).toFixed(1)}%`;
}

function safe(text: string): string {
  return harmless(text, false);
}
