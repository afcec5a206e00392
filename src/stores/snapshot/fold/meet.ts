/**
 * Where the layers of one build meet: the names that several of them have, and what of the lower ones the upper ones hide. Only folders that two layers have in common are walked, and what is
 * hidden.
 */
import { readdirSync, type BigIntStats } from 'node:fs';
import { asByteString, fromText, nodePath, type ByteString } from '#ground/base/byte-string.ts';
import { lookAt } from '#ground/linux/tree-read.ts';
import { isOpaque } from '../chain-tree.ts';
import { isWhiteout } from '../whiteout.ts';

/** What one layer has at a path. `layer`: its place, 0 for the lowest. */
export type Found = {
  readonly layer: number;
  readonly hostPath: ByteString;
  readonly kind: 'whiteout' | 'folder' | 'other';
  readonly stats: BigIntStats;
};

/** A folder that several layers have, of which nothing hides the other. */
export type Meeting = {
  readonly path: ByteString;
  /** Topmost first. */
  readonly parts: readonly Found[];
  /** What lies below the lowest of them does not show through. */
  readonly isClosed: boolean;
  readonly names: readonly MetName[];
};

export type MetName = {
  readonly path: ByteString;
  /** All that the parts have there, topmost first: at least one. Where it is one, nothing more is said of it. */
  readonly found: readonly Found[];
  /** Where the topmost is a folder: it and those that it merges with. */
  readonly folder: readonly Found[];
  /** Of that, where it is several. */
  readonly meeting: Meeting | undefined;
  /** What lies below all of `folder` does not show through. */
  readonly isClosed: boolean;
};

/** Something that is no folder, in a layer where the layer `by` hides it. */
export type HiddenFile = { readonly path: ByteString; readonly layer: number; readonly by: number; readonly stats: BigIntStats };

/** `folders`: of the layers, the lowest first. Nothing meets where there is one layer. */
export function meetLayers(folders: readonly string[], onHidden: (file: HiddenFile) => void): Meeting | undefined {
  const roots = folders.flatMap((folder, layer) => lookFor(fromText(folder), layer) ?? []).toReversed();
  const [first, ...others] = segmentsOf(roots);
  hideAll([first ?? [], ...others], root, { hidden: onHidden, by: undefined });
  if (first === undefined) return undefined;
  return { path: root, parts: first, isClosed: others.length > 0 || endsClosed(first), names: meetNames(first, root, onHidden) };
}

const root = asByteString('');

/** Runs of what merges: a row of folders, or one other thing. Each hides those behind it. */
function segmentsOf(found: readonly Found[]): readonly (readonly Found[])[] {
  const segments: Found[][] = [];
  let isOpen = false;
  for (const one of found) {
    const last = segments.at(-1);
    if (isOpen && one.kind === 'folder' && last !== undefined) last.push(one);
    else segments.push([one]);
    isOpen = one.kind === 'folder' && !isOpaque(one.hostPath);
  }
  return segments;
}

function endsClosed(folder: readonly Found[]): boolean {
  const last = folder.at(-1);
  return last !== undefined && isOpaque(last.hostPath);
}

function meetNames(parts: readonly Found[], path: ByteString, onHidden: (file: HiddenFile) => void): readonly MetName[] {
  return [...namesIn(parts)].toSorted(byName).map(([name, having]): MetName => {
    const at = inside(path, name);
    const found = having.flatMap((part) => lookFor(inside(part.hostPath, name), part.layer) ?? []);
    if (found.length < 2) return { path: at, found, folder: [], meeting: undefined, isClosed: false };
    const segments = segmentsOf(found);
    hideAll(segments, at, { hidden: onHidden, by: undefined });
    const top = segments[0] ?? [];
    const folder = top[0]?.kind === 'folder' ? top : [];
    const isClosed = segments.length > 1 || endsClosed(folder);
    const meeting = folder.length < 2 ? undefined : { path: at, parts: folder, isClosed, names: meetNames(folder, at, onHidden) };
    return { path: at, found, folder, meeting, isClosed };
  });
}

/** The parts that have each name, topmost first. */
function namesIn(parts: readonly Found[]): ReadonlyMap<string, readonly Found[]> {
  const names = new Map<string, Found[]>();
  for (const part of parts) {
    for (const name of readdirSync(nodePath(part.hostPath), 'latin1')) {
      const having = names.get(name);
      if (having === undefined) names.set(name, [part]);
      else having.push(part);
    }
  }
  return names;
}

function byName([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : 1;
}

type Hiding = { readonly hidden: (file: HiddenFile) => void; readonly by: number | undefined };

/** Tells of all in these segments that is hidden: by the one before it, or, of the first, by what hides the whole. */
function hideAll(segments: readonly (readonly Found[])[], path: ByteString, { hidden, by }: Hiding): void {
  let hiding = by;
  for (const segment of segments) {
    if (hiding !== undefined) hide(segment, path, { hidden, by: hiding });
    hiding = segment.at(-1)?.layer;
  }
}

function hide(segment: readonly Found[], path: ByteString, { hidden, by }: Hiding & { readonly by: number }): void {
  const [top] = segment;
  if (top === undefined || top.kind === 'whiteout') return;
  if (top.kind === 'other') return hidden({ path, layer: top.layer, by, stats: top.stats });
  for (const [name, having] of namesIn(segment)) {
    const found = having.flatMap((part) => lookFor(inside(part.hostPath, name), part.layer) ?? []);
    hideAll(segmentsOf(found), inside(path, name), { hidden, by });
  }
}

/** What is at a place of a layer. */
export function lookFor(hostPath: ByteString, layer: number): Found | undefined {
  const stats = lookAt(hostPath);
  if (stats === undefined) return undefined;
  const kind = stats.isDirectory() ? 'folder' : isWhiteout(stats, hostPath) ? 'whiteout' : 'other';
  return { layer, hostPath, kind, stats };
}

export function inside(folder: ByteString, name: string): ByteString {
  return asByteString(folder === '' ? name : `${folder}/${name}`);
}
