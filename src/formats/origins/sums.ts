/** How many bytes of an image came from where. */
import { unreachable } from '#ground/base/errors.ts';
import type { Explained } from './explain.ts';
import type { Traced } from './trail.ts';

/** `origin`: the instruction that wrote it, or what it was taken from; `line`: the instruction to delete for it to be gone; `stage`: where that stands; `base`: images that were built on or copied from. */
export const groupings = ['origin', 'line', 'stage', 'base'] as const;
export type Grouping = (typeof groupings)[number];

export type Sum = {
  /** A route of the group: what it has in common with the others is what they are grouped by. */
  readonly route: Explained;
  readonly files: number;
  readonly bytes: number;
};

/** Most bytes first, then most files; each file of the image counts in exactly one of them. Folders count for nothing. */
export function sumBy(grouping: Grouping, routes: readonly Explained[], { files, base }: Pick<Traced, 'files' | 'base'>): readonly Sum[] {
  const sums = new Map<string, { readonly route: Explained; files: number; bytes: number }>();
  const add = (place: number, count: number, bytes: number): void => {
    const route = routes[place];
    if (route === undefined || count === 0) return;
    const key = keyOf(grouping, route);
    const sum = sums.get(key) ?? { route, files: 0, bytes: 0 };
    sum.files += count;
    sum.bytes += bytes;
    sums.set(key, sum);
  };
  for (const { kind, bytes, content } of files) if (kind !== 'folder') add(content.route, 1, bytes);
  for (const sum of base) add(sum.route, sum.files, sum.bytes);
  return [...sums.values()].toSorted((a, b) => b.bytes - a.bytes || b.files - a.files);
}

function keyOf(grouping: Grouping, { kind, made, source, stage, copies, layer }: Explained): string {
  const image = source?.kind === 'image' ? `${source.name} ${source.digest}` : '';
  const unknown = kind === 'unknown' ? layer : '';
  const line = JSON.stringify([
    made?.image ?? '',
    made?.file ?? '',
    made?.line ?? made?.text ?? '',
    image === '' || copies.length > 0 ? '' : image,
    unknown,
  ]);
  switch (grouping) {
    case 'origin':
      return source === null || kind === 'container' || kind === 'gone' ? line : JSON.stringify(source.kind === 'image' ? image : source);
    case 'line':
      return line;
    case 'stage':
      return JSON.stringify([made?.image ?? '', stage, stage === null ? image : '', unknown]);
    case 'base':
      return image;
    default:
      return unreachable(grouping, 'grouping');
  }
}
