/** `images --tree`: each image once, its names above each other, in the columns that docker has there. */
import type { ImageRow } from '#engine/image-requests.ts';
import { formatSize } from '#ground/base/human.ts';
import { shortId } from '../output/stamp.ts';

type TreeImage = ImageRow & { readonly isUsed: boolean; readonly contentSize: number };

const legend = 'Info ->   U  In Use';
const titles = ['ID', 'DISK USAGE', 'CONTENT SIZE', 'EXTRA'] as const;
const idWidth = 12;

/** Rows of one image stand beside each other. Titles are bold if `styled`. */
export function formatImageTree(rows: readonly TreeImage[], styled: boolean): string {
  const images = new Map<string, TreeImage[]>();
  for (const row of rows) images.set(row.id, [...(images.get(row.id) ?? []), row]);
  const nameWidth = Math.max('IMAGE'.length, ...rows.map((row) => nameOf(row).length));
  const bold = (text: string): string => (styled ? `\u001b[1m${text}\u001b[0m` : text);
  const head = [
    bold('IMAGE') + ' '.repeat(nameWidth - 'IMAGE'.length),
    bold(titles[0]) + ' '.repeat(idWidth - titles[0].length),
    ...titles.slice(1).map(bold),
  ];
  const width = nameWidth + idWidth + titles.slice(1).reduce((sum, title) => sum + title.length + 3, 3);
  const lines = [...images.values()].flatMap((image) => imageLines(image, nameWidth));
  return [legend.padStart(width), '', head.join('   '), ...lines, ''].join('\n');
}

function imageLines(rows: readonly TreeImage[], nameWidth: number): readonly string[] {
  const last = rows.at(-1);
  if (last === undefined) return [];
  const cells = [
    nameOf(last).padEnd(nameWidth),
    shortId(last.id).padEnd(idWidth),
    formatSize(last.size).padStart(titles[1].length),
    formatSize(last.contentSize).padStart(titles[2].length),
    (last.isUsed ? 'U' : '').padEnd(titles[3].length),
  ];
  return [...rows.slice(0, -1).map(nameOf), cells.join('   ')];
}

function nameOf({ repository, tag }: TreeImage): string {
  return repository === '<none>' ? '<untagged>' : `${repository}:${tag}`;
}
